"""CPU kernels on rows: sums and maxima over neighbours, dot products along edges, segments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .jit import parallel

# Sums over neighbours read four of them per pass, so that a row of the result is loaded and stored a quarter as often.


def _weighted(ptr: Any, index: Any, edge: Any, weight: Any, x: Any, out: Any) -> None:
    for v in prange(out.shape[0]):
        row, first, end = out[v], ptr[v], ptr[v + 1]
        row[:] = 0
        whole = end - (end - first) % 4
        for k in range(first, whole, 4):
            a, b, c, d = weight[edge[k]], weight[edge[k + 1]], weight[edge[k + 2]], weight[edge[k + 3]]
            p, q, r, s = x[index[k]], x[index[k + 1]], x[index[k + 2]], x[index[k + 3]]
            for j in range(len(row)):
                row[j] += a * p[j] + b * q[j] + c * r[j] + d * s[j]
        for k in range(whole, end):
            a, p = weight[edge[k]], x[index[k]]
            for j in range(len(row)):
                row[j] += a * p[j]


def _plain(ptr: Any, index: Any, x: Any, out: Any) -> None:
    for v in prange(out.shape[0]):
        row, first, end = out[v], ptr[v], ptr[v + 1]
        row[:] = 0
        whole = end - (end - first) % 4
        for k in range(first, whole, 4):
            p, q, r, s = x[index[k]], x[index[k + 1]], x[index[k + 2]], x[index[k + 3]]
            for j in range(len(row)):
                row[j] += p[j] + q[j] + r[j] + s[j]
        for k in range(whole, end):
            p = x[index[k]]
            for j in range(len(row)):
                row[j] += p[j]


def _dots(ptr: Any, index: Any, edge: Any, a: Any, b: Any, out: Any) -> None:
    for v in prange(a.shape[0]):
        left = a[v]
        for k in range(ptr[v], ptr[v + 1]):
            right = b[index[k]]
            total = a.dtype.type(0)
            for j in range(len(left)):
                total += left[j] * right[j]
            out[edge[k]] = total


def _segment_sum(ptr: Any, values: Any, out: Any) -> None:
    for v in prange(out.shape[0]):
        row = out[v]
        row[:] = 0
        for k in range(ptr[v], ptr[v + 1]):
            source = values[k]
            for j in range(len(row)):
                row[j] += source[j]


def _segment_argmax(ptr: Any, values: Any, arg: Any) -> None:
    """Fill `arg` with the first row of each segment that has its maximum, or the number of rows where it has none."""
    for v in prange(arg.shape[0]):
        for j in range(arg.shape[1]):
            best = values.shape[0]
            for k in range(ptr[v], ptr[v + 1]):
                if best == values.shape[0] or values[k, j] > values[best, j] or values[k, j] != values[k, j]:
                    best = k
                    if values[k, j] != values[k, j]:  # NaN wins, as in torch.max
                        break
            arg[v, j] = best


# A row is copied by a loop: assigned as a whole, Numba's threads would share a temporary copy.


def _neighbour_max(ptr: Any, index: Any, x: Any, out: Any, place: Any) -> None:
    """Fill `out` with maxima over neighbours, and `place` with the first edge of each receiver that has it, or -1."""
    for v in prange(out.shape[0]):
        row, at, first, end = out[v], place[v], ptr[v], ptr[v + 1]
        for j in range(len(row)):
            row[j], at[j] = 0, -1
        if first == end:
            continue
        p = x[index[first]]
        for j in range(len(row)):
            row[j], at[j] = p[j], 0
        whole = end - (end - first - 1) % 4
        for k in range(first + 1, whole, 4):
            p, q, r, s = x[index[k]], x[index[k + 1]], x[index[k + 2]], x[index[k + 3]]
            i = np.int32(k - first)
            for j in range(len(row)):  # `not ≤` is true for NaN, too, which wins, as in torch.max
                best, n = row[j], at[j]
                larger = (not p[j] <= best) & (best == best)
                best, n = (p[j], i) if larger else (best, n)
                larger = (not q[j] <= best) & (best == best)
                best, n = (q[j], i + np.int32(1)) if larger else (best, n)
                larger = (not r[j] <= best) & (best == best)
                best, n = (r[j], i + np.int32(2)) if larger else (best, n)
                larger = (not s[j] <= best) & (best == best)
                row[j], at[j] = (s[j], i + np.int32(3)) if larger else (best, n)
        for k in range(whole, end):
            p, i = x[index[k]], np.int32(k - first)
            for j in range(len(row)):
                larger = (not p[j] <= row[j]) & (row[j] == row[j])
                row[j], at[j] = (p[j], i) if larger else (row[j], at[j])


def _neighbour_spread(ptr: Any, index: Any, place: Any, grad: Any, out: Any, wide: int) -> None:
    """Add gradients of maxima to the senders that have them; each thread has `wide` features of its own."""
    for part in prange((out.shape[1] + wide - 1) // wide):
        low, high = part * wide, min(out.shape[1], part * wide + wide)
        for u in range(out.shape[0]):
            for j in range(low, high):
                out[u, j] = 0
        for v in range(place.shape[0]):
            first = ptr[v]
            for j in range(low, high):
                if place[v, j] >= 0:
                    out[index[first + place[v, j]], j] += grad[v, j]


weighted_sum, plain_sum = parallel(_weighted), parallel(_plain)
dots, segment_sum, segment_argmax = parallel(_dots), parallel(_segment_sum), parallel(_segment_argmax)
neighbour_max, neighbour_spread = parallel(_neighbour_max), parallel(_neighbour_spread)
