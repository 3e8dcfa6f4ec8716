"""The gated recurrent cell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell, State, fill
from ...ops._scan import Structure
from ...ops.gru import gru_equations, gru_sweep
from ._gated import TorchCell


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
        return (gru_equations(p, nn.functional.linear(state[0], self.weight_hh, self.bias_hh), state[0])[2],)

    def scan(self, p: Tensor, structure: Structure, start: State | None, rest: Tensor | None) -> State | None:
        """Sweep by the fused operator, where predecessors are summed."""
        if self.merge != "sum" or self.message is not Cell.message:
            return None
        count = structure.edge_ptr.size(0) - 1
        bias = self.weight_hh.new_zeros(3 * self.hidden_size) if self.bias_hh is None else self.bias_hh
        return (gru_sweep(fill(p, rest, count), self.weight_hh, bias, None if start is None else start[0], structure),)
