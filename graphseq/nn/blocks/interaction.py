"""The interaction network of Battaglia et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...messages import Merge
from ...topology import Topology
from ..convs import GraphNetwork
from ._sets import check_models


class InteractionNetwork(nn.Module):
    """Relations have effects on objects:

        e_k' = φ_R(e_k, x_v, x_u)   for each edge k: u → v
        x_v' = φ_O(Σ_{k into v} e_k', x_v)

    Battaglia, Pascanu, Lai, Rezende & Kavukcuoglu (2016), Interaction networks for learning about objects, relations
    and physics. A block of a graph network without globals.

    Args:
        relation: φ_R, a module of `[E, F_e + 2 F]`.
        object: φ_O, a module of `[N, F_e' + F]`.
        aggregate: "sum", "mean", "max", "min" or a :class:`graphseq.Merge`, in place of the sum.

    Raises:
        GraphError: an invalid argument; inputs that don't fit each other, or the model's first linear map.

    >>> import torch
    >>> network = InteractionNetwork(nn.Linear(1 + 2 * 3, 4), nn.Linear(4 + 3, 2))
    >>> x, effects = network(torch.zeros(2, 3), torch.tensor([[0], [1]]), torch.zeros(1, 1))
    >>> x.shape, effects.shape
    (torch.Size([2, 2]), torch.Size([1, 4]))
    """

    def __init__(self, relation: nn.Module, object: nn.Module, *, aggregate: str | Merge = "sum") -> None:
        super().__init__()
        check_models(relation=relation, object=object)
        self.block = GraphNetwork(relation, object, aggregate=aggregate).named("relation", "object")

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return x', `[N, F']`, and the effects e', `[E, F_e']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes.
            edge_attr: `[E, F_e]`.
        """
        objects, effects, _ = self.block(x, edge_index, edge_attr)
        return objects, effects
