"""The largest of what the neighbours have, in each feature, without a row for each edge."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .library import HALF, HAS_TRITON, Operator
from .segment import first_maxima
from .spmm import kernels

# The edge that wins is known by its place among those of its receiver, int32 `[R, F]`, -1 where there are none. Values
# are picked by it, and gradients spread; the one is the gradient of the other.


def _max_body(x: Tensor, ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    shape, last = (ptr.size(0) - 1, x.size(1)), index.size(0)
    if last == 0:
        return x.new_zeros(shape), ptr.new_full(shape, -1, dtype=torch.int32)
    rows = x.index_select(0, index)
    edge = first_maxima(rows, ptr)
    out = torch.where(edge == last, rows.new_zeros(()), rows.gather(0, edge.clamp(max=last - 1)))
    return out, torch.where(edge == last, -1, edge - ptr[:-1, None]).to(torch.int32)


def _max_cpu(x: Tensor, ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    if x.dtype in HALF:
        out, place = _max_cpu(x.float(), ptr, index)
        return out.to(x.dtype), place
    if x.dtype not in (torch.float32, torch.float64):
        return _max_body(x, ptr, index)
    array, rows = kernels()
    out = x.new_empty(ptr.numel() - 1, x.size(1))
    place = torch.empty(out.shape, dtype=torch.int32)
    rows.neighbour_max(index.numel() * x.size(1), *map(array, (ptr, index, x.contiguous(), out, place)))
    return out, place


def _max_cuda(x: Tensor, ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    if not x.is_floating_point():
        return _max_body(x, ptr, index)
    from .kernels import triton_max

    return triton_max.neighbour_max(x, ptr, index)


def _max_fake(x: Tensor, ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    out = x.new_empty(ptr.size(0) - 1, x.size(1))
    return out, torch.empty_like(out, dtype=torch.int32)


def _max_save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, ptr, index = inputs
    ctx.save_for_backward(output[1], ptr, index)
    ctx.mark_non_differentiable(output[1])
    ctx.senders = x.size(0)


def _max_backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor, None, None]:
    return _spread(grad, *ctx.saved_tensors, ctx.senders), None, None


def _sender(place: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    """Return whose value is picked, int64 `[R, F]`; anyone's where there is no edge."""
    return index.take((ptr[:-1, None] + place).clamp(0, index.size(0) - 1))


def _pick_body(x: Tensor, place: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    if index.size(0) == 0:
        return x.new_zeros(place.shape)
    return torch.where(place < 0, x.new_zeros(()), x.gather(0, _sender(place, ptr, index)))


def _pick_fake(x: Tensor, place: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    return x.new_empty(place.shape)


def _pick_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])
    ctx.senders = inputs[0].size(0)


def _pick_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    return _spread(grad, *ctx.saved_tensors, ctx.senders), None, None, None


def _spread_body(grad: Tensor, place: Tensor, ptr: Tensor, index: Tensor, senders: int) -> Tensor:
    out = grad.new_zeros(senders, grad.size(1))
    if index.size(0) == 0:
        return out
    return out.scatter_add(0, _sender(place, ptr, index), torch.where(place < 0, grad.new_zeros(()), grad))


def _spread_cpu(grad: Tensor, place: Tensor, ptr: Tensor, index: Tensor, senders: int) -> Tensor:
    if grad.dtype in HALF:
        return _spread_cpu(grad.float(), place, ptr, index, senders).to(grad.dtype)
    if grad.dtype not in (torch.float32, torch.float64):
        return _spread_body(grad, place, ptr, index, senders)
    array, rows = kernels()
    out, threads = grad.new_empty(senders, grad.size(1)), torch.get_num_threads()
    wide = max(16, -(-grad.size(1) // (16 * threads)) * 16)  # features of a thread, whole lines of the cache
    rows.neighbour_spread(grad.numel(), *map(array, (ptr, index, place, grad.contiguous(), out)), wide)
    return out


def _spread_fake(grad: Tensor, place: Tensor, ptr: Tensor, index: Tensor, senders: int) -> Tensor:
    return grad.new_empty(senders, grad.size(1))


def _spread_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:4])


def _spread_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
    return _pick(grad, *ctx.saved_tensors), None, None, None, None


_max = Operator(
    "neighbour_max(Tensor x, Tensor ptr, Tensor index) -> (Tensor, Tensor)", _max_body, _max_fake, cpu=_max_cpu,
    cuda=_max_cuda if HAS_TRITON else None, save=_max_save, backward=_max_backward,
)  # fmt: skip
_pick = Operator(
    "neighbour_pick(Tensor x, Tensor place, Tensor ptr, Tensor index) -> Tensor", _pick_body, _pick_fake,
    save=_pick_save, backward=_pick_backward,
)  # fmt: skip
_spread = Operator(
    "neighbour_spread(Tensor grad, Tensor place, Tensor ptr, Tensor index, SymInt senders) -> Tensor", _spread_body,
    _spread_fake, cpu=_spread_cpu, save=_spread_save, backward=_spread_backward,
)  # fmt: skip


def neighbour_max(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    """Return the element-wise maximum over neighbours: ``out[v] = max_k x[index[k]]``, k from ptr[v] to ptr[v + 1] - 1.

    Of equal maxima the first edge's gets the whole gradient; NaN counts as the largest, as in torch.max. Without edges
    the maximum is 0. No `[E, F]` tensor is made on the CPU and on CUDA.

    Args:
        x: `[S, F]`.
        ptr: int64 `[R + 1]`, where the edges of each receiver begin.
        index: int64 `[E]`, the sender of each edge.

    Returns:
        `[R, F]`.
    """
    out: Tensor = _max(x, ptr, index)[0]
    return out
