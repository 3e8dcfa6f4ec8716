"""Eigenvalues of Laplacians, by NumPy and SciPy on the CPU."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..errors import Words, expected
from ..topology import Topology
from .matrices import check_graph, laplacian

__all__ = ["lambda_max", "scipy_laplacian"]

_DENSE = 256  # nodes of a graph up to which its eigenvalues are those of a dense matrix


@torch.no_grad()
def lambda_max(
    topology: Topology, edge_weight: Tensor | None = None, *, normalization: str | None = None
) -> Tensor:  # fmt: skip
    """Return the largest eigenvalue of each graph's Laplacian, `[B]`; 0 of a graph without nodes.

    Where weights are not symmetric, it is the real part of the eigenvalue of largest magnitude. Has no gradient.

    Args:
        topology: of N nodes and E edges, in B graphs.
        edge_weight: `[E]`, or None for ones.
        normalization: None, "sym" or "rw", see :func:`laplacian`.

    Raises:
        GraphError: as of :func:`laplacian`; weights or normalised weights that are not finite.

    >>> lambda_max(Topology.from_edge_index(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))).item()
    3.0
    """
    import numpy as np

    check_graph(topology, edge_weight)
    matrix = scipy_laplacian(topology, edge_weight, normalization)
    if not np.isfinite(matrix.data).all():
        wanted = "finite numbers" if normalization is None else "finite numbers, and degrees that are not negative"
        raise expected("edge_weight", wanted, Words("others"))
    ptr = topology.graph_ptr.tolist()
    found = [_largest(matrix[a:b, a:b]) for a, b in pairwise(ptr)]
    kind = torch.float32 if edge_weight is None else edge_weight.dtype
    return torch.tensor(found, dtype=kind, device=topology.device)


def _largest(matrix: Any) -> float:
    """Return the largest eigenvalue of one graph's Laplacian; if it is not symmetric, that of largest magnitude."""
    import numpy as np
    from scipy.sparse.linalg import eigs, eigsh

    if matrix.shape[0] == 0:
        return 0.0
    symmetric = abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()
    if matrix.shape[0] > _DENSE:
        start = np.random.default_rng(0).standard_normal(matrix.shape[0])  # the same at every call
        find, which = (eigsh, "LA") if symmetric else (eigs, "LM")
        (value,) = find(matrix, k=1, which=which, v0=start, return_eigenvectors=False)
    elif symmetric:
        value = np.linalg.eigvalsh(matrix.toarray())[-1]
    else:
        values = np.linalg.eigvals(matrix.toarray())
        value = values[np.abs(values).argmax()]
    return float(value.real)


def scipy_laplacian(topology: Topology, edge_weight: Tensor | None, normalization: str | None) -> Any:
    """Return the Laplacian of all graphs as a SciPy matrix `[N, N]` in float64; row u, column v is u → v."""
    from scipy.sparse import csr_array

    looped, weight = laplacian(topology, edge_weight, normalization=normalization, dtype=torch.float64)
    (u, v), n = looped.edge_index.cpu().numpy(), topology.num_nodes
    return csr_array((weight.detach().cpu().numpy(), (u, v)), shape=(n, n))
