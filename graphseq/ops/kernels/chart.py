"""CPU kernels on charts: inside and outside sums over binary trees, and the best tree, a sentence on each thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .jit import parallel

_EXACT = {"nsz"}  # nothing is reordered or fused, in either of the two compiled forms

# A chart is [T, T], a span's row its first word, its column the one past its last. The right parts of a split lie
# in one column; a transposed copy has them in a row.


def _inside(scores: Any, lengths: Any, chart: Any) -> None:
    for b in prange(len(lengths)):
        n, s, c = lengths[b], scores[b], chart[b]
        across, sums = np.empty((n + 1, n + 1), c.dtype), np.empty(n + 1, c.dtype)
        for width in range(1, n + 1):
            for i in range(n + 1 - width):
                j = i + width
                value = s[i, j]
                if width > 1:
                    left, right, top = c[i], across[j], sums.dtype.type(-np.inf)
                    for k in range(i + 1, j):
                        sums[k] = left[k] + right[k]
                        top = max(top, sums[k])
                    for k in range(i + 1, j):
                        sums[k] = np.exp(sums[k] - top)
                    total = sums.dtype.type(0)
                    for k in range(i + 1, j):  # in order, so that the number of threads changes nothing
                        total += sums[k]
                    value += top + np.log(total)
                c[i, j] = value
                across[j, i] = value


def _outside(grad: Any, scores: Any, lengths: Any, chart: Any, out: Any) -> None:
    for b in prange(len(lengths)):
        n, s, c, g, o = lengths[b], scores[b], chart[b], grad[b], out[b]
        across, gained = np.empty((n + 1, n + 1), c.dtype), np.zeros((n + 1, n + 1), c.dtype)
        for i in range(n):
            for j in range(i + 1, n + 1):
                across[j, i] = c[i, j]
                o[i, j] = g[i, j]
        for width in range(n, 0, -1):
            for i in range(n + 1 - width):
                j = i + width
                mass = o[i, j] + gained[j, i]
                o[i, j] = mass
                if mass != 0:
                    left, right, to_left, to_right, rest = c[i], across[j], o[i], gained[j], s[i, j] - c[i, j]
                    for k in range(i + 1, j):
                        log_share = left[k] + right[k] + rest
                        if log_share > 0:  # what large scores are rounded to
                            log_share = o.dtype.type(0)
                        share = mass * np.exp(log_share)
                        to_left[k] += share
                        to_right[k] += share


def _best(scores: Any, lengths: Any, chart: Any, split: Any) -> None:
    for b in prange(len(lengths)):
        n, s, c, at = lengths[b], scores[b], chart[b], split[b]
        across = np.empty((n + 1, n + 1), c.dtype)
        for width in range(1, n + 1):
            for i in range(n + 1 - width):
                j = i + width
                value = s[i, j]
                if width > 1:
                    left, right, first = c[i], across[j], i + 1
                    top = left[first] + right[first]
                    for k in range(i + 2, j):
                        total = left[k] + right[k]
                        if total > top:
                            top, first = total, k
                    value += top
                    at[i, j] = first
                c[i, j] = value
                across[j, i] = value


def _tree(split: Any, lengths: Any, spans: Any) -> None:
    """Fill `spans` with the nodes of each tree in preorder."""
    for b in prange(len(lengths)):
        n, at, rows = lengths[b], split[b], spans[b]
        if n > 0:
            waiting = np.empty((n + 1, 2), np.int64)
            waiting[0, 0], waiting[0, 1] = 0, n
            size, row = 1, 0
            while size > 0:
                size -= 1
                i, j = waiting[size, 0], waiting[size, 1]
                rows[row, 0], rows[row, 1] = i, j
                row += 1
                if j - i > 1:
                    k = at[i, j]
                    waiting[size, 0], waiting[size, 1] = k, j
                    waiting[size + 1, 0], waiting[size + 1, 1] = i, k
                    size += 2


inside, outside = parallel(_inside, _EXACT), parallel(_outside, _EXACT)
best, tree = parallel(_best, _EXACT), parallel(_tree, _EXACT)
