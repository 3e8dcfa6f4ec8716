"""Schedules: which nodes take a step, and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .cell import Cell, as_state, check_width
from .core import rounds, sweep
from .errors import Words, expected
from .messages import Merge, Slots, State, find_merge
from .topology import Topology
from .topology.inputs import check_count, check_same_kind

__all__ = ["Rounds", "Schedule", "Sweep"]


class Schedule(ABC):
    """How a cell is run over a structure. Subclasses implement :meth:`run`."""

    @abstractmethod
    def run(
        self, cell: Cell, x: Tensor, topology: Topology, state: Any = None, *, edge_attr: Tensor | None = None,
        nodes: Tensor | None = None,
    ) -> State:  # fmt: skip
        """Return the states of all nodes, `[N, H]` each; the arguments are those of
        :meth:`graphseq.nn.Recurrent.forward`, which has checked x, topology, edge_attr and nodes.
        """


@dataclass(frozen=True)
class Sweep(Schedule):
    """Visit a directed acyclic graph once, level by level, each node after all its predecessors.

    On a chain that is a recurrent network, on a tree a recursive one. `state` is the initial state of nodes without
    predecessors: `[B, H]`, one row per graph; or `[N, slots, H]` (one slot for cells that have none), one row per node.

    Args:
        reverse: follow the edges in reverse: the backward direction of a bidirectional network, a top-down pass.
    """

    reverse: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.reverse, bool):
            raise expected("reverse", "True or False", self.reverse)

    def run(
        self, cell: Cell, x: Tensor, topology: Topology, state: Any = None, *, edge_attr: Tensor | None = None,
        nodes: Tensor | None = None,
    ) -> State:  # fmt: skip
        """Sweep, see :func:`graphseq.core.sweep`."""
        check_width(cell, x)
        turned = topology.reverse() if self.reverse else topology
        start = None if state is None else _initial(state, cell, topology, x)
        return sweep(cell, x, turned, start, edge_attr=edge_attr, nodes=nodes)


@dataclass(frozen=True)
class Rounds(Schedule):
    """Update all nodes at once, `k` times, each round reading the states of the previous round; cycles are allowed.

    A node's own state is the cell's state, the merged messages are its input, so the cell's input size must be its
    hidden size. The states before the first round are `[N, H]`, or x itself, padded with zeros (Li et al. 2016,
    Gated graph sequence neural networks). If a state has several tensors, the first, h, is sent.

    Args:
        k: number of rounds, at least 0.
        merge: how messages are combined into one input, by name or as a :class:`graphseq.Merge`; by default the
            cell's merge, or, if that is slots, which are not a single input, the sum.

    Raises:
        GraphError: k is not a whole number ≥ 0, there is no merge of this name.
    """

    k: int
    merge: str | Merge | None = None

    def __post_init__(self) -> None:
        check_count("k", self.k)
        if self.merge == "slots" or isinstance(self.merge, Slots):
            raise expected("merge", "one that makes one input of several messages", self.merge)
        if self.merge is not None:
            find_merge(self.merge)

    def run(
        self, cell: Cell, x: Tensor, topology: Topology, state: Any = None, *, edge_attr: Tensor | None = None,
        nodes: Tensor | None = None,
    ) -> State:  # fmt: skip
        """Take the rounds, see :func:`graphseq.core.rounds`."""
        if nodes is not None:
            raise expected("nodes", "None in rounds, whose x is the state of every node", nodes)
        start = own_state(cell, x, topology, state)
        return rounds(cell, self.k, topology, start, merge=self.merge, edge_attr=edge_attr)[0]


def own_state(cell: Cell, x: Tensor, topology: Topology, state: Any = None) -> State:
    """Return the states before the first round: the given ones, or x, padded with zeros.

    Raises:
        GraphError: a cell whose input size differs from its state size, x wider than that, a state of the wrong shape.
    """
    width = cell.state_sizes[0]
    if cell.input_size is not None and cell.input_size != width:
        got = Words(f"input_size {cell.input_size} and hidden_size {width}")
        raise expected("cell", "the same input_size as hidden_size, since states are its input in rounds", got)
    if x.size(1) > width:
        raise expected("x", f"at most the cell's {width} features, to start from", x)
    if state is None:
        first = nn.functional.pad(x, (0, width - x.size(1)))
        return first, *(x.new_zeros(x.size(0), size) for size in cell.state_sizes[1:])
    parts = as_state(state, cell)
    for i, part in enumerate(parts):
        check_same_kind(f"state[{i}]", part, x)
        if part.dim() != 2 or part.size(0) != topology.num_nodes:
            raise expected(f"state[{i}]", f"shape [{topology.num_nodes}, {part.size(-1)}], one row a node", part)
    return parts


def _initial(state: Any, cell: Cell, topology: Topology, x: Tensor) -> State:
    """Return the initial states of a sweep, checked."""
    parts, merge = as_state(state, cell), cell.merger
    slots = merge.count if isinstance(merge, Slots) else 1
    if isinstance(merge, Slots) and type(merge) is not Slots and parts[0].dim() == 3:
        raise expected("state", "one row per graph for a subclass of Slots", parts[0])
    for i, part in enumerate(parts):
        check_same_kind(f"state[{i}]", part, x)
        width = part.size(-1)
        graph, node = [topology.num_graphs, width], [topology.num_nodes, slots, width]
        if list(part.shape) not in (graph, node) or part.dim() != parts[0].dim():
            raise expected(f"state[{i}]", f"shape {graph}, one row a graph, or {node}, one a node and slot", part)
    return parts
