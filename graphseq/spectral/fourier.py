"""The graph Fourier transform: signals in the basis of the Laplacian's eigenvectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import Words, expected
from ..ops.library import kept
from ..ops.spmm import spmm
from ..topology import Links, Topology
from ..topology.inputs import check_count, check_same_kind, offsets, same_length
from .eigenpairs import block_pairs, check_symmetric
from .eigenvalues import scipy_laplacian
from .matrices import check_graph

__all__ = ["Basis", "basis", "filter", "inverse", "transform"]


class Basis(NamedTuple):
    """M eigenpairs of the Laplacians of B graphs with N nodes; those of one graph are consecutive.

    Attributes:
        values: the eigenvalues λ, `[M]`, ascending within each graph.
        vectors: `[N, K]`, K the largest number of pairs of a graph: entry (v, j) is at node v of the j-th eigenvector
            of v's graph, 0 if that has fewer. For one graph these are the columns of U; they also serve as
            positional encodings of the nodes.
        ptr: int64 `[B + 1]`; the pairs of graph b are ``ptr[b]`` … ``ptr[b + 1] - 1``.
        links: U for a number of graphs that is not 1: from each node to each pair of its graph. None for one graph.
        weights: the entries of U, one for each of the links; None for one graph.
    """

    values: Tensor
    vectors: Tensor
    ptr: Tensor
    links: Links | None
    weights: Tensor | None


def basis(
    topology: Topology, edge_weight: Tensor | None = None, *, normalization: str | None = None, k: int | None = None,
    dtype: torch.dtype | None = None,
) -> Basis:  # fmt: skip
    """Return the graph Fourier basis: eigenvalues and orthonormal eigenvectors of the Laplacian, ``L = U Λ Uᵀ``.

    Shuman, Narang, Frossard, Ortega & Vandergheynst (2013), The emerging field of signal processing on graphs. Each
    graph of a batch has its own basis, and so has each connected component: an eigenvector is zero outside of one
    component. Without normalization a component has one eigenvalue 0, with a constant eigenvector.

    The first of an eigenvector's entries of largest magnitude (within 1e-6 of it) is positive. The eigenvectors of
    equal eigenvalues are one of many possible choices, and so depend on the numbering of the nodes; what depends on
    the eigenvalue alone, such as :func:`filter` with a function, does not.

    Computed in float64 on the CPU, whatever the topology's device: all pairs from dense matrices, in time cubic in
    the number of nodes; few pairs of a large graph by Lanczos iterations. Once for a topology without weights.

    Args:
        topology: of N nodes, as many edges u → v as v → u.
        edge_weight: `[E]`, or None for ones; symmetric, and without a gradient, since eigenvectors of equal eigenvalues
            have none.
        normalization: None or "sym", see :func:`laplacian`. ("rw" is not symmetric; its eigenvalues are those of
            "sym".) An isolated node has the eigenvalue 0, with "sym" 1.
        k: only the pairs with the k smallest eigenvalues of each graph.
        dtype: of the result; that of `edge_weight` by default, else float32.

    Raises:
        GraphError: an adjacency that is not symmetric, more pairs than a graph has nodes, an unknown normalization,
            weights with a gradient; a topology in tracing whose basis has not been computed before.

    >>> ring = Topology.from_edge_index(torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]]))
    >>> basis(ring, dtype=torch.float64).values.round(decimals=6).tolist()
    [0.0, 2.0, 2.0, 4.0]
    """
    found = kept_basis(topology, edge_weight, normalization=normalization, k=k, dtype=dtype)
    return kept(lambda: found._replace(values=found.values.clone(), vectors=found.vectors.clone()))  # the caller's own


def kept_basis(
    topology: Topology, edge_weight: Tensor | None, *, normalization: str | None, k: int | None,
    dtype: torch.dtype | None, names: tuple[str, str] = ("topology", "k"),
) -> Basis:  # fmt: skip
    """Return the basis, which is kept, so that nothing may change it; `names` are those of a caller's arguments."""
    check_graph(topology, edge_weight)
    if normalization not in (None, "sym"):
        raise expected("normalization", 'None or "sym", for which the Laplacian is symmetric', normalization)
    if k is not None:
        check_count("k", k)
    kind = dtype or (torch.float32 if edge_weight is None else edge_weight.dtype)

    def make() -> Basis:
        if torch.compiler.is_compiling():
            wanted = "one whose basis is computed (by graphseq.spectral.basis) before it is traced"
            raise expected(names[0], wanted, Words("one whose basis is not"))
        return _computed(topology, edge_weight, normalization, k, kind, names)

    if edge_weight is None:
        return topology.memo(("basis", normalization, k, kind), make)
    if edge_weight.requires_grad and torch.is_grad_enabled():
        wanted = "weights that don't require gradients, which eigenvectors don't have"
        raise expected("edge_weight", wanted, Words("weights that do; detach() them"))
    return kept(make)


def transform(x: Tensor, basis: Basis) -> Tensor:
    """Return the graph Fourier transform ``x̂ = Uᵀ x``: the coefficient of each eigenvector in x.

    Args:
        x: `[N, ...]`.
        basis: M eigenpairs, of :func:`graphseq.spectral.basis`.

    Returns:
        `[M, ...]`.

    Raises:
        GraphError: a number of rows other than that of nodes, a dtype or device other than the basis's.
    """
    _check_basis(basis)
    _check(x, basis, basis.vectors.size(0), "node")
    rows = x.flatten(1) if x.dim() > 1 else x[:, None]
    out = basis.vectors.t() @ rows if basis.links is None else spmm(basis.links.matrix, basis.weights, rows)
    return out.reshape(basis.values.size(0), *x.shape[1:])


def inverse(x: Tensor, basis: Basis) -> Tensor:
    """Return the inverse transform ``U x̂``: the eigenvectors' sum, weighted by their coefficients.

    Args:
        x: x̂, `[M, ...]`.
        basis: M eigenpairs.

    Returns:
        `[N, ...]`: the original signal if the basis is complete, otherwise its projection.

    Raises:
        GraphError: a number of rows other than that of eigenpairs, a dtype or device other than the basis's.
    """
    _check_basis(basis)
    _check(x, basis, basis.values.size(0), "eigenpair")
    rows = x.flatten(1) if x.dim() > 1 else x[:, None]
    out = basis.vectors @ rows if basis.links is None else spmm(basis.links.reverse().matrix, basis.weights, rows)
    return out.reshape(basis.vectors.size(0), *x.shape[1:])


def filter(x: Tensor, basis: Basis, g: Tensor | Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``U g(Λ) Uᵀ x``: each frequency of a signal scaled by the filter's response.

    Args:
        x: `[N, ...]`.
        basis: M eigenpairs.
        g: the response: a function of the eigenvalues `[M]`, or its values; `[M]`, or `[M, ...]` with the trailing
            dimensions of x.

    Returns:
        `[N, ...]`.

    Raises:
        GraphError: as of :func:`transform`; a response of the wrong shape.

    >>> pair = basis(Topology.from_edge_index(torch.tensor([[0, 1], [1, 0]])))
    >>> mean = filter(torch.tensor([[1.0], [3.0]]), pair, lambda values: (values < 1).float())
    >>> mean.round(decimals=3).tolist()
    [[2.0], [2.0]]
    """
    part = transform(x, basis)
    response = g(basis.values) if callable(g) else g
    if not isinstance(response, Tensor) or response.shape not in (part.shape[:1], part.shape):
        shape = f"[{part.size(0)}], one for each eigenpair"
        raise expected("g", f"a response of shape {shape}, or {list(part.shape)}", response)
    check_same_kind("g", response, basis.values, "the basis")
    if response.dim() < part.dim():
        response = response.reshape(-1, *[1] * (part.dim() - 1))
    return inverse(response * part, basis)


def _check_basis(basis: Any) -> None:
    if not isinstance(basis, Basis):
        raise expected("basis", "what graphseq.spectral.basis returns", basis)


def _check(x: Any, basis: Basis, count: int, what: str) -> None:
    same_length("x", x, count, what)
    check_same_kind("x", x, basis.values, "the basis")


@torch.no_grad()
def _computed(
    topology: Topology, edge_weight: Tensor | None, normalization: str | None, k: int | None, dtype: torch.dtype,
    names: tuple[str, str],
) -> Basis:  # fmt: skip
    """Compute the basis."""
    check_symmetric(topology, edge_weight, names[0])
    ptr, n = topology.graph_ptr.cpu(), topology.num_nodes
    nodes = ptr.diff()
    if k is not None and nodes.numel() and k > int(nodes.min()):
        of = int(nodes.argmin())
        raise expected(names[1], f"at most {int(nodes[of])} eigenpairs, the number of nodes of graph {of}", k)
    values, graph, vectors = block_pairs(scipy_laplacian(topology, edge_weight, normalization), ptr.numpy(), k)
    pairs = nodes if k is None else torch.full_like(nodes, k)
    at, device = offsets(pairs), topology.device
    links = weights = None
    if nodes.numel() != 1:
        each = nodes[graph]  # entries of each pair's row of Uᵀ
        of_pair = torch.repeat_interleave(torch.arange(values.size(0)), each)
        first = ptr[graph] - offsets(each)[:-1]
        senders = torch.arange(of_pair.numel()) + first[of_pair]
        links = Links(torch.stack([senders, of_pair]), n, values.size(0)).to(device)
        weights = vectors[senders, of_pair - at[graph[of_pair]]].to(device, dtype)
    return Basis(values.to(device, dtype), vectors.to(device, dtype), at.to(device), links, weights)
