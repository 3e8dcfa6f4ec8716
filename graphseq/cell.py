"""The cell: what a step does to nodes, apart from the structure that it runs on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .errors import Words, expected
from .ops._scan import Structure

__all__ = [
    "COPY",
    "SCALE",
    "Cell",
    "Form",
    "Merge",
    "Message",
    "State",
    "as_state",
    "check_width",
    "fill",
    "unpack",
    "updated",
]

State = tuple[Tensor, ...]
Merge = Literal["sum", "mean", "max", "slots"]


class Form(Enum):
    """A message that is declared and not computed, so that a fused operator can stand behind it."""

    COPY = "the sender's state"
    SCALE = "the sender's state times the edge's weight, which comes as `edge_attr` [E]"


COPY, SCALE = Form.COPY, Form.SCALE

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
    merge: Merge = "sum"
    slots: int = 1
    message: Message = COPY
    input_size: int | None = None

    _fused = False  # whether `scan` says the same as `update` and `message`

    def __init_subclass__(cls) -> None:
        """Leave an operator behind where a subclass says anew what it stands for."""
        super().__init_subclass__()
        own = vars(cls)
        if "scan" in own:
            cls._fused = True
        elif "update" in own or "message" in own:
            cls._fused = False
        if "project" in own and "project_leaves" not in own:
            cls.project_leaves = Cell.project_leaves  # type: ignore[method-assign]

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
        return updated(self, p, self._begin(p, state))

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


def fill(p: Tensor, rest: Tensor | None, count: int) -> Tensor:
    """Return the projected inputs of all nodes, `[count, P]`, from those of level 0 and of the rest."""
    return p if rest is None else torch.cat([p, rest.expand(count - p.size(0), -1)])


def as_state(state: Any, cell: Cell) -> State:
    """Return a state as a tuple, checked against the cell's widths.

    Raises:
        GraphError: another number of tensors, or another width.
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
    """Return the one tensor of a state, or the tuple of several."""
    return state[0] if len(state) == 1 else state


def updated(cell: Cell, p: Tensor, state: State) -> State:
    """Return the cell's new states, checked.

    Raises:
        GraphError: they are not a tuple with a tensor `[M, size]` for each of the cell's `state_sizes`.
    """
    new, wanted = cell.update(p, state), [[p.size(0), size] for size in cell.state_sizes]
    if not isinstance(new, tuple) or len(new) != len(wanted):
        raise expected("update", f"the cell's to return a tuple of {len(wanted)} tensors", new)
    for i, (s, shape) in enumerate(zip(new, wanted, strict=True)):
        if not isinstance(s, Tensor) or list(s.shape) != shape:
            raise expected(f"update()[{i}]", f"the cell's to return shape {shape}", s)
    return new


def check_width(cell: Cell, x: Tensor) -> None:
    """Check the width of inputs against the cell's `input_size`, if it says one."""
    if cell.input_size is not None and (x.dim() == 0 or x.size(-1) != cell.input_size):
        raise expected("x", f"inputs of width {cell.input_size}, the cell's input_size", x)
