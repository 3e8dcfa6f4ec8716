"""What the cells with torch.nn's parameters share."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...errors import expected


def check_sizes(**sizes: int) -> None:
    """Check that every size is a whole number above 0.

    Raises:
        GraphError: one is not; the error names it.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise expected(name, "a whole number ≥ 1", size)


def uniform(shape: tuple[int, ...], hidden_size: int, device: Any, dtype: torch.dtype | None) -> nn.Parameter:
    """Return a parameter drawn from U(-1/√H, 1/√H), as torch.nn draws those of its recurrent layers."""
    bound = 1 / math.sqrt(hidden_size)
    return nn.Parameter(torch.empty(shape, device=device, dtype=dtype).uniform_(-bound, bound))


class TorchCell(Cell):
    """A cell with torch.nn's parameters: weight_ih `[gH, F]`, weight_hh `[gH, H]`, bias_ih and bias_hh `[gH]`."""

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, *, gates: int, states: int = 1,
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size: int = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.state_sizes = (hidden_size,) * states
        for name, shape in (
            ("weight_ih", (gates * hidden_size, input_size)),
            ("weight_hh", (gates * hidden_size, hidden_size)),
            ("bias_ih", (gates * hidden_size,)),
            ("bias_hh", (gates * hidden_size,)),
        ):
            made = None if name.startswith("bias") and not bias else uniform(shape, hidden_size, device, dtype)
            self.register_parameter(name, made)

    def both_biases(self) -> Tensor | None:
        """Return b_ih + b_hh, for cells that only ever add the two."""
        return None if self.bias_ih is None or self.bias_hh is None else self.bias_ih + self.bias_hh

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"
