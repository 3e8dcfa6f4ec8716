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
from .lanes import (
    HALF,
    WIDTH,
    add_four,
    add_four_half,
    add_one,
    add_one_half,
    add_product,
    dot,
    dot_four,
    dot_four_half,
    dot_half,
)

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
def _one_dot(x: Any, p: Any, y: Any, q: Any, wide: Any) -> Any:
    """Return ``Σ_j x[p + j] y[q + j]``."""
    j, total = wide - wide % WIDTH, _F(0)
    if j:
        total += dot(x, p, y, q, j)
    if wide - j >= HALF:
        total += dot_half(x, p + j, y, q + j, HALF)
        j += HALF
    for i in range(j, wide):
        total = add_product(total, x[p + i], y[q + i])
    return total


@inline
def _four_dots(x: Any, o: Any, y: Any, p: Any, q: Any, r: Any, s: Any, wide: Any) -> Any:
    """Return four of these sums, each in the same order."""
    j, a, b, c, d = wide - wide % WIDTH, _F(0), _F(0), _F(0), _F(0)
    if j:
        k, l, m, n = dot_four(x, o, y, p, q, r, s, j)
        a, b, c, d = a + k, b + l, c + m, d + n
    if wide - j >= HALF:
        k, l, m, n = dot_four_half(x, o + j, y, p + j, q + j, r + j, s + j, HALF)
        a, b, c, d = a + k, b + l, c + m, d + n
        j += HALF
    for i in range(j, wide):
        z = x[o + i]
        a, b = add_product(a, z, y[p + i]), add_product(b, z, y[q + i])
        c, d = add_product(c, z, y[r + i]), add_product(d, z, y[s + i])
    return a, b, c, d


@inline
def dots(x: Any, u: Any, first: Any, end: Any, index: Any, y: Any, out: Any, heads: Any, wide: Any) -> None:
    """``out_k = x_u · y_{index k}`` for each head, over edges, four at a time."""
    size, i = heads * wide, 0
    whole = end - (end - first) % 4
    for k in range(first, whole, 4):
        p, q, r, s = index[k] * size, index[k + 1] * size, index[k + 2] * size, index[k + 3] * size
        for h in range(heads):
            at = h * wide
            a, b, c, d = _four_dots(x, u * size + at, y, p + at, q + at, r + at, s + at, wide)
            out[i + h], out[i + heads + h], out[i + 2 * heads + h], out[i + 3 * heads + h] = a, b, c, d
        i += 4 * heads
    for k in range(whole, end):
        for h in range(heads):
            at = h * wide
            out[i + h] = _one_dot(x, u * size + at, y, index[k] * size + at, wide)
        i += heads


def _shares(x: Any, y: Any, wide: Any, out: Any) -> None:
    """``out_v = x_v · y_v`` of each head, summed in the order of :func:`dots`, so that what is equal cancels."""
    heads = out.shape[1]
    for v in prange(out.shape[0]):
        for h in range(heads):
            at = (v * heads + h) * wide
            out[v, h] = _one_dot(x, at, y, at, wide)


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
    most = even + HALF if wide - even >= HALF else even  # numbers of a head that whole vectors cover
    whole = end - (end - first) % 4
    for k in range(first, whole, 4):
        p, q, r, s = index[k] * size, index[k + 1] * size, index[k + 2] * size, index[k + 3] * size
        for h in range(heads):
            at = h * wide
            a, b, c, d = work[i + h], work[i + heads + h], work[i + 2 * heads + h], work[i + 3 * heads + h]
            for j in range(at, at + even, WIDTH):
                add_four(out, o + j, x, p + j, q + j, r + j, s + j, a, b, c, d)
            if most > even:
                j = at + even
                add_four_half(out, o + j, x, p + j, q + j, r + j, s + j, a, b, c, d)
            for j in range(at + most, at + wide):
                out[o + j] += a * x[p + j] + b * x[q + j] + c * x[r + j] + d * x[s + j]
        i += 4 * heads
    for k in range(whole, end):
        p = index[k] * size
        for h in range(heads):
            at, a = h * wide, work[i + h]
            for j in range(at, at + even, WIDTH):
                add_one(out, o + j, x, p + j, a)
            if most > even:
                add_one_half(out, o + at + even, x, p + at + even, a)
            for j in range(at + most, at + wide):
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
