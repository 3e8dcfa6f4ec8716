"""Random small graphs to try a model on: graphs with cycles, DAGs, trees, chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..topology import Topology
from ..topology.inputs import offsets

__all__ = ["STRUCTURES", "Example", "Kind", "Spec", "Structure", "graphs_of"]

Structure = Literal["graphs", "DAGs", "trees", "chains"]
STRUCTURES: tuple[Structure, ...] = ("graphs", "DAGs", "trees", "chains")
Kind = Literal["node", "graph", "root", "edge", "fixed", "other"]


@dataclass(frozen=True)
class Example:
    """A batch of graphs; edges `[E]` and `[E, D]` are grouped by graph."""

    x: Tensor
    edge_index: Tensor
    sizes: tuple[int, ...]
    slot: Tensor
    edge_attr: Tensor
    edge_weight: Tensor
    edge_type: Tensor
    y: Tensor

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

        names = ("x", "edge_index", "edge_attr", "edge_weight", "edge_type", "y")
        parts = [self.pick(i) for i in range(self.num_graphs)]
        return Batch.from_data_list([Data(**{name: getattr(part, name).clone() for name in names}) for part in parts])

    def rows(self) -> dict[Kind, Tensor]:
        """Return the graph of each row of a result, by what its rows stand for."""
        batch = self.batch
        return {"node": batch, "graph": torch.arange(self.num_graphs, device=batch.device),
                "root": batch[self.topology.roots], "edge": batch[self.edge_index[0]]}  # fmt: skip

    def with_edges(self, index: Tensor) -> Example:
        """Return the same nodes with these edges, in this order."""
        return replace(
            self, edge_index=self.edge_index[:, index], slot=self.slot[index], edge_attr=self.edge_attr[index],
            edge_weight=self.edge_weight[index], edge_type=self.edge_type[index],
        )  # fmt: skip

    def reorder(self, seed: int) -> tuple[Example, Tensor]:
        """Return the graphs with the edges of each in another order, and the old index of each new edge `[E]`."""
        order = torch.randperm(self.edge_index.size(1), generator=torch.Generator().manual_seed(seed))
        order = order[torch.argsort(self.batch[self.edge_index[0, order]], stable=True)]
        return self.with_edges(order), order

    def renumber(self, old: Tensor) -> Example:
        """Return the same graphs; `old` has the old number of each new node `[N]`."""
        new = torch.argsort(old)
        y = self.y[old] if self.y.size(0) == self.num_nodes else self.y
        return replace(self, x=self.x[old], y=y, edge_index=new[self.edge_index])

    def shuffle(self, seed: int) -> tuple[Example, Tensor]:
        """Return the graphs with the nodes of each in another order, and the old number of each new node `[N]`."""
        order = torch.randperm(self.num_nodes, generator=torch.Generator().manual_seed(seed))
        order = order[torch.argsort(self.batch[order], stable=True)]
        return self.renumber(order), order

    def pick(self, graph: int) -> Example:
        """Return one of the graphs by itself."""
        low, n = sum(self.sizes[:graph]), self.sizes[graph]
        part = self.with_edges((self.batch[self.edge_index[0]] == graph).nonzero().flatten())
        y = self.y[low : low + n] if self.y.size(0) == self.num_nodes else self.y[graph : graph + 1]
        return replace(part, x=self.x[low : low + n], y=y, edge_index=part.edge_index - low, sizes=(n,))

    def to(self, place: torch.device | torch.dtype) -> Example:
        """Return it on another device, or its real numbers in another dtype."""
        moved: dict[str, Any] = {
            name: value.to(place)
            for name, value in vars(self).items()
            if isinstance(value, Tensor) and (isinstance(place, torch.device) or value.is_floating_point())
        }
        return replace(self, **moved)

    def __str__(self) -> str:
        """Return the number of graphs and their sizes."""
        return graphs_of(self.sizes)


def graphs_of(sizes: Sequence[int]) -> str:
    """Return the number of graphs and their sizes, for a message."""
    shown = ", ".join(map(str, sizes[:5])) + ", …" * (len(sizes) > 5)
    return f"{len(sizes)} graph{'s' * (len(sizes) != 1)} of {shown} nodes"


@dataclass(frozen=True)
class Spec:
    """What to draw.

    Attributes:
        features: the width of x.
        edge_features: the width of `edge_attr`; 0 for one number per edge, `[E]`.
        symbols: x holds integers below this, `[N]`; 0 for real features.
        types: how many types of edges there are.
        structure: "graphs" have cycles; "DAGs" have none; "trees" are binary, edges child → parent.
        graph_labels: whether y has one label per graph, and not one per node.
    """

    features: int
    edge_features: int = 1
    symbols: int = 0
    types: int = 2
    structure: Structure = "graphs"
    graph_labels: bool = False

    def draw(self, sizes: Sequence[int], seed: int, *, linked: bool = True, isolated: int = 0) -> Example:
        """Draw graphs of these sizes, without loops or double edges, with some isolated nodes added to the last."""
        g = torch.Generator().manual_seed(seed)
        edges: list[tuple[int, int]] = []
        start = 0
        for n in sizes if linked else ():
            edges += [(start + u, start + v) for u, v in _edges(n, self.structure, g)]
            start += n
        sizes = (*sizes[:-1], sizes[-1] + isolated)
        num_nodes = sum(sizes)
        arrived, slot = [0] * num_nodes, []
        for _, v in edges:
            slot.append(arrived[v])
            arrived[v] += 1
        e, shape = len(edges), (self.edge_features,) * (self.edge_features > 0)
        x = torch.randn(num_nodes, self.features, generator=g)
        example = Example(
            x=torch.randint(self.symbols, (num_nodes,), generator=g) if self.symbols else x,
            edge_index=torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t().contiguous(),
            sizes=sizes,
            slot=torch.tensor(slot, dtype=torch.int64),
            edge_attr=torch.randn(e, *shape, generator=g),
            edge_weight=torch.rand(e, generator=g) + 0.5,
            edge_type=torch.randint(self.types, (e,), generator=g),
            y=torch.randint(2, (len(sizes) if self.graph_labels else num_nodes,), generator=g),
        )
        return example if isolated else example.shuffle(seed)[0]  # isolated nodes stay the last ones


def _edges(n: int, structure: Structure, g: torch.Generator) -> list[tuple[int, int]]:
    """Return edges u → v among n nodes."""

    def below(high: int) -> int:
        return int(torch.randint(high, (1,), generator=g))

    if structure == "trees":  # the root is 0; the first node with children has two
        free, edges = [0, 0], []
        for child in range(1, n):
            edges.append((child, free.pop(below(len(free)) if child > 2 else 0)))
            free += [child, child]
        return edges
    edges = [(v - 1, v) for v in range(1, n)]
    if structure == "chains" or n < 2:
        return edges
    if n > 5:  # so that a model that takes few predecessors refuses all graphs, and not by chance
        edges += [(v, n - 1) for v in range(3)]
    if structure == "graphs":
        edges.append((n - 1, 0))
    for _ in range((n + 1) // 2 if n > 2 else 0):
        u, v = sorted(torch.randperm(n, generator=g)[:2].tolist())
        edges.append((v, u) if structure == "graphs" and below(2) else (u, v))
    return list(dict.fromkeys(edges))
