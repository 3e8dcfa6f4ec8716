"""Reduce rows that lie next to each other: what merges messages and reads graphs out."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import expected
from ._direct import is_plain, is_transformed
from ._library import define, full_precision
from .spmm import _native, _rows

REDUCES = ("sum", "mean", "max")


def _sum_forward(values: Tensor, ptr: Tensor) -> Tensor:
    out = values.new_empty(ptr.numel() - 1, values.size(1))
    if _native(values):
        from ._numba import array
        from ._rows import segment_sum

        segment_sum(values.numel(), array(ptr), array(values.contiguous()), array(out))
        return out
    return out.zero_().index_add_(0, _rows(ptr), values)


def _sum_fake(values: Tensor, ptr: Tensor) -> Tensor:
    return values.new_empty(ptr.size(0) - 1, values.size(1))


def _max_forward(values: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
    size = (ptr.numel() - 1, values.size(1))
    out, arg = values.new_empty(size), ptr.new_empty(size)
    if _native(values):
        from ._numba import array
        from ._rows import segment_max

        segment_max(values.numel(), *map(array, (ptr, values.contiguous(), out, arg)))
        return out, arg
    rows, wide = _rows(ptr), values.detach()
    spread = rows[:, None].expand_as(wide)
    best = out.zero_().scatter_reduce(0, spread, wide, "amax", include_self=False)
    place = torch.arange(wide.size(0), device=wide.device)[:, None].expand_as(wide)
    hit = (wide == best[rows]) | wide.isnan()
    last = wide.size(0)
    first = arg.fill_(last).scatter_reduce(0, spread, torch.where(hit, place, last), "amin")
    return best, torch.where(first == last, -1, first)


def _max_fake(values: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
    size = (ptr.size(0) - 1, values.size(1))
    return values.new_empty(size), ptr.new_empty(size)


_sum = define("segment_sum(Tensor values, Tensor ptr) -> Tensor", _sum_forward, _sum_fake)
_max = define("segment_max(Tensor values, Tensor ptr) -> (Tensor, Tensor)", _max_forward, _max_fake)
for _name in ("segment_sum", "segment_max"):
    full_precision(_name)


def _sum_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.rows = inputs[0].size(0)


def _sum_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    (ptr,) = ctx.saved_tensors
    return torch.repeat_interleave(grad, ptr.diff(), 0, output_size=ctx.rows), None


def _max_save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.rows = inputs[0].size(0)


def _max_backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor, None]:
    (arg,) = ctx.saved_tensors
    kept = torch.where(arg < 0, 0.0, grad)
    if ctx.rows == 0:
        return grad.new_zeros(0, grad.size(1)), None
    return grad.new_zeros(ctx.rows, grad.size(1)).scatter_add(0, arg.clamp(min=0), kept), None


class _Direct(torch.autograd.Function):
    """The sum without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, ptr: Tensor) -> Tensor:
        _sum_save(ctx, (values, ptr), values)
        return _sum_forward(values, ptr)

    backward = staticmethod(_sum_backward)


def _segment_sum(values: Tensor, ptr: Tensor) -> Tensor:
    result: Tensor
    if is_transformed():
        result = values.new_zeros(ptr.size(0) - 1, values.size(1)).index_add(0, _rows(ptr), values)
    elif not is_plain(values):
        result = _sum(values, ptr)
    elif torch.is_grad_enabled() and values.requires_grad:
        result = _Direct.apply(values, ptr)  # type: ignore[no-untyped-call]
    else:
        result = _sum_forward(values, ptr)
    return result


torch.library.register_autograd("graphseq::segment_sum", _sum_backward, setup_context=_sum_save)
torch.library.register_autograd("graphseq::segment_max", _max_backward, setup_context=_max_save)


def segment_reduce(values: Tensor, ptr: Tensor, reduce: str) -> Tensor:
    """Reduce the rows of each segment: ``out[v] = reduce(values[ptr[v]:ptr[v + 1]])``.

    Args:
        values: `[E, ...]`.
        ptr: int64 `[S + 1]`, ascending from 0 to E.
        reduce: "sum", "mean" or "max". An empty segment gives 0; of equal maxima the first gets the gradient.

    Returns:
        `[S, ...]`.

    Raises:
        GraphError: another `reduce`.
    """
    if reduce not in REDUCES:
        raise expected("reduce", '"sum", "mean" or "max"', reduce)
    out: Tensor
    flat = values.reshape(values.size(0), math.prod(values.shape[1:]))
    if reduce == "max":
        if is_transformed():
            spread = _rows(ptr)[:, None].expand_as(flat)
            zeros = flat.new_zeros(ptr.size(0) - 1, flat.size(1))
            out = zeros.scatter_reduce(0, spread, flat, "amax", include_self=False)
        else:
            out = _max(flat, ptr)[0]
    else:
        out = _segment_sum(flat, ptr)
        if reduce == "mean":
            out = out / ptr.diff().clamp(min=1)[:, None].to(out.dtype)
    return out.reshape(ptr.size(0) - 1, *values.shape[1:])
