"""The table of lowerings: fused operators that replace the equations of cells, where one applies.

A cell's equations are written once, in its `update`. A lowering computes the same for one kind of cell, message, merge
and device; it is found by exact type, so anything that overrides a part (a subclass, a mixin, a method set on an
object, another message or merge) is not in the table and runs by the equations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.parametrize import type_before_parametrizations

from .cell import Cell
from .fused import FusedOperator
from .messages import Merge, Message, State, find_merge
from .ops.levels import Structure
from .ops.library import is_transformed
from .walk import Plan, walk

__all__ = ["Inputs", "SweepOperator", "disabled", "find", "lower"]

_METHODS = ("project", "update", "begin", "given")
_MERGES = ("empty", "reduce", "fill", "weights")
_TABLE: dict[tuple[Any, ...], tuple[Callable[..., State | None], tuple[Any, ...]]] = {}
_OFF = 0


@contextmanager
def disabled() -> Iterator[None]:
    """Run everything by its equations within the context; for tests and comparisons."""
    global _OFF
    _OFF += 1
    try:
        yield
    finally:
        _OFF -= 1


def lower(
    cell: type[Cell] | None, message: Any, merge: Any, device: str, *, types: bool = False
) -> Callable[..., Any]:
    """Register a function in the table.

    Args:
        cell: of a sweep, called as `(cell, inputs, structure, start)`; None for an aggregation, called as
            `(links, state, received, edge_attr, merge)`. It may return None if it does not apply.
        message: the message or its type; for a method of the cell's class, the function.
        merge: the merge, its name or its type.
        device: its type, such as "cpu"; "any" if its operators support all of them.
        types: whether a sweep has types of edges, which are in its structure.
    """

    said = message if isinstance(message, type | FunctionType) else type(message)
    kind = merge if isinstance(merge, type) else type(find_merge(merge))

    def enter(function: Callable[..., State | None]) -> Callable[..., State | None]:
        _TABLE[cell, said, kind, device, types] = function, _said(cell, kind)
        return function

    return enter


def find(
    cell: Cell | None, message: Message, merge: Merge, device: torch.device, *, types: bool = False
) -> Callable[..., State | None] | None:
    """Return the lowering for exactly this, or None."""
    if _OFF or is_transformed():
        return None
    said: Any
    if cell is None:
        found = _TABLE.get((None, type(message), type(merge), "any", False))
        found = found or _TABLE.get((None, type(message), type(merge), device.type, False))
        return None if found is None or _has_own(merge, _MERGES) or found[1] != _said(None, type(merge)) else found[0]
    kind: Any = type_before_parametrizations(cell)
    said = message if "message" in vars(cell) else kind.message  # a method as the class has it
    # In tracing, an operator of any device can be used, since its body supports all of them.
    where = "cpu" if torch.compiler.is_compiling() else device.type
    found = _TABLE.get((kind, said if isinstance(said, FunctionType) else type(said), type(merge), where, types))
    if found is None or _has_own(merge, _MERGES) or _has_own(cell, _METHODS):
        return None
    return found[0] if found[1] == _said(kind, type(merge)) else None


def _has_own(thing: object, methods: Sequence[str]) -> bool:
    """Return whether such a method is set on the object."""
    return any(name in vars(thing) for name in methods)  # what dynamo traces, which does not trace `vars(…).keys()`


def _said(cell: type[Cell] | None, merge: type[Merge]) -> tuple[Any, ...]:
    """Return what defines a cell and a merge, so that changes to a class are noticed."""
    own = () if cell is None else tuple(getattr(cell, name) for name in _METHODS)
    return *own, merge.empty, merge.reduce, getattr(merge, "weights", None)


class Inputs(NamedTuple):
    """The inputs of a sweep: `[N, F]`, packed; or those of some nodes only, while those of all others are 0.

    Attributes:
        x: `[M, F]`.
        at: int64 `[M]`, the packed positions of those nodes; None for the first M.
        num_nodes: N.
    """

    x: Tensor
    at: Tensor | None
    num_nodes: int

    def filled(self) -> Inputs:
        """Return a row for each node, zeros for the omitted ones: dropout draws a mask for each of them, too."""
        x, at, n = self
        rest = x.new_zeros(n if at is not None else n - x.size(0), x.size(1))
        return Inputs(torch.cat([x, rest]) if at is None else rest.index_copy(0, at, x), None, n)

    def rest(self, cell: Cell) -> Tensor:
        """Return the projected input of the other nodes, `[1, P]`."""
        return cell.project(self.x.new_zeros(1, self.x.size(1)))

    def project(self, cell: Cell) -> Tensor:
        """Project the inputs of all nodes at once, `[N, P]`."""
        p, given = cell.project(self.x), self.x.size(0)
        if given == self.num_nodes and self.at is None:
            return p
        rest = self.rest(cell)
        if self.at is None:
            return torch.cat([p, rest.expand(self.num_nodes - given, -1)])
        return rest.to(p.dtype).expand(self.num_nodes, -1).index_copy(0, self.at, p)


class SweepOperator(FusedOperator):
    """A whole sweep as one operator, and its gradient as another.

    Args:
        name: of the operator.
        inputs: its schema before the structure, such as "Tensor p, Tensor weight, Tensor? h0".
        equations: `(*inputs, structure)` → the cell that reads them, p `[N, P]` and the initial states or None.
        states: number of tensors of states.
        saved: and the other arguments as of :class:`FusedOperator`.
    """

    def __init__(
        self, name: str, inputs: str, *, states: int, saved: int, kernel: Callable[..., State],
        gradient: Callable[..., State], equations: Callable[..., tuple[Any, Tensor, State | None]],
        layout: Callable[..., State],
    ) -> None:  # fmt: skip
        def reference(*given: Any) -> State:
            cell, p, start = equations(*given)
            return walk(cell, Plan(given[-1]), p, given[-1].types, start)

        super().__init__(
            name, inputs, Structure, states=states, saved=saved, kernel=kernel, gradient=gradient,
            reference=reference, layout=layout,
        )  # fmt: skip
