"""The recursive neural tensor network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...messages import State
from .base import uniform
from .recursive import SlotCell


class RNTNCell(SlotCell):
    """Recursive neural tensor network: children interact in a bilinear form for each unit.

        c = [c_1; …; c_A],   p = tanh(cᵀ V^{[1:H]} c + W_hh c + W_ih x + b)

    Socher, Perelygin, Wu, Chuang, Manning, Ng & Potts (2013), Recursive deep models for semantic compositionality over
    a sentiment treebank, section 4.3, with A = 2; with V = 0 it is :class:`RecursiveCell`.

    Parameters: weight_ih `[H, F]`, weight_hh `[H, A H]`, bias `[H]`, and weight_tensor `[H, A H, A H]`, V.

    Args:
        input_size: F.
        hidden_size: H; the tensor has H³ A² numbers, so that the paper has 25 to 35.
        arity: A, the number of slots for children.
        bias: whether there is b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> RNTNCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, arity: int = 2, bias: bool = True, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, arity, bias, device, dtype)
        wide = arity * hidden_size
        # A bilinear form sums wide² products and W c wide: drawn √wide below W, both begin alike in size.
        self.weight_tensor = uniform((hidden_size, wide, wide), hidden_size * wide, device, dtype)

    def update(self, p: Tensor, state: State) -> State:
        """Return ``tanh(p + cᵀ V c + W_hh c)``."""
        c = state[0].flatten(1)
        hidden, wide, _ = self.weight_tensor.shape
        # for each c the vectors V^{[k]}ᵀ c, in one product
        by_unit = (c @ self.weight_tensor.transpose(0, 1).reshape(wide, hidden * wide)).view(-1, hidden, wide)
        bilinear = (by_unit @ c[:, :, None])[:, :, 0]
        return (torch.tanh(p + bilinear + nn.functional.linear(c, self.weight_hh)),)
