"""Reductions of contiguous rows, by which messages are merged."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .library import HALF, Operator
from .spmm import csr_product, kernels, rows_of


def _sum_body(values: Tensor, ptr: Tensor) -> Tensor:
    out = values.new_zeros(ptr.size(0) - 1, values.size(1))
    return out.index_add(0, rows_of(ptr, values.size(0)), values)


def _sum_cpu(values: Tensor, ptr: Tensor) -> Tensor:
    if values.dtype not in (torch.float32, torch.float64):
        return _sum_body(values, ptr)
    array, rows = kernels()
    out = values.new_empty(ptr.numel() - 1, values.size(1))
    rows.segment_sum(values.numel(), array(ptr), array(values.contiguous()), array(out))
    return out


def _sum_cuda(values: Tensor, ptr: Tensor) -> Tensor:
    if not values.is_floating_point():
        return _sum_body(values, ptr)
    return csr_product(None, values, ptr, torch.arange(values.size(0), device=ptr.device), ptr)


def _sum_fake(values: Tensor, ptr: Tensor) -> Tensor:
    return values.new_empty(ptr.size(0) - 1, values.size(1))


def _sum_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.rows = inputs[0].size(0)


def _sum_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    (ptr,) = ctx.saved_tensors
    return torch.repeat_interleave(grad, ptr.diff(), 0, output_size=ctx.rows), None


def first_maxima(values: Tensor, ptr: Tensor) -> Tensor:
    """Return by PyTorch's operations the first row that has the maximum of its segment, `[R, F]`; E where none has."""
    last = values.size(0)
    rows = rows_of(ptr, last)
    spread = rows[:, None].expand(values.shape)
    shape = ptr.size(0) - 1, values.size(1)
    best = values.new_zeros(shape).scatter_reduce(0, spread, values, "amax", include_self=False)
    place = torch.arange(last, device=values.device)[:, None]
    hit = (values == best.index_select(0, rows)) | values.isnan()
    first = torch.where(hit, place, last)
    return ptr.new_full(shape, last).scatter_reduce(0, spread, first, "amin")


def _argmax_cpu(values: Tensor, ptr: Tensor) -> Tensor:
    if values.dtype not in (torch.float32, torch.float64):
        return first_maxima(values, ptr)
    array, rows = kernels()
    arg = ptr.new_empty(ptr.numel() - 1, values.size(1))
    rows.segment_argmax(values.numel(), *map(array, (ptr, values.contiguous(), arg)))
    return arg


def _argmax_fake(values: Tensor, ptr: Tensor) -> Tensor:
    return ptr.new_empty(ptr.size(0) - 1, values.size(1))


_sum = Operator(
    "segment_sum(Tensor values, Tensor ptr) -> Tensor", _sum_body, _sum_fake, cpu=_sum_cpu, cuda=_sum_cuda,
    save=_sum_save, backward=_sum_backward, full_precision=True,
)  # fmt: skip
_argmax = Operator("segment_argmax(Tensor values, Tensor ptr) -> Tensor", first_maxima, _argmax_fake, cpu=_argmax_cpu)


def _flat(values: Tensor) -> Tensor:
    return values.reshape(values.size(0), math.prod(values.shape[1:]))


def segment_sum(values: Tensor, ptr: Tensor) -> Tensor:
    """Sum the rows of each segment: ``out[v] = Σ values[ptr[v]:ptr[v + 1]]``; 16-bit numbers in float32.

    Args:
        values: `[E, ...]`.
        ptr: int64 `[R + 1]`, ascending from 0 to E.

    Returns:
        `[R, ...]`, 0 for a segment without rows.
    """
    if values.dtype in HALF and not torch.is_autocast_enabled(values.device.type):
        return segment_sum(values.float(), ptr).to(values.dtype)
    out: Tensor = _sum(values if values.dim() == 2 else _flat(values), ptr)
    return out if values.dim() == 2 else out.reshape(ptr.size(0) - 1, *values.shape[1:])


def segment_max(values: Tensor, ptr: Tensor) -> Tensor:
    """Return the element-wise maximum of each segment's rows.

    Of equal maxima the first gets the whole gradient; NaN counts as the largest, as in torch.max. A segment without
    rows gives 0.

    Args:
        values: `[E, ...]`.
        ptr: int64 `[R + 1]`, ascending from 0 to E.

    Returns:
        `[R, ...]`.
    """
    flat, shape = _flat(values), (ptr.size(0) - 1, *values.shape[1:])
    last = flat.size(0)
    if torch.compiler.is_compiling():  # where the number of rows may be unknown: a row for segments without any
        flat = torch.cat([flat, flat.new_zeros(1, flat.size(1))])
        found: Tensor = flat.gather(0, _argmax(flat[:-1].detach(), ptr))
        return found.reshape(shape)
    if last == 0:
        return segment_sum(values, ptr)
    arg: Tensor = _argmax(flat.detach(), ptr)  # `last` for a segment without rows
    return torch.where(arg == last, flat.new_zeros(()), flat.gather(0, arg.clamp(max=last - 1))).reshape(shape)
