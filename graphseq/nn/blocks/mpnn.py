"""The message passing neural network of Gilmer et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...messages import Merge
from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GraphNetwork
from ._sets import check_models


class MPNN(nn.Module):
    """Rounds of messages and updates with shared weights, then a readout:

        m_v = Σ_{u→v} M(e_uv, h_v, h_u),   h_v' = U(m_v, h_v),   y = R(Σ_v h_v)

    Gilmer, Schoenholz, Riley, Vinyals & Dahl (2017), Neural message passing for quantum chemistry, eqs. 1 to 3. A block
    of a graph network whose edges keep their features, and one that reads only nodes.

    Args:
        message: M, a module of `[E, F_e + 2 F]`.
        update: U, a module of `[N, F_m + F]`; `[N, F]` again where there are several rounds.
        readout: R, a module of `[B, F']`; None for none.
        rounds: number of rounds.
        aggregate: "sum", "mean", "max", "min" or a :class:`graphseq.Merge`, in place of the sums.

    Raises:
        GraphError: an invalid argument; inputs that don't fit each other, or the model's first linear map.

    >>> import torch
    >>> network = MPNN(nn.Linear(1 + 2 * 3, 4), nn.Linear(4 + 3, 3), nn.Linear(3, 2), rounds=2)
    >>> h, y = network(torch.zeros(2, 3), torch.tensor([[0], [1]]), torch.zeros(1, 1))
    >>> h.shape, y.shape
    (torch.Size([2, 3]), torch.Size([1, 2]))
    """

    def __init__(
        self, message: nn.Module, update: nn.Module, readout: nn.Module | None = None, *, rounds: int = 1,
        aggregate: str | Merge = "sum",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(rounds=rounds)
        check_models(message=message, update=update, readout=readout)
        self.block, self.rounds = GraphNetwork(message, update, aggregate=aggregate), rounds
        self.readout = None if readout is None else GraphNetwork(None, None, readout, aggregate=aggregate)

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return h, `[N, F']`, and y, `[B, C]`, None without a readout.

        Args:
            x: h before the first round, `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes, which knows its graphs.
            edge_attr: e, `[E, F_e]`.
            batch: int64 `[N]`, the graph of each node; one graph by default.
        """
        for _ in range(self.rounds):
            x, _, _ = self.block(x, edge_index, edge_attr)
        if self.readout is None:
            return x, None
        return x, self.readout(x, edge_index, batch=batch)[2]
