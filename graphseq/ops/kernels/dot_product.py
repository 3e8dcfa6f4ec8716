"""Attention with scores that are dot products, ``scale · q_v · k_u`` for each head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .attention import dots as dots_of
from .attention import exponentials, kept, relative, softmax, weighted_sum
from .functions import ORDERED
from .jit import parallel

_F = np.float32


def _product(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, k_: Any, q: Any, keep: Any, share: Any, wide: Any,
    work: Any, out: Any, lse: Any,
) -> None:  # fmt: skip
    heads = lse.shape[1] // 2
    for part in prange(len(parts) - 1):
        own = work[part]
        for v in range(parts[part], parts[part + 1]):
            first, end = ptr[v], ptr[v + 1]
            count = (end - first) * heads
            dots_of(q, v, first, end, index, k_, own, heads, wide)
            for h in range(heads):
                top = _F(-np.inf) if count else _F(0)
                for i in range(h, count, heads):
                    top = own[i] if own[i] > top else top
                lse[v, h] = top
            if count:
                softmax(v, first, end, edge, own, keep, share, lse)
            weighted_sum(out, v * heads * wide, first, end, index, own, x, heads, wide)


def _product_senders(
    parts: Any, ptr: Any, index: Any, edge: Any, x: Any, k_: Any, q: Any, keep: Any, share: Any, wide: Any,
    work: Any, lse: Any, g: Any, delta: Any, dx: Any, dk: Any, dz: Any,
) -> None:  # fmt: skip
    """The gradients of senders, and those of the dot products; delta is ``g_v · out_v`` of each head."""
    heads = lse.shape[1] // 2
    for part in prange(len(parts) - 1):
        half = work.shape[1] // 2
        own, dots = work[part, :half], work[part, half:]
        for u in range(parts[part], parts[part + 1]):
            first, end = ptr[u], ptr[u + 1]
            dots_of(k_, u, first, end, index, q, own, heads, wide)
            for k in range(first, end):
                for h in range(heads):
                    i = (k - first) * heads + h
                    own[i] = relative(own[i], lse, index[k], h)
            exponentials(own, (end - first) * heads)
            dots_of(x, u, first, end, index, g, dots, heads, wide)
            for k in range(first, end):
                for h in range(heads):
                    i = (k - first) * heads + h
                    m = kept(keep, share, edge[k], h)
                    dots[i] = own[i] * (m * dots[i] - delta[index[k], h])
                    dz[edge[k], h] = dots[i]
                    own[i] *= m
            weighted_sum(dx, u * heads * wide, first, end, index, own, g, heads, wide)
            weighted_sum(dk, u * heads * wide, first, end, index, dots, q, heads, wide)


def _product_receivers(
    parts: Any, ptr: Any, index: Any, edge: Any, k_: Any, wide: Any, work: Any, dz: Any, dq: Any
) -> None:  # fmt: skip
    """The gradients of receivers, from those of the dot products."""
    heads = dz.shape[1]
    for part in prange(len(parts) - 1):
        own = work[part]
        for v in range(parts[part], parts[part + 1]):
            first, end = ptr[v], ptr[v + 1]
            for k in range(first, end):
                for h in range(heads):
                    own[(k - first) * heads + h] = dz[edge[k], h]
            weighted_sum(dq, v * heads * wide, first, end, index, own, k_, heads, wide)


product, product_senders = parallel(_product, ORDERED), parallel(_product_senders, ORDERED)
product_receivers = parallel(_product_receivers, ORDERED)
