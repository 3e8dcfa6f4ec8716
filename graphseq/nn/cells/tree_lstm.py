"""The two Tree-LSTM cells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...messages import State
from .base import check_sizes, uniform


def without_f(rows: Tensor) -> Tensor:
    """Return the rows of i, g and o from those of i, f, g and o."""
    i, _, g, o = rows.chunk(4)
    return torch.cat([i, g, o])


class TreeLSTMCell(Cell):
    """Shared base class: weight_ih `[4H, F]` and bias `[4H]` in the order i, f, g, o; weight_hh of the kind's shape."""

    bias: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, blocks: tuple[int, int], bias: bool, device: Any,
        dtype: torch.dtype | None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size: int = input_size
        self.hidden_size = hidden_size
        self.state_sizes = (hidden_size, hidden_size)
        self.weight_ih = uniform((4 * hidden_size, input_size), hidden_size, device, dtype)
        rows, columns = blocks
        self.weight_hh = uniform((rows * hidden_size, columns * hidden_size), hidden_size, device, dtype)
        self.register_parameter("bias", uniform((4 * hidden_size,), hidden_size, device, dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W x + b``."""
        return nn.functional.linear(x, self.weight_ih, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}"


class ChildSumTreeLSTMCell(TreeLSTMCell):
    """Child-sum Tree-LSTM: any number of unordered children.

        h~ = Σ_k h_k
        i = σ(W_i x + U_i h~ + b_i),  f_k = σ(W_f x + U_f h_k + b_f)
        g = tanh(W_g x + U_g h~ + b_g),  o = σ(W_o x + U_o h~ + b_o)
        c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

    Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks, eqs 2 to 8.
    Parameters: weight_ih `[4H, F]`, weight_hh `[4H, H]`, bias `[4H]`, in the order i, f, g, o.

    Args:
        input_size: F.
        hidden_size: H.
        bias: whether there is b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> h, c = ChildSumTreeLSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, (4, 1), bias, device, dtype)

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        """Return h_k, and ``f_k ∘ c_k``, whose gate reads the parent's input and the child's state."""
        h, c = sent
        p_f, u_f = received.chunk(4, 1)[1], self.weight_hh.chunk(4)[1]
        return h, torch.sigmoid(p_f + nn.functional.linear(h, u_f)) * c

    def begin(self, p: Tensor, state: State) -> State:
        """Return the message of one child with this state."""
        return self.message(state, p, None)

    def update(self, p: Tensor, state: State) -> State:
        """Return h and c from ``h~`` and ``Σ f_k ∘ c_k``."""
        h, kept = state
        p_i, _, p_g, p_o = p.chunk(4, 1)
        z_i, z_g, z_o = nn.functional.linear(h, without_f(self.weight_hh)).chunk(3, 1)
        c = torch.sigmoid(p_i + z_i) * torch.tanh(p_g + z_g) + kept
        return torch.sigmoid(p_o + z_o) * torch.tanh(c), c


class NaryTreeLSTMCell(TreeLSTMCell):
    """N-ary Tree-LSTM: at most `arity` children, each in its slot with weights of its own.

        i = σ(W_i x + Σ_l U_il h_l + b_i),  f_k = σ(W_f x + Σ_l U_fkl h_l + b_f)
        g = tanh(W_g x + Σ_l U_gl h_l + b_g),  o = σ(W_o x + Σ_l U_ol h_l + b_o)
        c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

    Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks, eqs 9 to 14.
    Parameters: weight_ih `[4H, F]` and bias `[4H]` in the order i, f, g, o; weight_hh `[(3 + A) H, A H]`, rows
    i, f_1 … f_A, g, o and columns child 1 … child A.

    Args:
        input_size: F.
        hidden_size: H.
        arity: A.
        bias: whether there is b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> h, c = NaryTreeLSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape
    torch.Size([2, 4])
    """

    merge = "slots"

    def __init__(
        self, input_size: int, hidden_size: int, arity: int = 2, bias: bool = True, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        check_sizes(arity=arity)
        super().__init__(input_size, hidden_size, (3 + arity, arity), bias, device, dtype)
        self.slots = arity

    def update(self, p: Tensor, state: State) -> State:
        """Return h and c from the children's, `[M, A, H]` each."""
        h, c = state
        p_i, p_f, p_g, p_o = p.chunk(4, 1)
        w_i, *w_f, w_g, w_o = nn.functional.linear(h.flatten(1), self.weight_hh).chunk(3 + self.slots, 1)
        new = torch.sigmoid(p_i + w_i) * torch.tanh(p_g + w_g)
        for k, w in enumerate(w_f):
            new = new + torch.sigmoid(p_f + w) * c[:, k]
        return torch.sigmoid(p_o + w_o) * torch.tanh(new), new
