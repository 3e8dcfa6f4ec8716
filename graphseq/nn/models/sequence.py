"""Classify sequences, of vectors or of words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...cell import Cell
from ...errors import expected
from ...schedule import Sweep
from ...topology import Topology
from ...topology.inputs import check_range
from .. import recurrent
from ..deep.stack import check_dropout
from ..recurrent import Recurrent
from .library import cells, make_cell

__all__ = ["SequenceClassifier", "TextClassifier", "sequence_layers"]

_LAYERS: dict[str, Any] = {"rnn": recurrent.RNN, "gru": recurrent.GRU, "lstm": recurrent.LSTM}


def sequence_layers() -> list[str]:
    """Return the names of the layers that can read a sequence: torch.nn's layers, and the cells of graphseq.nn."""
    return list(dict.fromkeys([*_LAYERS, *cells()]))


class SequenceClassifier(nn.Module):
    """Classify sequences by the last state of a recurrent network: ``y = W dropout(h_T) + b``.

    Args:
        input_size: F.
        hidden_size: H.
        num_classes: C.
        layer: "rnn", "gru", "lstm" or a cell of graphseq.nn by name, such as "elman", or a function of two sizes that
            makes a cell, such as a cell's class.
        num_layers: of the network.
        bidirectional: read backwards as well; the last states of both directions are concatenated.
        dropout: between layers and before the classifier.

    Raises:
        GraphError: another layer.

    >>> SequenceClassifier(3, 4, 2)(torch.zeros(5, 7, 3)).shape
    torch.Size([5, 2])
    >>> SequenceClassifier(3, 4, 2, layer="elman")(torch.zeros(6, 3), Topology.chain([2, 4])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, layer: str | Callable[[int, int], Cell] = "gru",
        num_layers: int = 1, bidirectional: bool = False, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(layer, str) and layer not in sequence_layers():
            raise expected("layer", f"one of {', '.join(sequence_layers())}", layer)
        between = dropout if num_layers > 1 else 0.0
        self.rnn: nn.Module
        if isinstance(layer, str) and layer in _LAYERS:
            self.rnn = _LAYERS[layer](
                input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
            )
        else:
            self.rnn = _Cells(layer, input_size, hidden_size, num_layers, between, bidirectional)
        self.bidirectional = bidirectional
        self.dropout = nn.Dropout(check_dropout(dropout))
        self.classifier = nn.Linear(hidden_size * (2 if bidirectional else 1), num_classes)

    def forward(self, x: Tensor | PackedSequence, topology: Topology | None = None) -> Tensor:
        """Return scores `[B, C]`.

        Args:
            x: sequences `[B, T, F]`, or packed ones; with a topology `[N, F]`.
            topology: chains of N nodes, where sequences differ in length.
        """
        _, final = self.rnn(x) if topology is None else self.rnn(x, topology=topology)
        h = final[0] if isinstance(final, tuple) else final
        last = torch.cat(list(h[-2:]), 1) if self.bidirectional else h[-1]
        scores: Tensor = self.classifier(self.dropout(last))
        return scores


class TextClassifier(nn.Module):
    """Classify texts by word vectors and a recurrent network over them.

    Args:
        num_words: size of the vocabulary; word 0 stands for all unknown ones.
        embedding_size: F.
        hidden_size: H.
        num_classes: C.
        layer: as of :class:`SequenceClassifier`.
        num_layers: of the network.
        bidirectional: read backwards as well.
        dropout: of the word vectors, between layers and before the classifier.
        unknown: share of the words that are made unknown in training, so that the unknown word's vector is learnt.

    >>> TextClassifier(10, 3, 4, 2)(torch.tensor([1, 5, 0, 2]), Topology.chain([3, 1])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, num_words: int, embedding_size: int, hidden_size: int, num_classes: int, *,
        layer: str | Callable[[int, int], Cell] = "lstm", num_layers: int = 1, bidirectional: bool = True,
        dropout: float = 0.5, unknown: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = nn.Embedding(num_words, embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.sequence = SequenceClassifier(
            embedding_size, hidden_size, num_classes, layer=layer, num_layers=num_layers, bidirectional=bidirectional,
            dropout=dropout,
        )  # fmt: skip
        self.dropout, self.unknown = nn.Dropout(check_dropout(dropout)), unknown

    def forward(self, words: Tensor, topology: Topology) -> Tensor:
        """Return scores `[B, C]`.

        Args:
            words: int64 `[N]`.
            topology: chains of N nodes, one per text.
        """
        if not torch.compiler.is_compiling():
            check_range("words", words, self.embedding.num_embeddings)
        if self.training and self.unknown:
            words = forget(words, self.unknown)
        scores: Tensor = self.sequence(self.dropout(self.embedding(words)), topology)
        return scores


def forget(words: Tensor, share: float) -> Tensor:
    """Make a share of the words unknown, so that the unknown word's vector is learnt; -1, no word, stays."""
    forgotten = (words > 0) & (torch.rand(words.shape, device=words.device) < share)
    return words.masked_fill(forgotten, 0)


class _Cells(nn.Module):
    """Sweeps of any cell over chains, with the call and the results of torch.nn's layers, as far as needed here."""

    def __init__(
        self, cell: Any, input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool
    ) -> None:
        super().__init__()
        ways = (False, True) if bidirectional else (False,)
        widths = [input_size, *[hidden_size * len(ways)] * (num_layers - 1)]
        self.layers = nn.ModuleList(
            nn.ModuleList(Recurrent(make_cell(cell, width, hidden_size), Sweep(way)) for way in ways)
            for width in widths
        )  # fmt: skip
        self.dropout = nn.Dropout(check_dropout(dropout))

    def forward(self, x: Any, topology: Topology | None = None) -> tuple[Tensor, Tensor]:
        """Return the states of the last layer `[N, D H]`, and the last states of all layers `[K D, B, H]`."""
        if topology is None:
            if not isinstance(x, Tensor) or x.dim() != 3:
                raise expected("x", "[B, T, F], or [N, F] with a topology, for a layer that is a cell", x)
            topology = Topology.chain([x.size(1)] * x.size(0)).to(x.device)
            x = x.flatten(0, 1)
        ptr, finals = topology.graph_ptr, []
        empty = (ptr.diff() == 0)[:, None]
        for at, ways in enumerate(self.layers):
            x = x if at == 0 else self.dropout(x)
            outs = []
            for way in ways:  # type: ignore[attr-defined]
                states = way(x, topology)
                h = states[0] if isinstance(states, tuple) else states
                ends = ptr[:-1] if way.schedule.reverse else ptr[1:] - 1
                at_end = torch.cat([h, h.new_zeros(1, h.size(1))])[ends.where(~empty[:, 0], h.size(0))]
                finals.append(at_end)
                outs.append(h)
            x = torch.cat(outs, 1)
        return x, torch.stack(finals)
