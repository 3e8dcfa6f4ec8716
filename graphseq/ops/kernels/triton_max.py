"""The kernel of maxima over neighbours in Triton, for CUDA."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_EDGES, _FEATURES = 8, 128  # of a block


@triton.jit
def _max(ptr, index, x, out, place, wide, E: tl.constexpr, W: tl.constexpr, KIND: tl.constexpr):
    """One receiver and one block of features; of equal ones the first edge wins, and NaN is the largest."""
    v, w = tl.program_id(0).to(tl.int64), tl.program_id(1) * W + tl.arange(0, W)
    known, first, end = w < wide, tl.load(ptr + v), tl.load(ptr + v + 1)
    best = tl.full([W], float("-inf"), KIND)
    lost, at = tl.zeros([W], tl.int32), tl.full([W], -1, tl.int32)  # whether NaN was seen, and the edge that wins
    for k in range(first, end, E):
        i = k + tl.arange(0, E)
        inside = i < end
        u = tl.load(index + i, mask=inside, other=0)
        there = inside[:, None] & known[None]
        rows = tl.load(x + u[:, None] * wide + w[None], mask=there, other=float("-inf")).to(KIND)
        none = rows != rows
        top, here = tl.max(tl.where(none, float("-inf"), rows), 0), tl.max(none.to(tl.int32), 0)
        hit = tl.where(here[None] > 0, none, rows == top[None]) & inside[:, None]
        order = tl.min(tl.where(hit, (i - first).to(tl.int32)[:, None], 2147483647), 0)
        better = (at < 0) | ((lost == 0) & ((here > 0) | (top > best)))
        best, at = tl.where(better, top, best), tl.where(better, order, at)
        lost = tl.where(better, here, lost)
    found = tl.where(lost > 0, float("nan"), tl.where(at < 0, 0.0, best))
    tl.store(out + v * wide + w, found.to(out.dtype.element_ty), mask=known)
    tl.store(place + v * wide + w, at, mask=known)


def neighbour_max(x: Tensor, ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maxima `[R, F]`, and the place of the edge that wins among those of its receiver, -1 without edges."""
    rows, wide, x = ptr.size(0) - 1, x.size(1), x.contiguous()
    out = x.new_empty(rows, wide)
    place = ptr.new_empty(out.shape, dtype=torch.int32)
    if out.numel():
        block = min(_FEATURES, triton.next_power_of_2(wide))
        sizes = {"E": _EDGES, "W": block, "KIND": tl.float64 if x.dtype == torch.float64 else tl.float32}
        with torch.cuda.device_of(x):
            _max[rows, triton.cdiv(wide, block)](ptr, index, x, out, place, wide, **sizes)
    return out, place
