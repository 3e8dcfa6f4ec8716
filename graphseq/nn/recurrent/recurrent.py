"""Any cell under any schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell, unpack
from ...errors import Words, expected
from ...schedule import Schedule, Sweep
from ...topology import Topology
from ...topology.inputs import check_range, check_same_kind, same_length
from ..cells.base import ready


class Recurrent(nn.Module):
    """Run a cell over a structure under a schedule: level by level (:class:`graphseq.Sweep`), in rounds
    (:class:`graphseq.Rounds`), or one of your own.

    In a sweep, a node's state is ``cell(x_v, merged states of its predecessors)``. In rounds, it is ``cell(m_v, h_v)``
    with m_v the merged states of its predecessors.

    Args:
        cell: any :class:`graphseq.Cell`.
        schedule: :class:`graphseq.Sweep` by default.

    Raises:
        GraphError: on a call: a feature width that the cell does not take, a number of rows other than that of nodes,
            tensors of several devices or dtypes, a cycle under a sweep.

    >>> from graphseq.nn import GRUCell
    >>> from graphseq.schedule import Rounds
    >>> cell = GRUCell(4, 4)
    >>> chain = Topology.chain([2, 3])
    >>> Recurrent(cell)(torch.zeros(5, 4), chain).shape
    torch.Size([5, 4])
    >>> Recurrent(cell, Rounds(2))(torch.zeros(5, 4), chain).shape
    torch.Size([5, 4])
    """

    def __init__(self, cell: Cell, schedule: Schedule | None = None) -> None:
        super().__init__()
        if not isinstance(cell, Cell):
            raise expected("cell", "a graphseq.Cell", cell)
        sizes = getattr(cell, "state_sizes", None)
        if not isinstance(sizes, tuple) or not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise expected("cell", "state_sizes, a tuple of the widths of its states", Words(f"state_sizes {sizes!r}"))
        if not callable(cell.message):
            raise expected("cell", "a message that is COPY, SCALE or a method", Words(repr(cell.message)))
        if schedule is not None and not isinstance(schedule, Schedule):
            raise expected("schedule", "Sweep(), Rounds(k) or another graphseq.Schedule", schedule)
        self.cell, self.schedule = cell, schedule or Sweep()

    def forward(
        self, x: Tensor, topology: Topology, state: Any = None, *, edge_attr: Tensor | None = None,
        nodes: Tensor | None = None,
    ) -> Any:  # fmt: skip
        """Return the state of every node, in the order of the nodes.

        Args:
            x: `[N, F]`.
            topology: of N nodes.
            state: the initial states, a tuple if the cell has several: in a sweep `[B, H]`, one row per graph, or `[N,
                slots, H]`, one per node and slot (one slot if the cell has none); in rounds `[N, H]`.
            edge_attr: `[E, ...]` in the order of the edges, for the cell's message.
            nodes: int64 `[M]`, in a sweep: x has rows only for these nodes, `[M, F]`; the input of the others is 0.

        Returns:
            h `[N, H]`, or a tuple (h, c) if the cell has several states.
        """
        check_inputs(self.cell, x, topology, edge_attr, nodes)
        done = self.schedule.run(ready(self.cell), x, topology, state, edge_attr=edge_attr, nodes=nodes)
        sizes = [[topology.num_nodes, size] for size in self.cell.state_sizes]
        if not isinstance(done, tuple) or [list(s.shape) for s in done if isinstance(s, Tensor)] != sizes:
            raise expected("schedule", f"to return a tuple of tensors of shapes {sizes}", done)
        return unpack(done)

    def extra_repr(self) -> str:
        """Return the schedule."""
        return repr(self.schedule)


def check_inputs(
    cell: nn.Module, x: Tensor, topology: Topology, edge_attr: Tensor | None = None, nodes: Tensor | None = None
) -> None:
    """Check the arguments of a layer on a structure, before any work is done.

    Raises:
        GraphError: a wrong type, shape, width, device or dtype; the error names the argument.
    """
    if not isinstance(topology, Topology):
        raise expected("topology", "a graphseq.Topology (see Topology.from_edge_index, from_data)", topology)
    if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
        raise expected("x", "a floating-point tensor of shape [N, F]", x)
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
            _check_nodes(nodes, topology.num_nodes)
    if edge_attr is not None:
        same_length("edge_attr", edge_attr, topology.num_edges, "edge")
        if edge_attr.is_floating_point():
            check_same_kind("edge_attr", edge_attr, x)
        elif edge_attr.device != x.device:
            raise expected("edge_attr", f"a tensor on {x.device}, as `x` is", edge_attr)
    parameter = next(cell.parameters(), None)
    if parameter is not None and parameter.is_floating_point():
        check_same_kind("x", x, parameter, "the layer's weight")


def _check_nodes(nodes: Tensor, num_nodes: int) -> None:
    """Check that nodes exist, each at most once; without waiting for devices other than the CPU."""
    if nodes.device.type == "cpu":
        check_range("nodes", nodes, num_nodes)
    elif nodes.numel():
        torch._assert_async(((nodes >= 0) & (nodes < num_nodes)).all())
    if nodes.numel() == 0:
        return
    once = nodes.new_zeros(num_nodes).scatter_add_(0, nodes, torch.ones_like(nodes)).max() <= 1
    if nodes.device.type != "cpu":
        torch._assert_async(once)
    elif not bool(once):
        raise expected("nodes", "each node at most once", Words("one that comes twice"))
