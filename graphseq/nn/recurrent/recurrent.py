"""Any cell under either schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import COPY, SCALE, Cell, Form, State, as_state, check_width, unpack
from ...core import rounds, sweep
from ...errors import Words, expected
from ...schedule import Rounds, Schedule, Sweep
from ...topology import Topology
from ...topology.inputs import check_range, check_same_kind, same_length


class Recurrent(nn.Module):
    """Run a cell over a structure: level by level (:class:`Sweep`) or in rounds (:class:`Rounds`).

    In a sweep, a node's state is ``cell(x_v, merged states of its predecessors)``. In rounds, it is ``cell(m_v, h_v)``
    with m_v the merged states of its predecessors: the cell carries the node's own state and takes what arrives as its
    input, so its input size must be its hidden size. The states before the first round are `state`, or x itself,
    filled up with zeros (Li et al. 2016, Gated graph sequence neural networks).

    Args:
        cell: any :class:`graphseq.Cell`.
        schedule: :class:`Sweep` by default.
        fast: False keeps a sweep to the generic way, even if the cell has a fused operator.

    Raises:
        GraphError: on a call: a feature width that the cell does not take, another number of rows than nodes, tensors
            of several devices or dtypes, a cycle under a sweep.

    >>> from graphseq.nn import GRUCell
    >>> cell = GRUCell(4, 4)
    >>> chain = Topology.chain([2, 3])
    >>> Recurrent(cell)(torch.zeros(5, 4), chain).shape
    torch.Size([5, 4])
    >>> Recurrent(cell, Rounds(2))(torch.zeros(5, 4), chain).shape
    torch.Size([5, 4])
    """

    def __init__(self, cell: Cell, schedule: Schedule | None = None, *, fast: bool = True) -> None:
        super().__init__()
        if not isinstance(cell, Cell):
            raise expected("cell", "a graphseq.Cell", cell)
        sizes = getattr(cell, "state_sizes", None)
        if not isinstance(sizes, tuple) or not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise expected("cell", "state_sizes, a tuple of the widths of its states", Words(f"state_sizes {sizes!r}"))
        if not isinstance(cell.message, Form) and not callable(cell.message):
            raise expected("cell", "a message that is COPY, SCALE or a method", Words(repr(cell.message)))
        if schedule is not None and not isinstance(schedule, (Sweep, Rounds)):
            raise expected("schedule", "Sweep() or Rounds(k)", schedule)
        self.cell, self.schedule, self.fast = cell, schedule or Sweep(), fast

    def forward(
        self, x: Tensor, topology: Topology, state: Any = None, *, edge_attr: Tensor | None = None,
        nodes: Tensor | None = None,
    ) -> Any:  # fmt: skip
        """Return the state of every node, in the order of the nodes.

        Args:
            x: `[N, F]`.
            topology: of N nodes.
            state: what nodes without predecessors start from, or in rounds all nodes: `[N, H]`, or `[B, H]` for one
                row a graph; a tuple of such where the cell has several.
            edge_attr: `[E, ...]` in the order of the edges, for the cell's message.
            nodes: int64 `[M]`, in a sweep: x has rows for these nodes alone, `[M, F]`; the others' input is 0.

        Returns:
            h `[N, H]`, or a tuple (h, c) where the cell has several.
        """
        check_inputs(self.cell, x, topology, edge_attr, nodes)
        start = None if state is None else spread_state(state, self.cell, topology, x)
        if isinstance(self.schedule, Rounds):
            if nodes is not None:
                raise expected("nodes", "None in rounds, whose x is the state of every node", nodes)
            return unpack(self._rounds(self.schedule.k, x, topology, start, edge_attr))
        check_width(self.cell, x)
        turned = topology.reverse() if self.schedule.reverse else topology
        return unpack(sweep(self.cell, x, turned, start, edge_attr=edge_attr, nodes=nodes, fast=self.fast))

    def _rounds(
        self, k: int, x: Tensor, topology: Topology, start: State | None, edge_attr: Tensor | None
    ) -> State:
        cell, width = self.cell, self.cell.state_sizes[0]
        if cell.input_size is not None and cell.input_size != width:
            got = Words(f"input_size {cell.input_size} and hidden_size {width}")
            raise expected("cell", "the same input_size as hidden_size, since states are its input in rounds", got)
        if x.size(1) > width:
            raise expected("x", f"at most the cell's {width} features, to start from", x)
        first = nn.functional.pad(x, (0, width - x.size(1)))
        if start is None:
            start = first, *(x.new_zeros(x.size(0), size) for size in cell.state_sizes[1:])
        received = None if isinstance(cell.message, Form) else cell.project(first)
        merge = "sum" if cell.merge == "slots" else cell.merge

        def update(state: State, merged: State) -> State:
            return cell.step(cell.project(merged[0]), state)

        return rounds(
            update, k, topology, start, message=cell.message, merge=merge, received=received, edge_attr=edge_attr
        )


def spread_state(state: Any, cell: Cell, topology: Topology, x: Tensor) -> State:
    """Return initial states with one row a node, from one row a node or a graph."""
    parts = as_state(state, cell)
    for i, part in enumerate(parts):
        check_same_kind(f"state[{i}]", part, x)
        if part.dim() != 2 or part.size(0) not in (topology.num_nodes, topology.num_graphs):
            rows = f"{topology.num_nodes} or {topology.num_graphs}"
            raise expected(f"state[{i}]", f"{rows} rows, one for each node or graph", part)
    count = topology.num_nodes
    return tuple(part if part.size(0) == count else part.index_select(0, topology.batch) for part in parts)


def check_inputs(
    cell: nn.Module, x: Tensor, topology: Topology, edge_attr: Tensor | None = None, nodes: Tensor | None = None
) -> None:
    """Check what a layer on a structure is called with, before any work is done.

    Raises:
        GraphError: a wrong type, shape, width, device or dtype; the error names the argument.
    """
    if not isinstance(topology, Topology):
        raise expected("topology", "a graphseq.Topology", topology)
    if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
        raise expected("x", "a floating tensor of shape [N, F]", x)
    if x.device != topology.device:
        raise expected("topology", f"a Topology on {x.device}, as `x` is", Words(f"one on {topology.device}"))
    if nodes is None:
        same_length("x", x, topology.num_nodes, "node")
    else:
        if not isinstance(nodes, Tensor) or nodes.dtype != torch.int64 or nodes.dim() != 1:
            raise expected("nodes", "int64 of shape [M]", nodes)
        if nodes.device != x.device:
            raise expected("nodes", f"int64 on {x.device}, as `x` is", nodes)
        same_length("x", x, nodes.numel(), "entry of `nodes`")
        if not torch.compiler.is_compiling():
            check_range("nodes", nodes, topology.num_nodes)
            if nodes.numel() and int(torch.bincount(nodes).max()) > 1:
                raise expected("nodes", "each node at most once", Words("one that comes twice"))
    if edge_attr is not None:
        same_length("edge_attr", edge_attr, topology.num_edges, "edge")
        check_same_kind("edge_attr", edge_attr, x)
    if isinstance(cell, Cell):
        if cell.message is COPY and edge_attr is not None:
            raise expected("edge_attr", "None for a cell whose message copies the sender's state", edge_attr)
        if cell.message is SCALE and (edge_attr is None or edge_attr.dim() != 1):
            raise expected("edge_attr", f"the weights of the {topology.num_edges} edges, shape [E]", edge_attr)
    parameter = next(cell.parameters(), None)
    if parameter is not None and parameter.is_floating_point():
        check_same_kind("x", x, parameter, "the layer's weight")
