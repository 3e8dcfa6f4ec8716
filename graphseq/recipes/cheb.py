"""Chebyshev filters on citation networks."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from ..nn import ChebConv, NodeClassifier
from .base import Metadata, Recipe
from .gcn import PlanetoidGCN

__all__ = ["RECIPES", "PlanetoidCheb"]


class PlanetoidCheb(PlanetoidGCN):
    """Two layers of Chebyshev filters, with the settings of the GCN.

    Defferrard, Bresson & Vandergheynst (2016), Convolutional neural networks on graphs with fast localized spectral
    filtering; on citation networks Kipf & Welling (2017), table 3, whose K = 2 are three terms.
    """

    network = "ChebNet"

    terms: int = Field(default=3, ge=1, description="terms of each filter's polynomial")

    def model(self, metadata: Metadata) -> NodeClassifier:
        """Make the network."""
        sizes = metadata["features"], self.hidden, len(metadata["classes"])
        return NodeClassifier(*sizes, dropout=self.dropout, conv=partial(ChebConv, K=self.terms))


RECIPES: dict[str, Recipe] = {
    "cora-cheb": PlanetoidCheb(dataset="Cora"),
    "citeseer-cheb": PlanetoidCheb(dataset="CiteSeer"),
    "pubmed-cheb": PlanetoidCheb(dataset="PubMed"),
}
