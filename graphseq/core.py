"""The step, and the two schedules that repeat it.

    m_v = aggregate over edges u→v of  message(h_u, x_v, e_uv)
    h_v' = update(x_v, h_v, m_v)

:func:`aggregate` is the first line and runs over a whole graph. :func:`rounds` repeats both lines for all nodes at
once. :func:`sweep` takes them level by level, each node reading predecessors that are done.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from .cell import COPY, SCALE, Cell, Form, Merge, Message, State, fill, updated
from .errors import Words, expected
from .ops._direct import is_plain, is_transformed
from .ops._scan import Bounds, Level, Structure, merge_rows, plain_sweep
from .ops.levels import ALIGNED, FOREST
from .ops.permute import permute
from .ops.segment import REDUCES, segment_reduce
from .ops.spmm import spmm
from .replay import Step, level_by_level
from .topology import Topology
from .topology.inputs import same_length

__all__ = ["aggregate", "rounds", "sweep"]

_SMALL = 180_000  # numbers sent, below which starting a kernel of our own costs more than it saves


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
        message: a form or a callable, see :class:`Cell`. Sums of forms are sparse products, of small graphs scattered.
        merge: "sum", "mean" or "max"; a node without predecessors gets 0.
        received: `[N, P]`, what a callable reads of the receivers; by default the first tensor of `state`.
        edge_attr: `[E, ...]` in the order of the edges; `[E]` for :data:`SCALE`.

    Returns:
        For each tensor that the message has, `[N, ...]`.

    Raises:
        GraphError: another number of rows than nodes, weights of another shape, another `merge`.
    """
    for i, s in enumerate(state):
        same_length(f"state[{i}]", s, topology.num_nodes, "node")
    if merge not in REDUCES:
        raise expected("merge", '"sum", "mean" or "max"', merge)
    if message is SCALE and (edge_attr is None or edge_attr.shape != (topology.num_edges,)):
        raise expected("edge_attr", f"the weights of the edges, shape [{topology.num_edges}]", edge_attr)
    if isinstance(message, Form) and merge in ("sum", "mean"):
        weight = None if message is COPY else edge_attr
        flat = [s.reshape(s.size(0), math.prod(s.shape[1:])) for s in state]
        merged = tuple(_sum_neighbours(topology, weight, f).view(s.shape) for f, s in zip(flat, state, strict=True))
        if merge == "mean":
            degree = topology.in_degree.clamp(min=1)
            merged = tuple(m / degree.view(-1, *[1] * (m.dim() - 1)).to(m.dtype) for m in merged)
        return merged
    matrix = topology.matrix
    sent = tuple(s.index_select(0, matrix.columns) for s in state)
    edge = None if edge_attr is None else edge_attr.index_select(0, matrix.edge)
    if not isinstance(message, Form):
        receivers = topology.edge_index[1].index_select(0, matrix.edge)
        sent = message(sent, (state[0] if received is None else received).index_select(0, receivers), edge)
    elif message is SCALE and edge is not None:
        sent = tuple(s * edge.view(-1, *[1] * (s.dim() - 1)) for s in sent)
    return tuple(segment_reduce(s, matrix.ptr, merge) for s in sent)


def _sum_neighbours(topology: Topology, weight: Tensor | None, x: Tensor) -> Tensor:
    """Sum over neighbours, `[N, F]`: a sparse product, or for small graphs gather and scatter, which need no plan."""
    if not is_plain(x) or topology.num_edges * x.size(1) > _SMALL or x.device.type != "cpu":
        return spmm(topology.matrix, weight, x)
    sources, targets = topology.ends
    sent = x.index_select(0, sources)
    if weight is not None:
        sent = sent * weight[:, None]
    return x.new_zeros(x.shape).index_add_(0, targets, sent)


def rounds(
    update: Callable[[State, State], State],
    k: int,
    topology: Topology,
    state: State,
    *,
    message: Message = COPY,
    merge: Merge = "sum",
    received: Tensor | None = None,
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
        received: likewise.
        edge_attr: likewise.

    Returns:
        The states after the last round.
    """
    for _ in range(k):
        merged = aggregate(
            topology, state, message=message, merge=merge, received=received, edge_attr=edge_attr
        )
        state = update(state, merged)
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
    fused = fast and cell._fused and edge_attr is None
    p, rest = project(cell, x, topology, nodes, fused and start is None)
    done = cell.scan(p, structure, start, rest) if fused else None
    if done is None:
        edge = None if edge_attr is None else edge_attr.index_select(0, packed.edges)
        bounds = topology.bounds
        if cell.merge == "slots" and cell.slots > 1:
            bounds = bounds._replace(form=min(bounds.form, FOREST))
        done = _generic(cell, fill(p, rest, topology.num_nodes), structure, bounds, start, edge)
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


def _generic(
    cell: Cell, p: Tensor, structure: Structure, bounds: Bounds, start: State | None, edge: Tensor | None
) -> State:
    """Sweep over packed levels by calling the cell on one level after the other."""
    if p.size(0) == 0:
        return updated(cell, p, cell._begin(p, start))

    def step(level: Level, p: Tensor, edge: Tensor | None, sent: State | None, start: State | None) -> State:
        if level.before < 0:
            return updated(cell, p, cell._begin(p, start))
        merged = merge_level(cell, level, structure, bounds.form == ALIGNED, p, edge, sent or ())
        return updated(cell, p, merged)

    if bounds.form == ALIGNED:
        return _along_chains(step, p, bounds, start, edge)
    if torch.compiler.is_compiling() or is_transformed():

        def traced(level: Level, sent: State | None) -> State:
            part = None if edge is None else edge[level.edge_a : level.edge_b]
            return step(level, p[level.a : level.b], part, sent, start)

        return plain_sweep(structure, traced, bounds)
    return level_by_level(cell, step, structure, bounds, p, edge, start)


def _along_chains(step: Step, p: Tensor, bounds: Bounds, start: State | None, edge: Tensor | None) -> State:
    """Sweep over aligned levels: each reads the one below and nothing is gathered, so autograd alone is linear."""
    sizes = [b - a for a, b in pairwise(bounds.ptr)]
    edges = None if edge is None else edge.split(sizes[1:])
    done: list[State] = []
    for k, (level, part) in enumerate(zip(bounds.levels(), p.split(sizes), strict=True)):
        sent = None
        if k:
            sent = done[-1] if sizes[k] == sizes[k - 1] else tuple(s[: sizes[k]] for s in done[-1])
        done.append(step(level, part, edges[k - 1] if edges is not None and k else None, sent, start))
    return tuple(torch.cat(state) for state in zip(*done, strict=True))


def merge_level(
    cell: Cell, level: Level, structure: Structure, one_each: bool, p: Tensor, edge: Tensor | None, sent: State
) -> State:
    """Return the merged messages of one level from its senders' states, one row an edge."""
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
    if cell.merge not in (*REDUCES, "slots"):
        raise expected("merge", 'the cell\'s "sum", "mean", "max" or "slots"', cell.merge)
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
