"""CPU kernels on rows: sums over neighbours, dot products along edges, segments."""

from __future__ import annotations

from typing import Any

from numba import prange

from ._numba import parallel


def _weighted(ptr: Any, index: Any, edge: Any, weight: Any, x: Any, out: Any) -> None:
    for v in prange(out.shape[0]):
        row = out[v]
        row[:] = 0
        for k in range(ptr[v], ptr[v + 1]):
            w, source = weight[edge[k]], x[index[k]]
            for j in range(len(row)):
                row[j] += w * source[j]


def _plain(ptr: Any, index: Any, x: Any, out: Any) -> None:
    for v in prange(out.shape[0]):
        row = out[v]
        row[:] = 0
        for k in range(ptr[v], ptr[v + 1]):
            source = x[index[k]]
            for j in range(len(row)):
                row[j] += source[j]


def _dots(ptr: Any, index: Any, edge: Any, a: Any, b: Any, out: Any) -> None:
    for v in prange(a.shape[0]):
        left = a[v]
        for k in range(ptr[v], ptr[v + 1]):
            right = b[index[k]]
            total = left[0] - left[0]  # a zero of the rows' type
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


def _segment_max(ptr: Any, values: Any, out: Any, arg: Any) -> None:
    for v in prange(out.shape[0]):
        for j in range(out.shape[1]):
            best = -1
            for k in range(ptr[v], ptr[v + 1]):
                if best < 0 or values[k, j] > values[best, j] or values[k, j] != values[k, j]:
                    best = k
                    if values[k, j] != values[k, j]:  # NaN wins, as in torch.max
                        break
            arg[v, j] = best
            out[v, j] = values[best, j] if best >= 0 else 0


weighted_sum, plain_sum = parallel(_weighted), parallel(_plain)
dots, segment_sum, segment_max = parallel(_dots), parallel(_segment_sum), parallel(_segment_max)
