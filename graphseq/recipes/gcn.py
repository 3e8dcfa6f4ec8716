"""Graph convolutional networks that classify the nodes of one graph.

Kipf & Welling (2017), Semi-supervised classification with graph convolutional networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..datasets import karate, planetoid
from ..errors import Words, expected
from ..nn import NodeClassifier, SparseFeatures
from ..topology import Topology
from ..train import Batch, node_splits
from .base import Metadata, Prediction, Recipe, Source, Splits
from .inputs import graph_from_json

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "KarateGCN", "NodeGCN", "PlanetoidGCN"]

_TOPICS = {  # of the published files
    "Cora": [
        "Theory", "Reinforcement Learning", "Genetic Algorithms", "Neural Networks", "Probabilistic Methods",
        "Case Based", "Rule Learning",
    ],
}  # fmt: skip
_SPARSE = 0.1  # features of which a smaller share is not zero are kept sparse


class NodeGCN(Recipe):
    """A two-layer GCN on one graph, all nodes at once: ``Z = Â dropout(relu(Â dropout(X) W_1)) W_2``."""

    network = "GCN"
    input = "node numbers of the graph, or a graph as JSON: x, edge_index"

    epochs: int = 200
    lr: float = 0.01
    weight_decay: float = 5e-4
    hidden: int = Field(default=16, ge=1, description="hidden units")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability of the inputs of each layer")

    def metadata(self, data: Data) -> Metadata:
        """Return the width of the features and the classes."""
        return {"features": data.num_features, "classes": self.class_names(int(data.y.max()) + 1)}

    def class_names(self, count: int) -> list[str]:
        """Return the names of the classes."""
        return [f"class {c}" for c in range(count)]

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network."""
        return NodeClassifier(metadata["features"], self.hidden, len(metadata["classes"]), dropout=self.dropout)

    def splits(self, data: Data, metadata: Metadata, seed: int) -> Splits:
        """Return the labelled nodes that the masks select; each batch has the whole graph."""
        sparse = float((data.x != 0).float().mean()) < _SPARSE
        return node_splits(data, x=SparseFeatures.of(data.x) if sparse else None)

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read node numbers, or another graph."""
        if text.lstrip().startswith("{"):
            graph = graph_from_json(text, metadata["features"])
            nodes = torch.arange(graph.num_nodes)
        else:
            graph = self.load_data(source, 0)
            nodes = _numbers(text, int(graph.num_nodes))
        batch = Batch((graph.x, Topology.from_data(graph)), torch.zeros(len(nodes), dtype=torch.int64), nodes)
        return Prediction(batch, [f"node {node}" for node in nodes.tolist()], [graph])


class KarateGCN(NodeGCN):
    """Which club each member joins when Zachary's karate club splits; two members of each are known."""

    summary = "which of two clubs each member joins, from friendships; built in"
    example = "0 8 33"

    epochs: int = 100

    def load_data(self, source: Source, seed: int) -> Data:
        """Return the club; the seed assigns its members to the splits."""
        return karate(seed=seed)

    def class_names(self, count: int) -> list[str]:
        """Return the leaders of the two clubs."""
        return ["Mr. Hi", "officer"]

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return one group: weights decay in both layers."""
        return [{"params": list(model.parameters())}]


class PlanetoidGCN(NodeGCN):
    """Topics of papers, from their words and citations, with the published split of 20 papers per class."""

    summary = "topics of papers, from words and citations"
    example = "0 1 2"

    dataset: str = Field(default="Cora", description="the citation network: Cora, CiteSeer or PubMed")
    check: bool = Field(default=True, description="require the published files, by their checksums")

    def load_data(self, source: Source, seed: int) -> Data:
        """Read the graph; rows of features sum to 1."""
        from torch_geometric.transforms import NormalizeFeatures

        graphs = planetoid(
            self.dataset, source.root, transform=NormalizeFeatures(), check=self.check, offline=source.offline
        )
        return graphs[0]

    def class_names(self, count: int) -> list[str]:
        """Return the topics, where they are known."""
        return (_TOPICS.get(self.dataset) if self.check else None) or super().class_names(count)

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return the layers: the weights of the first alone decay."""
        first, *others = model.convs
        rest = [parameter for conv in others for parameter in conv.parameters()]
        return [{"params": list(first.parameters())}, {"params": rest, "weight_decay": 0.0}]




def _numbers(text: str, count: int) -> Tensor:
    words = text.replace(",", " ").split()
    wrong = [word for word in words if not (word.isdecimal() and int(word) < count)]
    if wrong or not words:
        got = Words(repr(wrong[0][:80]) if wrong else "none")
        raise expected("input", f"node numbers from 0 to {count - 1}, or a graph as JSON", got)
    return torch.tensor([int(word) for word in words])


RECIPES: dict[str, Recipe] = {
    "karate-gcn": KarateGCN(),
    "cora-gcn": PlanetoidGCN(dataset="Cora"),
    "citeseer-gcn": PlanetoidGCN(dataset="CiteSeer"),
    "pubmed-gcn": PlanetoidGCN(dataset="PubMed"),
}
