"""Attention with additive scores, ``leaky(s_u + r_v + b_e)``: one number for each head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .attention import dots as dots_of
from .attention import exponentials, kept, leaky, relative, softmax, weighted_sum
from .functions import ORDERED, inline
from .jit import parallel

_F = np.float32


@inline
def _added(s: Any, r: Any, b: Any, u: Any, v: Any, e: Any, h: Any) -> Any:
    return s[u, h] + r[v, h] if b.shape[0] == 0 else s[u, h] + r[v, h] + b[e, h]


def _additive(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, s: Any, r: Any, b: Any, slope: Any, keep: Any, share: Any,
    wide: Any, work: Any, out: Any, lse: Any,
) -> None:  # fmt: skip
    heads = lse.shape[1] // 2
    for part in prange(len(parts) - 1):
        own = work[part]
        for v in range(parts[part], parts[part + 1]):
            first, end = ptr[v], ptr[v + 1]
            for h in range(heads):
                lse[v, h] = _F(-np.inf) if end > first else _F(0)
            for k in range(first, end):
                for h in range(heads):
                    z = leaky(_added(s, r, b, index[k], v, edge[k], h), slope)
                    own[(k - first) * heads + h] = z
                    lse[v, h] = z if z > lse[v, h] else lse[v, h]
            if end > first:
                softmax(v, first, end, edge, own, keep, share, lse)
            weighted_sum(out, v * heads * wide, first, end, index, own, x, heads, wide)


def _additive_backward(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, s: Any, r: Any, b: Any, slope: Any, keep: Any, share: Any,
    wide: Any, work: Any, lse: Any, g: Any, delta: Any, dx: Any, ds: Any, dz: Any,
) -> None:  # fmt: skip
    """Over the edges of each sender; delta is ``g_v · out_v`` of each head."""
    heads = ds.shape[1]
    for part in prange(len(parts) - 1):
        half = work.shape[1] // 2
        own, dots = work[part, :half], work[part, half:]
        for u in range(parts[part], parts[part + 1]):
            first, end = ptr[u], ptr[u + 1]
            dots_of(x, u, first, end, index, g, dots, heads, wide)
            for k in range(first, end):
                for h in range(heads):
                    z = _added(s, r, b, u, index[k], edge[k], h)
                    dz[edge[k], h] = z
                    own[(k - first) * heads + h] = leaky(z, slope)
            for k in range(first, end):  # not at once: LLVM would fuse the slope's product with the difference
                for h in range(heads):
                    i = (k - first) * heads + h
                    own[i] = relative(own[i], lse, index[k], h)
            exponentials(own, (end - first) * heads)
            for h in range(heads):
                ds[u, h] = _F(0)
            for k in range(first, end):
                v, e = index[k], edge[k]
                for h in range(heads):
                    i = (k - first) * heads + h
                    m = kept(keep, share, e, h)
                    d = own[i] * (m * dots[i] - delta[v, h])
                    d = d if dz[e, h] > _F(0) else d * slope
                    dz[e, h] = d
                    ds[u, h] += d
                    own[i] *= m
            weighted_sum(dx, u * heads * wide, first, end, index, own, g, heads, wide)


additive, additive_backward = parallel(_additive, ORDERED), parallel(_additive_backward, ORDERED)
