"""How much a signal differs along edges."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import expected
from ..ops.segment import segment_sum
from ..ops.spmm import spmm
from ..topology import Topology
from ..topology.inputs import same_length
from .matrices import check_graph, with_self_loops

__all__ = ["dirichlet_energy"]


def dirichlet_energy(
    x: Tensor, topology: Topology, edge_weight: Tensor | None = None, *, normalization: str | None = None,
    self_loops: bool = False,
) -> Tensor:  # fmt: skip
    """Return the Dirichlet energy of each graph, which measures over-smoothing: 0 if nodes equal their neighbours.

        E = ½ Σ_{u→v} w_uv ‖x_u - x_v‖²,   with "sym"  E = ½ Σ_{u→v} w_uv ‖x_u / √d_u - x_v / √d_v‖²

    On a symmetric adjacency that is ``tr(Xᵀ L X)``. Cai & Wang (2020), A note on over-smoothing for graph neural
    networks, take "sym" with self-loops, and show that each graph convolution of Kipf & Welling multiplies this
    energy by a factor that is small where the weights and the second eigenvalue are.

    Args:
        x: `[N, ...]`.
        topology: of N nodes and E edges, in B graphs.
        edge_weight: `[E]`, or None for ones.
        normalization: None or "sym"; d are the weighted out-degrees without self-loops, see :func:`laplacian`.
        self_loops: whether the degrees count a self-loop of weight 1, or the node's own, as in ``A + I``.

    Returns:
        `[B]`.

    Raises:
        GraphError: a number of rows other than that of nodes, weights that don't fit the edges, an unknown
            normalization.

    >>> dirichlet_energy(torch.tensor([[1.0], [3.0]]), Topology.from_edge_index(torch.tensor([[0, 1], [1, 0]])))
    tensor([4.])
    """
    if normalization not in (None, "sym"):
        raise expected("normalization", 'None or "sym"', normalization)
    check_graph(topology, edge_weight)
    same_length("x", x, topology.num_nodes, "node")
    if not x.is_floating_point():
        raise expected("x", "floating-point numbers", x)
    sources, targets = topology.edge_index
    rows = x.flatten(1) if x.dim() > 1 else x[:, None]
    weight = rows.new_ones(topology.num_edges) if edge_weight is None else edge_weight
    if normalization == "sym":
        looped, entries = with_self_loops(topology, weight)
        if not self_loops and entries is not None:
            entries = entries.masked_fill(looped.edge_index[0] == looped.edge_index[1], 0.0)
        degree = spmm(looped.reverse().matrix, entries, rows.new_ones(looped.num_nodes, 1))
        rows = torch.where(degree == 0, 1.0, degree).rsqrt() * (degree != 0) * rows
    between = rows.index_select(0, sources) - rows.index_select(0, targets)
    each = weight * between.square().sum(1) / 2
    into = spmm(topology.matrix, each, each.new_ones(topology.num_nodes, 1))
    return segment_sum(into, topology.graph_ptr)[:, 0]
