"""The deep graph convolutional network GCNII on citation networks."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ..nn import GCN2Conv, SparseFeatures
from ..topology import Topology
from .base import Metadata, Recipe
from .gcn import PlanetoidGCN
from .mlp import mapped

__all__ = ["RECIPES", "PlanetoidGCNII"]


class PlanetoidGCNII(PlanetoidGCN):
    """A GCNII of 64 layers, with the settings published for Cora.

    Chen, Wei, Huang, Ding & Li (2020), Simple and deep graph convolutional networks, section 5.1.
    """

    network = "GCNII"

    epochs: int = 1500
    patience: int = 100
    weight_decay: float = 0.01
    dropout: float = 0.6
    hidden: int = Field(default=64, ge=1, description="hidden units")
    layers: int = Field(default=64, ge=1, description="graph convolutions")
    alpha: float = Field(default=0.1, ge=0, le=1, description="share of the first layer's features in each layer")
    theta: float = Field(default=0.5, gt=0, description="how far the layers' maps are from the identity")
    outer_decay: float = Field(default=5e-4, ge=0, description="weight decay of the maps before and after the layers")

    def model(self, metadata: Metadata) -> _GCNII:
        """Make the network."""
        sizes = metadata["features"], self.hidden, len(metadata["classes"])
        return _GCNII(*sizes, self.layers, self.alpha, self.theta, self.dropout)

    def groups(self, model: _GCNII) -> list[dict[str, object]]:
        """Return the layers, and the maps before and after them."""
        outer = [*model.first.parameters(), *model.last.parameters()]
        return [{"params": list(model.convs.parameters())}, {"params": outer, "weight_decay": self.outer_decay}]


class _GCNII(nn.Module):
    def __init__(
        self, features: int, hidden: int, classes: int, layers: int, alpha: float, theta: float, dropout: float
    ) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(features, hidden), nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)
        self.convs = nn.ModuleList(GCN2Conv(hidden, alpha, theta, layer=i + 1) for i in range(layers))

    def forward(self, x: Tensor | SparseFeatures, topology: Topology) -> Tensor:
        h = first = mapped(self.first, x, self.dropout).relu()
        for conv in self.convs:
            h = torch.relu(conv(self.dropout(h), first, topology))
        out: Tensor = self.last(self.dropout(h))
        return out


RECIPES: dict[str, Recipe] = {
    "cora-gcnii": PlanetoidGCNII(dataset="Cora"),
    "citeseer-gcnii": PlanetoidGCNII(dataset="CiteSeer"),
    "pubmed-gcnii": PlanetoidGCNII(dataset="PubMed"),
}
