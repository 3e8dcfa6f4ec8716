"""The communication network of Sukhbaatar et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GraphNetwork
from ._sets import Columns, complete, sets_of


class CommNet(nn.Module):
    """Agents that hear the mean of what the others say:

        c_v = mean_{u ≠ v} h_u,   h_v' = tanh(C c_v + H h_v + b)

    Sukhbaatar, Szlam & Fergus (2016), Learning multiagent communication with backpropagation, eqs. 1 to 3. A block of a
    graph network on complete graphs without loops, whose messages are the senders' states; with an `edge_index`, of the
    agents within reach.

    Args:
        in_channels: F.
        out_channels: F'.

    Raises:
        GraphError: an invalid argument; features that don't fit the layer or the sets.

    >>> import torch
    >>> CommNet(3, 4)(torch.zeros(5, 3), torch.tensor([0, 0, 0, 1, 1])).shape
    torch.Size([5, 4])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels)
        update = nn.Sequential(nn.Linear(2 * in_channels, out_channels), nn.Tanh())  # columns of C, then of H
        self.block = GraphNetwork(Columns(in_channels, 2 * in_channels), update, aggregate="mean")

    def forward(
        self, h: Tensor, batch: Tensor | Topology | None = None, edge_index: Tensor | Topology | None = None
    ) -> Tensor:
        """Return h', `[N, F']`.

        Args:
            h: `[N, F]`.
            batch: int64 `[N]`, ascending, the group of each agent, or a topology; one group by default.
            edge_index: int64 `[2, E]`, or a topology: who hears whom. By default all others in the group.
        """
        heard = complete(sets_of(h, batch), loops=False) if edge_index is None else edge_index
        out: Tensor = self.block(h, heard)[0]
        return out
