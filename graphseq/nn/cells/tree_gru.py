"""The two gated recurrent cells of trees."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...messages import State
from .base import TorchCell, check_sizes, uniform


class TreeGRUCell(TorchCell):
    """Child-sum Tree-GRU: any number of unordered children, with a reset gate for each.

        h~ = Σ_k h_k
        r_k = σ(W_ir x + b_ir + W_hr h_k + b_hr)
        z = σ(W_iz x + b_iz + W_hz h~ + b_hz)
        n = tanh(W_in x + b_in + Σ_k r_k ∘ (W_hn h_k + b_hn))
        h = (1 - z) ∘ n + z ∘ h~

    The gated unit of Cho et al. (2014) on trees as the child-sum Tree-LSTM has it (Tai, Socher & Manning 2015), whose
    forget gates read one child each; Zhou, Liu & Pan (2016), Modelling sentence pairs with tree-structured attentive
    encoder, have one reset gate, which reads h~: that is :class:`GRUCell` in a sweep. On a chain both are
    ``torch.nn.GRU``, and so are parameters and their shapes.

    Args:
        input_size: F.
        hidden_size: H.
        bias: whether there are b_ih and b_hh.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> TreeGRUCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, gates=3, device=device, dtype=dtype)
        self.message_sizes = (hidden_size, hidden_size)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b_ih``."""
        return nn.functional.linear(x, self.weight_ih, self.bias_ih)

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        """Return h_k, and ``r_k ∘ (W_hn h_k + b_hn)``, whose gate reads the parent's input and the child's state."""
        (h,) = sent
        w_r, _, w_n = self.weight_hh.chunk(3)
        b_r, _, b_n = (None, None, None) if self.bias_hh is None else self.bias_hh.chunk(3)
        r = torch.sigmoid(received.chunk(3, 1)[0] + nn.functional.linear(h, w_r, b_r))
        return h, r * nn.functional.linear(h, w_n, b_n)

    def begin(self, p: Tensor, state: State) -> State:
        """Return the message of one child with this state."""
        return self.message(state, p, None)

    def given(self, p: Tensor, state: State | None) -> State:
        """Return the merged messages of a node without predecessors: of one child, whose state is 0 by default."""
        return self.begin(p, (p.new_zeros(p.size(0), self.hidden_size),) if state is None else state)

    def update(self, p: Tensor, state: State) -> State:
        """Return h from ``h~`` and the sum of the gated children."""
        h, gated = state
        _, p_z, p_n = p.chunk(3, 1)
        b_z = None if self.bias_hh is None else self.bias_hh.chunk(3)[1]
        z = torch.sigmoid(p_z + nn.functional.linear(h, self.weight_hh.chunk(3)[1], b_z))
        return ((1 - z) * torch.tanh(p_n + gated) + z * h,)


class NaryTreeGRUCell(Cell):
    """N-ary Tree-GRU: at most `arity` children, each in its slot with weights and an update gate of its own.

        r = σ(W_ir x + b_ir + Σ_l U_rl h_l + b_hr)
        s_k = W_iz x + b_iz + Σ_l U_zkl h_l + b_hz,   z_k = exp(s_k) / (1 + Σ_l exp(s_l))
        n = tanh(W_in x + b_in + r ∘ (Σ_l U_nl h_l + b_hn))
        h = (1 - Σ_k z_k) ∘ n + Σ_k z_k ∘ h_k

    The gated unit of Cho et al. (2014) on trees, with a gate for each child as the N-ary Tree-LSTM has (Tai, Socher &
    Manning 2015); the shares of the children and of the new state sum to 1, so that states stay within -1 and 1 at any
    depth. With A = 1 it is :class:`GRUCell`.

    Parameters: weight_ih `[3H, F]`, bias_ih and bias_hh `[3H]` in the order r, z, n; weight_hh `[(2 + A) H, A H]`, rows
    r, z_1 … z_A, n and columns child 1 … child A.

    Args:
        input_size: F.
        hidden_size: H.
        arity: A.
        bias: whether there are b_ih and b_hh.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> NaryTreeGRUCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    merge = "slots"
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, arity: int = 2, bias: bool = True, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, arity=arity)
        self.input_size: int = input_size
        self.hidden_size, self.slots = hidden_size, arity
        self.state_sizes = (hidden_size,)
        self.weight_ih = uniform((3 * hidden_size, input_size), hidden_size, device, dtype)
        self.weight_hh = uniform(((2 + arity) * hidden_size, arity * hidden_size), hidden_size, device, dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, uniform((3 * hidden_size,), hidden_size, device, dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b_ih``."""
        return nn.functional.linear(x, self.weight_ih, self.bias_ih)

    def update(self, p: Tensor, state: State) -> State:
        """Return h from the children's, `[M, A, H]`."""
        (h,) = state
        p_r, p_z, p_n = p.chunk(3, 1)
        w_r, *w_z, w_n = nn.functional.linear(h.flatten(1), self.weight_hh).chunk(2 + self.slots, 1)
        if self.bias_hh is not None:
            b_r, b_z, b_n = self.bias_hh.chunk(3)
            p_r, p_z, w_n = p_r + b_r, p_z + b_z, w_n + b_n
        z = torch.softmax(torch.stack([*w_z, -p_z], 1), 1)  # all scores less p_z, so that none loses digits to it
        n = torch.tanh(p_n + torch.sigmoid(p_r + w_r) * w_n)
        return ((z * torch.cat([h, n[:, None]], 1)).sum(1),)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}, arity={self.slots}"
