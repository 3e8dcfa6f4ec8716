"""Put rows in another order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .library import Operator


def _body(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    return x.index_select(0, order)


def _fake(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    order, inverse = ctx.saved_tensors
    return permute(grad, inverse, order), None, None


_permute = Operator(
    "permute(Tensor x, Tensor order, Tensor inverse) -> Tensor", _body, _fake, save=_save, backward=_backward
)


def permute(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """Return ``x[order]``, where `order` is a permutation, so that its gradient is a gather, not a sum.

    Args:
        x: `[N, ...]`.
        order: int64 `[N]`.
        inverse: the permutation that undoes it.
    """
    result: Tensor = _permute(x, order, inverse)
    return result
