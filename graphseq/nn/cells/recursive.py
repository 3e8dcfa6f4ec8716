"""The recursive cell, with one matrix for each place of a child."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...errors import expected
from ...messages import State
from .base import check_sizes, uniform


class SlotCell(Cell):
    """Shared base class: weight_ih `[H, F]`, weight_hh `[H, A H]` with columns child 1 … child A, and bias `[H]`."""

    merge = "slots"
    bias: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, arity: int, bias: bool, device: Any, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, arity=arity)
        self.input_size: int = input_size
        self.hidden_size, self.slots = hidden_size, arity
        self.state_sizes = (hidden_size,)
        self.weight_ih = uniform((hidden_size, input_size), hidden_size, device, dtype)
        self.weight_hh = uniform((hidden_size, arity * hidden_size), hidden_size, device, dtype)
        self.register_parameter("bias", uniform((hidden_size,), hidden_size, device, dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b``."""
        return nn.functional.linear(x, self.weight_ih, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}, arity={self.slots}"


class RecursiveCell(SlotCell):
    """Recursive network: a parent is one layer over its children side by side.

        p = tanh(W_hh [c_1; …; c_A] + W_ih x + b)

    Goller & Küchler (1996), Learning task-dependent distributed representations by backpropagation through structure;
    Socher, Lin, Ng & Manning (2011), Parsing natural scenes and natural language with recursive neural networks, with
    A = 2. A leaf has no children, and is ``tanh(W_ih x + b)`` of its word vector; an inner node usually has no x. With
    A = 1 it is :class:`ElmanCell`. For matrices that depend on categories see :class:`TypedRecursiveCell`.

    Parameters: weight_ih `[H, F]`, weight_hh `[H, A H]` with columns child 1 … child A, bias `[H]`.

    Args:
        input_size: F.
        hidden_size: H.
        arity: A, the number of slots for children.
        bias: whether there is b.
        nonlinearity: "tanh" or "relu".
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: another nonlinearity, a size below 1.

    >>> from graphseq import Topology
    >>> from graphseq.nn import Recurrent
    >>> layer = Recurrent(RecursiveCell(3, 4))
    >>> words = torch.randn(3, 3)  # of the leaves 0, 1 and 3 of ((0 1) 3)
    >>> layer(words, Topology.tree([2, 2, 4, 4, -1]), nodes=torch.tensor([0, 1, 3])).shape
    torch.Size([5, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, arity: int = 2, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise expected("nonlinearity", '"tanh" or "relu"', nonlinearity)
        super().__init__(input_size, hidden_size, arity, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def update(self, p: Tensor, state: State) -> State:
        """Return ``tanh(p + W_hh [c_1; …; c_A])`` of the children, `[M, A, H]`."""
        z = p + nn.functional.linear(state[0].flatten(1), self.weight_hh)
        return (torch.relu(z) if self.nonlinearity == "relu" else torch.tanh(z),)
