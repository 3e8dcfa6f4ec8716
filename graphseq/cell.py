"""The cell: the step of a network, independent of the structure that it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from .errors import GraphError, Words, expected
from .messages import COPY, Merge, Message, Slots, State, find_merge

__all__ = ["Cell", "as_state", "check_width", "unpack", "updated"]


class Cell(nn.Module, ABC):
    """The step of a network, independent of the structure that it runs on.

        sweep:   m_v = merge over u→v of message(h_u, project(x_v), e_uv),   h_v  = update(project(x_v), m_v)
        rounds:  m_v = merge over u→v of message(h_u, project(h_v), e_uv),   h_v' = update(project(m_v), begin(h_v))

    To write your own, define the sizes of its states and how they are updated; the rest has defaults. Everything that
    `update` and `message` read gets its gradient: parameters, buffers, tensors from outside, other modules.

    Attributes:
        state_sizes: the width of each tensor of a node's state; (H,) for h alone, (H, H) for h and c.
        merge: how the messages of several predecessors are combined: "sum", "mean", "max", "min", "std", "softmax",
            "slots" or a :class:`graphseq.Merge`. Slots keep them side by side, `[M, slots, H]`, zeros in empty ones.
        slots: A, for merge "slots".
        message: what an edge transmits: :data:`COPY`, :data:`SCALE`, or a method ``message(sent, received, edge)`` of
            the senders' states, `[E, H]` each, the receivers' projected inputs `[E, P]` and the edges' features
            `[E, ...]` (None where there are none). It may return :class:`graphseq.Messages`, with new states of the
            edges, which the next round reads.
        message_sizes: the width of each tensor of a message, if they differ from `state_sizes`; then `begin` maps a
            state to them.
        input_size: the width of the inputs, which is checked if it is set.

    >>> from graphseq import Topology
    >>> from graphseq.nn import Recurrent
    >>> class Cumulative(Cell):
    ...     state_sizes = (2,)
    ...     def update(self, p, state):
    ...         return (p + state[0],)
    >>> Recurrent(Cumulative())(torch.ones(3, 2), Topology.chain([3]))[:, 0]
    tensor([1., 2., 3.])
    """

    state_sizes: tuple[int, ...]
    merge: str | Merge = "sum"
    slots: int = 1
    message: Message = COPY
    message_sizes: tuple[int, ...] | None = None
    input_size: int | None = None

    def project(self, x: Tensor) -> Tensor:
        """Return what `update` needs of the inputs `[N, F]`; done for all nodes at once, before a sweep."""
        return x

    @abstractmethod
    def update(self, p: Tensor, state: State) -> State:
        """Return the new states of M nodes from their projected inputs `[M, P]` and merged messages `[M, H]`, neither
        of which it may modify.
        """

    def begin(self, p: Tensor, state: State) -> State:
        """Return the merged messages that represent a given state of M nodes, by default the state itself: an initial
        state in a sweep, a node's own in rounds.
        """
        return state

    @property
    def merger(self) -> Merge:
        """The merge as an object."""
        return find_merge(self.merge, self.slots)

    def given(self, p: Tensor, state: State | None) -> State:
        """Return the merged messages of nodes without predecessors: zeros, or `begin` of a state, in the first slot."""
        merge = find_merge(self.merge, self.slots)
        if state is None:
            sizes = self.message_sizes or self.state_sizes
            return tuple(merge.empty(p.new_zeros(0, size), p.size(0)) for size in sizes)
        begun = self.begin(p, state)
        if not isinstance(merge, Slots):
            return begun
        rest = [s.new_zeros(p.size(0), merge.count - 1, *s.shape[1:]) for s in begun]
        return tuple(torch.cat([s[:, None], r], 1) for s, r in zip(begun, rest, strict=True))

    def step(self, p: Tensor, state: State | None) -> State:
        """Update nodes whose state is given, or is 0, from their projected inputs."""
        return updated(self, p, self.given(p, state))

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """Take one step: `(input, state) → state`, both tuples where the state has several tensors.

        Args:
            x: `[B, F]` or `[F]`.
            state: `[B, H]` or `[H]`, or a tuple of them; zeros by default.
        """
        check_width(self, x)
        single = x.dim() == 1
        given = None if state is None else as_state(state, self)
        if single:
            x, given = x[None], None if given is None else tuple(s[None] for s in given)
        if given is not None:
            given = tuple(s.clone() for s in given)  # the caller's stay unchanged
        new = self.step(self.project(x), given)
        return unpack(tuple(s[0] for s in new) if single else new)


def as_state(state: Any, cell: Cell) -> State:
    """Return a state as a tuple, checked against the cell's widths.

    Raises:
        GraphError: the wrong number of tensors, or the wrong width.
    """
    if not isinstance(state, (Tensor, tuple, list)):
        raise expected("state", "a tensor or a tuple of tensors", state)
    parts = (state,) if isinstance(state, Tensor) else tuple(state)
    if len(parts) != len(cell.state_sizes):
        raise expected("state", f"{len(cell.state_sizes)} tensors", Words(str(len(parts))))
    for i, (part, size) in enumerate(zip(parts, cell.state_sizes, strict=True)):
        if not isinstance(part, Tensor) or part.dim() == 0 or part.size(-1) != size:
            raise expected(f"state[{i}]", f"a tensor of width {size}", part)
    return parts


def unpack(state: State) -> Any:
    """Return the only tensor of a state, or the tuple of several."""
    return state[0] if len(state) == 1 else state


def updated(cell: Cell, p: Tensor, state: State) -> State:
    """Return the cell's new states, checked.

    Raises:
        GraphError: they are not a tuple with a tensor `[M, size]` for each of the cell's `state_sizes`.
    """
    new, sizes = cell.update(p, state), cell.state_sizes
    if type(new) is not tuple or len(new) != len(sizes):
        raise expected("update", f"it to return a tuple of length {len(sizes)}", new)
    count = p.size(0)
    for i, (s, size) in enumerate(zip(new, sizes, strict=True)):
        if not isinstance(s, Tensor) or s.dim() != 2 or s.size(0) != count or s.size(1) != size:
            raise expected(f"update()[{i}]", f"shape [{count}, {size}]", s)
    return new


def check_width(cell: Cell, x: Tensor) -> None:
    """Check the width of inputs against the cell's `input_size`, if it has one."""
    if not isinstance(x, Tensor):
        raise expected("x", "a tensor", x)
    if cell.input_size is not None and (x.dim() == 0 or x.size(-1) != cell.input_size):
        raise expected("x", f"inputs of width {cell.input_size}, the cell's input_size", x)


def written_on() -> GraphError:
    """Return the error for a cell that modifies the states that it is given."""
    got = Words("one that does so in place")
    return expected(
        "update", "the cell's (and its message) not to write on the states and inputs that it is given", got
    )
