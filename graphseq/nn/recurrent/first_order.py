"""PyTorch's kernels with a first derivative only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...fused import gradients
from ...messages import State
from ...ops.library import is_transformed


class _FirstOrder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fast: Any, slow: Any, *tensors: Tensor | None) -> State:
        with torch.enable_grad():
            leaves = [t if t is None else t.detach().requires_grad_(t.requires_grad) for t in tensors]
            outputs: State = fast(*leaves)
        ctx.save_for_backward(*tensors)
        ctx.graph, ctx.slow = (leaves, outputs), slow
        return tuple(o.detach() for o in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        kept = ctx.saved_tensors  # freed by a backward pass without retain_graph, which is an error
        leaves, outputs = ctx.graph
        if torch.is_grad_enabled():  # the gradient is to be differentiated
            fresh = [t if t is None else t.view_as(t) for t in kept]  # detached from their graph
            return None, None, *gradients(ctx.slow(*fresh), fresh, list(grads), create_graph=True)
        asked = [t for t in leaves if t is not None and t.requires_grad]
        found = iter(torch.autograd.grad(outputs, asked, grads, retain_graph=True, allow_unused=True))
        return None, None, *(next(found) if t is not None and t.requires_grad else None for t in leaves)


def first_order(fast: Callable[..., State], slow: Callable[..., State], *tensors: Tensor | None) -> State:
    """Return ``fast(*tensors)``, with higher-order derivatives through `slow`.

    Args:
        fast: returns a tuple of tensors; differentiable once.
        slow: returns the same; differentiable any number of times.
        tensors: everything that both read and that may require a gradient.
    """
    if is_transformed():
        return slow(*tensors)
    if not torch.is_grad_enabled() or not any(t is not None and t.requires_grad for t in tensors):
        return fast(*tensors)
    result: State = _FirstOrder.apply(fast, slow, *tensors)
    return result
