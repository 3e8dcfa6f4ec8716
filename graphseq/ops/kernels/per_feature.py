"""Attention with scores ``a · leaky(x_u + y_v)`` for each head, where x are the values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .attention import add_weighted, exponentials, kept, leaky, relative, softmax, weighted_sum
from .attention import dots as dots_of
from .functions import ORDERED, inline
from .jit import parallel
from .lanes import HALF, WIDTH, add_leaky, add_leaky_half, add_slopes, add_slopes_half, leaky_dot, leaky_dot_half

_F = np.float32


@inline
def _score(x: Any, p: Any, y: Any, q: Any, a: Any, at: Any, slope: Any, wide: Any) -> Any:
    i, total = wide - wide % WIDTH, _F(0)
    if i:
        total += leaky_dot(x, p, y, q, a, at, slope, i)
    if wide - i >= HALF:
        total += leaky_dot_half(x, p + i, y, q + i, a, at + i, slope, HALF)
        i += HALF
    for j in range(i, wide):
        total += a[at + j] * leaky(x[p + j] + y[q + j], slope)
    return total


@inline
def _add_slopes(out: Any, o: Any, x: Any, p: Any, y: Any, q: Any, d: Any, slope: Any, wide: Any) -> None:
    """``out[o:] += d leaky'(x[p:] + y[q:])``."""
    i = wide - wide % WIDTH
    for j in range(0, i, WIDTH):
        add_slopes(out, o + j, x, p + j, y, q + j, d, d * slope)
    if wide - i >= HALF:
        add_slopes_half(out, o + i, x, p + i, y, q + i, d, d * slope)
        i += HALF
    for j in range(i, wide):
        out[o + j] += d if x[p + j] + y[q + j] > _F(0) else d * slope


@inline
def _add_leaky(out: Any, o: Any, x: Any, p: Any, y: Any, q: Any, d: Any, slope: Any, wide: Any) -> None:
    """``out[o:] += d leaky(x[p:] + y[q:])``."""
    i = wide - wide % WIDTH
    for j in range(0, i, WIDTH):
        add_leaky(out, o + j, x, p + j, y, q + j, d, slope)
    if wide - i >= HALF:
        add_leaky_half(out, o + i, x, p + i, y, q + i, d, slope)
        i += HALF
    for j in range(i, wide):
        out[o + j] += d * leaky(x[p + j] + y[q + j], slope)


def _features(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, y: Any, a: Any, slope: Any, keep: Any, share: Any, wide: Any,
    work: Any, out: Any, lse: Any,
) -> None:  # fmt: skip
    heads = lse.shape[1] // 2
    size = heads * wide
    for part in prange(len(parts) - 1):
        own = work[part]
        for v in range(parts[part], parts[part + 1]):
            first, end = ptr[v], ptr[v + 1]
            for h in range(heads):
                at, top = h * wide, _F(-np.inf) if end > first else _F(0)
                for k in range(first, end):
                    z = _score(x, index[k] * size + at, y, v * size + at, a, at, slope, wide)
                    own[(k - first) * heads + h] = z
                    top = z if z > top else top
                lse[v, h] = top
            if end > first:
                softmax(v, first, end, edge, own, keep, share, lse)
            weighted_sum(out, v * size, first, end, index, own, x, heads, wide)


def _features_senders(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, y: Any, a: Any, slope: Any, keep: Any, share: Any, wide: Any,
    work: Any, lse: Any, g: Any, delta: Any, dx: Any, dz: Any,
) -> None:  # fmt: skip
    """The gradients of senders, and those of the scores; delta is ``g_v · out_v`` of each head."""
    heads = lse.shape[1] // 2
    size = heads * wide
    for part in prange(len(parts) - 1):
        half = work.shape[1] // 2
        own, dots = work[part, :half], work[part, half:]
        for u in range(parts[part], parts[part + 1]):
            first, end = ptr[u], ptr[u + 1]
            for k in range(first, end):
                for h in range(heads):
                    at = h * wide
                    z = _score(x, u * size + at, y, index[k] * size + at, a, at, slope, wide)
                    own[(k - first) * heads + h] = relative(z, lse, index[k], h)
            exponentials(own, (end - first) * heads)
            dots_of(x, u, first, end, index, g, dots, heads, wide)
            for j in range(size):
                dx[u * size + j] = _F(0)
            for k in range(first, end):
                v, e = index[k], edge[k]
                for h in range(heads):
                    at, i = h * wide, (k - first) * heads + h
                    m = kept(keep, share, e, h)
                    dz[e, h] = own[i] * (m * dots[i] - delta[v, h])
                    own[i] *= m
                    _add_slopes(dx, u * size + at, x, u * size + at, y, v * size + at, dz[e, h], slope, wide)
            for j in range(size):
                dx[u * size + j] *= a[j]
            add_weighted(dx, u * size, first, end, index, own, g, heads, wide)


def _features_receivers(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, y: Any, a: Any, slope: Any, wide: Any, dz: Any, dy: Any,
    da: Any,
) -> None:  # fmt: skip
    """The gradients of receivers, and a part of that of the attention vector for each part of the rows."""
    heads = dz.shape[1]
    size = heads * wide
    for part in prange(len(parts) - 1):
        for j in range(size):
            da[part * size + j] = _F(0)
        for v in range(parts[part], parts[part + 1]):
            for j in range(size):
                dy[v * size + j] = _F(0)
            for k in range(ptr[v], ptr[v + 1]):
                u, e = index[k], edge[k]
                for h in range(heads):
                    p, q = u * size + h * wide, v * size + h * wide
                    _add_slopes(dy, q, x, p, y, q, dz[e, h], slope, wide)
                    _add_leaky(da, part * size + h * wide, x, p, y, q, dz[e, h], slope, wide)
            for j in range(size):
                dy[v * size + j] *= a[j]


features, features_senders = parallel(_features, ORDERED), parallel(_features_senders, ORDERED)
features_receivers = parallel(_features_receivers, ORDERED)
