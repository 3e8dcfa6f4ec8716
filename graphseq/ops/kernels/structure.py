"""CPU kernels on structure: linear in nodes and edges, never recursive."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_compile = numba.njit(cache=True, nogil=True)


@_compile
def counting_sort(index: Any, ptr: Any, perm: Any) -> int:
    """Fill `ptr` and the stable `perm` that sorts `index`; return the first position out of range, or -1."""
    size = len(ptr) - 1
    for e in range(len(index)):
        if index[e] < 0 or index[e] >= size:
            return e
        ptr[index[e] + 1] += 1
    for v in range(size):
        ptr[v + 1] += ptr[v]
    for e in range(len(index)):  # ptr[v] runs to the start of v + 1 …
        perm[ptr[index[e]]] = e
        ptr[index[e]] += 1
    for v in range(size - 1, 0, -1):  # … and is put back
        ptr[v] = ptr[v - 1]
    ptr[0] = 0
    return -1


@_compile
def group_edges(
    edge_index: Any, in_ptr: Any, senders: Any, in_edge: Any, out_ptr: Any, receivers: Any, out_edge: Any
) -> Any:
    """Group edges by both ends; return an end out of range, as its place in both rows in turn, or -1."""
    count = edge_index.shape[1]
    in_ptr[:], out_ptr[:] = 0, 0
    wrong = counting_sort(edge_index[1], in_ptr, in_edge)
    if wrong >= 0:
        return count + wrong
    wrong = counting_sort(edge_index[0], out_ptr, out_edge)
    if wrong >= 0:
        return wrong
    for k in range(count):
        senders[k] = edge_index[0, in_edge[k]]
        receivers[k] = edge_index[1, out_edge[k]]
    return -1


@_compile
def longest_paths(in_ptr: Any, out_ptr: Any, receivers: Any, level: Any) -> int:
    """Fill `level` with the longest path from a node without predecessors; return how many nodes got one."""
    n = len(level)
    waiting = np.empty(n, np.int64)
    queue = np.empty(n, np.int64)
    tail = 0
    for v in range(n):
        waiting[v] = in_ptr[v + 1] - in_ptr[v]
        level[v] = -1
        if waiting[v] == 0:
            level[v] = 0
            queue[tail] = v
            tail += 1
    head = 0
    while head < tail:
        u = queue[head]
        head += 1
        for e in range(out_ptr[u], out_ptr[u + 1]):
            v = receivers[e]
            waiting[v] -= 1
            if waiting[v] == 0:  # u is its last predecessor, and none lies on a higher level
                level[v] = level[u] + 1
                queue[tail] = v
                tail += 1
    return tail


@_compile
def pack(
    level: Any, depth: Any, graph_order: Any, graph_ptr: Any, in_ptr: Any, in_senders: Any, in_edges: Any, order: Any,
    rank: Any, level_ptr: Any, edge_ptr: Any, senders: Any, receivers: Any, edges: Any,
) -> int:  # fmt: skip
    """Lay out the nodes level by level, and the edges by packed receiver; return the form."""
    levels = len(level_ptr) - 1
    for v in range(len(level)):
        level_ptr[level[v] + 1] += 1
    for k in range(levels):
        level_ptr[k + 1] += level_ptr[k]
    place = level_ptr.copy()
    for g in graph_order:
        for v in range(graph_ptr[g], graph_ptr[g + 1]):
            order[place[level[v]]] = v
            rank[v] = place[level[v]]
            place[level[v]] += 1
    edge = 0
    aligned = True
    for k in range(levels):
        for p in range(level_ptr[k], level_ptr[k + 1]):
            v = order[p]
            edge_ptr[p] = edge
            for e in range(in_ptr[v], in_ptr[v + 1]):
                edges[edge] = in_edges[e]
                senders[edge] = rank[in_senders[e]]
                receivers[edge] = p
                if senders[edge] != level_ptr[k - 1] + p - level_ptr[k]:
                    aligned = False
                edge += 1
            if k > 0 and edge - edge_ptr[p] != 1:
                aligned = False
    edge_ptr[len(level)] = edge
    if aligned:
        return 2
    read = np.zeros(len(level), np.bool_)
    for e in range(len(senders)):
        if read[senders[e]]:
            return 0
        read[senders[e]] = True
    return 1
