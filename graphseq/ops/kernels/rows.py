"""CPU kernels on rows: sums over neighbours, dot products along edges, segments."""

from __future__ import annotations

from typing import Any

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


weighted_sum, plain_sum = parallel(_weighted), parallel(_plain)
dots, segment_sum, segment_argmax = parallel(_dots), parallel(_segment_sum), parallel(_segment_argmax)
