"""Topological levels, and the layout that makes each of them one contiguous slice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import Words, expected
from ._library import define


def longest_paths(in_ptr: Tensor, out_ptr: Tensor, receivers: Tensor) -> tuple[Tensor, bool]:
    """Return each node's level, -1 for those on or behind a cycle, and whether every node has one."""
    from ._structure import longest_paths as kernel

    level = torch.empty(in_ptr.numel() - 1, dtype=torch.int64)
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
    """Return a cycle as an error message names it."""
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


levels = define(
    "levels(Tensor in_ptr, Tensor senders, Tensor out_ptr, Tensor receivers) -> Tensor", _levels, _levels_fake
)


GENERAL, FOREST, ALIGNED = 0, 1, 2


class Packed(NamedTuple):
    """Nodes in the order of their levels. All int64, on the topology's device, but for those marked CPU.

    Attributes:
        order: `[N]`, packed position → node. Within a level the nodes of the deepest graph come first, so that a
            batch of chains lies exactly as in a ``PackedSequence``.
        rank: `[N]`, node → packed position.
        level_ptr: `[L + 1]`, CPU; level l is the slice ``level_ptr[l]:level_ptr[l + 1]``.
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
    edge_ptr: Tensor
    senders: Tensor
    receivers: Tensor
    edges: Tensor
    form: Tensor


def _pack(
    level: Tensor, graph_ptr: Tensor, in_ptr: Tensor, in_senders: Tensor, in_edges: Tensor
) -> list[Tensor]:
    from ._structure import pack as kernel

    device, level = level.device, level.cpu()
    gp = graph_ptr.cpu()
    depth = torch.zeros(gp.numel() - 1, dtype=torch.int64)
    if depth.numel() > 1:
        depth = torch.segment_reduce(level.double(), "max", offsets=gp, initial=-1).long() + 1
    graph_order = torch.argsort(depth, descending=True, stable=True)
    count = int(level.max()) + 1 if level.numel() else 0
    n, e = level.numel(), in_senders.numel()
    out = [torch.empty(k, dtype=torch.int64) for k in (n, n, count + 1, n + 1, e, e, e)]
    out[2].zero_()
    given = (level, depth, graph_order, gp, in_ptr.cpu(), in_senders.cpu(), in_edges.cpu())
    form = kernel(*(t.numpy() for t in (*given, *out)))
    moved = [t if i == 2 else t.to(device) for i, t in enumerate(out)]
    return [*moved, torch.tensor(int(form))]


def _pack_fake(
    level: Tensor, graph_ptr: Tensor, in_ptr: Tensor, in_senders: Tensor, in_edges: Tensor
) -> list[Tensor]:
    count = torch.library.get_ctx().new_dynamic_size()
    level_ptr = torch.empty(count, dtype=torch.int64, device="cpu")
    node = [torch.empty_like(level) for _ in range(2)]
    edge = [torch.empty_like(in_senders) for _ in range(3)]
    return [
        *node,
        level_ptr,
        torch.empty_like(in_ptr),
        *edge,
        torch.empty((), dtype=torch.int64, device="cpu"),
    ]


_PACKED = ", ".join(["Tensor"] * len(Packed._fields))
pack = define(
    "pack(Tensor level, Tensor graph_ptr, Tensor in_ptr, Tensor in_senders, Tensor in_edges) -> Tensor[]".replace(
        "Tensor[]", f"({_PACKED})"
    ),
    lambda *given: tuple(_pack(*given)),
    lambda *given: tuple(_pack_fake(*given)),
)
