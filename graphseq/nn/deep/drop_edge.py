"""The dropped edges of Rong et al."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from ...errors import expected
from ...topology import Topology
from ...topology.inputs import check_edges

_E = TypeVar("_E", Tensor, Topology)


def drop_edge(
    edge_index: _E, p: float = 0.5, training: bool = True, *, undirected: bool = False
) -> tuple[_E, Tensor]:  # fmt: skip
    """Drop each edge with probability p, in training.

    Rong, Huang, Xu & Huang (2020), DropEdge: towards deep graph convolutional networks on node classification. The
    layers that get the edges normalise what is left.

    Args:
        edge_index: int64 `[2, E]`, or a topology, whose nodes and graphs stay.
        p: the probability of being dropped.
        training: False returns all edges.
        undirected: whether u → v and v → u are dropped or kept together.

    Returns:
        The edges that are kept, in their order, and a mask of them, bool `[E]`, for weights and features of edges.

    Raises:
        GraphError: no edges or topology, a probability out of range.

    >>> edges, mask = drop_edge(torch.tensor([[0, 1, 2], [1, 2, 0]]), training=False)
    >>> edges.shape, mask.tolist()
    (torch.Size([2, 3]), [True, True, True])
    """
    _check_probability(p)
    ends = edge_index.edge_index if isinstance(edge_index, Topology) else edge_index
    check_edges(ends)
    if not training or p == 0:
        return edge_index, torch.ones(ends.size(1), dtype=torch.bool, device=ends.device)
    if undirected:
        both = torch.stack([ends.amin(0), ends.amax(0)])
        pairs, of_edge = torch.unique(both, dim=1, return_inverse=True)
        mask = (torch.rand(pairs.size(1), device=ends.device) >= p).index_select(0, of_edge)
    else:
        mask = torch.rand(ends.size(1), device=ends.device) >= p
    if isinstance(edge_index, Topology):
        slot = None if edge_index._slot is None else edge_index.slot[mask]
        return Topology(ends[:, mask], edge_index.num_nodes, edge_index.graph_ptr, slot), mask
    return ends[:, mask], mask


class DropEdge(nn.Module):
    """Drop each edge with probability p in training, see :func:`drop_edge`.

    Args:
        p: the probability of being dropped.
        undirected: whether u → v and v → u are dropped or kept together.

    Raises:
        GraphError: a probability out of range.

    >>> edges, mask = DropEdge(0.5).eval()(Topology.chain([3]))
    >>> edges
    Topology(num_nodes=3, num_edges=2, num_graphs=1)
    """

    def __init__(self, p: float = 0.5, *, undirected: bool = False) -> None:
        super().__init__()
        _check_probability(p)
        self.p, self.undirected = p, undirected

    def forward(self, edge_index: _E) -> tuple[_E, Tensor]:
        """Return the edges that are kept, and a mask of them, bool `[E]`; all of them in evaluation."""
        return drop_edge(edge_index, self.p, self.training, undirected=self.undirected)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"p={self.p}, undirected={self.undirected}"


def _check_probability(p: float) -> None:
    if not isinstance(p, int | float) or isinstance(p, bool) or not 0 <= p <= 1:
        raise expected("p", "a probability from 0 to 1", p)
