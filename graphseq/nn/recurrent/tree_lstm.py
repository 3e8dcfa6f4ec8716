"""The Tree-LSTM as a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell, check_width
from ...core import sweep
from ...errors import expected
from ...topology import Topology
from ..cells import ChildSumTreeLSTMCell, NaryTreeLSTMCell
from ..cells.base import bare, check_sizes
from .recurrent import check_inputs


class TreeLSTM(nn.Module):
    """Tree-LSTM over trees, edges child → parent; see the two cells for the equations.

    Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks.

    Parameters: weight_ih `[4H, F]` and bias `[4H]` in the order i, f, g, o; weight_hh for "child-sum" `[4H, H]`, for
    "nary" `[(3 + A) H, A H]`, rows i, f_1 … f_A, g, o and columns child 1 … child A.

    Args:
        input_size: F.
        hidden_size: H.
        kind: "child-sum" (:class:`graphseq.nn.ChildSumTreeLSTMCell`: any number of unordered children) or "nary"
            (:class:`graphseq.nn.NaryTreeLSTMCell`: each child in its slot, with its own weights).
        arity: A, the number of slots of "nary".
        bias: whether there is a bias.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: another kind, a size below 1; on a call, inputs that don't fit the layer or the topology, a node
            with more children than slots.

    >>> layer = TreeLSTM(3, 4, kind="nary")
    >>> h, c = layer(torch.zeros(5, 3), Topology.tree([2, 2, 4, 4, -1]))
    >>> h.shape
    torch.Size([5, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, kind: str = "child-sum", arity: int = 2, *, bias: bool = True,
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if kind not in ("child-sum", "nary"):
            raise expected("kind", '"child-sum" or "nary"', kind)
        check_sizes(arity=arity)
        made: Cell
        if kind == "nary":
            made = NaryTreeLSTMCell(input_size, hidden_size, arity, bias, device, dtype)
        else:
            made = ChildSumTreeLSTMCell(input_size, hidden_size, bias, device, dtype)
        self.input_size, self.hidden_size, self.kind, self.arity = input_size, hidden_size, kind, arity
        self.weight_ih, self.weight_hh = made.weight_ih, made.weight_hh
        self.register_parameter("bias", made.bias)

    @property
    def cell(self) -> Cell:
        """The cell with this layer's weights."""
        sizes = {"input_size": self.input_size, "state_sizes": (self.hidden_size, self.hidden_size)}
        weights = {"weight_ih": self.weight_ih, "weight_hh": self.weight_hh, "bias": self.bias}
        if self.kind == "nary":
            return bare(NaryTreeLSTMCell, slots=self.arity, **sizes, **weights)
        return bare(ChildSumTreeLSTMCell, **sizes, **weights)

    def forward(self, x: Tensor, topology: Topology, *, nodes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return h and c of every node, `[N, H]` each, in the order of the nodes.

        Args:
            x: `[N, F]`; with `nodes` `[M, F]`.
            topology: of N nodes; any directed acyclic graph.
            nodes: int64 `[M]`, the nodes that x has rows for, such as the leaves; the input of the others is 0.
        """
        check_inputs(self, x, topology, None, nodes)
        cell = self.cell
        check_width(cell, x)
        h, c = sweep(cell, x, topology, nodes=nodes)
        return h, c

    def extra_repr(self) -> str:
        """Return the sizes and the kind."""
        return f"{self.input_size}, {self.hidden_size}, kind={self.kind!r}, arity={self.arity}"
