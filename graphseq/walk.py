"""The walk over packed levels: one loop, which varies only in where the states are kept.

With eager autograd they are in one buffer per state, which three functions modify in place: :class:`_Put` writes a
level's rows, :class:`_Take` reads the senders' rows, :class:`_Add` is the gradient of reading. Their gradients are of
this kind again, so time and memory are linear in nodes and edges, for derivatives of every order. (Were the states one
tensor that autograd slices, each level would get a gradient as large as the whole.)

Along chains each level reads only the one below, so a list of levels is enough; and where autograd is not eager
(tracing, forward mode, ``torch.func``) nothing is modified in place, so a list is used too, at the price of reading all
of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .cell import Cell, updated, written_on
from .messages import Merge, Slots, State, reads_receivers, send
from .ops.levels import ALIGNED, Numbers, Structure
from .ops.library import HALF, is_batched, is_transformed
from .ops.segments import Segments

__all__ = ["Plan", "walk"]



class Plan:
    """Packed levels as read by a walk: numbers of rows, and the edges of each level.

    Args:
        structure: of the levels.
        numbers: the same as Python numbers, if they are known.
        strided: whether rows are chain by chain, of chains of equal length, and not packed; then a level is every T-th
            row, and nothing is permuted.

    Attributes:
        aligned: whether each node above level 0 has one predecessor, in the same place one level below, as in chains.
        ptr: where each level begins, and N.
        sizes: number of nodes of each level.
        edge_sizes: number of edges into each level.
        senders: the packed position of each level's edges' senders; none where levels are aligned.
        segments: how each level's edges are grouped by receiver.
    """

    def __init__(self, structure: Structure, numbers: Numbers | None = None, *, strided: bool = False) -> None:
        level_ptr, level_edges, _, senders, receivers, slot, form, _ = structure
        if numbers is None:
            numbers = Numbers(level_ptr.tolist(), level_edges.tolist(), int(form))
        self.ptr, self.aligned = numbers.nodes, numbers.form == ALIGNED and slot is None
        self.strided = strided
        self.sizes, self.edge_sizes = ([b - a for a, b in pairwise(p)] for p in numbers[:2])
        if self.aligned:
            place = torch.arange(max([0, *self.sizes]), device=senders.device)
            self.senders: Sequence[Tensor] = ()
            self.segments = [Segments(place[:size], size, single=True) for size in self.sizes]
            return
        self.senders = senders.split(self.edge_sizes)
        index = [r - a for r, a in zip(receivers.split(self.edge_sizes), self.ptr, strict=False)]
        slots: Sequence[Tensor | None] = [None] * len(index) if slot is None else slot.split(self.edge_sizes)
        self.segments = [Segments(i, n, slot=k) for i, n, k in zip(index, self.sizes, slots, strict=True)]

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the rows of each level."""
        in_chains = rows.view(self.sizes[0], len(self.sizes), *rows.shape[1:]) if self.strided else rows
        levels: tuple[Tensor, ...] = in_chains.unbind(1) if self.strided else rows.split(self.sizes)
        return levels

    def join(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Undo :meth:`split`."""
        return torch.stack(levels, 1).flatten(0, 1) if self.strided else torch.cat(levels)


def walk(cell: Cell, plan: Plan, p: Tensor, edge: Tensor | None = None, start: State | None = None) -> State:
    """Visit packed levels from below, each node after all its predecessors.

    Args:
        cell: any.
        plan: of the levels.
        p: `[N, P]`, the projected inputs, packed.
        edge: `[E, ...]`, packed, or None.
        start: `[M, H]` each, the initial states of the M nodes of level 0; or, for a cell that merges by slots,
            `[N, slots, H]` each, packed, the states in slots without a predecessor; zeros by default.

    Returns:
        The states `[N, H]` each, packed, in the dtype of level 0; under autocast never in 16 bits.

    Raises:
        GraphError: the cell modifies the states that it reads, which also belong to other nodes.
    """
    if not plan.sizes:
        return updated(cell, p, cell.given(p, None))
    filled: list[Any] = [None] * len(plan.sizes)
    if start is not None and start[0].dim() == 3:
        filled = list(zip(*(s.split(plan.sizes) for s in start), strict=True))
    listed = plan.aligned or torch.compiler.is_compiling() or is_transformed()
    states, merge = _List(plan) if listed else _Buffer(plan), cell.merger
    inputs = plan.split(p)
    edges: Sequence[Tensor | None] = [None] * len(inputs) if edge is None else edge.split(plan.edge_sizes)
    first = updated(cell, inputs[0], filled[0] or cell.given(inputs[0], start))
    kinds = [_kind(s) for s in first]
    states.write(0, _of_kinds(kinds, first))
    counted = not torch.compiler.is_compiling() and not p.is_inference()
    before = p._version if counted else 0
    for k in range(1, len(inputs)):
        merged = _merged(cell, merge, plan.segments[k], inputs[k], edges[k], states.read(k), filled[k])
        states.write(k, _of_kinds(kinds, updated(cell, inputs[k], merged)))
    if counted and p._version != before:
        raise written_on()
    return states.joined()


def _merged(
    cell: Cell, merge: Merge, segments: Segments, p: Tensor, edge: Tensor | None, sent: State, filled: State | None
) -> State:
    """Return the merged messages of one level; slots without a predecessor have the values of `filled`."""
    received = None
    if reads_receivers(cell.message, merge):
        received = segments.spread(p)
        if segments.single and not torch.compiler.is_compiling() and p.is_inference():
            received = p.clone()  # which nothing else reads
    messages, scores = send(cell.message, merge, sent, received, edge)
    if filled is not None and type(merge) is Slots:
        return tuple(merge.fill(b.to(m.dtype), m, segments) for b, m in zip(filled, messages.state, strict=True))
    return tuple(merge.reduce(m, segments, scores) for m in messages.state)


def _kind(state: Tensor) -> torch.dtype:
    """Return the dtype of the states of all levels: that of level 0; under autocast at least 32 bits,
    since 16 are too few for long recurrences.
    """
    return torch.float32 if state.dtype in HALF and torch.is_autocast_enabled(state.device.type) else state.dtype


def _of_kinds(kinds: list[torch.dtype], states: State) -> State:
    if [s.dtype for s in states] == kinds:
        return states
    return tuple(s.to(kind) for s, kind in zip(states, kinds, strict=True))


class _List:
    """States as a list of levels."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.done: list[State] = []
        self.versions: list[list[int]] = []  # how often each was modified; not counted in tracing

    def read(self, k: int) -> State:
        last, size = self.done[-1], self.plan.sizes[k]
        if not self.plan.aligned:
            index = self.plan.senders[k]
            return tuple(torch.cat(part).index_select(0, index) for part in zip(*self.done, strict=True))
        if size != self.plan.sizes[k - 1]:
            last = tuple(s[:size] for s in last)
        if torch.compiler.is_compiling():
            return last
        return tuple(s.clone() if s.is_inference() else s.view_as(s) for s in last)  # hooks on it are not on the result

    def write(self, k: int, new: State) -> None:
        if not torch.compiler.is_compiling() and new[0].is_inference():  # the cell may modify it again, uncounted
            new = tuple(s.clone() for s in new)
        self.done.append(new)
        if not torch.compiler.is_compiling():
            self.versions.append([s._version for s in new if not s.is_inference()])

    def joined(self) -> State:
        for new, before in zip(self.done, self.versions, strict=False):
            if before != [s._version for s in new if not s.is_inference()]:
                raise written_on()
        return tuple(map(self.plan.join, zip(*self.done, strict=True)))


class _Buffer:
    """States as one tensor each, modified in place."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.states: State = ()

    def read(self, k: int) -> State:
        count = len(self.states)
        out: State = _Take.apply(self.plan.senders[k], *self.states)
        self.states = out[:count]
        return out[count:]

    def write(self, k: int, new: State) -> None:
        if not self.states:
            self.states = tuple(s.new_empty(self.plan.ptr[-1], *s.shape[1:]) for s in new)
        self.states = _Put.apply(self.plan.ptr[k], self.plan.ptr[k + 1], *self.states, *new)

    def joined(self) -> State:
        owned: State = _Own.apply(*self.states)
        return owned


class _Put(torch.autograd.Function):
    """Write rows a to b."""

    @staticmethod
    def forward(ctx: Any, a: int, b: int, *tensors: Tensor) -> State:
        ctx.bounds, count = (a, b), len(tensors) // 2
        states, rows = tensors[:count], tensors[count:]
        for s, r in zip(states, rows, strict=True):
            s[a:b] = r
        ctx.mark_dirty(*states)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        a, b = ctx.bounds
        if torch.is_grad_enabled():  # the gradient is to be differentiated
            return None, None, *_Take.apply(slice(a, b), *grads)
        return None, None, *grads, *(g[a:b] for g in grads)


class _Take(torch.autograd.Function):
    """Read the rows of an index, or of a slice."""

    @staticmethod
    def forward(ctx: Any, index: Any, *states: Tensor) -> State:
        ctx.index = index
        ctx.mark_dirty(*states)
        if isinstance(index, slice):
            return *states, *(s[index].clone() for s in states)
        return *states, *(s.index_select(0, index) for s in states)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():
            return None, *_Add.apply(ctx.index, *grads)
        count = len(grads) // 2
        return None, *(_add(g, ctx.index, r) for g, r in zip(grads[:count], grads[count:], strict=True))


def _add(rows: Tensor, index: Any, more: Tensor) -> Tensor:
    """Add in place; but not where many gradients are taken at once, which PyTorch can't do in place."""
    if isinstance(index, slice):
        index = torch.arange(index.start, index.stop, device=rows.device)
    return rows.index_add(0, index, more) if is_batched(rows, more) else rows.index_add_(0, index, more)


class _Add(torch.autograd.Function):
    """Add to the rows of an index, or of a slice."""

    @staticmethod
    def forward(ctx: Any, index: Any, *tensors: Tensor) -> State:
        ctx.index, count = index, len(tensors) // 2
        states, rows = tensors[:count], tensors[count:]
        for s, r in zip(states, rows, strict=True):
            _add(s, index, r)
        ctx.mark_dirty(*states)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *_Take.apply(ctx.index, *grads)


class _Own(torch.autograd.Function):
    """Change nothing, and give the gradient memory of its own, which the others may modify."""

    @staticmethod
    def forward(ctx: Any, *states: Tensor) -> State:
        ctx.mark_dirty(*states)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return tuple(g.clone(memory_format=torch.contiguous_format) for g in grads)
