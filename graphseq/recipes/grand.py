"""Graph random neural networks on citation networks."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from ..core import aggregate
from ..messages import SCALE
from ..nn import SparseFeatures
from ..spectral import gcn_norm
from ..topology import Topology
from .base import Metadata, Recipe
from .mlp import Perceptron, PlanetoidMLP, product

__all__ = ["RECIPES", "PlanetoidGRAND"]


class PlanetoidGRAND(PlanetoidMLP):
    """A perceptron on features that are propagated at random, and that agrees with itself over several draws.

        X̄ = 1/(K+1) Σ_k Â^k (ε ∘ X),   ε_v zero for whole nodes

    Feng et al. (2020), Graph random neural networks for semi-supervised learning on graphs. The loss is the cross-
    entropy of the normalised geometric mean of several draws' probabilities, plus the distance of each draw's
    probabilities, on all nodes, from their sharpened mean. (The paper has the mean of the draws' cross-entropies, which
    did a little worse on Cora's validation nodes.) The first map is applied before the features are propagated, when
    they are narrow, and dropout of the features before that; in the paper both come after.
    """

    network = "GRAND"
    summary = "topics of papers, from words and citations"

    epochs: int = 1000
    patience: int = 200
    hidden: int = Field(default=32, ge=1, description="hidden units")
    rounds: int = Field(default=8, ge=0, description="powers of the adjacency that are averaged")
    node_dropout: float = Field(default=0.5, ge=0, lt=1, description="probability that a node's features are dropped")
    samples: int = Field(default=4, ge=1, description="draws in each step")
    temperature: float = Field(default=0.5, gt=0, le=1, description="temperature that sharpens the mean prediction")
    consistency: float = Field(default=1.0, ge=0, description="weight of the predictions' distance from their mean")

    def model(self, metadata: Metadata) -> _GRAND:
        """Make the network."""
        sizes = metadata["features"], self.hidden, len(metadata["classes"])
        return _GRAND(self, *sizes)

    def groups(self, model: Perceptron) -> list[dict[str, object]]:
        """Return one group: weights decay in both layers."""
        return [{"params": list(model.parameters())}]


class _GRAND(Perceptron):
    def __init__(self, options: PlanetoidGRAND, features: int, hidden: int, outputs: int) -> None:
        super().__init__(features, hidden, outputs, options.dropout)
        self.options, self.nodes = options, nn.Dropout(options.node_dropout)

    def forward(self, x: Tensor | SparseFeatures, topology: Topology) -> Tensor | tuple[Tensor, Tensor]:  # type: ignore[override]
        o = self.options
        draws = torch.stack([self._drawn(x, topology) for _ in range(o.samples if self.training else 1)])
        scores = draws.log_softmax(2).mean(0)
        if not self.training:
            return scores
        chances = draws.softmax(2)
        sharp = chances.mean(0).pow(1 / o.temperature)
        apart = (chances - (sharp / sharp.sum(1, keepdim=True)).detach()).square().sum(2).mean()
        return scores, o.consistency * apart

    def _drawn(self, x: Tensor | SparseFeatures, topology: Topology) -> Tensor:
        """Return the scores of one draw."""
        h = product(self.first, x, self.dropout)
        looped, weight = gcn_norm(topology, dtype=h.dtype)
        power = total = h * self.nodes(h.new_ones(h.size(0), 1))
        for _ in range(self.options.rounds):
            (power,) = aggregate(looped, (power,), message=SCALE, edge_attr=weight)
            total = total + power
        h = torch.relu(total / (self.options.rounds + 1) + self.first.bias)
        out: Tensor = self.second(self.dropout(h))
        return out


RECIPES: dict[str, Recipe] = {
    "cora-grand": PlanetoidGRAND(dataset="Cora"),
    "citeseer-grand": PlanetoidGRAND(dataset="CiteSeer"),
    "pubmed-grand": PlanetoidGRAND(dataset="PubMed"),
}
