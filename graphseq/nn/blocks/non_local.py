"""The non-local network of Wang et al.: self-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import expected
from ...messages import Merge
from ...ops.segments import Segments
from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GraphNetwork
from ._sets import complete, sets_of


class NonLocalNetwork(nn.Module):
    """Each node attends to all nodes of its set:

        α_vu = softmax_u(θ(x_v) · φ(x_u) / √d),   x_v' = x_v + W [Σ_u α_vu g(x_u)]

    in several heads, d wide each. Wang, Girshick, Gupta & He (2018), Non-local neural networks, eqs. 1 and 6, with the
    embedded Gaussian, which is the self-attention of Vaswani et al. (2017). A block of a graph network on complete
    graphs, whose edges return a score and a value, and whose aggregate weights the values by the softmax of the scores.
    Memory is quadratic in the size of sets; :class:`TransformerConv` on given edges holds no values of edges.

    Args:
        channels: F.
        heads: number of heads, a divisor of the width.
        width: of all heads together; F by default.

    Raises:
        GraphError: an invalid argument; features that don't fit the layer or the sets.

    >>> NonLocalNetwork(4, heads=2)(torch.zeros(5, 4), torch.tensor([0, 0, 0, 1, 1])).shape
    torch.Size([5, 4])
    """

    def __init__(self, channels: int, heads: int = 1, width: int | None = None) -> None:
        super().__init__()
        wide = channels if width is None else width
        check_sizes(channels=channels, heads=heads, width=wide)
        if wide % heads:
            raise expected("heads", f"a divisor of {wide}, the width of the heads together", heads)
        self.block = GraphNetwork(Pairs(channels, wide, heads), Added(wide, channels), aggregate=Weighted(heads))

    def forward(self, x: Tensor, batch: Tensor | Topology | None = None) -> Tensor:
        """Return x', `[N, F]`.

        Args:
            x: `[N, F]`.
            batch: int64 `[N]`, ascending, the set of each node, or a topology; one set by default.
        """
        out: Tensor = self.block(x, complete(sets_of(x, batch), loops=True))[0]
        return out


class Pairs(nn.Module):
    """A score of each head and the sender's value: ``[θ(x_v) · φ(x_u) / √d, g(x_u)]``."""

    def __init__(self, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.channels, self.heads = channels, heads
        self.query, self.key, self.value = (nn.Linear(channels, width) for _ in range(3))

    def forward(self, pair: Tensor) -> Tensor:
        """Return scores and values, `[E, heads + width]`, of receivers and senders side by side, `[E, 2 F]`."""
        if pair.size(1) != 2 * self.channels:
            raise expected("x", f"shape [N, {self.channels}], the network's channels wide", pair[:, ::2])
        received, sent = pair.chunk(2, 1)
        products = (self.query(received) * self.key(sent)).unflatten(1, (self.heads, -1))
        return torch.cat([products.sum(2) / products.size(2) ** 0.5, self.value(sent)], 1)


class Weighted(Merge):
    """The sum of values, weighted by the softmax of the scores before them."""

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``Σ_e α_e value_e``, for each head."""
        share, value = segments.softmax(rows[:, : self.heads]), rows[:, self.heads :]
        return segments.sum((share[:, :, None] * value.unflatten(1, (self.heads, -1))).flatten(1))

    def empty(self, rows: Tensor, count: int) -> Tensor:
        """Return zeros."""
        return rows.new_zeros(count, rows.size(1) - self.heads)


class Added(nn.Module):
    """The node's features and a linear map of what it attends to."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.width, self.lin = width, nn.Linear(width, channels)

    def forward(self, parts: Tensor) -> Tensor:
        """Return ``x + W y`` of ``[y, x]``."""
        out: Tensor = parts[:, self.width :] + self.lin(parts[:, : self.width])
        return out
