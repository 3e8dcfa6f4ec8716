"""Sets of nodes, the complete graphs on them, and what blocks of graph networks take and return."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...topology import Topology
from ...topology.inputs import same_length

Parts = tuple[Tensor, Tensor | None, Tensor | None]  # nodes, edges, globals


def sets_of(x: Any, batch: Tensor | Topology | None) -> Topology:
    """Return a structure of the nodes and the sets that they belong to.

    Args:
        x: `[N, F]`.
        batch: int64 `[N]`, ascending, the set of each node, or a topology; None for one set.

    Raises:
        GraphError: the two don't fit each other.
    """
    if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
        raise expected("x", "a floating-point tensor of shape [N, F]", x)
    if isinstance(batch, Topology):
        same_length("x", x, batch.num_nodes, "node")
        return batch
    none = torch.empty(2, 0, dtype=torch.int64, device=x.device)
    return Topology.from_edge_index(none, x.size(0), batch)


def complete(sets: Topology, *, loops: bool) -> Topology:
    """Return the complete graphs on the sets of nodes, edges sorted by receiver, computed once."""

    def make() -> Topology:
        ptr, of = sets.graph_ptr, sets.batch
        sizes = ptr.diff().index_select(0, of)  # of each node's set
        first = ptr.index_select(0, of)
        receivers = torch.repeat_interleave(torch.arange(sets.num_nodes, device=sets.device), sizes)
        start = sizes.cumsum(0) - sizes
        place = torch.arange(receivers.size(0), device=sets.device) - start.index_select(0, receivers)
        edges = torch.stack([place + first.index_select(0, receivers), receivers])
        if not loops:
            edges = edges[:, edges[0] != edges[1]]
        return Topology(edges, sets.num_nodes, ptr)

    return sets.memo(("complete", loops), make)


class Columns(nn.Module):
    """Some columns of a block's concatenated arguments, for models that read only one of them."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x[:, start:stop]``."""
        if x.size(1) < self.stop:
            raise expected("x", "features as wide as the network was made for", Words(f"{x.size(1)} columns"))
        return x[:, self.start : self.stop]

    def extra_repr(self) -> str:
        """Return the columns."""
        return f"{self.start}, {self.stop}"


def check_models(**models: Any) -> None:
    """Check the models that a network is made of, which may be missing.

    Raises:
        GraphError: one is no module; the error names it.
    """
    for name, model in models.items():
        if model is not None and not isinstance(model, nn.Module):
            raise expected(name, "a torch.nn.Module or None", model)


def is_cell(module: Any) -> bool:
    """Return whether a module is a cell of one state, of this library or of torch.nn: a function of (input, state)."""
    known = isinstance(module, nn.Module) and isinstance(getattr(module, "hidden_size", None), int)
    return known and len(getattr(module, "state_sizes", (0,))) == 1 and not isinstance(module, nn.LSTMCell | nn.RNNBase)


def check_block(name: str, block: Any) -> nn.Module:
    """Check a block, and return it.

    Raises:
        GraphError: it is no module.
    """
    if not isinstance(block, nn.Module):
        raise expected(name, "a module with the call of a GraphNetwork", block)
    return block


def check_returned(name: str, parts: Any) -> Parts:
    """Check what a block returns, and return it.

    Raises:
        GraphError: it isn't nodes, edges and globals.
    """
    if not isinstance(parts, tuple) or len(parts) != 3 or not isinstance(parts[0], Tensor):
        got = Words(f"one that returns {type(parts).__name__}")
        raise expected(name, "a block that returns nodes, edges and globals", got)
    return parts
