"""Put rows in another order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._direct import is_transformed
from ._library import define


def _forward(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    return x.index_select(0, order)


def _fake(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


_permute = define("permute(Tensor x, Tensor order, Tensor inverse) -> Tensor", _forward, _fake)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    order, inverse = ctx.saved_tensors
    return _permute(grad, inverse, order), None, None


torch.library.register_autograd("graphseq::permute", _backward, setup_context=_save)


def permute(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """Return ``x[order]``, where `order` is a permutation, so that the gradient is read and not added up.

    Args:
        x: `[N, ...]`.
        order: int64 `[N]`.
        inverse: the permutation that undoes it.
    """
    if is_transformed():
        return x.index_select(0, order)
    result: Tensor = _permute(x, order, inverse)
    return result
