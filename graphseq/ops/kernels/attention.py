"""What the CPU kernels of attention over neighbours share, in float32: a softmax per receiver, and its gradients.

``out_v = Σ_e α_e m_e x_u`` for each head over the edges e: u → v, where α is the softmax of the scores of v's edges and
m the dropout mask over the share that is kept. The forward pass leaves the two parts of ``lse_v = log Σ exp(score_e)``,
the largest score and the logarithm of the sum relative to it, ``[R, 2 heads]``. From them the gradients compute ``α_e =
exp(score_e - lse_v)`` again; were they one number, it would have few digits where scores are large. They go over the
edges of each sender, and leave ∂score_e for sums over those of each receiver.

Values are flat, `[S · heads · wide]`; scores and sums `[…, heads]`. An array without rows stands for a missing one.
Rows `parts[i]` to `parts[i + 1]` are computed by one thread, with row i of `work` for what the edges of one row need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .functions import ORDERED, exp, inline
from .jit import parallel
from .lanes import WIDTH, add_four, add_one, dot, dot_four

_F = np.float32


@inline
def leaky(z: Any, slope: Any) -> Any:
    """Return z, or if it is negative z times the slope."""
    return z if z > _F(0) else z * slope


@inline
def relative(z: Any, lse: Any, v: Any, h: Any) -> Any:
    """Return a score less the log-sum-exp."""
    return (z - lse[v, h]) - lse[v, lse.shape[1] // 2 + h]


@inline
def kept(keep: Any, share: Any, e: Any, h: Any) -> Any:
    """Return the factor of dropout, 1 without it."""
    return _F(1) if keep.shape[0] == 0 else share * _F(keep[e, h])


@inline
def exponentials(work: Any, count: Any) -> None:
    """``work = exp(work)``."""
    for i in range(count):  # one long loop, which is vectorised
        work[i] = exp(work[i])


@inline
def _rest(x: Any, p: Any, y: Any, q: Any, first: Any, wide: Any) -> Any:
    """Return the part of a dot product that whole vectors don't cover."""
    total = _F(0)
    for j in range(first, wide):
        total += x[p + j] * y[q + j]
    return total


@inline
def dots(x: Any, u: Any, first: Any, end: Any, index: Any, y: Any, out: Any, heads: Any, wide: Any) -> None:
    """``out_k = x_u · y_{index k}`` for each head, over edges, four at a time."""
    size, even, i = heads * wide, wide - wide % WIDTH, 0
    whole = end - (end - first) % 4
    for k in range(first, whole, 4):
        p, q, r, s = index[k] * size, index[k + 1] * size, index[k + 2] * size, index[k + 3] * size
        for h in range(heads):
            at = h * wide
            o = u * size + at
            a, b, c, d = dot_four(x, o, y, p + at, q + at, r + at, s + at, even)
            out[i + h] = a + _rest(x, o, y, p + at, even, wide)
            out[i + heads + h] = b + _rest(x, o, y, q + at, even, wide)
            out[i + 2 * heads + h] = c + _rest(x, o, y, r + at, even, wide)
            out[i + 3 * heads + h] = d + _rest(x, o, y, s + at, even, wide)
        i += 4 * heads
    for k in range(whole, end):
        p = index[k] * size
        for h in range(heads):
            at = h * wide
            o = u * size + at
            out[i + h] = dot(x, o, y, p + at, even) + _rest(x, o, y, p + at, even, wide)
        i += heads


def _shares(x: Any, y: Any, wide: Any, out: Any) -> None:
    """``out_v = x_v · y_v`` of each head, summed in the order of :func:`dots`, so that what is equal cancels."""
    heads, even = out.shape[1], wide - wide % WIDTH
    for v in prange(out.shape[0]):
        for h in range(heads):
            at = (v * heads + h) * wide
            out[v, h] = dot(x, at, y, at, even) + _rest(x, at, y, at, even, wide)


@inline
def weighted_sum(out: Any, o: Any, first: Any, end: Any, index: Any, work: Any, x: Any, heads: Any, wide: Any) -> None:
    """``out[o:] = Σ_k work_k x_{index k}`` over edges, each head with its own weight."""
    for j in range(heads * wide):
        out[o + j] = _F(0)
    add_weighted(out, o, first, end, index, work, x, heads, wide)


@inline
def add_weighted(out: Any, o: Any, first: Any, end: Any, index: Any, work: Any, x: Any, heads: Any, wide: Any) -> None:
    """Add that to `out`, four edges at a time."""
    size, even, i = heads * wide, wide - wide % WIDTH, 0
    whole = end - (end - first) % 4
    for k in range(first, whole, 4):
        p, q, r, s = index[k] * size, index[k + 1] * size, index[k + 2] * size, index[k + 3] * size
        for h in range(heads):
            at = h * wide
            a, b, c, d = work[i + h], work[i + heads + h], work[i + 2 * heads + h], work[i + 3 * heads + h]
            for j in range(at, at + even, WIDTH):
                add_four(out, o + j, x, p + j, q + j, r + j, s + j, a, b, c, d)
            for j in range(at + even, at + wide):
                out[o + j] += a * x[p + j] + b * x[q + j] + c * x[r + j] + d * x[s + j]
        i += 4 * heads
    for k in range(whole, end):
        p = index[k] * size
        for h in range(heads):
            at, a = h * wide, work[i + h]
            for j in range(at, at + even, WIDTH):
                add_one(out, o + j, x, p + j, a)
            for j in range(at + even, at + wide):
                out[o + j] += a * x[p + j]
        i += heads


@inline
def softmax(v: Any, first: Any, end: Any, edge: Any, work: Any, keep: Any, share: Any, lse: Any) -> None:
    """Turn a receiver's scores into α m, given the largest of each head in `lse`, of which this is the other part."""
    heads = lse.shape[1] // 2
    count = (end - first) * heads
    for i in range(0, count, heads):
        for h in range(heads):
            work[i + h] -= lse[v, h]
    exponentials(work, count)
    for h in range(heads):
        total = _F(0)
        for i in range(h, count, heads):
            total += work[i]
        part = _F(1) / total
        for i in range(h, count, heads):
            work[i] *= part
        lse[v, heads + h] = np.log(total)
    if keep.shape[0]:
        for k in range(first, end):
            for h in range(heads):
                work[(k - first) * heads + h] *= share * _F(keep[edge[k], h])


shares = parallel(_shares, ORDERED)
