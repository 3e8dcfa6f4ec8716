"""Matrices of a graph: normalised adjacencies."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from .errors import expected
from .ops.loops import remaining_loops
from .ops.spmm import spmm
from .topology import Links, Topology

__all__ = ["gcn_norm", "self_loops", "with_self_loops"]

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
    given = edge_weight is not None
    if given and not (isinstance(edge_weight, Tensor) and edge_weight.shape == (topology.num_edges,)):
        raise expected("edge_weight", f"shape [{topology.num_edges}], one for each edge", edge_weight)

    def make() -> tuple[Topology, Tensor]:
        looped, weight = topology, edge_weight
        if add_self_loops:
            looped, weight = with_self_loops(topology, edge_weight, 2.0 if improved else 1.0)
        kind = dtype or (torch.float32 if edge_weight is None else edge_weight.dtype)
        if weight is None:
            weight = torch.ones(looped.num_edges, device=looped.device)
        weight = weight.to(kind)
        ones = weight.new_ones(looped.num_nodes, 1)
        degree = spmm(looped.matrix, weight, ones)[:, 0]
        root = torch.where(degree == 0, 1.0, degree).rsqrt() * (degree != 0)
        sources, targets = looped.edge_index
        return looped, root.index_select(0, sources) * weight * root.index_select(0, targets)

    if edge_weight is not None:
        return make()
    return topology.memo(("gcn", improved, add_self_loops, dtype), make)
