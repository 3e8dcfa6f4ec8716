"""Predict, then propagate, on citation networks."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from ..nn import APPNP, SparseFeatures
from ..topology import Topology
from .base import Metadata, Recipe
from .mlp import Perceptron, PlanetoidMLP

__all__ = ["RECIPES", "PlanetoidAPPNP"]


class PlanetoidAPPNP(PlanetoidMLP):
    """A perceptron whose scores are propagated by personalised PageRank, with the published settings.

    Gasteiger, Bojchevski & Günnemann (2019), Predict then propagate: graph neural networks meet personalized PageRank,
    section 5. Dropout is of the inputs of both layers and of the edges in each round.
    """

    network = "APPNP"
    summary = "topics of papers, from words and citations"

    epochs: int = 1000
    patience: int = 200
    weight_decay: float = 5e-3
    hidden: int = Field(default=64, ge=1, description="hidden units")
    rounds: int = Field(default=10, ge=0, description="rounds of propagation")
    alpha: float = Field(default=0.1, ge=0, le=1, description="probability of a return to the node")

    def model(self, metadata: Metadata) -> _APPNP:
        """Make the network."""
        sizes = metadata["features"], self.hidden, len(metadata["classes"])
        return _APPNP(*sizes, self.dropout, self.rounds, self.alpha)


class _APPNP(Perceptron):
    def __init__(self, features: int, hidden: int, outputs: int, dropout: float, rounds: int, alpha: float) -> None:
        super().__init__(features, hidden, outputs, dropout)
        self.propagate = APPNP(rounds, alpha, dropout)

    def forward(self, x: Tensor | SparseFeatures, topology: Topology | None = None) -> Tensor:
        out: Tensor = self.propagate(super().forward(x), topology)
        return out


RECIPES: dict[str, Recipe] = {
    "cora-appnp": PlanetoidAPPNP(dataset="Cora"),
    "citeseer-appnp": PlanetoidAPPNP(dataset="CiteSeer"),
    "pubmed-appnp": PlanetoidAPPNP(dataset="PubMed"),
}
