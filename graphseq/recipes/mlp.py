"""A multilayer perceptron on citation networks, which sees words alone: a baseline for what citations add."""

from __future__ import annotations

from torch import Tensor, nn

from ..nn import SparseFeatures
from ..topology import Topology
from .base import Metadata, Recipe
from .gcn import PlanetoidGCN

__all__ = ["RECIPES", "Perceptron", "PlanetoidMLP"]


class Perceptron(nn.Module):
    """``dropout(relu(dropout(X) W_1 + b_1)) W_2 + b_2``, of features that may be sparse."""

    def __init__(self, features: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(features, hidden), nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor | SparseFeatures, topology: Topology | None = None) -> Tensor:
        """Return `[N, C]`; the structure is ignored."""
        out: Tensor = self.second(self.dropout(mapped(self.first, x, self.dropout).relu()))
        return out


def product(layer: nn.Linear, x: Tensor | SparseFeatures, dropout: nn.Dropout) -> Tensor:
    """Return a linear map of features after dropout, without its bias."""
    if isinstance(x, SparseFeatures):
        return x.dropout(dropout.p, training=dropout.training).linear(layer.weight)
    return nn.functional.linear(dropout(x), layer.weight)


def mapped(layer: nn.Linear, x: Tensor | SparseFeatures, dropout: nn.Dropout) -> Tensor:
    """Return a linear map of features after dropout."""
    return product(layer, x, dropout) + layer.bias


class PlanetoidMLP(PlanetoidGCN):
    """A perceptron with one hidden layer, with the settings of the GCN."""

    network = "multilayer perceptron"
    summary = "topics of papers, from words alone"

    def model(self, metadata: Metadata) -> Perceptron:
        """Make the network."""
        return Perceptron(metadata["features"], self.hidden, len(metadata["classes"]), self.dropout)

    def groups(self, model: Perceptron) -> list[dict[str, object]]:
        """Return the layers: the weights of the first alone decay."""
        first, second = list(model.first.parameters()), list(model.second.parameters())
        return [{"params": first}, {"params": second, "weight_decay": 0.0}]


RECIPES: dict[str, Recipe] = {
    "cora-mlp": PlanetoidMLP(dataset="Cora"),
    "citeseer-mlp": PlanetoidMLP(dataset="CiteSeer"),
    "pubmed-mlp": PlanetoidMLP(dataset="PubMed"),
}
