"""Matrix-vector recursion."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...messages import State
from .base import check_sizes, uniform


class MatrixVectorCell(Cell):
    """Matrix-vector recursive network: each node has a vector, and a matrix that changes its sibling's vector.

        h = tanh(W_hh [(I + M_2) h_1; (I + M_1) h_2] + W_ih x + b)
        M = W_m [M_1; M_2] + unvec(W_im x)

    Socher, Huval, Manning & Ng (2012), Semantic compositionality through recursive matrix-vector spaces, eqs. 2 and 3,
    for two children. The paper begins with words' matrices near the identity; here M is what they differ from it, so
    that a node without inputs has none, and W_m begins at ½ [I I], the mean of the children. The states are h `[N, H]`
    and M, `[N, H²]`, row by row.

    Parameters: weight_ih `[H, F]`, weight_im `[H², F]`, weight_hh `[H, 2 H]`, weight_m `[H, 2 H]`, bias `[H]`.

    Args:
        input_size: F.
        hidden_size: H.
        bias: whether there is b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> h, m = MatrixVectorCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape, m.shape
    (torch.Size([2, 4]), torch.Size([2, 16]))
    """

    merge, slots = "slots", 2
    bias: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size: int = input_size
        self.hidden_size, square = hidden_size, hidden_size**2
        self.state_sizes = (hidden_size, square)
        self.weight_ih = uniform((hidden_size, input_size), hidden_size, device, dtype)
        self.weight_im = uniform((square, input_size), square, device, dtype)
        self.weight_hh = uniform((hidden_size, 2 * hidden_size), hidden_size, device, dtype)
        half = torch.eye(hidden_size, device=device, dtype=dtype) / 2
        self.weight_m = nn.Parameter(torch.cat([half, half], 1))
        self.register_parameter("bias", uniform((hidden_size,), hidden_size, device, dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b`` and ``W_im x``, side by side."""
        own = nn.functional.linear(x, self.weight_ih, self.bias)
        return torch.cat([own, nn.functional.linear(x, self.weight_im)], 1)

    def update(self, p: Tensor, state: State) -> State:
        """Return h and M from the children's vectors `[M, 2, H]` and matrices `[M, 2, H²]`."""
        h, n = state[0], self.hidden_size
        m = state[1].unflatten(2, (n, n))
        changed = h + (m.flip(1) @ h[..., None])[..., 0]  # each by its sibling's matrix
        merged = self.weight_m @ m.flatten(1, 2)  # [M_1; M_2] is 2 H by H
        new = torch.tanh(p[:, :n] + nn.functional.linear(changed.flatten(1), self.weight_hh))
        return new, p[:, n:] + merged.flatten(1)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}"
