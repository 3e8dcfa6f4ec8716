"""Topological levels, and the layout that makes each of them one contiguous slice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import Words, expected
from .library import Operator


def longest_paths(in_ptr: Tensor, out_ptr: Tensor, receivers: Tensor) -> tuple[Tensor, bool]:
    """Return each node's level, -1 for those on or after a cycle, and whether every node has one."""
    from .kernels.structure import longest_paths as kernel

    level = torch.empty(in_ptr.numel() - 1, dtype=torch.int64, device="cpu")
    reached = kernel(in_ptr.cpu().numpy(), out_ptr.cpu().numpy(), receivers.cpu().numpy(), level.numpy())
    return level.to(in_ptr.device), reached == level.numel()


def find_cycle(level: Tensor, in_ptr: Tensor, senders: Tensor) -> list[int]:
    """Return the nodes of one cycle in the direction of its edges, its first node again at the end."""
    without, ptr, source = level.cpu().numpy() < 0, in_ptr.cpu().numpy(), senders.cpu().numpy()
    v, seen = int(without.argmax()), dict[int, int]()
    while v not in seen:  # a node without a level has a predecessor without one
        seen[v] = len(seen)
        v = next(int(u) for u in source[ptr[v] : ptr[v + 1]] if without[u])
    backwards = [*list(seen)[seen[v] :], v]
    return backwards[::-1]


def name_cycle(nodes: list[int]) -> Words:
    """Return a cycle in the form of an error message."""
    shown = [*nodes[:10], "…", nodes[-1]] if len(nodes) > 12 else nodes
    return Words(f"the cycle {' → '.join(map(str, shown))}")


def _levels(in_ptr: Tensor, senders: Tensor, out_ptr: Tensor, receivers: Tensor) -> Tensor:
    level, acyclic = longest_paths(in_ptr, out_ptr, receivers)
    if not acyclic:
        cycle = name_cycle(find_cycle(level, in_ptr, senders))
        raise expected("topology", "a graph without cycles for a sweep", cycle)
    return level


def _levels_fake(in_ptr: Tensor, senders: Tensor, out_ptr: Tensor, receivers: Tensor) -> Tensor:
    return in_ptr.new_empty(in_ptr.size(0) - 1)


levels = Operator(
    "levels(Tensor in_ptr, Tensor senders, Tensor out_ptr, Tensor receivers) -> Tensor", _levels, _levels_fake
)


GENERAL, FOREST, ALIGNED = 0, 1, 2


class Packed(NamedTuple):
    """Nodes in the order of their levels. All int64, on the topology's device, except those marked CPU.

    Attributes:
        order: `[N]`, packed position → node. Within a level nodes keep their order; except that the longest chains come
            first, so that a batch of chains is laid out as a ``PackedSequence``.
        rank: `[N]`, node → packed position.
        level_ptr: `[L + 1]`, CPU; level l is the slice ``level_ptr[l]:level_ptr[l + 1]``.
        level_edges: `[L + 1]`, CPU; likewise of the packed edges into each level.
        edge_ptr: `[N + 1]`, packed receiver → its packed edges.
        senders: `[E]`, packed position of each packed edge's sender.
        receivers: `[E]`, packed position of each packed edge's receiver; ascending.
        edges: `[E]`, packed edge → edge.
        form: int64 `[]`, CPU; ALIGNED: each node above level 0 has one predecessor, in the same place one level below,
            as in chains; FOREST: no node has two successors; GENERAL.
    """

    order: Tensor
    rank: Tensor
    level_ptr: Tensor
    level_edges: Tensor
    edge_ptr: Tensor
    senders: Tensor
    receivers: Tensor
    edges: Tensor
    form: Tensor

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Packed:
        """Return the structure on another device; what is marked CPU stays there."""
        kept = ("level_ptr", "level_edges", "form")
        moved = {n: t.to(device, non_blocking=non_blocking) for n, t in self._asdict().items() if n not in kept}
        return self._replace(**moved)

    def structure(self, slot: Tensor | None = None, types: Tensor | None = None) -> Structure:
        """Return the parts that a sweep reads, with `slot` and `types`."""
        parts = self.level_ptr, self.level_edges, self.edge_ptr, self.senders, self.receivers
        return Structure(*parts, slot, self.form if slot is None else self.form.clamp(max=FOREST), types)

    def numbers(self) -> Numbers:
        """Return where levels and their edges begin, as numbers."""
        return Numbers(self.level_ptr.tolist(), self.level_edges.tolist(), int(self.form))


class Numbers(NamedTuple):
    """Where levels and the packed edges into them begin, and their form, for code that walks them in Python."""

    nodes: list[int]
    edges: list[int]
    form: int


class Structure(NamedTuple):
    """The parts of :class:`Packed` that a sweep reads.

    `slot` `[E]` is each packed edge's place among its receiver's, or None where predecessors are summed; `types` `[E]`
    is each packed edge's type, for cells that read it.
    """

    level_ptr: Tensor
    level_edges: Tensor
    edge_ptr: Tensor
    senders: Tensor
    receivers: Tensor
    slot: Tensor | None
    form: Tensor
    types: Tensor | None = None


def _pack(level: Tensor, graph_ptr: Tensor, in_ptr: Tensor, in_senders: Tensor, in_edges: Tensor) -> tuple[Tensor, ...]:
    from .kernels.structure import pack as kernel

    device, level, graphs = level.device, level.cpu(), graph_ptr.cpu()
    depth = torch.zeros(graphs.numel() - 1, dtype=torch.int64, device="cpu")
    if depth.numel() > 1:
        depth = torch.segment_reduce(level.double(), "max", offsets=graphs, initial=-1).long() + 1
    degree = in_ptr.cpu().diff(), torch.bincount(in_senders.cpu(), minlength=level.numel())
    chains = all(int(d.max()) <= 1 for d in degree if d.numel())
    graph_order = (
        torch.argsort(depth, descending=True, stable=True) if chains else torch.arange(depth.numel(), device="cpu")
    )
    count = int(level.max()) + 1 if level.numel() else 0
    n, e = level.numel(), in_senders.numel()
    level_ptr = torch.zeros(count + 1, dtype=torch.int64, device="cpu")
    order, rank, edge_ptr, senders, receivers, edges = (
        torch.empty(k, dtype=torch.int64, device="cpu") for k in (n, n, n + 1, e, e, e)
    )
    given = (level, depth, graph_order, graphs, in_ptr.cpu(), in_senders.cpu(), in_edges.cpu())
    out = (order, rank, level_ptr, edge_ptr, senders, receivers, edges)
    form = torch.tensor(int(kernel(*(t.numpy() for t in (*given, *out)))), device="cpu")
    packed = Packed(order, rank, level_ptr, edge_ptr[level_ptr], edge_ptr, senders, receivers, edges, form)
    return packed.to(device)


def _pack_fake(
    level: Tensor, graph_ptr: Tensor, in_ptr: Tensor, in_senders: Tensor, in_edges: Tensor
) -> tuple[Tensor, ...]:
    count = torch.library.get_ctx().new_dynamic_size()
    order, rank = (torch.empty_like(level) for _ in range(2))
    level_ptr, level_edges = (torch.empty(count, dtype=torch.int64, device="cpu") for _ in range(2))
    senders, receivers, edges = (torch.empty_like(in_senders) for _ in range(3))
    form = torch.empty((), dtype=torch.int64, device="cpu")
    return order, rank, level_ptr, level_edges, torch.empty_like(in_ptr), senders, receivers, edges, form


pack = Operator(
    "pack(Tensor level, Tensor graph_ptr, Tensor in_ptr, Tensor in_senders, Tensor in_edges) -> "
    f"({', '.join(['Tensor'] * len(Packed._fields))})",
    lambda *given: tuple(_pack(*given)),
    _pack_fake,
)
