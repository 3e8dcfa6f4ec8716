"""The jumping knowledge of Xu et al."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...errors import expected
from ..cells.base import check_sizes
from ..recurrent import LSTM
from ._means import check_rows


class JumpingKnowledge(nn.Module):
    """Combine a node's representations of all layers, so that each node can draw on the neighbourhood sizes it needs:

        cat   h_v = [h_v^1 … h_v^L]
        max   h_v = max_l h_v^l, feature by feature
        lstm  h_v = Σ_l α_v^l h_v^l,   α_v = softmax of a linear map of a bidirectional LSTM over h_v^1 … h_v^L

    Xu, Li, Tian, Sonobe, Kawarabayashi & Jegelka (2018), Representation learning on graphs with jumping knowledge
    networks. Arguments, call and parameters (`lstm.*`, `att.*`) are those of PyG's layer.

    Args:
        mode: "cat", "max" or "lstm".
        channels: F, for "lstm".
        num_layers: L, for "lstm".

    Raises:
        GraphError: an unknown mode, missing sizes; states whose shapes differ.

    >>> JumpingKnowledge("cat")([torch.zeros(3, 4), torch.zeros(3, 4)]).shape
    torch.Size([3, 8])
    """

    lstm: LSTM | None
    att: nn.Linear | None

    def __init__(self, mode: str, channels: int | None = None, num_layers: int | None = None) -> None:
        super().__init__()
        if mode not in ("cat", "max", "lstm"):
            raise expected("mode", '"cat", "max" or "lstm"', mode)
        self.mode, self.channels, self.num_layers = mode, channels, num_layers
        self.lstm = self.att = None
        if mode == "lstm":
            for name, size in (("channels", channels), ("num_layers", num_layers)):
                if not isinstance(size, int) or size < 1:
                    raise expected(name, 'a whole number ≥ 1 for "lstm"', size)
            hidden = (num_layers or 0) * (channels or 0) // 2
            check_sizes(hidden_size=hidden)
            self.lstm = LSTM(channels or 0, hidden, bidirectional=True, batch_first=True)
            self.att = nn.Linear(2 * hidden, 1)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        if self.lstm is not None and self.att is not None:
            self.lstm.reset_parameters()
            self.att.reset_parameters()

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        """Return h, `[N, F]`, for "cat" `[N, L · F]`.

        Args:
            xs: the states of L layers, `[N, F]` each; for "cat" of any widths.
        """
        if not isinstance(xs, list | tuple) or not xs:
            raise expected("xs", "a list of the layers' states", xs)
        for x in xs:
            check_rows(x)
        if self.mode == "cat":
            return torch.cat(list(xs), 1)
        for i, x in enumerate(xs):
            if x.shape != xs[0].shape:
                raise expected(f"xs[{i}]", f"shape {list(xs[0].shape)}, as the first state has", x)
        rows = torch.stack(list(xs), 1)
        if self.lstm is None or self.att is None:
            return rows.max(1).values
        if rows.shape[1:] != (self.num_layers, self.channels):
            raise expected("xs", f"{self.num_layers} states, {self.channels} wide each", rows.transpose(0, 1))
        share: Tensor = self.att(self.lstm(rows)[0]).softmax(1)  # [N, L, 1]
        return (rows * share).sum(1)

    def extra_repr(self) -> str:
        """Return the options."""
        sizes = f", channels={self.channels}, num_layers={self.num_layers}" if self.mode == "lstm" else ""
        return f"{self.mode!r}{sizes}"
