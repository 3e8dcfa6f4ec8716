"""Self-loops for the nodes without one."""

from __future__ import annotations

import torch
from torch import Tensor

from .library import Operator


def _body(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    sources, targets = edge_index
    between = (sources != targets).nonzero()[:, 0]
    loops = (sources == targets).nonzero()[:, 0]
    own = edge_index.new_full((num_nodes,), -1).scatter_(0, targets[loops], loops)
    nodes = torch.arange(num_nodes, device=edge_index.device)
    joined = torch.cat([edge_index[:, between], torch.stack([nodes, nodes])], 1)
    return joined, torch.cat([between, own])


def _fake(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    count = torch.library.get_ctx().new_dynamic_size(min=0)
    return edge_index.new_empty(2, count), edge_index.new_empty(count)


_loops = Operator("remaining_loops(Tensor edge_index, SymInt num_nodes) -> (Tensor, Tensor)", _body, _fake)


def remaining_loops(edge_index: Tensor, num_nodes: int) -> tuple[Tensor, Tensor]:
    """Return the edges between different nodes, in their order, and then a loop for every node.

    Args:
        edge_index: int64 `[2, E]`.
        num_nodes: N.

    Returns:
        `[2, E']`, and for each of its edges its original index, -1 for a new loop. Of several loops at a node, one
        is kept.
    """
    result: tuple[Tensor, Tensor] = _loops(edge_index, num_nodes)
    return result
