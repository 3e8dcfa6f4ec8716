"""The Tree-LSTM as a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...cell import COPY, State, check_width
from ...core import sweep
from ...errors import expected
from ...ops._scan import Structure
from ...topology import Topology
from ..cells import ChildSumTreeLSTMCell, NaryTreeLSTMCell
from ..cells._gated import check_sizes
from ..cells.tree_lstm import TreeLSTMCell
from .recurrent import check_inputs

_KINDS: dict[str, Any] = {"child-sum": ChildSumTreeLSTMCell, "nary": NaryTreeLSTMCell}


class TreeLSTM(TreeLSTMCell):
    """Tree-LSTM over trees, edges child → parent; the equations stand at the two cells.

    Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks.

    Parameters: weight_ih `[4H, F]` and bias `[4H]` in the order i, f, g, o; weight_hh for "child-sum" `[4H, H]`, for
    "nary" `[(3 + A) H, A H]`, rows i, f_1 … f_A, g, o and columns child 1 … child A.

    Args:
        input_size: F.
        hidden_size: H.
        kind: "child-sum" (:class:`graphseq.nn.ChildSumTreeLSTMCell`: any number of children, in no order) or "nary"
            (:class:`graphseq.nn.NaryTreeLSTMCell`: each child in its slot, with weights of its own).
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

    def __init__(
        self, input_size: int, hidden_size: int, kind: str = "child-sum", arity: int = 2, *, bias: bool = True,
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        if kind not in _KINDS:
            raise expected("kind", '"child-sum" or "nary"', kind)
        check_sizes(arity=arity)
        super().__init__(input_size, hidden_size, _KINDS[kind].recurrent_blocks(arity), bias, device, dtype)
        self.kind, self.merge = kind, _KINDS[kind].merge
        self.slots = self.arity = arity if kind == "nary" else 1
        if kind == "nary":
            self.message = COPY  # type: ignore[method-assign, assignment]

    def forward(  # type: ignore[override]
        self, x: Tensor, topology: Topology, *, nodes: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return h and c of every node, `[N, H]` each, in the order of the nodes.

        Args:
            x: `[N, F]`; with `nodes` `[M, F]`.
            topology: of N nodes; any directed acyclic graph will do.
            nodes: int64 `[M]`, the nodes that x has rows for, such as the leaves; the others' input is 0.
        """
        check_inputs(self, x, topology, None, nodes)
        check_width(self, x)
        h, c = sweep(self, x, topology, nodes=nodes)
        return h, c

    def project_leaves(self, x: Tensor) -> Tensor:
        """Do as the cell of this kind does."""
        p: Tensor = _KINDS[self.kind].project_leaves(self, x)
        return p

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        """Do as the cell of this kind does."""
        messages: State = _KINDS[self.kind].message(self, sent, received, edge)
        return messages

    def update(self, p: Tensor, state: State) -> State:
        """Do as the cell of this kind does."""
        new: State = _KINDS[self.kind].update(self, p, state)
        return new

    def scan(self, p: Tensor, structure: Structure, start: State | None, rest: Tensor | None) -> State | None:
        """Do as the cell of this kind does."""
        states: State | None = _KINDS[self.kind].scan(self, p, structure, start, rest)
        return states

    def extra_repr(self) -> str:
        """Return the sizes and the kind."""
        return f"{self.input_size}, {self.hidden_size}, kind={self.kind!r}, arity={self.arity}"
