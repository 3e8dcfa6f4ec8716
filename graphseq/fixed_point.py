"""The schedule of the first graph neural networks: states that no further round changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .cell import Cell, as_state, updated
from .core import aggregate
from .errors import GraphError, Words, expected
from .messages import Slots, State
from .ops.library import is_transformed
from .schedule import Schedule
from .topology import Topology
from .topology.inputs import check_count, check_same_kind

__all__ = ["FixedPoint", "NotConverged"]


class NotConverged(UserWarning):
    """The states still changed in the last round; the message says by how much, and how fast that decreases."""


@dataclass(frozen=True)
class FixedPoint(Schedule):
    """Repeat ``h_v = update(project(x_v), merge of message(h_u) over u→v)`` on any graph until no state changes.

    That is the equation of a sweep, on a graph that may have cycles. If the step is a contraction, there is one
    solution, and it does not depend on where the rounds begin (Scarselli, Gori, Tsoi, Hagenbuchner & Monfardini 2009,
    The graph neural network model, eq. 2 and theorem 1). The gradient is that of the solution, by the implicit function
    theorem (ibid., eq. 7): ``y = g + (∂h'/∂h)ᵀ y``, solved by the same rounds. So memory does not grow with their
    number. Within ``torch.func`` transforms, forward mode and ``torch.compile``, all of `max_rounds` are taken and
    differentiated.

    A sum over n predecessors multiplies differences by up to n. A cell whose merge is "mean" and whose recurrent
    weights have a norm below 1 (``torch.nn.utils.parametrizations.spectral_norm``) is safe.

    Args:
        tolerance: the largest change of a state, relative to the largest state or 1, at which the rounds end; of the
            gradient, relative to its largest number.
        max_rounds: number of rounds after which they end with a :class:`NotConverged` warning.

    Raises:
        GraphError: an invalid argument; `nodes`; on a second derivative, which is not supported.

    >>> from graphseq.nn import ElmanCell, Recurrent
    >>> cell = ElmanCell(2, 3)
    >>> cell.weight_hh.data *= 0.1
    >>> ring = Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]))
    >>> Recurrent(cell, FixedPoint())(torch.ones(3, 2), ring).shape
    torch.Size([3, 3])
    """

    tolerance: float = 1e-6
    max_rounds: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.tolerance, bool) or not isinstance(self.tolerance, int | float) or not self.tolerance > 0:
            raise expected("tolerance", "a number above 0", self.tolerance)
        if check_count("max_rounds", self.max_rounds) < 1:
            raise expected("max_rounds", "a whole number ≥ 1", self.max_rounds)

    def run(
        self, cell: Cell, x: Tensor, topology: Topology, state: Any = None, *, edge_attr: Tensor | None = None,
        nodes: Tensor | None = None,
    ) -> State:  # fmt: skip
        """Find the states; `state` `[N, H]` is where the rounds begin, zeros by default."""
        if nodes is not None:
            raise expected("nodes", "None for a fixed point, whose x is the input of every node", nodes)
        merge = cell.merger
        if isinstance(merge, Slots):
            raise expected("cell", "a cell whose merge does not depend on slots", merge)
        p, sizes = cell.project(x), list(cell.state_sizes)

        def step(h: Tensor) -> Tensor:
            sent = tuple(part.clone() for part in h.split(sizes, 1))  # the cell may modify it
            merged = aggregate(topology, sent, message=cell.message, merge=merge, received=p, edge_attr=edge_attr)
            return torch.cat(updated(cell, p, merged), 1)

        first = _start(cell, x, topology, state)
        if torch.compiler.is_compiling() or is_transformed():
            return tuple(self._unrolled(step, first).split(sizes, 1))
        with torch.no_grad():
            found = self._solve(step, first, "the states")
        h = step(found)
        if h.requires_grad:
            again = step(at := found.clone().requires_grad_())

            def implicit(grad: Tensor | None) -> Tensor | None:
                if grad is None:  # undefined, which is 0
                    return None
                if torch.is_grad_enabled():
                    raise GraphError("FixedPoint has no second derivatives; Rounds(k) has")

                def back(y: Tensor) -> Tensor:
                    (through,) = torch.autograd.grad(again, at, y, retain_graph=True, allow_unused=True)
                    return grad if through is None else grad + through

                return self._solve(back, grad, "the gradient", least=0.0)

            h.register_hook(implicit)
        return tuple(part.clone() for part in h.split(sizes, 1))  # not views, which couldn't be changed in place

    def _solve(self, step: Callable[[Tensor], Tensor], h: Tensor, what: str, least: float = 1.0) -> Tensor:
        change, before = 0.0, 0.0
        for _ in range(self.max_rounds):
            new = step(h)
            before, change = change, float((new - h).abs().max()) if h.numel() else 0.0
            h = new
            if change <= self.tolerance * max(least, float(h.abs().max()) if h.numel() else 1.0):
                return h
        rate = f", and by {before:.2g} in the one before" if before else ""
        told = f"{what} changed by {change:.2g} in round {self.max_rounds}, the last one{rate}"
        warnings.warn(f"{told}; is the step a contraction?", NotConverged, stacklevel=2)
        return h

    def _unrolled(self, step: Callable[[Tensor], Tensor], h: Tensor) -> Tensor:
        for _ in range(self.max_rounds):
            h = step(h)
        return h


def _start(cell: Cell, x: Tensor, topology: Topology, state: Any) -> Tensor:
    """Return the states before the first round."""
    if state is None:
        return x.new_zeros(x.size(0), sum(cell.state_sizes))
    parts = as_state(state, cell)
    for i, part in enumerate(parts):
        check_same_kind(f"state[{i}]", part, x)
        if part.dim() != 2 or part.size(0) != topology.num_nodes:
            got = Words(f"{list(part.shape)}")
            raise expected(f"state[{i}]", f"shape [{topology.num_nodes}, {part.size(-1)}], one row a node", got)
    return torch.cat([part.detach() for part in parts], 1)
