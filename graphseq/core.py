"""The step, and the two schedules that repeat it.

    m_v = merge over edges u→v of  message(h_u, x_v, e_uv)
    h_v' = update(x_v, h_v, m_v)

:func:`aggregate` is the first line, over any links. :func:`rounds` repeats both lines for all nodes at once.
:func:`sweep` takes them level by level, each node after its predecessors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .cell import Cell, updated
from .errors import expected
from .lowering import Inputs, find
from .messages import (
    COPY,
    MERGES,
    Copy,
    Merge,
    Message,
    Messages,
    Scale,
    Slots,
    State,
    find_merge,
    no_slots,
    reads_receivers,
    send,
)
from .ops.levels import ALIGNED
from .ops.permute import permute
from .ops.segments import Segments
from .topology import Links, Topology
from .topology.inputs import same_length
from .walk import Plan, walk

_LIBRARYS = {Slots, *map(type, MERGES.values())}  # merges that return 0 for receivers without edges

__all__ = ["aggregate", "messages", "reduce", "rounds", "softmax", "sweep", "sweep_packed"]


def aggregate(
    links: Links, state: State, *, message: Message = COPY, merge: str | Merge = "sum", received: Any = None,
    edge_attr: Tensor | None = None,
) -> State:  # fmt: skip
    """Merge the messages into every receiver: ``m_v = merge over edges u→v of message(h_u, received_v, e_uv)``.

    Args:
        links: from S senders to R receivers, E of them; a :class:`graphseq.Topology` from nodes to nodes.
        state: tensors `[S, ...]`.
        message: :data:`COPY`, :data:`SCALE` or a callable, see :class:`graphseq.Cell`.
        merge: by name or as a :class:`graphseq.Merge`; "slots" are as many as a node has predecessors at most.
        received: `[R, ...]`, what messages and scores read from the receivers; by default the first tensor of `state`,
            if senders and receivers are the same nodes.
        edge_attr: `[E, ...]` in the order of the edges; for :data:`SCALE` `[E]` or `[E, heads]`.

    Returns:
        For each tensor of the message, `[R, ...]`; 0 for a receiver without edges. Sums and means of copied and
        scaled states are sparse products, without a tensor that has a row for each edge.

    Raises:
        GraphError: a number of rows other than that of senders, weights of the wrong shape, an unknown merge.

    >>> links = Links.between(torch.tensor([[0, 1, 2], [1, 1, 0]]), 3, 2)
    >>> aggregate(links, (torch.tensor([[1.0], [2.0], [4.0]]),), merge="max")[0].flatten().tolist()
    [4.0, 2.0]
    """
    _check(links, state, message)
    merger = _merger(links, merge)
    _check_edges(links, message, merger, edge_attr)
    return _merged(links, state, message, merger, received, edge_attr)[0]


def messages(
    links: Links, state: State, *, message: Message = COPY, received: Any = None, edge_attr: Tensor | None = None
) -> Messages:
    """Return the messages of the edges, `[E, ...]` in their order, and their new states; arguments as in
    :func:`aggregate`.
    """
    _check(links, state, message)
    _check_rows(links, received, edge_attr)
    made, _ = _send(links, state, message, find_merge("sum"), received, edge_attr)
    m = links.matrix
    return Messages(tuple(permute(r, _place(links), m.edge) for r in made.state), _new_edges(links, made, edge_attr))


def reduce(links: Links, rows: State, *, merge: str | Merge = "sum") -> State:
    """Merge rows of the edges, `[E, ...]` in their order, into every receiver, `[R, ...]`.

    Raises:
        GraphError: a number of rows other than that of edges, a merge with a score, which needs senders and receivers.
    """
    for i, r in enumerate(rows):
        same_length(f"rows[{i}]", r, links.num_edges, "edge")
    merger = _merger(links, merge)
    if merger.score is not None:
        raise expected("merge", "one without a score, which would read senders and receivers", merger)
    order, segments = links.matrix.edge, _segments(links, merger)
    return tuple(_reduced(links, merger, permute(r, order, _place(links)), segments, None) for r in rows)


def softmax(links: Links, scores: Tensor) -> Tensor:
    """Return ``exp(score)`` of each edge over the sum of those with the same receiver.

    Args:
        links: E edges.
        scores: `[E, ...]` in the order of the edges.

    Returns:
        `[E, ...]`.
    """
    same_length("scores", scores, links.num_edges, "edge")
    if not scores.is_floating_point():
        raise expected("scores", "floating-point numbers", scores)
    order, place = links.matrix.edge, _place(links)
    return permute(_segments(links, MERGES["sum"]).softmax(permute(scores, order, place)), place, order)


def rounds(
    cell: Cell, k: int, topology: Topology, state: State, *, message: Message | None = None,
    merge: str | Merge | None = None, edge_attr: Tensor | None = None,
    sends: Callable[[State, int], State] | None = None,
) -> tuple[State, Tensor | None]:  # fmt: skip
    """Update all nodes `k` times: ``m = aggregate(h)``, ``h' = update(project(m), begin(h))``.

    Args:
        cell: any; the first tensor of the merged messages is its input.
        k: number of rounds.
        topology: any graph.
        state: tensors `[N, ...]`.
        message: by default the cell's.
        merge: by default the cell's; for a cell that merges by slots, the sum.
        edge_attr: `[E, ...]` in the order of the edges.
        sends: `(state, round)` → the states that nodes send, by default their own.

    Returns:
        The states after the last round, and those of the edges.
    """
    said = cell.message if message is None else message
    _check(topology, state, said)
    default = "sum" if isinstance(cell.merger, Slots) else cell.merge
    merger = find_merge(default if merge is None else merge)
    _check_edges(topology, said, merger, edge_attr)
    reads = reads_receivers(said, merger)
    for i in range(k):
        sent = state if sends is None else sends(state, i)
        received = cell.project(state[0]) if reads else None
        (m,), edge_attr = _merged(topology, sent if reads else sent[:1], said, merger, received, edge_attr, count=1)
        p = cell.project(m)
        state = updated(cell, p, cell.given(p, tuple(s.clone() for s in state)))  # the cell may modify it
    return state, edge_attr


def sweep(
    cell: Cell, x: Tensor, topology: Topology, state: State | None = None, *, edge_attr: Tensor | None = None,
    nodes: Tensor | None = None,
) -> State:  # fmt: skip
    """Update every node once, after all its predecessors: ``h_v = update(p_v, merge of message(h_u, p_v, e_uv))``.

    p is ``cell.project(x)``, computed for all nodes at once. Time and memory are linear in nodes and edges, in the
    backward pass too.

    Args:
        cell: any; it runs by a lowering if one applies.
        x: `[N, F]`, or with `nodes` `[M, F]`.
        topology: without cycles.
        state: `[B, H]` each, the initial states of nodes without predecessors, one row per graph; or `[N, slots, H]`,
            the states in slots without a predecessor, where a cell without slots has one, read if a node has no
            predecessors. Zeros by default.
        edge_attr: `[E, ...]` in the order of the edges, for the cell's message.
        nodes: int64 `[M]`, the nodes that x has rows for; the input of the others is 0. All by default.

    Returns:
        The states, `[N, H]` each, in the order of the nodes.
    """
    same_length("x", x, topology.num_nodes if nodes is None else nodes.size(0), "node")
    packed = topology.packed
    _check_edges(topology, cell.message, cell.merger, edge_attr)
    if edge_attr is not None:
        same_length("edge_attr", edge_attr, topology.num_edges, "edge")
    edge = None if edge_attr is None else edge_attr.index_select(0, packed.edges)
    start = None if state is None else tuple(_start(s, cell, topology) for s in state)
    if edge is None and nodes is None and (strided := _strided(cell, topology, x.device)) is not None:
        p = cell.project(x)
        return walk(cell, strided, p.clone() if p is x or p._base is not None or x.is_inference() else p, None, start)
    done = sweep_packed(cell, _inputs(x, topology, nodes), topology, start, edge)
    return tuple(permute(s, packed.rank, packed.order) for s in done)


def sweep_packed(
    cell: Cell, inputs: Inputs, topology: Topology, start: State | None = None, edge: Tensor | None = None
) -> State:
    """Like :func:`sweep`, with all rows in packed order; `start` as for :func:`graphseq.walk.walk`."""
    merge, packed = cell.merger, topology.packed
    slot = _packed_slot(merge, topology)
    lowered = find(cell, cell.message, merge, inputs.x.device, types=edge is not None)
    done = None if lowered is None else lowered(cell, inputs, packed.structure(slot, edge), start)
    if done is not None:
        return done

    if torch.compiler.is_compiling() and slot is not None and isinstance(merge, Slots):
        torch._assert_async((slot < merge.count).all())  # a traced topology has no numbers to check before

    def plan() -> Plan:
        return Plan(packed.structure(slot), topology.numbers)

    if getattr(cell, "training", False):
        inputs = inputs.filled()
    made = plan() if torch.compiler.is_compiling() else topology.memo(("plan", slot is None), plan, moves=False)
    return walk(cell, made, inputs.project(cell), edge, start)


def _check(links: Any, state: Any, message: Any) -> None:
    """Check the arguments of an aggregation.

    Raises:
        GraphError: a wrong type, a number of rows other than that of senders.
    """
    if not isinstance(links, Links):
        raise expected("links", "graphseq.Links or a graphseq.Topology (see Topology.from_edge_index)", links)
    if not isinstance(state, tuple | list):
        raise expected("state", "a tuple of tensors", state)
    for i, s in enumerate(state):
        same_length(f"state[{i}]", s, links.num_senders, "sender")
    if not callable(message):
        raise expected("message", "COPY, SCALE or a callable", message)


def _merger(links: Links, merge: Any) -> Merge:
    """Return a merge for the links; "slots" are as many as a receiver has edges at most."""
    merger = find_merge(merge, max(_most_slots(links), 1) if isinstance(merge, str) and merge == "slots" else 1)
    if isinstance(merger, Slots) and not torch.compiler.is_compiling() and _most_slots(links) > merger.count:
        raise expected("merge", f"at least {_most_slots(links)} slots, as a receiver's edges take", merger)
    return merger


def _reduced(links: Links, merge: Merge, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
    """Merge rows; results of a user's merge for receivers without edges are replaced."""
    if type(merge) in _LIBRARYS or torch.compiler.is_compiling():
        return merge.reduce(rows, segments, scores)
    count, filled = links.num_receivers, links.memo("filled", lambda: links.in_degree.nonzero()[:, 0])
    if filled.size(0) < count:  # the merge gets only receivers with edges
        rank = torch.zeros_like(segments.ptr[1:]).index_fill(0, filled, 1).cumsum(0) - 1
        ptr = torch.cat([segments.ptr.index_select(0, filled), segments.ptr[-1:]])
        segments = Segments(rank.index_select(0, segments.index), filled.size(0), ptr, segments.slot)
    out = merge.reduce(rows, segments, scores)
    if out.dim() == 0 or out.size(0) != filled.size(0):
        raise expected("merge", f"to return {filled.size(0)} rows, one per receiver", out)
    return out if filled.size(0) == count else merge.empty(out[:0], count).index_copy(0, filled, out)


def _merged(
    links: Links, state: State, message: Message, merge: Merge, received: Any, edge_attr: Tensor | None,
    count: int | None = None,
) -> tuple[State, Tensor | None]:  # fmt: skip
    """Return the merged messages, or the first `count` of them, and the new states of the edges."""
    _check_rows(links, received, edge_attr)
    lowered = find(None, message, merge, state[0].device) if state else None
    done = None if lowered is None else lowered(links, state, received, edge_attr, merge)
    if done is not None:
        return done, edge_attr
    made, scores = _send(links, state, message, merge, received, edge_attr)
    segments = _segments(links, merge)
    merged = tuple(_reduced(links, merge, m, segments, scores) for m in made.state[:count])
    return merged, _new_edges(links, made, edge_attr)


def _send(
    links: Links, state: State, message: Message, merge: Merge, received: Any, edge_attr: Tensor | None
) -> tuple[Messages, Tensor | None]:
    """Return the messages, grouped by receiver, and the scores by which they are merged."""
    m = links.matrix
    sent = tuple(s.index_select(0, m.columns) for s in state)
    edge = None if edge_attr is None else edge_attr.index_select(0, m.edge)
    if received is None and isinstance(links, Topology):
        received = state[0]
    if received is not None and reads_receivers(message, merge):
        received = received.index_select(0, _receivers(links))
    made, scores = send(message, merge, sent, received, edge)
    return made if made.edge is not edge else made._replace(edge=None), scores


def _new_edges(links: Links, made: Messages, old: Tensor | None) -> Tensor | None:
    """Return the states of the edges in their order: the old ones if the message has made none."""
    return old if made.edge is None else permute(made.edge, _place(links), links.matrix.edge)


def _receivers(links: Links) -> Tensor:
    return links.memo("receivers", lambda: links.edge_index[1][links.matrix.edge])


def _place(links: Links) -> Tensor:
    """Return the place of each edge among those sorted by receiver."""

    def make() -> Tensor:
        order = links.matrix.edge
        return torch.empty_like(order).scatter_(0, order, torch.arange(order.size(0), device=order.device))

    return links.memo("place", make)


def _segments(links: Links, merge: Merge) -> Segments:
    slot = links.slot.index_select(0, links.matrix.edge) if isinstance(merge, Slots) else None
    return Segments(_receivers(links), links.num_receivers, links.matrix.ptr, slot)


def _check_rows(links: Links, received: Any, edge_attr: Any) -> None:
    """Check that there is a row for each receiver and each edge, since kernels don't."""
    if edge_attr is not None:
        same_length("edge_attr", edge_attr, links.num_edges, "edge")
    if received is not None:
        same_length("received", received, links.num_receivers, "receiver")


def _check_edges(links: Links, message: Message, merge: Merge, edge_attr: Any) -> None:
    """Check that edge features are used, and fit.

    Raises:
        GraphError: nothing reads them, or they are not weights, for a message that scales by them.
    """
    if isinstance(message, Scale):
        if not isinstance(edge_attr, Tensor) or edge_attr.dim() not in (1, 2) or edge_attr.size(0) != links.num_edges:
            wanted = f"the weights of the edges, [{links.num_edges}] or one for each head"
            raise expected("edge_attr", wanted, edge_attr)
    elif type(message) is Copy and merge.score is None and edge_attr is not None:
        raise expected("edge_attr", "None for a message that copies the sender's state", edge_attr)


def _most_slots(links: Links) -> int:
    return links.memo("most slots", lambda: int(links.slot.max()) + 1 if links.num_edges else 0)


def _packed_slot(merge: Merge, topology: Topology) -> Tensor | None:
    """Return the slots of the packed edges, for a merge with several.

    Raises:
        GraphError: a node has a predecessor in a slot that the merge does not have.
    """
    if not isinstance(merge, Slots):
        return None
    if not torch.compiler.is_compiling() and (most := _most_slots(topology)) > merge.count:
        raise no_slots(most, merge.count)
    if merge.count == 1:
        return None
    return topology.memo("packed slots", lambda: topology.slot.index_select(0, topology.packed.edges))


def _strided(cell: Cell, topology: Topology, device: torch.device) -> Plan | None:
    """Return the plan of chains of one length whose rows need not be packed, for a cell without a lowering."""
    merge = cell.merger
    if torch.compiler.is_compiling() or topology.num_nodes == 0 or _packed_slot(merge, topology) is not None:
        return None
    if find(cell, cell.message, merge, device) is not None:
        return None

    def make() -> Plan | None:
        packed, numbers = topology.packed, topology.numbers
        steps, count = len(numbers.nodes) - 1, numbers.nodes[1]
        rows = torch.arange(topology.num_nodes, device=packed.order.device)
        if numbers.form != ALIGNED or steps * count != topology.num_nodes or count != topology.num_graphs:
            return None
        in_rows = torch.equal(packed.order, rows.view(count, steps).t().flatten())
        return Plan(packed.structure(), numbers, strided=True) if in_rows else None

    return topology.memo("strided plan", make, moves=False)


def _start(state: Tensor, cell: Cell, topology: Topology) -> Tensor:
    """Return initial states in the form that a walk takes."""
    packed = topology.packed
    if state.dim() == 3 and isinstance(cell.merger, Slots):
        return state.index_select(0, packed.order)
    first = packed.order[: int(packed.level_ptr[1])] if topology.num_nodes else packed.order
    if state.dim() == 3:
        return state[:, 0].index_select(0, first)
    return state.index_select(0, topology.batch.index_select(0, first))


def _inputs(x: Tensor, topology: Topology, nodes: Tensor | None) -> Inputs:
    """Return packed inputs; or only those of level 0, such as the leaves of trees, in order."""
    packed, n = topology.packed, topology.num_nodes
    if nodes is None:
        return Inputs(permute(x, packed.order, packed.rank), None, n)
    at, count = packed.rank.index_select(0, nodes), nodes.size(0)
    if torch.compiler.is_compiling() or x.device.type != "cpu" or n == 0 or count != int(packed.level_ptr[1]):
        return Inputs(x, at, n)
    if torch.equal(at, torch.arange(count, device="cpu")):
        return Inputs(x, None, n)
    turn = torch.full_like(at, -1).scatter_(0, at.clamp(max=count - 1), torch.arange(count, device="cpu"))
    if bool((turn >= 0).all() & (at < count).all()):
        return Inputs(permute(x, turn, at), None, n)
    return Inputs(x, at, n)
