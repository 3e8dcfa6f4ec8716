"""How rows lie for one direction of a recurrent layer: chains of one length, ragged chains, any acyclic graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ...ops._scan import Structure
from ...ops.levels import ALIGNED
from ...ops.permute import permute
from ...ops.segment import segment_reduce
from ...topology import Topology


class Way(NamedTuple):
    """Packed levels of one direction, as seen from the order of the caller's rows.

    Attributes:
        structure: of the packed levels.
        enter: packed position → row, or None where they are the same.
        leave: row → packed position, likewise.
        start: the graph of each node of level 0, or None where they are the graphs in their order.
        ends: packed positions of the nodes whose states are final.
        ends_ptr: where those of each graph begin, or None for one each.
        steps: the length of all chains, or None where they differ or are no chains.
    """

    structure: Structure
    enter: Tensor | None
    leave: Tensor | None
    start: Tensor | None
    ends: Tensor
    ends_ptr: Tensor | None
    steps: int | None = None

    def arrange(self, rows: Tensor) -> Tensor:
        """Return the caller's rows, packed."""
        return rows if self.enter is None or self.leave is None else permute(rows, self.enter, self.leave)

    def arrange_back(self, rows: Tensor) -> Tensor:
        """Return packed rows as the caller lays them."""
        return rows if self.enter is None or self.leave is None else permute(rows, self.leave, self.enter)

    def first(self, state: Tensor) -> Tensor:
        """Return what the nodes of level 0 start from, given one row a graph."""
        return state if self.start is None else state.index_select(0, self.start)

    def final(self, rows: Tensor, state: Tensor | None) -> Tensor:
        """Return the final state of each graph; one without nodes ends where it started."""
        ends = rows.index_select(0, self.ends)
        if self.ends_ptr is None:
            return ends
        total = segment_reduce(ends, self.ends_ptr, "sum")
        if state is None:
            return total
        return torch.where((self.ends_ptr.diff() == 0)[:, None], state, total)


def uniform(steps: int, count: int, device: torch.device, reverse: bool) -> Way:
    """Return the way of `count` chains of `steps` nodes, rows `[steps · count]` step by step."""
    n = steps * count
    rows = torch.arange(n, device=device)
    level_ptr = torch.arange(steps + 1) * count
    zeros = rows.new_zeros(min(count, n))
    receivers = rows[count:]
    edge_ptr = torch.cat([zeros, torch.arange(n - zeros.size(0) + 1, device=device)])
    structure = Structure(level_ptr, edge_ptr, rows[: n - count], receivers, None, torch.tensor(ALIGNED))
    turned = rows.view(steps, count).flip(0).flatten() if reverse else None
    return Way(structure, turned, turned, None, rows[n - count :], None, steps)


def ragged(batch_sizes: Tensor, device: torch.device, reverse: bool) -> Way:
    """Return the way of chains as a ``PackedSequence`` lays them, `batch_sizes` of them at each step."""
    sizes = batch_sizes.to(device)
    n, count = int(batch_sizes.sum()), int(batch_sizes[0])
    level_ptr = torch.cat([batch_sizes.new_zeros(1), batch_sizes.cumsum(0)])
    ptr = level_ptr.to(device)
    rows = torch.arange(n, device=device)
    receivers = rows[count:]
    senders = receivers - torch.repeat_interleave(sizes[:-1], sizes[1:])
    edge_ptr = torch.cat([rows.new_zeros(count), torch.arange(n - count + 1, device=device)])
    structure = Structure(level_ptr, edge_ptr, senders, receivers, None, torch.tensor(ALIGNED))
    lengths = (sizes[None, :] > torch.arange(count, device=device)[:, None]).sum(1)
    chain = rows - torch.repeat_interleave(ptr[:-1], sizes)
    turned = None
    if reverse:  # step l of chain j changes places with step length_j - 1 - l
        step = torch.repeat_interleave(torch.arange(sizes.numel(), device=device), sizes)
        turned = ptr[lengths[chain] - 1 - step] + chain
    ends = ptr[lengths - 1] + torch.arange(count, device=device)
    return Way(structure, turned, turned, None, ends, None)


def of_graph(topology: Topology) -> Way:
    """Return the way of a directed acyclic graph, rows by node; it ends at nodes without successors."""
    packed, ends = topology.packed, topology.roots
    parts = packed.level_ptr, packed.edge_ptr, packed.senders, packed.receivers
    first = packed.order[: int(packed.level_ptr[1]) if topology.num_nodes else 0]
    inside = torch.searchsorted(ends, topology.graph_ptr)
    structure = Structure(*parts, None, packed.form)
    start = topology.batch.index_select(0, first)
    return Way(structure, packed.order, packed.rank, start, packed.rank.index_select(0, ends), inside)
