"""Graph isomorphism networks that classify whole graphs, on any set of TUDataset.

Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from ..datasets import tudataset
from ..errors import Words, expected
from ..nn import GraphClassifier
from ..topology import Topology
from ..train import Batch, LRSchedule, Split, Task, graph_split
from .base import Metadata, Prediction, Recipe, Source, Splits
from .folds import parts
from .inputs import graph_from_json

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "GraphGIN"]

_CLASSES = {"MUTAG": ["not mutagenic", "mutagenic"], "PROTEINS": ["enzyme", "not an enzyme"]}  # of the published files


class _Graphs(NamedTuple):
    """Labelled graphs, the number of columns of their ``x`` that are attributes, and the labels' names."""

    graphs: list[Data]
    attributes: int
    classes: list[str]
    degrees: bool  # whether ``x`` are one-hot degrees


class GraphGIN(Recipe):
    """A graph isomorphism network whose layers are all read out.

    Without cross-validation a tenth of the graphs, drawn by the seed, is for test and a tenth for validation. Nodes'
    continuous attributes, where the set has them, are standardised by mean and deviation over the training graphs.
    """

    summary = "classes of graphs, such as molecules and proteins"
    network = "GIN"
    input = "a graph as JSON: edge_index, and x where nodes have labels"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"hidden": (32, 64), "dropout": (0.0, 0.5)}

    epochs: int = 100
    batch_size: int = 32
    schedule: LRSchedule = "step"
    dataset: str = Field(default="", description="name of a set of TUDataset, such as MUTAG")
    check: bool = Field(default=True, description="require the published files, by their checksums")
    use_node_attr: bool = Field(default=True, description="use continuous node attributes, if any, as features")
    hidden: int = Field(default=32, ge=1, description="hidden units")
    layers: int = Field(default=4, ge=1, description="number of convolutions")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability before the classifiers")
    readout: Literal["sum", "mean", "max"] = Field(default="sum", description="readout of the nodes")
    max_degree: int = Field(
        default=64, ge=1, description="degree from which all degrees are one feature, where nodes have no features"
    )

    def load_data(self, source: Source, seed: int) -> _Graphs:
        """Read the graphs; nodes without any features get their degree, one-hot."""
        if not self.dataset:
            raise expected("dataset", "the name of a set of TUDataset, such as MUTAG (--dataset MUTAG)", self.dataset)
        found = tudataset(
            self.dataset, source.root, use_node_attr=self.use_node_attr, check=self.check, offline=source.offline
        )
        if not found.classes:
            lacks = f"{self.dataset}, which has no {self.dataset}_graph_labels.txt"
            other = ", only the targets of a regression in graph_attributes" if "y" in found[0] else ""
            raise expected("dataset", "a set with a class for each graph", Words(lacks + other))
        if (several := found[0].y.numel()) > 1:
            got = Words(f"{self.dataset}, with {several} labels")
            raise expected("dataset", "a set with a class for each graph", got)
        graphs = list(found)
        degrees = not graphs[0].num_features
        if degrees:
            for graph in graphs:
                graph.x = self._degrees(graph.edge_index, int(graph.num_nodes))
        attributes = found.num_node_attributes if self.use_node_attr else 0
        for i, graph in enumerate(graphs):
            if not graph.x[:, :attributes].isfinite().all():
                raise expected("dataset", "finite attributes", Words(f"others in graph {i + 1} of {self.dataset}"))
        names = _CLASSES.get(self.dataset) if self.check else None
        return _Graphs(graphs, attributes, names or [f"class {label}" for label in found.classes], degrees)

    def metadata(self, data: _Graphs) -> Metadata:
        """Return the width of the features and the classes."""
        return {"features": data.graphs[0].num_features, "classes": data.classes, "degrees": data.degrees}

    def measure(self, data: _Graphs, metadata: Metadata, train: Tensor) -> Metadata:
        """Return mean and standard deviation of the attributes over the nodes of the training graphs."""
        if not data.attributes:
            return metadata
        rows = torch.cat([data.graphs[i].x[:, : data.attributes] for i in train.tolist()]).double()
        std = rows.std(0, correction=0)
        scale = torch.where(std > 0, std, 1.0)  # constant attributes become 0
        return metadata | {"mean": rows.mean(0).tolist(), "std": scale.tolist()}

    def task(self, source: Source, seed: int) -> tuple[Task, Metadata]:
        """Read the data and make everything that training needs."""
        data = self.load_data(source, seed)
        metadata = self.measure(data, self.metadata(data), parts(self.labels(data), 10, seed)[0][0])
        return self.assemble(metadata, self.splits(data, metadata, seed), seed), metadata

    def model(self, metadata: Metadata) -> GraphClassifier:
        """Make the network."""
        return GraphClassifier(
            metadata["features"], self.hidden, len(metadata["classes"]), num_layers=self.layers, dropout=self.dropout,
            reduce=self.readout,
        )  # fmt: skip

    def splits(self, data: _Graphs, metadata: Metadata, seed: int) -> Splits:
        """Return 80 %, 10 % and 10 % of the graphs, each class in the same proportion in every split."""
        train, val, test = parts(self.labels(data), 10, seed)[0]
        return Splits(*(self.subset(data, metadata, part) for part in (train, val, test)))

    def labels(self, data: _Graphs) -> Tensor:
        """Return the graphs' classes."""
        return torch.cat([graph.y.reshape(1) for graph in data.graphs])

    def subset(self, data: _Graphs, metadata: Metadata, indices: Tensor) -> Split:
        """Return some of the graphs."""
        graphs = [copy.copy(data.graphs[i]) for i in indices.tolist()]
        for graph in graphs:
            graph.x = _standardised(graph.x, metadata)
        return graph_split(graphs)

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read one graph, its attributes as they are in the files."""
        graph = graph_from_json(text, metadata["features"], default=0.0 if metadata["degrees"] else None)
        if metadata["degrees"] and '"x"' not in text:
            graph.x = self._degrees(graph.edge_index, int(graph.num_nodes))
        if not graph.num_nodes:
            raise expected("input", "a graph with nodes", Words("none"))
        batch = Batch((_standardised(graph.x, metadata), Topology.from_data(graph)), torch.zeros(1, dtype=torch.int64))
        return Prediction(batch, ["graph"], [graph])

    def _degrees(self, edge_index: Tensor, nodes: int) -> Tensor:
        degree = torch.bincount(edge_index[1], minlength=nodes).clamp(max=self.max_degree)
        return one_hot(degree, self.max_degree + 1).float()


def _standardised(x: Tensor, metadata: Metadata) -> Tensor:
    """Return the features with their first columns, the attributes, in units of the training graphs' deviation."""
    if "mean" not in metadata:
        return x
    mean, std = (torch.tensor(metadata[name], dtype=torch.float64) for name in ("mean", "std"))
    return torch.cat([((x[:, : len(mean)] - mean) / std).float(), x[:, len(mean) :]], 1)


RECIPES: dict[str, Recipe] = {
    "mutag-gin": GraphGIN(dataset="MUTAG", epochs=150),
    "proteins-gin": GraphGIN(dataset="PROTEINS", epochs=100, use_node_attr=False),  # as in Errica et al. (2020)
    "tu-gin": GraphGIN(),
}
