"""Matrices of a graph: normalised adjacencies and Laplacians."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import expected
from ..ops.library import HALF
from ..ops.loops import remaining_loops
from ..ops.spmm import spmm
from ..topology import Links, Topology
from ..topology.inputs import check_range

__all__ = [
    "NORMALIZATIONS", "check_graph", "gcn_norm", "laplacian", "scaled_laplacian", "self_loops", "with_self_loops",
]  # fmt: skip

NORMALIZATIONS = (None, "sym", "rw")

L = TypeVar("L", bound=Links)


def self_loops(links: L) -> tuple[L, Tensor]:
    """Return the links between different nodes and then a loop for each node, computed once.

    Args:
        links: on one set of nodes, or between two, whose loops connect the nodes of one number.

    Returns:
        The links, and the original edge of each of theirs, -1 for a new loop.
    """

    def make() -> tuple[Any, Tensor]:
        n = min(links.num_senders, links.num_receivers)
        edge_index, kept = remaining_loops(links.edge_index, n)
        if isinstance(links, Topology):
            return Topology(edge_index, links.num_nodes, links.graph_ptr), kept
        return Links(edge_index, links.num_senders, links.num_receivers), kept

    return links.memo("self-loops", make)


def with_self_loops(
    topology: Topology, edge_weight: Tensor | None = None, fill: float = 1.0
) -> tuple[Topology, Tensor | None]:
    """Add a self-loop to every node that has none; loops come after all other edges, one per node.

    Args:
        topology: of N nodes.
        edge_weight: `[E]`, or None for ones. An existing loop keeps its weight.
        fill: the weight of new loops.

    Returns:
        The topology, computed once if there are no weights, and its weights.
    """
    looped, kept = self_loops(topology)
    if edge_weight is None and fill == 1.0:
        return looped, None
    ones = torch.ones(topology.num_edges, device=topology.device) if edge_weight is None else edge_weight
    padded = torch.cat([ones, ones.new_full((1,), fill)])  # kept is -1, the last, where a loop is new
    return looped, padded.index_select(0, kept.remainder(topology.num_edges + 1))


def gcn_norm(
    topology: Topology,
    edge_weight: Tensor | None = None,
    *,
    improved: bool = False,
    add_self_loops: bool = True,
    dtype: torch.dtype | None = None,
) -> tuple[Topology, Tensor]:
    """Return the structure and weights of ``D^{-1/2} (A + I) D^{-1/2}``, D the weighted in-degrees.

    Kipf & Welling (2017), Semi-supervised classification with graph convolutional networks, eq. 2. Computed once for a
    topology without weights.

    Args:
        topology: of N nodes and E edges.
        edge_weight: `[E]`, or None for ones. A degree of 0 gives weights of 0, a negative one NaN.
        improved: ``A + 2I``.
        add_self_loops: False omits the I.
        dtype: of the weights; that of `edge_weight` by default, else float32.

    Returns:
        The topology with its self-loops, and a weight for each of its edges.

    >>> gcn_norm(Topology.from_edge_index(torch.tensor([[0, 1], [1, 0]])))[1]
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    check_graph(topology, edge_weight)

    def make() -> tuple[Topology, Tensor]:
        looped, weight = topology, edge_weight
        if add_self_loops:
            looped, weight = with_self_loops(topology, edge_weight, 2.0 if improved else 1.0)
        kind = dtype or (torch.float32 if edge_weight is None else edge_weight.dtype)
        if weight is None:
            weight = torch.ones(looped.num_edges, device=looped.device)
        weight = weight.to(kind)
        wide = weight.float() if kind in HALF else weight  # degrees exceed the range of 16 bits
        degree = spmm(looped.matrix, wide, wide.new_ones(looped.num_nodes, 1))[:, 0]
        root = torch.where(degree == 0, 1.0, degree).rsqrt() * (degree != 0)
        sources, targets = looped.edge_index
        return looped, (root.index_select(0, sources) * wide * root.index_select(0, targets)).to(kind)

    if edge_weight is not None:
        return make()
    return topology.memo(("gcn", improved, add_self_loops, dtype), make)


def laplacian(
    topology: Topology,
    edge_weight: Tensor | None = None,
    *,
    normalization: str | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Topology, Tensor]:
    """Return the structure and weights of the Laplacian, ``D - A``, D the weighted out-degrees without self-loops.

    Computed once for a topology without weights.

    Args:
        topology: of N nodes and E edges; its self-loops don't count.
        edge_weight: `[E]`, or None for ones.
        normalization: None; "sym" for ``I - D^{-1/2} A D^{-1/2}``; "rw" for ``I - D^{-1} A``. Where a degree is 0 its
            inverse is too; where one is negative, "sym" gives NaN.
        dtype: of the weights; that of `edge_weight` by default, else float32.

    Returns:
        The edges between different nodes, in their order, then a loop for each node; and a weight for each.

    Raises:
        GraphError: weights that don't fit the edges, an unknown normalization.

    >>> structure, weight = laplacian(Topology.from_edge_index(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])))
    >>> weight.tolist()
    [-1.0, -1.0, -1.0, -1.0, 1.0, 2.0, 1.0]
    """
    if normalization not in NORMALIZATIONS:
        raise expected("normalization", 'None, "sym" or "rw"', normalization)
    check_graph(topology, edge_weight)
    kind = dtype or (torch.float32 if edge_weight is None else edge_weight.dtype)

    def make() -> tuple[Topology, Tensor]:
        looped, weight = with_self_loops(topology, edge_weight)
        weight = torch.ones(looped.num_edges, device=looped.device) if weight is None else weight
        sources, targets = looped.edge_index
        loops = sources == targets
        weight = weight.to(kind).masked_fill(loops, 0.0)
        degree = spmm(looped.reverse().matrix, weight, weight.new_ones(looped.num_nodes, 1))[:, 0]
        known, safe = degree != 0, torch.where(degree == 0, 1.0, degree)
        if normalization is None:
            return looped, torch.where(loops, degree.index_select(0, sources), -weight)
        if normalization == "sym":
            root = safe.rsqrt() * known
            weight = root.index_select(0, sources) * weight * root.index_select(0, targets)
        else:
            weight = (safe.reciprocal() * known).index_select(0, sources) * weight
        return looped, torch.where(loops, 1.0, -weight)

    if edge_weight is not None:
        return make()
    return topology.memo(("laplacian", normalization, kind), make)


def scaled_laplacian(
    topology: Topology,
    edge_weight: Tensor | None = None,
    *,
    normalization: str | None = None,
    top: float | Tensor | None = None,
    batch: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Topology, Tensor]:
    """Return the structure and weights of ``2 L / λ - I``, whose eigenvalues lie from -1 to 1 if λ is L's largest.

    Args:
        topology: as of :func:`laplacian`, and so are the weights, `normalization` and `dtype`.
        edge_weight: `[E]`, or None for ones.
        normalization: None, "sym" or "rw".
        top: λ, a number, a tensor with one, or `[B]` with one per graph; by default twice the largest entry of L, over
            all graphs. Where λ is 0 so is ``2 L / λ``.
        batch: int64 `[N]`, the graph of each node, by default the topology's.
        dtype: of the weights.

    Raises:
        GraphError: as of :func:`laplacian`; λ of the wrong shape.
    """
    check_graph(topology, edge_weight)
    kind = dtype or (torch.float32 if edge_weight is None else edge_weight.dtype)

    def make() -> tuple[Topology, Tensor]:
        looped, entries = laplacian(topology, edge_weight, normalization=normalization, dtype=dtype)
        if topology.num_nodes == 0:
            return looped, entries
        found = 2 * entries.max() if top is None else torch.as_tensor(top, dtype=kind, device=entries.device)
        if found.numel() == 1:
            found = found.reshape(())
        elif found.dim() == 1 and (batch is not None or found.size(0) == topology.num_graphs):
            of_nodes = topology.batch if batch is None else batch
            if batch is not None and not torch.compiler.is_compiling():
                check_range("batch", batch, found.size(0))
            found = found.index_select(0, of_nodes.index_select(0, looped.edge_index[0]))
        else:
            raise expected("lambda_max", f"one number, or {topology.num_graphs}, one for each graph", top)
        scale = 2 / torch.where(found == 0, 1.0, found) * (found != 0)
        sources, targets = looped.edge_index
        return looped, scale * entries - (sources == targets).to(kind)

    if edge_weight is not None or top is not None or batch is not None:
        return make()
    return topology.memo(("scaled laplacian", normalization, kind), make)


def check_graph(topology: Any, edge_weight: Any = None) -> None:
    """Check a structure, and the weights of its edges, if any.

    Raises:
        GraphError: no topology; not one weight for each edge.
    """
    if not isinstance(topology, Topology):
        raise expected("topology", "a graphseq.Topology (see Topology.from_edge_index)", topology)
    if edge_weight is not None and not (isinstance(edge_weight, Tensor) and edge_weight.shape == (topology.num_edges,)):
        raise expected("edge_weight", f"shape [{topology.num_edges}], one for each edge", edge_weight)
