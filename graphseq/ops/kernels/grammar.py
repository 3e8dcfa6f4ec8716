"""The best tree by a grammar in Chomsky normal form, on the CPU, a sentence on each thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .jit import parallel


def _viterbi(
    lexical: Any, first: Any, lengths: Any, by_left: Any, rules: Any, weight: Any, start: Any, spans: Any,
    symbols: Any, score: Any,
) -> None:  # fmt: skip
    """Fill `spans` and `symbols` with the nodes of each sentence's tree in preorder, and `score` with its logarithm.

    The rules of each left child begin at `by_left`; a rule has its left child, its right child and its parent.
    """
    for b in prange(len(lengths)):
        n, kinds = lengths[b], lexical.shape[1]
        chart = np.full((n + 1, n + 1, kinds), -np.inf, np.float64)
        split, how = np.zeros((n + 1, n + 1, kinds), np.int32), np.zeros((n + 1, n + 1, kinds), np.int32)
        filled = np.zeros((n + 1, n + 1), np.bool_)
        for i in range(n):
            for a in range(kinds):
                chart[i, i + 1, a] = lexical[first[b] + i, a]
            filled[i, i + 1] = True
        for width in range(2, n + 1):
            for i in range(n + 1 - width):
                j = i + width
                out, best_split, best_rule = chart[i, j], split[i, j], how[i, j]
                for k in range(i + 1, j):
                    if not (filled[i, k] and filled[k, j]):
                        continue
                    left, right = chart[i, k], chart[k, j]
                    for a in range(kinds):
                        if left[a] == -np.inf:
                            continue
                        for r in range(by_left[a], by_left[a + 1]):
                            total = left[a] + right[rules[r, 1]] + weight[r]
                            parent = rules[r, 2]
                            if total > out[parent]:
                                out[parent], best_split[parent], best_rule[parent] = total, k, r
                                filled[i, j] = True
        root, score[b] = 0, -np.inf
        if n > 0:
            for a in range(kinds):
                if chart[0, n, a] + start[a] > score[b]:
                    root, score[b] = a, chart[0, n, a] + start[a]
        if score[b] > -np.inf:
            waiting = np.empty((n + 1, 3), np.int64)
            waiting[0, 0], waiting[0, 1], waiting[0, 2] = 0, n, root
            size, row = 1, 0
            while size > 0:
                size -= 1
                i, j, a = waiting[size, 0], waiting[size, 1], waiting[size, 2]
                spans[b, row, 0], spans[b, row, 1], symbols[b, row] = i, j, a
                row += 1
                if j - i > 1:
                    k, r = split[i, j, a], how[i, j, a]
                    waiting[size, 0], waiting[size, 1], waiting[size, 2] = k, j, rules[r, 1]
                    waiting[size + 1, 0], waiting[size + 1, 1], waiting[size + 1, 2] = i, k, rules[r, 0]
                    size += 2


viterbi = parallel(_viterbi)
