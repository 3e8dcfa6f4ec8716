"""Your own graphs: a class for each graph, or for each node of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..datasets.own import (
    Columns,
    Examples,
    Graph,
    feature_names,
    graph_of,
    json_records,
    learn,
    make_features,
    molecule,
    node_examples,
    read_graphs,
    read_nodes,
)  # fmt: skip
from ..errors import Words, expected
from ..nn import GraphClassifier, NodeClassifier
from ..nn.models import convolutions, make_conv, takes_weights
from ..train import LRSchedule, Split, graph_split, node_split
from .base import Metadata, Recipe
from .own import OwnRecipe, one_of

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "GraphRecipe", "NodeRecipe"]

Conv = Annotated[str, *one_of("conv", list(convolutions()))]


class _Convolutional(OwnRecipe):
    """Graph convolutions. Numbers at nodes are standardised, words become one-hot; without any, degrees are."""

    lr: float = 0.01
    conv: Conv = Field(default="gin", description="the graph convolution")
    hidden: int = Field(default=32, ge=1, description="hidden units")
    layers: int = Field(default=4, ge=1, description="convolutions")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout before classifiers, or of each layer's inputs")
    heads: int = Field(default=1, ge=1, description="attention heads; together they have the hidden units")
    norm: Literal["default", "none", "batch", "graph", "layer", "pair"] = Field(
        default="default", description="norm after each convolution; by default batch for graphs, none for nodes"
    )
    connection: Literal["none", "residual", "dense", "initial"] = Field(
        default="none", description="skip connection around each convolution"
    )

    def _depth(self) -> dict[str, Any]:
        """Return the options that both classifiers have."""
        norm: Any = {"default": None, "none": lambda width: nn.Identity()}.get(self.norm, self.norm)
        return {"heads": self.heads, "norm": norm, "connection": self.connection}

    def _data(self, graph: Graph, metadata: Metadata, place: str) -> Data:
        """Return a graph with features, and with weights if the convolution takes them."""
        from torch_geometric.data import Data

        x = make_features(graph, metadata["features"], place)
        given = {"x": x, "edge_index": graph.edges, "num_nodes": graph.num_nodes}
        if metadata["weights"]:
            ones = torch.ones(graph.edges.size(1))
            given["edge_weight"] = ones if graph.weight is None else graph.weight
        return Data(**given)

    def _notes(self, features: dict[str, Any], weighted: bool, taken: bool) -> list[str]:
        notes = [f"node attributes left out: {', '.join(features['left_out'])}"] if features["left_out"] else []
        count = len(feature_names(features))
        words = f"{count} feature{'s' * (count > 1)} of each node"
        notes += ["features: degrees" if features["degrees"] is not None else words]
        return [*notes, *([f"{self.conv} takes no edge weights: ignored"] if weighted and not taken else [])]

    def _learn(self, graphs: list[Graph], places: list[str], rows: Tensor | None, about: list[str]) -> Metadata:
        features = learn(graphs, places, rows)
        if not feature_names(features):
            raise expected("data", "nodes with features", Words("graphs whose x is empty"))
        weighted = any(graph.weight is not None for graph in graphs)
        taken = weighted and takes_weights(make_conv(self.conv, 1, 1))
        if taken and any(graph.weight is not None and bool((graph.weight < 0).any()) for graph in graphs):
            about = [*about, f"some edge weights are negative: {self.conv} may divide by the root of a negative degree"]
        return {"features": features, "weights": taken, "about": [*about, *self._notes(features, weighted, taken)]}


class GraphRecipe(_Convolutional):
    """Graphs from JSON lines, a table with SMILES, or a folder of TUDataset's files or of GraphML files."""

    summary = "classes of graphs, or numbers; your own JSON lines, SMILES or folder"
    network = "graph convolutions"
    input = "a graph as JSON or a molecule as SMILES, or a file or folder of them"
    columns = "smiles_column"
    suffixes = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".graphml")

    epochs: int = 100
    batch_size: int = 32
    schedule: LRSchedule = "step"
    smiles_column: str = Field(default="", description="column of the molecules in a table; by default smiles")
    readout: Literal["sum", "mean", "max"] = Field(default="sum", description="how nodes are read out")

    def examples(self, path: Path, argument: str, labelled: bool, metadata: Metadata | None) -> Examples:
        """Read a file or folder of graphs."""
        return _with_nodes(read_graphs(path, self._columns(labelled), argument), argument)

    def from_text(self, text: str, metadata: Metadata) -> Examples:
        """Read one graph."""
        text = text.strip()
        graphs = []
        if text[:1] in "[{":
            for record in json_records(text, "input", lines=False):
                graphs.append(graph_of(record.fields, record.place))
        else:
            graphs.append(molecule(text, "input"))
        n = len(graphs)
        names = [text if text[:1] not in "[{" else "graph"] * n
        return _with_nodes(Examples(graphs, [None] * n, [None] * n, ["input"] * n, names), "input")

    def learn(self, train: Examples) -> Metadata:
        """Return how attributes become features."""
        return self._learn(train.items, train.places, None, train.about)

    def network_of(self, metadata: Metadata, outputs: int) -> nn.Module:
        """Make the network."""
        width = len(feature_names(metadata["features"]))
        return GraphClassifier(
            width, self.hidden, outputs, num_layers=self.layers, dropout=self.dropout, reduce=self.readout,
            conv=self.conv, **self._depth(),
        )  # fmt: skip

    def split(self, examples: Examples, metadata: Metadata, y: Tensor, weight: Tensor | None, use: str) -> Split:
        """Return some graphs."""
        graphs = []
        for graph, place, target in zip(examples.items, examples.places, y, strict=True):
            data = self._data(graph, metadata, place)
            data.y = target.reshape(1)
            graphs.append(data)
        return graph_split(graphs, weight=weight)

    def structures(self, examples: Examples, metadata: Metadata) -> list[Data]:
        """Return the graphs, with the names of their features."""
        made = [self._data(graph, metadata, "input") for graph in examples.items]
        for data in made:
            data.feature_names = feature_names(metadata["features"])
        return made


def _with_nodes(examples: Examples, argument: str) -> Examples:
    for graph, place in zip(examples.items, examples.places, strict=True):
        if not graph.num_nodes:
            raise expected(argument, "graphs with nodes", Words(f"none in {place}"))
    return examples


class NodeRecipe(_Convolutional):
    """The nodes of one graph, from GraphML or JSON; those without a label are only neighbours."""

    summary = "classes of the nodes of one graph, or numbers; your own GraphML or JSON"
    network = "graph convolutions"
    input = "a graph as JSON, or a .graphml or .json file with one graph"
    suffixes = (".json", ".graphml")

    epochs: int = 200
    weight_decay: float = 5e-4
    conv: Conv = "gcn"
    layers: int = 2

    def examples(self, path: Path, argument: str, labelled: bool, metadata: Metadata | None) -> Examples:
        """Read a file with one graph; each item is the graph and a node's number."""
        return _nodes(*read_nodes(path, self._columns_of(labelled, metadata), argument), argument)

    def from_text(self, text: str, metadata: Metadata) -> Examples:
        """Read one graph."""
        records = list(json_records(text, "input", lines=False)) if text.strip()[:1] == "{" else []
        if len(records) != 1:
            raise expected("input", self.input, Words(text.strip()[:80]))
        graph = graph_of(records[0].fields, "input")
        return _nodes(*node_examples(graph, "input", self._columns_of(False, metadata)), "input")

    def _columns_of(self, labelled: bool, metadata: Metadata | None) -> Columns:
        """Return the columns; after training that of the labels is known, and another one isn't taken in its place."""
        columns = self._columns(labelled)
        known = "" if metadata is None else metadata["label_column"]
        return dataclasses.replace(columns, label=columns.label or known)

    def _labelled(self, examples: Examples, argument: str) -> list[int]:
        return [i for i, label in enumerate(examples.labels) if label is not None]

    def learn(self, train: Examples) -> Metadata:
        """Return how attributes become features, by the training nodes."""
        graph, place = train.items[0][0], train.places[0].rpartition(", node")[0]
        rows = torch.tensor([node for _, node in train.items])
        return self._learn([graph], [place], rows, train.about) | {"label_column": train.label_column}

    def network_of(self, metadata: Metadata, outputs: int) -> nn.Module:
        """Make the network."""
        width = len(feature_names(metadata["features"]))
        return NodeClassifier(
            width, self.hidden, outputs, num_layers=self.layers, dropout=self.dropout, conv=self.conv, **self._depth(),
        )  # fmt: skip

    def split(self, examples: Examples, metadata: Metadata, y: Tensor, weight: Tensor | None, use: str) -> Split:
        """Return some nodes of the graph."""
        graph, place = examples.items[0][0], examples.places[0].rpartition(", node")[0]
        nodes = torch.tensor([node for _, node in examples.items])
        data = self._data(graph, metadata, place)
        data.y = torch.zeros(graph.num_nodes, dtype=y.dtype).index_copy(0, nodes, y)
        return node_split(data, nodes, weight=weight)

    def structures(self, examples: Examples, metadata: Metadata) -> list[Data]:
        """Return the graph."""
        return [self._data(examples.items[0][0], metadata, "input")]


def _nodes(graph: Graph, examples: Examples, argument: str) -> Examples:
    if not graph.num_nodes:
        raise expected(argument, "a graph with nodes", Words("none"))
    examples.items = [(graph, node) for node in examples.items]
    return examples


RECIPES: dict[str, Recipe] = {"graph": GraphRecipe(), "node": NodeRecipe()}
