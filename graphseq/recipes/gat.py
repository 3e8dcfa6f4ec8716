"""Graph attention networks on citation networks."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ..nn import GATConv, SparseFeatures
from ..topology import Topology
from .base import Metadata, Recipe
from .gcn import PlanetoidGCN

__all__ = ["RECIPES", "PlanetoidGAT"]


class PlanetoidGAT(PlanetoidGCN):
    """A two-layer GAT with the published settings: heads side by side, an ELU, and a layer with one head.

    Veličković et al. (2018), Graph attention networks, section 3.3. Dropout is of the inputs of both layers and of the
    attention coefficients; weights decay in both layers.
    """

    network = "GAT"

    epochs: int = 400
    lr: float = 0.005
    weight_decay: float = 5e-4
    dropout: float = 0.6
    hidden: int = Field(default=8, ge=1, description="hidden units of each head")
    heads: int = Field(default=8, ge=1, description="heads of the first layer")
    out_heads: int = Field(default=1, ge=1, description="heads of the second layer, whose outputs are averaged")

    def model(self, metadata: Metadata) -> _GAT:
        """Make the network."""
        sizes = (metadata["features"], self.hidden, len(metadata["classes"]))
        return _GAT(*sizes, heads=self.heads, out_heads=self.out_heads, dropout=self.dropout)

    def groups(self, model: _GAT) -> list[dict[str, list[nn.Parameter]]]:
        """Return one group."""
        return [{"params": list(model.parameters())}]


class _GAT(nn.Module):
    def __init__(
        self, features: int, hidden: int, classes: int, *, heads: int, out_heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.first = GATConv(features, hidden, heads, dropout=dropout)
        self.second = GATConv(heads * hidden, classes, out_heads, concat=False, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor | SparseFeatures, topology: Topology) -> Tensor:
        p = self.dropout.p
        given = x.dropout(p, training=self.training) if isinstance(x, SparseFeatures) else self.dropout(x)
        h = torch.nn.functional.elu(self.first(given, topology))
        out: Tensor = self.second(self.dropout(h), topology)
        return out


RECIPES: dict[str, Recipe] = {
    "cora-gat": PlanetoidGAT(dataset="Cora"),
    "citeseer-gat": PlanetoidGAT(dataset="CiteSeer"),
    "pubmed-gat": PlanetoidGAT(dataset="PubMed", out_heads=8, lr=0.01, weight_decay=1e-3),
}
