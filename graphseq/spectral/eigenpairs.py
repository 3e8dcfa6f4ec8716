"""Eigenpairs of symmetric block-diagonal matrices, by NumPy and SciPy on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import Words, expected
from ..topology import Topology

__all__ = ["block_pairs", "check_symmetric"]

_DENSE = 512  # nodes of a component up to which its eigenpairs are those of a dense matrix
_RESTARTS = (100, 1000)  # of Lanczos iterations on the matrix; after that they run on its inverse


def check_symmetric(topology: Topology, edge_weight: Tensor | None, name: str) -> None:
    """Check that the adjacency is symmetric, weights up to rounding.

    Raises:
        GraphError: it is not, or weights are not finite; the error names an edge.
    """
    from scipy.sparse import csr_array

    n, w = topology.num_nodes, edge_weight
    if w is not None and not bool(torch.isfinite(w).all()):
        raise expected("edge_weight", "finite numbers", Words("an infinity or a NaN"))
    entries = torch.ones(topology.num_edges) if w is None else w.detach()
    u, v = topology.edge_index.cpu().numpy()
    matrix = csr_array((entries.cpu().double().numpy(), (u, v)), shape=(n, n))
    difference = abs(matrix - matrix.T).tocoo()
    rounding = 1e-12 if entries.dtype == torch.float64 else 1e-6
    if difference.nnz == 0 or difference.data.max() <= rounding * abs(matrix).max():
        return
    worst = difference.data.argmax()
    a, b = int(difference.row[worst]), int(difference.col[worst])
    if w is None:
        a, b = (a, b) if matrix[a, b] > matrix[b, a] else (b, a)
        got = Words(f"the edge {a} → {b} without its reverse")
        raise expected(name, "an undirected graph, each edge in both directions", got)
    got = Words(f"{matrix[a, b]:g} for {a} → {b} and {matrix[b, a]:g} for {b} → {a}")
    raise expected("edge_weight", "symmetric weights, of u → v as of v → u", got)


def block_pairs(matrix: Any, ptr: Any, k: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the eigenpairs with the k smallest eigenvalues of each diagonal block, all without k.

    Args:
        matrix: a symmetric SciPy matrix `[N, N]`.
        ptr: where the blocks begin, and N, `[B + 1]`.
        k: at most the size of each block.

    Returns:
        The eigenvalues `[M]`, ascending within each block; the block of each; the eigenvectors `[N, K]`, row v being
        at v those of v's block.

    Raises:
        GraphError: entries that are not finite, as normalised negative degrees are.
    """
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    n = matrix.shape[0]
    if not np.isfinite(matrix.data).all():
        raise expected("edge_weight", "weights with degrees that are not negative", Words("a negative degree"))
    _, label = connected_components(matrix, directed=False) if n else (0, np.zeros(0, int))
    nodes = np.argsort(label, kind="stable")
    starts = np.flatnonzero(np.diff(label[nodes], prepend=-1))
    sorted_, parts = matrix[nodes][:, nodes] if n else matrix, []
    for a, b in zip(starts, np.append(starts, n)[1:], strict=True):
        values, vectors = _pairs(sorted_[a:b, a:b], b - a if k is None else min(k, b - a))
        parts.append((nodes[a:b], values, vectors * _signs(vectors)))
    block = np.searchsorted(ptr, [rows[0] for rows, *_ in parts], side="right") - 1
    graph = np.repeat(block, [len(values) for _, values, _ in parts])
    value = np.concatenate([np.zeros(0), *(values for _, values, _ in parts)])
    order = np.lexsort((value, graph))
    sizes = np.diff(ptr) if k is None else np.full(len(ptr) - 1, k)
    first = np.cumsum(np.bincount(graph, minlength=len(sizes))) - np.bincount(graph, minlength=len(sizes))
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order)) - first[graph[order]]  # among its block's
    kept = order[place[order] < sizes[graph[order]]]
    whole, at = np.zeros((n, max(sizes, default=0))), 0
    for rows, values, vectors in parts:
        columns = place[at : at + len(values)]
        some = columns < sizes[graph[at]] if len(values) else columns
        whole[np.ix_(rows, columns[some])] = vectors[:, some]
        at += len(values)
    return torch.from_numpy(value[kept]), torch.from_numpy(graph[kept]), torch.from_numpy(whole)


def _pairs(matrix: Any, k: int) -> tuple[Any, Any]:
    """Return the k smallest eigenvalues of one component, ascending, and its eigenvectors; 0 for those within
    rounding of it.
    """
    import numpy as np

    n = matrix.shape[0]
    if n <= _DENSE or 4 * k > n:
        dense = torch.from_numpy(matrix.toarray())
        values, vectors = (t.numpy()[..., :k] for t in torch.linalg.eigh((dense + dense.t()) / 2))
    elif k == 0:
        values, vectors = np.zeros(0), np.zeros((n, 0))
    else:
        values, vectors = _smallest(matrix, k)
    scale = abs(matrix).sum(1).max()  # at least the largest magnitude
    return np.where(abs(values) <= 1e-14 * scale, 0.0, values), vectors


def _smallest(matrix: Any, k: int) -> tuple[Any, Any]:
    """Return the pairs with the k smallest eigenvalues of a sparse matrix.

    On the matrix iterations need no memory but converge slowly where eigenvalues are close, as on long paths. There
    they run on the inverse, shifted to below the smallest eigenvalue.
    """
    import numpy as np
    from scipy.sparse import diags_array, eye_array
    from scipy.sparse.linalg import ArpackNoConvergence, splu

    n, diagonal = matrix.shape[0], matrix.diagonal()
    radius = abs(matrix).sum(1) - abs(diagonal)
    least, most = (diagonal - radius).min(), (diagonal + radius).max()  # Gershgorin's bounds
    if (matrix - diags_array(diagonal)).max() <= 0:  # no Laplacian of positive weights has negative eigenvalues
        least = max(least, 0.0)
    try:
        vectors = _largest(lambda v: most * v - matrix @ v, n, k, _RESTARTS[0])
    except ArpackNoConvergence:
        shift = least - 1e-7 * (most - least)
        vectors = _largest(splu((matrix - shift * eye_array(n)).tocsc()).solve, n, k, _RESTARTS[1])
    values = (vectors * (matrix @ vectors)).sum(0)  # Rayleigh quotients
    order = np.argsort(values, kind="stable")
    return values[order], vectors[:, order]


def _largest(apply: Callable[[Any], Any], n: int, k: int, restarts: int) -> Any:
    """Return the eigenvectors with the k largest eigenvalues of a positive semidefinite operator.

    Iterations that begin with one vector may miss all but one of several equal eigenvalues. So they run again on what
    is orthogonal to the vectors found, until nothing there is larger.
    """
    import numpy as np
    from scipy.sparse.linalg import LinearOperator, eigsh

    found, values = np.zeros((n, 0)), np.zeros(0)
    start = np.random.default_rng(0)  # the same at every call

    def outside(v: Any) -> Any:
        v = v - found @ (found.T @ v)
        v = np.ravel(apply(v))
        return v - found @ (found.T @ v)

    while True:
        more, wanted = LinearOperator((n, n), outside, dtype=np.float64), k if values.size == 0 else 1
        w, q = eigsh(more, wanted, which="LA", v0=start.standard_normal(n), maxiter=restarts)
        if values.size and w[0] <= values.min() * (1 + 1e-10):
            return found
        values, found = np.concatenate([values, w]), np.concatenate([found, q], 1)
        best = np.argsort(-values, kind="stable")[:k]
        values, found = values[best], found[:, best]


def _signs(vectors: Any) -> Any:
    """Return the sign by which the first entry of largest magnitude is positive in each column."""
    import numpy as np

    size = abs(vectors)
    first = (size >= (1 - 1e-6) * size.max(0)).argmax(0) if vectors.size else np.zeros(vectors.shape[1], int)
    return np.where(vectors[first, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
