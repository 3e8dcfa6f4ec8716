"""The gated recurrent cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...messages import State
from .base import TorchCell


class GRUCell(TorchCell):
    """Gated recurrent cell.

        r = σ(W_ir x + b_ir + W_hr h + b_hr)
        z = σ(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn))
        h' = (1 - z) ∘ n + z ∘ h

    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder. Parameters are those of
    ``torch.nn.GRUCell``. Swept over a chain it is ``torch.nn.GRU``; in rounds, GGNN (Li et al. 2016).

    Args:
        input_size: F.
        hidden_size: H.
        bias: whether there are b_ih and b_hh.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> GRUCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, gates=3, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b_ih``."""
        return nn.functional.linear(x, self.weight_ih, self.bias_ih)

    def update(self, p: Tensor, state: State) -> State:
        """Return h'."""
        (h,) = state
        (p_r, p_z, p_n), w = p.chunk(3, 1), nn.functional.linear(h, self.weight_hh, self.bias_hh)
        w_r, w_z, w_n = w.chunk(3, 1)
        r, z = torch.sigmoid(p_r + w_r), torch.sigmoid(p_z + w_z)
        n = torch.tanh(p_n + r * w_n)
        return ((1 - z) * n + z * h,)
