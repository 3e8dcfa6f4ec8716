"""The child-sum Tree-LSTM with attention over the children."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...messages import Softmax, State
from .base import uniform
from .tree_lstm import ChildSumTreeLSTMCell


class AttentiveTreeLSTMCell(ChildSumTreeLSTMCell):
    """Child-sum Tree-LSTM that attends to its children rather than adding them up:

        α_k = softmax_k(a · tanh(W_a x + U_a h_k + b_a)),   h~ = Σ_k α_k h_k
        c = i ∘ g + Σ_k α_k f_k ∘ c_k

    and else the equations of :class:`ChildSumTreeLSTMCell`. Zhou, Liu & Pan (2016), Modelling sentence pairs with
    tree-structured attentive encoder, section 3.3, whose scores read the other sentence in place of x, and whose c is
    not weighted by α. With one child α is 1, so that on a chain this is ``torch.nn.LSTM``.

    Parameters: weight_ih `[4H, F]`, weight_hh `[4H, H]` and bias `[4H]` in the order i, f, g, o; weight_ah `[H, H]`,
    weight_ai `[H, F]`, bias_a `[H]` and attention `[H]`.

    Args:
        input_size: F.
        hidden_size: H.
        bias: whether there are biases.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1.

    >>> h, c = AttentiveTreeLSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape
    torch.Size([2, 4])
    """

    bias_a: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.weight_ai = uniform((hidden_size, input_size), hidden_size, device, dtype)
        self.weight_ah = uniform((hidden_size, hidden_size), hidden_size, device, dtype)
        self.attention = uniform((hidden_size,), hidden_size, device, dtype)
        self.register_parameter("bias_a", uniform((hidden_size,), hidden_size, device, dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W x + b`` and ``W_a x + b_a``, side by side."""
        return torch.cat([super().project(x), nn.functional.linear(x, self.weight_ai, self.bias_a)], 1)

    @property
    def merge(self) -> Softmax:  # type: ignore[override]
        """The softmax of the children's scores."""
        return Softmax(self._score)

    def _score(self, sent: State, received: Tensor, edge: Tensor | None) -> Tensor:
        own = received[:, 4 * self.hidden_size :]
        return torch.tanh(own + nn.functional.linear(sent[0], self.weight_ah)) @ self.attention

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        """Return h_k, and ``f_k ∘ c_k``."""
        return super().message(sent, received[:, : 4 * self.hidden_size], None)

    def update(self, p: Tensor, state: State) -> State:
        """Return h and c from ``h~`` and ``Σ α_k f_k ∘ c_k``."""
        return super().update(p[:, : 4 * self.hidden_size], state)
