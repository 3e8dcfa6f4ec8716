"""Batching of structures: they are put side by side, and levels are not recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .graphs import Graphs
from .inputs import offsets

_G = TypeVar("_G", bound=Graphs)


def join(kind: type[_G], members: Sequence[_G]) -> _G:
    """Put structures side by side."""
    if not members:
        return kind(torch.empty(2, 0, dtype=torch.int64), 0, torch.zeros(1, dtype=torch.int64))
    device = members[0].device
    nodes, edges, graphs = (
        torch.tensor(counts, device=device)
        for counts in zip(*((t.num_nodes, t.num_edges, t.num_graphs) for t in members), strict=True)
    )
    node_at = offsets(nodes)

    def join(parts: Sequence[Tensor], shift: Tensor, counts: Tensor) -> Tensor:
        whole = torch.cat(list(parts), -1)
        return whole + torch.repeat_interleave(shift[:-1], counts, output_size=whole.size(-1))

    def join_ptr(parts: Sequence[Tensor], shift: Tensor, counts: Tensor) -> Tensor:
        return torch.cat([join([p[:-1] for p in parts], shift, counts), shift[-1:]])

    edge_index = join([t.edge_index for t in members], node_at, edges)
    slot = torch.cat([t.slot for t in members]) if any(t._slot is not None for t in members) else None
    graph_ptr = join_ptr([t._graph_ptr for t in members], node_at, graphs)
    whole = kind(edge_index, sum(t.num_nodes for t in members), graph_ptr, slot)
    whole._members = graphs
    if all("level" in t._memo for t in members):
        whole.know(level=torch.cat([t.level for t in members]))
    turned = [t._memo.get("reverse") for t in members]
    if all(t is not None and "level" in t._memo for t in turned):
        whole.reverse().know(level=torch.cat([t.level for t in turned if t is not None]))
    return whole


def part(kind: type[_G], topology: _G) -> list[_G]:
    """Return the members that were joined, or else the graphs."""
    graph_ptr = topology._graph_ptr
    graphs = torch.ones_like(graph_ptr[1:]) if topology._members is None else topology._members
    graph_at = offsets(graphs)
    node_at = graph_ptr[graph_at]
    owner = torch.repeat_interleave(torch.arange(graphs.numel(), device=topology.device), node_at.diff())
    of_edge = owner[topology.edge_index[0]]
    ptr, perm = offsets(torch.bincount(of_edge, minlength=graphs.numel())), torch.argsort(of_edge, stable=True)
    g, n, e = graph_at.tolist(), node_at.tolist(), ptr.tolist()
    members = []
    for i in range(len(g) - 1):
        edges = perm[e[i] : e[i + 1]]
        slot = None if topology._slot is None else topology._slot[edges]
        own = graph_ptr[g[i] : g[i + 1] + 1] - n[i]
        members.append(kind(topology.edge_index[:, edges] - n[i], n[i + 1] - n[i], own, slot))
    return members
