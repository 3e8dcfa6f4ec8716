"""An LSTM over the neighbours of each node, which are chains."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core import sweep
from ...ops.loops import remaining_loops
from ...topology import Links, Topology
from ..cells import LSTMCell
from ..cells.base import bare


class LSTMAggregation(nn.Module):
    """The last state of an LSTM over each receiver's neighbours, in the order of the edges; 0 without edges.

    Hamilton, Ying & Leskovec (2017), Inductive representation learning on large graphs, section 3.3. The parameters,
    `lstm.*`, are those of PyG's aggregation of this name. That one pads the neighbours to the largest number of any
    receiver, and goes on over the zeros; here a receiver's result is that of its own neighbours.

    Args:
        in_channels: F.
        out_channels: F'.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lstm = _Chains("LSTM", in_channels, out_channels, batch_first=True)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        self.lstm.reset_parameters()

    def forward(self, x: Tensor, links: Links, weight: Tensor | None = None) -> Tensor:
        """Return `[R, F']` for senders' features `[S, F]` and the edges' weights `[E]`, which scale them, if any."""
        m = links.matrix
        rows = x.index_select(0, m.columns)
        if weight is not None:
            rows = rows * weight.index_select(0, m.edge)[:, None]
        states: Tensor = self.lstm(rows, links.memo("chains", lambda: _chains(links)))
        if links.num_edges == 0:
            return states.new_zeros(links.num_receivers, states.size(1))
        last = states.index_select(0, (m.ptr[1:] - 1).clamp(min=0))
        return torch.where(links.in_degree[:, None] > 0, last, states.new_zeros(()))


class _Chains(nn.RNNBase):
    """The states of torch.nn's LSTM on chains; ``torch.compile`` refuses to trace torch.nn's own layer."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def forward(self, x: Tensor, chains: Topology) -> Tensor:
        """Return `[N, H]`."""
        cell = bare(
            LSTMCell, state_sizes=(self.hidden_size,) * 2, weight_ih=self.weight_ih_l0, weight_hh=self.weight_hh_l0,
            bias_ih=self.bias_ih_l0, bias_hh=self.bias_hh_l0, weight_peephole=None, coupled=False, forget_gate=True,
        )  # fmt: skip
        return sweep(cell, x, chains)[0]


def _chains(links: Links) -> Topology:
    """Return the edges that each receiver gets as a chain."""
    if not torch.compiler.is_compiling():
        return Topology.chain(links.in_degree)
    # A traced tensor has no lengths to list: mark the first of each chain by a loop, and take out the loops.
    count, at = links.num_edges, links.edge_index[1].index_select(0, links.matrix.edge)
    edges = torch.arange(count, device=at.device)
    starts = torch.cat([at.new_ones(1, dtype=torch.bool), at[1:] != at[:-1]])[:count]
    between, _ = remaining_loops(torch.stack([torch.where(starts, edges, edges - 1), edges]), count)
    return Topology.from_edge_index(between[:, : between.size(1) - count], count)
