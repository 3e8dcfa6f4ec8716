"""The long short-term memory cell and its variants."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import expected
from ...messages import State
from .base import TorchCell, biases, uniform


class LSTMCell(TorchCell):
    """Long short-term memory cell, with the variants that Greff et al. compare.

        i = σ(W_ii x + b_ii + W_hi h + b_hi + p_i ∘ c)
        f = σ(W_if x + b_if + W_hf h + b_hf + p_f ∘ c)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f ∘ c + i ∘ g
        o = σ(W_io x + b_io + W_ho h + b_ho + p_o ∘ c')
        h' = o ∘ tanh(c')

    Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000) for the forget gate; Greff et al. (2017), LSTM:
    a search space odyssey. Without options the parameters are those of ``torch.nn.LSTMCell``.

    Args:
        input_size: F.
        hidden_size: H.
        peephole: add the terms in p, three vectors `weight_peephole` `[3, H]` for i, f, o.
        coupled: ``f = 1 - i``.
        forget_gate: False sets f = 1.
        bias: whether there are b_ih and b_hh.
        device: of the parameters.
        dtype: of the parameters.

    The rows of f stay in the parameters if `coupled` or `forget_gate` leaves them unused, so that the weights of one
    variant load into another.

    Raises:
        GraphError: a size below 1, or `coupled` without a forget gate.

    >>> h, c = LSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape
    torch.Size([2, 4])
    """

    weight_peephole: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, peephole: bool = False, coupled: bool = False,
        forget_gate: bool = True, *, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, gates=4, states=2, device=device, dtype=dtype)
        if coupled and not forget_gate:
            raise expected("coupled", "False where `forget_gate` is False", coupled)
        self.coupled, self.forget_gate = coupled, forget_gate
        made = uniform((3, hidden_size), hidden_size, device, dtype) if peephole else None
        self.register_parameter("weight_peephole", made)

    @property
    def is_standard(self) -> bool:
        """Whether it is torch.nn's LSTM, without peepholes and with a separate forget gate."""
        return self.weight_peephole is None and not self.coupled and self.forget_gate

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b_ih + b_hh``."""
        return nn.functional.linear(x, self.weight_ih, biases(self))

    def update(self, p: Tensor, state: State) -> State:
        """Return h' and c'."""
        h, c = state
        z_i, z_f, z_g, z_o = (p + nn.functional.linear(h, self.weight_hh)).chunk(4, 1)
        if self.weight_peephole is not None:
            p_i, p_f, p_o = self.weight_peephole
            z_i, z_f = z_i + p_i * c, z_f + p_f * c
        i = torch.sigmoid(z_i)
        if self.forget_gate:
            c = (1 - i if self.coupled else torch.sigmoid(z_f)) * c
        c = c + i * torch.tanh(z_g)
        o = torch.sigmoid(z_o if self.weight_peephole is None else z_o + p_o * c)
        return o * torch.tanh(c), c
