"""Random small graphs to run a model on: graphs with cycles, DAGs, trees, chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..topology import Topology
from ..topology.inputs import offsets

__all__ = ["STRUCTURES", "Graphs", "Kind", "Spec", "Structure"]

Structure = Literal["graphs", "DAGs", "trees", "chains"]
STRUCTURES: tuple[Structure, ...] = ("graphs", "DAGs", "trees", "chains")
Kind = Literal["node", "graph", "root", "edge", "fixed", "other"]


@dataclass(frozen=True)
class Graphs:
    """A batch of graphs, as a `call` receives it; nodes and edges are grouped by graph."""

    sizes: tuple[int, ...]
    x: Tensor
    y: Tensor
    edge_index: Tensor
    slot: Tensor
    edge_attr: Tensor
    edge_weight: Tensor

    num_nodes = property(lambda self: sum(self.sizes))
    num_graphs = property(lambda self: len(self.sizes))

    @property
    def batch(self) -> Tensor:
        """The graph of each node, int64 `[N]`."""
        return torch.repeat_interleave(torch.tensor(self.sizes)).to(self.x.device)

    @property
    def topology(self) -> Topology:
        """The structure."""
        ptr = offsets(torch.tensor(self.sizes)).to(self.x.device)
        return Topology(self.edge_index.clone(), self.num_nodes, ptr, self.slot.clone())

    @property
    def data(self) -> Any:
        """A PyG Batch, as a loader makes it."""
        from torch_geometric.data import Batch, Data

        names = ("x", "edge_index", "edge_attr", "edge_weight", "y")
        parts = [self.pick(i) for i in range(self.num_graphs)]
        return Batch.from_data_list([Data(**{name: getattr(part, name).clone() for name in names}) for part in parts])

    def rows(self) -> dict[Kind, Tensor]:
        """Return the graph of each row of a result, by what its rows stand for."""
        batch = self.batch
        return {"node": batch, "graph": torch.arange(self.num_graphs, device=batch.device),
                "root": batch[self.topology.roots], "edge": batch[self.edge_index[0]]}  # fmt: skip

    def take(self, nodes: Tensor | None = None, edges: Tensor | None = None) -> Graphs:
        """Return the graphs with these nodes and edges, in this order; all by default."""
        every = torch.arange(max(self.num_nodes, self.edge_index.size(1)), device=self.x.device)
        nodes = every[: self.num_nodes] if nodes is None else nodes
        edges = every[: self.edge_index.size(1)] if edges is None else edges
        new = torch.zeros_like(every)
        new[nodes] = every[: len(nodes)]
        y = self.y[nodes] if len(self.y) == self.num_nodes else self.y
        of_edges = (t[edges] for t in (self.slot, self.edge_attr, self.edge_weight))
        return Graphs(self.sizes, self.x[nodes], y, new[self.edge_index[:, edges]], *of_edges)

    def pick(self, graph: int) -> Graphs:
        """Return one of the graphs by itself."""
        nodes, edges = ((of == graph).nonzero().flatten() for of in (self.batch, self.batch[self.edge_index[0]]))
        part = self.take(nodes, edges)
        y = part.y if len(self.y) == self.num_nodes else self.y[graph : graph + 1]
        return replace(part, sizes=(self.sizes[graph],), y=y)

    def to(self, place: torch.device | torch.dtype) -> Graphs:
        """Return them on another device, or their real numbers in another dtype."""
        moved: dict[str, Any] = {name: value.to(place) for name, value in vars(self).items() if name != "sizes" and (
            isinstance(place, torch.device) or value.is_floating_point())}  # fmt: skip
        return replace(self, **moved)

    def __str__(self) -> str:
        """Return the number of graphs and their sizes, for a message."""
        sizes = ", ".join(map(str, self.sizes[:5])) + ", …" * (len(self.sizes) > 5)
        return f"{self.num_graphs} graph{'s' * (self.num_graphs != 1)} of {sizes} nodes"


@dataclass(frozen=True)
class Spec:
    """What to draw: x `[N, features]`, or integers below `symbols`; `edge_attr` is `[E]` if `edge_features` is 0."""

    features: int
    edge_features: int = 1
    symbols: int = 0
    structure: Structure = "graphs"
    graph_labels: bool = False

    def draw(self, sizes: Sequence[int], seed: int, isolated: int = 0) -> Graphs:
        """Draw graphs without loops or double edges; the last one gets some isolated nodes, with the last numbers."""
        g = torch.Generator().manual_seed(seed)
        edges: list[tuple[int, int]] = []
        for start, n in zip(offsets(torch.tensor(sizes)).tolist(), sizes, strict=False):
            number = (start + torch.randperm(n, generator=g)).tolist()
            edges += [(number[u], number[v]) for u, v in _edges(n, self.structure, g)]
        sizes = (*sizes[:-1], sizes[-1] + isolated)
        nodes, e = sum(sizes), len(edges)
        receivers = [v for _, v in edges]
        shape = (self.edge_features,) * (self.edge_features > 0)
        x = torch.randn(nodes, self.features, generator=g)
        return Graphs(
            sizes=sizes,
            x=torch.randint(self.symbols, (nodes,), generator=g) if self.symbols else x,
            y=torch.randint(2, (len(sizes) if self.graph_labels else nodes,), generator=g),
            edge_index=torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t().contiguous(),
            slot=torch.tensor([receivers[:i].count(v) for i, v in enumerate(receivers)], dtype=torch.int64),
            edge_attr=torch.randn(e, *shape, generator=g),
            edge_weight=torch.rand(e, generator=g) + 0.5,
        )


def _edges(n: int, structure: Structure, g: torch.Generator) -> list[tuple[int, int]]:
    """Return edges u → v among n nodes; in a binary tree from child to parent."""
    if structure == "trees":
        return [(child, (child - 1) // 2) for child in range(1, n)]
    edges = [(v - 1, v) for v in range(1, n)]
    if structure == "chains" or n < 2:
        return edges
    if n > 5:  # so that a model with a limit on predecessors fails on all graphs, and not by chance
        edges += [(v, n - 1) for v in range(3)]
    if structure == "graphs":
        edges.append((n - 1, 0))
    for i in range((n + 1) // 2 if n > 2 else 0):
        u, v = sorted(torch.randperm(n, generator=g)[:2].tolist())
        edges.append((v, u) if structure == "graphs" and i % 2 else (u, v))
    return list(dict.fromkeys(edges))
