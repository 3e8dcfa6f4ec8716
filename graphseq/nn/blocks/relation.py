"""The relation network of Santoro et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...messages import Merge
from ...topology import Topology
from ..convs import GraphNetwork
from ._sets import check_models, complete, sets_of


class RelationNetwork(nn.Module):
    """A function of a set by all its pairs: ``y = f(Σ_{v, u} g(x_v, x_u, q))``.

    Santoro, Raposo, Barrett, Malinowski, Pascanu, Battaglia & Lillicrap (2017), A simple neural network module for
    relational reasoning, eq. 1, with a condition q such as a question. Two blocks of a graph network on complete
    graphs: one with only edges, one with only globals, which reads no nodes. A topology keeps its complete graphs.

    Args:
        relation: g, a module of `[P, 2 F + F_q]`, the receiver's features first.
        output: f, a module of `[B, F']`.
        aggregate: "sum", "mean", "max", "min" or a :class:`graphseq.Merge`, in place of the sum.
        loops: whether the pair of a node and itself counts.

    Raises:
        GraphError: an invalid argument; features that don't fit the models or the sets.

    >>> import torch
    >>> network = RelationNetwork(nn.Linear(6, 4), nn.Linear(4, 2))
    >>> network(torch.zeros(5, 3), torch.tensor([0, 0, 0, 1, 1])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, relation: nn.Module, output: nn.Module, *, aggregate: str | Merge = "sum", loops: bool = True
    ) -> None:  # fmt: skip
        super().__init__()
        check_models(relation=relation, output=output)
        self.relations = GraphNetwork(relation).named("relation")
        self.output = GraphNetwork(None, None, output, aggregate=aggregate).named(global_model="output")
        self.loops = loops

    def forward(self, x: Tensor, batch: Tensor | Topology | None = None, q: Tensor | None = None) -> Tensor:
        """Return y, `[B, C]`.

        Args:
            x: `[N, F]`.
            batch: int64 `[N]`, ascending, the set of each member, or a topology; one set by default.
            q: `[B, F_q]`.
        """
        pairs = complete(sets_of(x, batch), loops=self.loops)
        _, relations, _ = self.relations(x, pairs, None, q)
        y = self.output(x[:, :0], pairs, relations)[2]
        out: Tensor = y
        return out
