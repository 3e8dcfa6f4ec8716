"""A residual connection around a block."""

from __future__ import annotations

from torch import Tensor, nn

from ...topology import Topology
from ._sets import Parts, check_block, check_returned


class ResidualGraphNetwork(nn.Module):
    """Add a block's inputs to its outputs: ``(x, e, u) + block(x, e, u)``.

    As in Sanchez-Gonzalez, Godwin, Pfaff, Ying, Leskovec & Battaglia (2020), Learning to simulate complex physics with
    graph networks. A part that is missing, or changes its width, is returned as the block returns it.

    Args:
        block: a module with the call of a :class:`GraphNetwork`. Its models change the parts; a part without a model
            would be doubled, so it stays as it is.

    Raises:
        GraphError: no module; see :class:`GraphNetwork`.

    >>> import torch
    >>> from graphseq.nn import GraphNetwork
    >>> block = ResidualGraphNetwork(GraphNetwork(nn.Linear(4, 2), nn.Linear(3, 1)))
    >>> x, edge_attr, _ = block(torch.zeros(2, 1), torch.tensor([[0], [1]]), torch.zeros(1, 2))
    >>> x.shape, edge_attr.shape
    (torch.Size([2, 1]), torch.Size([1, 2]))
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = check_block("block", block)

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, u: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Parts:  # fmt: skip
        """Return nodes, edges and globals; for the arguments see :class:`GraphNetwork`."""
        nodes, edges, globals_ = check_returned("block", self.block(x, edge_index, edge_attr, u, batch))
        return _added(x, nodes), _added(edge_attr, edges), _added(u, globals_)


def _added(before: Tensor | None, after: Tensor | None) -> Tensor:
    if before is None or after is None or before.shape != after.shape or after is before:
        return after  # type: ignore[return-value]
    return before + after
