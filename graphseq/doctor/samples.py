"""Random small graphs to try a model on: graphs with cycles, DAGs, trees, chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..topology import Topology
from ..topology.inputs import offsets

__all__ = ["FAMILIES", "Family", "Sample", "draw", "pick", "relabel", "reorder", "with_isolated"]

Family = Literal["graphs", "DAGs", "trees", "chains"]
FAMILIES: tuple[Family, ...] = ("graphs", "DAGs", "trees", "chains")


@dataclass(frozen=True)
class Sample:
    """Graphs with features, side by side.

    Attributes:
        x: features `[N, F]`, or symbols int64 `[N]`.
        edge_index: int64 `[2, E]`.
        sizes: the number of nodes of each graph.
        slot: int64 `[E]`, the place of each edge among those with its target.
        edge: edges' features `[E, D]`, or weights `[E]`, or types int64 `[E]`, or None.
    """

    x: Tensor
    edge_index: Tensor
    sizes: tuple[int, ...]
    slot: Tensor
    edge: Tensor | None = None

    @property
    def num_nodes(self) -> int:
        """N."""
        return sum(self.sizes)

    @property
    def num_edges(self) -> int:
        """E."""
        return self.edge_index.size(1)

    @property
    def num_graphs(self) -> int:
        """B."""
        return len(self.sizes)

    @property
    def num_roots(self) -> int:
        """How many nodes no edge leaves."""
        return len(self.topology.roots)

    @property
    def batch(self) -> Tensor:
        """The graph of each node, int64 `[N]`."""
        return torch.repeat_interleave(torch.tensor(self.sizes, dtype=torch.int64)).to(self.x.device)

    @property
    def topology(self) -> Topology:
        """The structure."""
        ptr = offsets(torch.tensor(self.sizes, dtype=torch.int64)).to(self.x.device)
        return Topology(self.edge_index.clone(), self.num_nodes, ptr, self.slot.clone())

    def to(self, place: torch.device | torch.dtype) -> Sample:
        """Return it on another device, or with real features of another dtype."""

        def move(t: Tensor) -> Tensor:
            return t.to(place) if isinstance(place, torch.device) or t.is_floating_point() else t

        edge = None if self.edge is None else move(self.edge)
        return replace(self, x=move(self.x), edge_index=move(self.edge_index), slot=move(self.slot), edge=edge)


def draw(
    sizes: Sequence[int], family: Family, features: int, *, symbols: int = 0, edge: int | None = None, types: int = 0,
    seed: int = 0, linked: bool = True,
) -> Sample:  # fmt: skip
    """Draw graphs of these sizes, nodes in any order, without loops or double edges.

    Args:
        sizes: the number of nodes of each graph.
        family: "graphs" have cycles; "DAGs" have none; "trees" are binary, edges child → parent.
        features: F.
        symbols: how many symbols there are; 0 for real features.
        edge: D, 0 for weights alone, None for edges without features.
        types: how many types of edges there are, in place of features.
        seed: of the draw.
        linked: False for graphs without edges.
    """
    g = torch.Generator().manual_seed(seed)
    for _ in range(20):
        pairs: list[tuple[int, int, int]] = []
        at = 0
        for n in sizes:
            name = (torch.randperm(n, generator=g) + at).tolist()
            pairs += [(name[u], name[v], k) for u, v, k in _edges(n, family, g)] if linked else []
            at += n
        if len(pairs) not in (at, len(sizes)):  # so that rows of edges aren't taken for those of nodes or graphs
            break
    columns = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 3)
    count = len(pairs)
    x = torch.randint(symbols, (at,), generator=g) if symbols else torch.randn(at, features, generator=g)
    attributes = None
    if edge is not None:
        attributes = torch.rand(count, generator=g) + 0.5 if edge == 0 else torch.randn(count, edge, generator=g)
    if types:
        attributes = torch.randint(types, (count,), generator=g)
    return Sample(x, columns[:, :2].t().contiguous(), tuple(sizes), columns[:, 2].contiguous(), attributes)


def _edges(n: int, family: Family, g: torch.Generator) -> list[tuple[int, int, int]]:
    """Return edges u → v and their slots among n nodes."""

    def below(high: int) -> int:
        return int(torch.randint(high, (1,), generator=g))

    if family == "trees":
        free, edges = [(0, 0), (0, 1)], []
        for child in range(1, n):
            parent, slot = free.pop(below(len(free)) if child > 2 else 0)  # the root has two
            edges.append((child, parent, slot))
            free += [(child, 0), (child, 1)]
        return edges
    pairs = {(v - 1, v) for v in range(1, n)}
    if family == "graphs" and n > 1:
        pairs.add((n - 1, 0))
    if family != "chains" and n > 5:  # so that what takes few predecessors refuses all graphs, and not by chance
        pairs |= {(v, n - 1) for v in range(3)}
    for _ in range(0 if family == "chains" or n < 3 else (n + 1) // 2):
        u, v = sorted(torch.randperm(n, generator=g)[:2].tolist())
        pairs.add((v, u) if family == "graphs" and below(2) else (u, v))
    came = dict.fromkeys(range(n), 0)
    edges = []
    for u, v in sorted(pairs):
        edges.append((u, v, came[v]))
        came[v] += 1
    return edges


def with_isolated(sample: Sample, more: Sample) -> Sample:
    """Return the sample with the nodes of another, which has no edges, added to its last graph."""
    sizes = (*sample.sizes[:-1], sample.sizes[-1] + more.num_nodes)
    return replace(sample, x=torch.cat([sample.x, more.x]), sizes=sizes)


def relabel(sample: Sample, seed: int) -> tuple[Sample, Tensor]:
    """Return the same graphs with the nodes of each in another order, and the old number of each new node `[N]`."""
    g = torch.Generator().manual_seed(seed)
    parts, at = [], 0
    for n in sample.sizes:
        parts.append(torch.randperm(n, generator=g) + at)
        at += n
    old = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
    new = torch.empty_like(old)
    new[old] = torch.arange(at)
    return replace(sample, x=sample.x[old], edge_index=new[sample.edge_index]), old


def reorder(sample: Sample, seed: int) -> tuple[Sample, Tensor]:
    """Return the same graphs with their edges in another order, and the old number of each new edge `[E]`."""
    old = torch.randperm(sample.num_edges, generator=torch.Generator().manual_seed(seed))
    edge = None if sample.edge is None else sample.edge[old]
    return replace(sample, edge_index=sample.edge_index[:, old], slot=sample.slot[old], edge=edge), old


def pick(sample: Sample, graph: int) -> Sample:
    """Return one of the graphs by itself."""
    low = sum(sample.sizes[:graph])
    high = low + sample.sizes[graph]
    inside = (sample.edge_index[0] >= low) & (sample.edge_index[0] < high)
    edge = None if sample.edge is None else sample.edge[inside]
    return Sample(sample.x[low:high], sample.edge_index[:, inside] - low, (high - low,), sample.slot[inside], edge)
