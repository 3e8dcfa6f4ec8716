"""The step, and the two schedules that repeat it.

    m_v = aggregate over edges u→v of  message(h_u, x_v, e_uv)
    h_v' = update(x_v, h_v, m_v)

:func:`aggregate` is the first line and runs over a whole graph. :func:`rounds` repeats both lines for all nodes at
once. :func:`sweep` takes them level by level, each node reading predecessors that are done.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .errors import Words, expected
from .ops._scan import Level, Structure, merge_rows, plain_sweep
from .ops.levels import ALIGNED, FOREST
from .ops.permute import permute
from .ops.segment import segment_reduce
from .ops.spmm import spmm
from .replay import level_by_level
from .topology import Topology

__all__ = ["COPY", "SCALE", "Cell", "Form", "Merge", "Message", "State", "aggregate", "rounds", "sweep"]

State = tuple[Tensor, ...]
Merge = Literal["sum", "mean", "max", "slots"]


class Form:
    """A message that is declared and not computed, so that a fused operator can stand behind it."""

    def __init__(self, name: str) -> None:
        """Name the form."""
        self.name = name

    def __repr__(self) -> str:
        return self.name


COPY = Form("COPY")  # the sender's state
SCALE = Form("SCALE")  # the sender's state times the edge's weight, which comes as `edge_attr` [E]

Message = Form | Callable[[State, Tensor, Tensor | None], State]


class Cell(nn.Module):
    """The step of one kind of network, apart from the structure that it runs on.

    Write your own by saying how wide its states are and how they are updated; the rest has defaults.

    Attributes:
        state_sizes: the width of each tensor of a node's state; (H,) for h alone, (H, H) for h and c.
        merge: how what comes from several predecessors becomes one: "sum", "mean", "max", or "slots", which lays them
            side by side in the order of their slots, `[M, slots, H]`, zeros where there is none.
        slots: A, with merge "slots".
        message: what an edge carries: :data:`COPY`, :data:`SCALE`, or a method ``message(sent, received, edge)`` of
            the senders' states, `[E, H]` each, the receivers' projected inputs `[E, P]` and the edges' features
            `[E, F_e]` (None where there are none, and for a given initial state, which counts as one predecessor).

    >>> class Cumulative(Cell):
    ...     state_sizes = (2,)
    ...     def update(self, p, state):
    ...         return (p + state[0],)
    >>> sweep(Cumulative(), torch.ones(3, 2), Topology.chain([3]))[0][:, 0]
    tensor([1., 2., 3.])
    """

    state_sizes: tuple[int, ...]
    merge: Merge = "sum"
    slots: int = 1
    message: Message = COPY
    input_size: int | None = None

    def project(self, x: Tensor) -> Tensor:
        """Return what `update` needs of the inputs `[N, F]`; done for all nodes at once, before a sweep."""
        return x

    def project_leaves(self, x: Tensor) -> Tensor:
        """Return as much of `project` as `scan` reads for nodes of level 0 that start from nothing."""
        return self.project(x)

    @abstractmethod
    def update(self, p: Tensor, state: State) -> State:
        """Return the new states of M nodes from their projected inputs `[M, P]` and merged messages `[M, H]`."""

    def scan(self, p: Tensor, structure: Structure, start: State | None, rest: Tensor | None) -> State | None:
        """Return the states of all nodes at once by a fused operator, or None where this cell has none that fits.

        Args:
            p: `[N, P]`, packed; with `rest` `[M, P]`, for the M nodes of level 0 alone.
            structure: of the packed levels.
            start: what the nodes of level 0 start from.
            rest: `[P]`, the projected input of every node above level 0; see :func:`fill`.
        """
        return None

    def step(self, p: Tensor, state: State | None) -> State:
        """Update nodes with one predecessor each, whose state is given, or with none."""
        return self.update(p, self._begin(p, state))

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """Take one step: `(input, state) → state`, both tuples where the state has several tensors.

        Args:
            x: `[B, F]` or `[F]`.
            state: `[B, H]` or `[H]`, or a tuple of such; zeros by default.
        """
        single = x.dim() == 1
        check_width(self, x)
        given = None if state is None else as_state(state, self)
        if single:
            x, given = x[None], None if given is None else tuple(s[None] for s in given)
        new = self.step(self.project(x), given)
        return unpack(tuple(s[0] for s in new) if single else new)

    def _begin(self, p: Tensor, start: State | None) -> State:
        """Return the merged messages of nodes without predecessors, or with one, `start`."""
        count = p.size(0)
        wide = (count, self.slots) if self.merge == "slots" else (count,)
        if start is None:
            return tuple(p.new_zeros(*wide, size) for size in self.state_sizes)
        messages = start if isinstance(self.message, Form) else self.message(start, p, None)
        if self.merge != "slots":
            return messages
        return tuple(torch.cat([m[:, None], m.new_zeros(count, self.slots - 1, m.size(1))], 1) for m in messages)


def aggregate(
    topology: Topology,
    state: State,
    *,
    message: Message = COPY,
    merge: Merge = "sum",
    received: Tensor | None = None,
    edge_attr: Tensor | None = None,
) -> State:
    """Merge the messages into every node: ``m_v = merge over edges u→v of message(h_u, received_v, e_uv)``.

    Args:
        topology: of N nodes and E edges.
        state: tensors `[N, ...]`.
        message: a form or a callable, see :class:`Cell`. The forms run as one sparse product.
        merge: "sum", "mean" or "max"; a node without predecessors gets 0.
        received: `[N, P]`, what a callable reads of the receivers; by default the first tensor of `state`.
        edge_attr: `[E, ...]` in the order of the edges; `[E]` for :data:`SCALE`.

    Returns:
        For each tensor that the message has, `[N, ...]`.
    """
    matrix = topology.matrix
    if isinstance(message, Form) and merge in ("sum", "mean"):
        weight = None if message is COPY else edge_attr
        merged = tuple(spmm(matrix, weight, s.flatten(1)).view(-1, *s.shape[1:]) for s in state)
        if merge == "mean":
            degree = topology.in_degree.clamp(min=1)
            merged = tuple(m / degree.view(-1, *[1] * (m.dim() - 1)).to(m.dtype) for m in merged)
        return merged
    sent = tuple(s.index_select(0, matrix.columns) for s in state)
    edge = None if edge_attr is None else edge_attr.index_select(0, matrix.edge)
    if not isinstance(message, Form):
        receivers = topology.edge_index[1].index_select(0, matrix.edge)
        sent = message(sent, (state[0] if received is None else received).index_select(0, receivers), edge)
    elif message is SCALE and edge is not None:
        sent = tuple(s * edge.view(-1, *[1] * (s.dim() - 1)) for s in sent)
    return tuple(segment_reduce(s, matrix.ptr, merge) for s in sent)


def rounds(
    update: Callable[[State, State], State],
    k: int,
    topology: Topology,
    state: State,
    *,
    message: Message = COPY,
    merge: Merge = "sum",
    edge_attr: Tensor | None = None,
) -> State:
    """Update all nodes `k` times: ``h' = update(h, aggregate(h))``.

    Args:
        update: takes the states and the merged messages of all nodes and returns their new states.
        k: number of rounds.
        topology: any graph.
        state: tensors `[N, ...]`.
        message: see :func:`aggregate`.
        merge: likewise.
        edge_attr: likewise.

    Returns:
        The states after the last round.
    """
    for _ in range(k):
        state = update(state, aggregate(topology, state, message=message, merge=merge, edge_attr=edge_attr))
    return state


def sweep(
    cell: Cell,
    x: Tensor,
    topology: Topology,
    state: State | None = None,
    *,
    edge_attr: Tensor | None = None,
    nodes: Tensor | None = None,
    fast: bool = True,
) -> State:
    """Update every node once, after all its predecessors: ``h_v = update(p_v, merge of message(h_u, p_v, e_uv))``.

    p is ``cell.project(x)``, computed for all nodes at once.

    Time and memory are linear in nodes and edges, in the backward pass too.

    Args:
        cell: any; one with a fused operator that fits runs by it.
        x: `[N, F]`, or with `nodes` `[M, F]`.
        topology: without cycles.
        state: what nodes without predecessors start from; one row a node, the rest are not read. Zeros by default.
        edge_attr: `[E, ...]` in the order of the edges, for the cell's message.
        nodes: int64 `[M]`, the nodes that x has rows for; the others' input is 0. All by default.
        fast: False keeps to the generic way, which every cell can go.

    Returns:
        The states, `[N, H]` each, in the order of the nodes.
    """
    packed = topology.packed
    structure = packed_structure(cell, topology)
    first = packed.order[: first_level(topology)] if state is not None else None
    start = None if state is None or first is None else tuple(s.index_select(0, first) for s in state)
    p, rest = project(cell, x, topology, nodes, start is None and fast and edge_attr is None)
    done = cell.scan(p, structure, start, rest) if fast and edge_attr is None else None
    if done is None:
        edge = None if edge_attr is None else edge_attr.index_select(0, packed.edges)
        done = _generic(cell, fill(p, rest, topology.num_nodes), structure, start, edge)
    return tuple(permute(s, packed.rank, packed.order) for s in done)


def project(
    cell: Cell, x: Tensor, topology: Topology, nodes: Tensor | None, fused: bool
) -> tuple[Tensor, Tensor | None]:
    """Project the inputs of all nodes at once, packed.

    Returns:
        p `[N, P]` and None; or, where `nodes` are those without predecessors, as the leaves of trees are, p `[M, P]`
        of level 0 and what stands for all other nodes `[P]`.
    """
    packed = topology.packed
    if nodes is None:
        return cell.project(permute(x, packed.order, packed.rank)), None
    at, rest = packed.rank.index_select(0, nodes), cell.project(x.new_zeros(1, x.size(1)))
    count = nodes.size(0)
    if not torch.compiler.is_compiling() and count == first_level(topology):
        turn = torch.full_like(at, -1)
        inside = at.clamp(max=max(count - 1, 0))
        turn.scatter_(0, inside, torch.arange(count, device=at.device))
        if bool((turn >= 0).all() & (at < count).all()):
            leaves = permute(x, turn, at)
            return cell.project_leaves(leaves) if fused else cell.project(leaves), rest[0]
    return rest.expand(topology.num_nodes, -1).index_copy(0, at, cell.project(x)), None


def fill(p: Tensor, rest: Tensor | None, count: int) -> Tensor:
    """Return the projected inputs of all nodes, `[count, P]`, from those of level 0 and of the rest."""
    return p if rest is None else torch.cat([p, rest.expand(count - p.size(0), -1)])


def _generic(cell: Cell, p: Tensor, structure: Structure, start: State | None, edge: Tensor | None) -> State:
    """Sweep over packed levels by calling the cell on one level after the other."""
    if p.size(0) == 0:
        return cell.update(p, cell._begin(p, start))

    def step(level: Level, p: Tensor, edge: Tensor | None, sent: State | None, start: State | None) -> State:
        if level.before < 0:
            return cell.update(p, cell._begin(p, start))
        return cell.update(p, merge_level(cell, level, structure, p, edge, sent or ()))

    if torch.compiler.is_compiling():

        def traced(level: Level, sent: State | None) -> State:
            part = None if edge is None else edge[level.edge_a : level.edge_b]
            return step(level, p[level.a : level.b], part, sent, start)

        return plain_sweep(structure, traced)
    return level_by_level(cell, step, structure, p, edge, start)


def merge_level(
    cell: Cell, level: Level, structure: Structure, p: Tensor, edge: Tensor | None, sent: State
) -> State:
    """Return the merged messages of one level from its senders' states, one row an edge."""
    one_each = level.edge_b - level.edge_a == level.b - level.a and int(structure.form) == ALIGNED
    receivers = None if one_each else structure.receivers[level.edge_a : level.edge_b] - level.a
    if cell.message is SCALE and edge is not None:
        sent = tuple(s * edge.view(-1, 1) for s in sent)
    elif not isinstance(cell.message, Form):
        sent = cell.message(sent, p if receivers is None else p.index_select(0, receivers), edge)
    if cell.merge == "slots":
        slot = structure.slot
        places = None if slot is None else slot[level.edge_a : level.edge_b]
        if receivers is None or places is None:
            return tuple(s[:, None] for s in sent)
        return tuple(merge_rows(s, receivers, level.b - level.a, places, cell.slots) for s in sent)
    if receivers is None:
        return sent
    if cell.merge == "max":
        return tuple(_max_rows(s, receivers, level.b - level.a) for s in sent)
    merged = tuple(merge_rows(s, receivers, level.b - level.a, None, 1) for s in sent)
    if cell.merge == "mean":
        degree = structure.edge_ptr[level.a : level.b + 1].diff()[:, None]
        merged = tuple(m / degree.to(m.dtype) for m in merged)
    return merged


def _max_rows(rows: Tensor, receivers: Tensor, count: int) -> Tensor:
    spread = receivers[:, None].expand_as(rows)
    return rows.new_zeros(count, rows.size(1)).scatter_reduce(0, spread, rows, "amax", include_self=False)


def packed_structure(cell: Cell, topology: Topology) -> Structure:
    """Return the structure of a topology's packed levels as a cell's merge reads it.

    Raises:
        GraphError: a node has a predecessor in a slot that the cell lacks.
    """
    packed = topology.packed
    parts = packed.level_ptr, packed.edge_ptr, packed.senders, packed.receivers
    if cell.merge != "slots":
        return Structure(*parts, None, packed.form)
    if not torch.compiler.is_compiling():
        most = topology.memo("most slots", lambda: int(topology.slot.max()) + 1 if topology.num_edges else 0)
        if most > cell.slots:
            raise expected("topology", f"at most {cell.slots} slots, the cell's arity", Words(f"{most}"))
    if cell.slots == 1:
        return Structure(*parts, None, packed.form)
    slot = topology.memo("packed slots", lambda: topology.slot[packed.edges])
    return Structure(*parts, slot, topology.memo("slotted form", lambda: packed.form.clamp(max=FOREST)))


def first_level(topology: Topology) -> int:
    """Return the number of nodes without predecessors."""
    return int(topology.packed.level_ptr[1]) if topology.num_nodes else 0


def as_state(state: Any, cell: Cell) -> State:
    """Return a state as a tuple, checked against the cell's widths.

    Raises:
        GraphError: another number of tensors, or another width.
    """
    parts = (state,) if isinstance(state, Tensor) else tuple(state)
    if len(parts) != len(cell.state_sizes):
        raise expected("state", f"{len(cell.state_sizes)} tensors", Words(str(len(parts))))
    for i, (part, size) in enumerate(zip(parts, cell.state_sizes, strict=True)):
        if not isinstance(part, Tensor) or part.dim() == 0 or part.size(-1) != size:
            raise expected(f"state[{i}]", f"a tensor of width {size}", part)
    return parts


def unpack(state: State) -> Any:
    """Return the one tensor of a state, or the tuple of several."""
    return state[0] if len(state) == 1 else state


def check_width(cell: Cell, x: Tensor) -> None:
    """Check the width of inputs against the cell's `input_size`, if it says one."""
    if cell.input_size is not None and (x.dim() == 0 or x.size(-1) != cell.input_size):
        raise expected("x", f"inputs of width {cell.input_size}, the cell's input_size", x)
