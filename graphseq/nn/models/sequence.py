"""Classify sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...errors import expected
from ..recurrent import GRU, LSTM, RNN

_LAYERS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class SequenceClassifier(nn.Module):
    """Classify sequences by the last state of a recurrent network: ``y = W dropout(h_T) + b``.

    Args:
        input_size: F.
        hidden_size: H.
        num_classes: C.
        layer: "rnn", "gru" or "lstm".
        num_layers: of the network.
        bidirectional: read backwards too; the last states of both directions are joined.
        dropout: between layers and before the classifier.

    Raises:
        GraphError: another layer.

    >>> SequenceClassifier(3, 4, 2)(torch.zeros(5, 7, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, layer: str = "gru", num_layers: int = 1,
        bidirectional: bool = False, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if layer not in _LAYERS:
            raise expected("layer", '"rnn", "gru" or "lstm"', layer)
        between = dropout if num_layers > 1 else 0.0
        self.rnn = _LAYERS[layer](
            input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size * (2 if bidirectional else 1), num_classes)

    def forward(self, x: Tensor | PackedSequence) -> Tensor:
        """Return scores `[B, C]` of sequences `[B, T, F]`, or of packed ones."""
        _, final = self.rnn(x)
        h = final[0] if isinstance(final, tuple) else final
        last = torch.cat(list(h[-2:]), 1) if self.rnn.bidirectional else h[-1]
        scores: Tensor = self.classifier(self.dropout(last))
        return scores
