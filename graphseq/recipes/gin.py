"""Graph isomorphism networks that classify whole graphs, on any set of TUDataset.

Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..datasets import tudataset
from ..errors import Words, expected
from ..nn import GraphClassifier
from ..topology import Topology, batch
from ..train import Batch, Split, option
from .base import Facts, Prediction, Recipe, Source, Splits
from .folds import parts
from .inputs import graph_from_json

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "GraphGIN"]


@dataclass(frozen=True, kw_only=True)
class GraphGIN(Recipe):
    """A graph isomorphism network whose layers are all read out.

    Without cross-validation a tenth of the graphs, drawn by the seed, is for test and a tenth for validation.
    """

    summary: ClassVar[str] = "classes of graphs, such as molecules and proteins"
    network: ClassVar[str] = "GIN"
    input: ClassVar[str] = "a graph as JSON: edge_index, and x where nodes have labels"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"hidden": (32, 64), "dropout": (0.0, 0.5)}

    epochs: int = 100
    batch_size: int = 32
    schedule: Literal["constant", "cosine", "linear", "step", "onecycle"] = "step"
    dataset: str = option("", "name of a set of TUDataset, such as MUTAG")
    check: bool = option(True, "whether the files must be the published ones")
    use_node_attr: bool = option(False, "whether nodes' continuous attributes are features too")
    hidden: int = option(32, "hidden units", low=1)
    layers: int = option(4, "convolutions", low=1)
    dropout: float = option(0.5, "before the classifiers", low=0, high=1)
    readout: Literal["sum", "mean", "max"] = option("sum", "how nodes are read out")
    max_degree: int = option(64, "where nodes have no labels: degrees from here on are one feature", low=1)

    def data(self, source: Source, seed: int) -> list[Data]:
        """Read the graphs; nodes without any features get their degree, one-hot."""
        if not self.dataset:
            raise expected("dataset", "the name of a set of TUDataset (--set dataset=MUTAG)", self.dataset)
        graphs = list(
            tudataset(
                self.dataset, source.root, use_node_attr=self.use_node_attr, check=self.check, offline=source.offline
            )
        )
        if any(graph.x is None for graph in graphs):
            for graph in graphs:
                graph.x = self._degrees(graph.edge_index, int(graph.num_nodes))
        return graphs

    def facts(self, data: list[Data]) -> Facts:
        """Return the width of the features and the classes."""
        classes = sorted({int(graph.y) for graph in data})
        return {"features": data[0].num_features, "classes": [f"class {c}" for c in range(classes[-1] + 1)]}

    def model(self, facts: Facts) -> GraphClassifier:
        """Make the network."""
        return GraphClassifier(
            facts["features"], self.hidden, len(facts["classes"]), num_layers=self.layers, dropout=self.dropout,
            reduce=self.readout,
        )  # fmt: skip

    def splits(self, data: list[Data], facts: Facts, seed: int) -> Splits:
        """Return eight tenths, one and one of the graphs, each with every class in the same proportion."""
        train, val, test = parts(self.labels(data), 10, seed)[0]
        return Splits(*(self.subset(data, facts, part) for part in (train, val, test)))

    def labels(self, data: list[Data]) -> Tensor:
        """Return the graphs' classes."""
        return torch.tensor([int(graph.y) for graph in data])

    def subset(self, data: list[Data], facts: Facts, indices: Tensor) -> Split:
        """Return some of the graphs, their structure laid out once."""
        graphs = [data[i] for i in indices.tolist()]
        x = [graph.x for graph in graphs]
        y = torch.cat([graph.y.reshape(1) for graph in graphs])
        topologies = [Topology.from_edge_index(graph.edge_index, int(graph.num_nodes)) for graph in graphs]

        def collate(chosen: Tensor) -> Batch:
            which = chosen.tolist()
            return Batch((torch.cat([x[i] for i in which]), batch([topologies[i] for i in which])), y[chosen])

        return Split(len(graphs), collate)

    def read(self, text: str, facts: Facts, source: Source) -> Prediction:
        """Read one graph."""
        needs_degrees = facts["features"] == self.max_degree + 1
        graph = graph_from_json(text, facts["features"], default=0.0 if needs_degrees else None)
        if needs_degrees and '"x"' not in text:
            graph.x = self._degrees(graph.edge_index, int(graph.num_nodes))
        if not graph.num_nodes:
            raise expected("input", "a graph with nodes", Words("none"))
        batch = Batch((graph.x, Topology.from_data(graph)), torch.zeros(1, dtype=torch.int64))
        return Prediction(batch, ["graph"], [graph])

    def _degrees(self, edge_index: Tensor, nodes: int) -> Tensor:
        degree = torch.bincount(edge_index[1], minlength=nodes).clamp(max=self.max_degree)
        return one_hot(degree, self.max_degree + 1).float()


RECIPES: dict[str, Recipe] = {
    "mutag-gin": GraphGIN(dataset="MUTAG", epochs=150),
    "proteins-gin": GraphGIN(dataset="PROTEINS", epochs=100),
    "tu-gin": GraphGIN(),
}
