"""The simple recurrent cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import expected
from ...messages import State
from .base import TorchCell, biases


class ElmanCell(TorchCell):
    """Simple recurrent cell: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or with relu.

    Elman (1990), Finding structure in time. Parameters are those of ``torch.nn.RNNCell``.

    Args:
        input_size: F.
        hidden_size: H.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu".
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: another nonlinearity, a size below 0.

    >>> ElmanCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise expected("nonlinearity", '"tanh" or "relu"', nonlinearity)
        super().__init__(input_size, hidden_size, bias, gates=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b_ih + b_hh``."""
        return nn.functional.linear(x, self.weight_ih, biases(self))

    def update(self, p: Tensor, state: State) -> State:
        """Return ``tanh(p + W_hh h)``."""
        z = p + nn.functional.linear(state[0], self.weight_hh)
        return (torch.relu(z) if self.nonlinearity == "relu" else torch.tanh(z),)
