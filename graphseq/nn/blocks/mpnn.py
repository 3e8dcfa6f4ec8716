"""The message passing neural network of Gilmer et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import Words, expected
from ...messages import Merge
from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GraphNetwork
from ._sets import check_models, is_cell


class MPNN(nn.Module):
    """Rounds of messages and updates with shared weights, then a readout:

        m_v = Σ_{u→v} M(e_uv, h_v, h_u),   h_v' = U(m_v, h_v),   y = R(Σ_v h_v)

    Gilmer, Schoenholz, Riley, Vinyals & Dahl (2017), Neural message passing for quantum chemistry, eqs. 1 to 3. A block
    of a graph network whose edges keep their features, and one that reads only nodes.

    Args:
        message: M, a module of `[E, F_e + 2 F]`.
        update: U, a module of `[N, F_m + F]`, m first, that returns `[N, F]` again where there are several rounds; or a
            cell of m and the state h, such as Gilmer's own, :class:`GRUCell`, of this library or of torch.nn.
        readout: R, a module of `[B, F']`; None for none.
        rounds: number of rounds.
        aggregate: "sum", "mean", "max", "min" or a :class:`graphseq.Merge`, in place of the sums.

    Raises:
        GraphError: an invalid argument; inputs that don't fit each other, or the model's first linear map.

    >>> import torch
    >>> from graphseq.nn import GRUCell
    >>> network = MPNN(nn.Linear(1 + 2 * 3, 4), nn.Linear(4 + 3, 3), nn.Linear(3, 2), rounds=2)
    >>> h, y = network(torch.zeros(2, 3), torch.tensor([[0], [1]]), torch.zeros(1, 1))
    >>> h.shape, y.shape
    (torch.Size([2, 3]), torch.Size([1, 2]))
    >>> gated = MPNN(nn.Linear(1 + 2 * 3, 4), GRUCell(4, 3), rounds=2)
    >>> gated(torch.zeros(2, 3), torch.tensor([[0], [1]]), torch.zeros(1, 1))[0].shape
    torch.Size([2, 3])
    """

    def __init__(
        self, message: nn.Module, update: nn.Module, readout: nn.Module | None = None, *, rounds: int = 1,
        aggregate: str | Merge = "sum",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(rounds=rounds)
        check_models(message=message, update=update, readout=readout)
        node_model = Celled(update) if is_cell(update) else update
        self.block, self.rounds = GraphNetwork(message, node_model, aggregate=aggregate), rounds
        self.block.named("message", "update")
        self.readout = None
        if readout is not None:
            self.readout = GraphNetwork(None, None, readout, aggregate=aggregate).named(global_model="readout")

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
            before = x
            x, _, _ = self.block(x, edge_index, edge_attr)
            if self.rounds > 1 and x.shape != before.shape:
                wanted = f"a module that returns shape {list(before.shape)}, as `x` has, for several rounds"
                raise expected("update", wanted, Words(f"one that returns {list(x.shape)}"))
        if self.readout is None:
            return x, None
        return x, self.readout(x, edge_index, batch=batch)[2]


class Celled(nn.Module):
    """A cell as a module of messages and states side by side."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """Return the new states of ``[m, h]``."""
        hidden: int = self.cell.hidden_size  # type: ignore[assignment]
        known = getattr(self.cell, "input_size", x.size(1) - hidden)
        if x.size(1) != known + hidden:
            wanted = f"a cell whose input_size and hidden_size sum to {x.size(1)}, the widths of messages and states"
            raise expected("update", wanted, Words(f"{known} and {hidden}"))
        out: Tensor = self.cell(*x.split([known, hidden], 1))
        return out
