"""Messages of edges, and merges of the messages that a receiver gets: small extensible objects.

A **message** is a callable ``message(sent, received, edge)`` of the senders' states, `[E, H]` each, of what the message
reads from the receivers, and of the edges' features. :data:`COPY` and :data:`SCALE` are two with fused operators.

A **merge** reduces rows that are grouped by receiver. "sum", "mean", "max", "min", "var", "std", "softmax" and "slots"
are the library's; your own is a subclass of :class:`Merge`, of a few lines.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .errors import GraphError, Words, expected
from .ops.segments import Segments

__all__ = [
    "COPY", "FIRST", "MERGES", "SCALE", "Copy", "First", "Max", "Mean", "Merge", "Message", "Messages", "Min",
    "PowerMean", "Scale", "Slots", "Softmax", "State", "Std", "Sum", "Var", "find_merge", "send",
]  # fmt: skip

State = tuple[Tensor, ...]


class Messages(NamedTuple):
    """The messages, `[E, ...]` each, and new states of the edges; for messages that also update the edges."""

    state: State
    edge: Tensor | None = None


Message = Callable[[State, Any, Tensor | None], "State | Messages"]


class _Single:
    """A singleton, even when it is copied or pickled."""

    def __reduce__(self) -> str:
        return type(self).__name__.upper()

    def __repr__(self) -> str:
        return type(self).__name__.upper()


class Copy(_Single):
    """The sender's state."""

    def __call__(self, sent: State, received: Any, edge: Tensor | None) -> State:
        """Return `sent`."""
        return sent


class Scale(_Single):
    """The sender's state times the edge's weight, which is `edge_attr`, `[E]`; or one per head, `[E, heads]`."""

    def __call__(self, sent: State, received: Any, edge: Tensor | None) -> State:
        """Return `edge` times `sent`."""
        return sent if edge is None else tuple(weighted(edge, s) for s in sent)


class First(_Single):
    """The first tensor of the sender's state; the others are read by the merge's score."""

    def __call__(self, sent: State, received: Any, edge: Tensor | None) -> State:
        """Return the first of `sent`."""
        return sent[:1]


COPY, SCALE, FIRST = Copy(), Scale(), First()


def weighted(weight: Tensor, rows: Tensor, argument: str = "edge_attr") -> Tensor:
    """Multiply rows `[E, ...]` by weights `[E]`, or the heads of rows, `[E, heads · D]` or `[E, heads, D]`, by one
    per head, `[E, heads]`.
    """
    if weight.dim() == 1:
        return rows * weight.view(-1, *[1] * (rows.dim() - 1))
    if rows.dim() == 2:
        if rows.size(1) % weight.size(1):
            raise expected(argument, f"a number of heads that divides the width {rows.size(1)}", weight)
        heads: Tensor = rows.unflatten(1, (weight.size(1), -1))
        return (heads * weight[..., None]).flatten(1)
    if rows.size(1) != weight.size(1):
        raise expected(argument, f"shape [{rows.size(0)}, {rows.size(1)}], one weight per head", weight)
    return rows * weight.view(*weight.shape, *[1] * (rows.dim() - 2))


class Merge(ABC):
    """How the messages that a receiver gets from several edges are combined.

    Attributes:
        score: for a merge that weights its rows: a callable with the arguments of a message, whose result `[E, ...]`
            is `scores`.

    >>> class LogSumExp(Merge):
    ...     def reduce(self, rows, segments, scores):
    ...         top = segments.max(rows.detach())
    ...         return segments.sum((rows - segments.spread(top)).exp()).log() + top
    """

    score: Callable[[State, Any, Tensor | None], Tensor] | None = None

    @abstractmethod
    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return one row per receiver, `[R, ...]`, from the rows of all edges, `[E, ...]`. Receivers without edges get
        :meth:`empty` instead.
        """

    def empty(self, rows: Tensor, count: int) -> Tensor:
        """Return the results of `count` receivers without edges: zeros `[count, ...]`, in the shape of the results of
        `reduce` for rows like these.
        """
        return rows.new_zeros(count, *rows.shape[1:])

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def check_share(dropout: Any) -> float:
    """Check the share of coefficients that dropout sets to 0, and return it.

    Raises:
        GraphError: it is not a number from 0 to 1.
    """
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise expected("dropout", "a number from 0 to 1", dropout)
    return float(dropout)


class Sum(Merge):
    """The sum of the rows."""

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``Σ_e row_e``."""
        return segments.sum(rows)


class Mean(Merge):
    """The mean of the rows."""

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``Σ_e row_e / E_v``."""
        return segments.mean(rows)


class Max(Merge):
    """The element-wise maximum; of equal ones the first edge's gets the gradient."""

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``max_e row_e``."""
        return segments.max(rows)


class Min(Merge):
    """The element-wise minimum; of equal ones the first edge's gets the gradient."""

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``min_e row_e``."""
        return segments.min(rows)


class Softmax(Merge):
    """The rows' sum, weighted by the softmax of their scores: attention over a node's predecessors.

        α_e = exp(s_e) / Σ_{e' into v} exp(s_e'),   m_v = Σ_e α_e row_e

    Args:
        score: ``score(sent, received, edge)``, with the arguments of a message, returns `[E]`, or with heads
            `[E, heads]`, for rows `[E, heads · D]` or `[E, heads, D]`. None weights rows element-wise by themselves.
        dropout: share of the α that are set to 0 at random, while the others are scaled up.
    """

    def __init__(
        self, score: Callable[[State, Any, Tensor | None], Tensor] | None = None, *, dropout: float = 0.0
    ) -> None:
        self.score, self.dropout = score, check_share(dropout)

    def weights(self, scores: Tensor, segments: Segments) -> Tensor:
        """Return α, `[E, ...]`."""
        return nn.functional.dropout(segments.softmax(scores), self.dropout)

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``Σ_e α_e row_e``."""
        if not rows.is_floating_point():
            raise expected("state", "floating-point numbers, for a softmax", rows)
        if scores is None:
            return segments.sum(self.weights(rows, segments) * rows)
        if not scores.is_floating_point():
            raise expected("score", "to return floating-point numbers", scores)
        if scores.dim() not in (1, 2) or scores.size(0) != rows.size(0):
            raise expected("score", f"to return shape [{rows.size(0)}] or [{rows.size(0)}, heads]", scores)
        return segments.sum(weighted(self.weights(scores, segments), rows, "score"))


class Var(Merge):
    """The variance of the rows, ``Σ_e (row_e - mean)² / E_v``."""

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return the mean square of what rows differ from their mean."""
        apart = rows - segments.spread(segments.first(rows.detach()))  # 0 where rows are equal, whose mean is rounded
        apart = apart - segments.spread(segments.mean(apart))
        return segments.mean(apart * apart)


class Std(Merge):
    """The standard deviation of the rows, one of the aggregators of Corso, Cavalleri, Beaini, Liò & Veličković (2020),
    Principal neighbourhood aggregation for graph nets; its gradient is 0 where all rows are equal.
    """

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return ``sqrt(Σ_e (row_e - mean)² / E_v)``."""
        variance = MERGES["var"].reduce(rows, segments, None)
        equal = variance == 0  # where the root has no gradient
        return torch.where(equal, torch.ones_like(variance), variance).sqrt().masked_fill(equal, 0.0)


class PowerMean(Merge, nn.Module):
    """The power mean of the rows' magnitudes: the mean for p = 1, towards the maximum for larger p.

        m_v = (Σ_e |row_e|^p / E_v)^{1/p}

    Li, Xiong, Thabet & Ghanem (2020), DeeperGCN: all you need to train deeper GCNs; here of rows of any sign.

    Args:
        p: above 0; a tensor, such as a parameter, is learnt.
    """

    def __init__(self, p: float | Tensor = 2.0) -> None:
        if not isinstance(p, Tensor) and (isinstance(p, bool) or not isinstance(p, int | float) or not p > 0):
            raise expected("p", "a number above 0, or a tensor", p)
        nn.Module.__init__(self)  # so that a layer that has it has its parameter
        self.p = p

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return the power means, computed relative to the largest magnitude, so that no power overflows."""
        sizes = rows.abs()
        top = segments.max(sizes.detach())
        finite = (top > 0) & (top < math.inf)
        relative = sizes / segments.spread(torch.where(finite, top, torch.ones_like(top)))
        zero = relative == 0  # where the power has no gradient
        mean = segments.mean(relative.masked_fill(zero, 1.0).pow(self.p).masked_fill(zero, 0.0))
        empty = mean == 0
        mean = mean.masked_fill(empty, 1.0).pow(1 / self.p).masked_fill(empty, 0.0)
        return mean * torch.where(finite, top, torch.ones_like(top))


class Slots(Merge):
    """The rows side by side, each in its edge's slot, `[R, count, ...]`; zeros in slots without an edge.

    Args:
        count: A.
    """

    def __init__(self, count: int) -> None:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise expected("count", "an integer ≥ 1", count)
        self.count = count

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Put row e at ``[receiver of e, slot of e]``."""
        return self.fill(self.empty(rows, segments.count), rows, segments)

    def fill(self, base: Tensor, rows: Tensor, segments: Segments) -> Tensor:
        """Put row e at ``[receiver of e, slot of e]`` of `base`, `[R, count, ...]`."""
        if segments.single and self.count == 1:
            return rows[:, None]
        place = segments.index * self.count
        if segments.slot is not None:
            place = place + segments.slot
        return base.flatten(0, 1).index_copy(0, place, rows).view(base.shape)

    def empty(self, rows: Tensor, count: int) -> Tensor:
        """Return zeros `[count, slots, ...]`."""
        return rows.new_zeros(count, self.count, *rows.shape[1:])

    def __repr__(self) -> str:
        return f"Slots({self.count})"


MERGES: dict[str, Merge] = {
    "sum": Sum(), "mean": Mean(), "max": Max(), "min": Min(), "var": Var(), "std": Std(), "softmax": Softmax(),
}  # fmt: skip


def find_merge(merge: Any, slots: int = 1, *, argument: str = "merge") -> Merge:
    """Return a merge, which may be given by name; "slots" are `slots` many.

    Args:
        merge: a name, or a merge.
        slots: how many.
        argument: the name of the caller's argument.

    Raises:
        GraphError: there is no merge of this name.
    """
    if isinstance(merge, Merge):
        return merge
    if isinstance(merge, str) and merge == "slots":
        return Slots(slots)
    if isinstance(merge, str) and merge in MERGES:
        return MERGES[merge]
    names = ", ".join(f'"{name}"' for name in MERGES)
    raise expected(argument, f'{names}, "slots" or a graphseq.Merge', meant(merge))


def meant(merge: Any) -> Any:
    """Return what was given in place of a merge's name, with the name that may be meant."""
    known = {"add": "sum", "avg": "mean", "average": "mean", "maximum": "max", "minimum": "min"}
    if not isinstance(merge, str) or merge not in known:
        return merge
    return Words(f'{merge!r}; did you mean "{known[merge]}"?')


def send(message: Message, merge: Merge, sent: State, received: Any, edge: Tensor | None) -> tuple[Messages, Any]:
    """Return the messages, with the edges' new states, and the scores by which they are merged.

    Raises:
        GraphError: the message does not return a tuple of tensors with a row for each edge.
    """
    scores = None
    if merge.score is not None:
        scores = merge.score(sent, received, edge)
        if not isinstance(scores, Tensor):
            raise expected("score", "the merge's to return a tensor", scores)
    if type(message) is Copy:
        return Messages(sent, edge), scores
    made = message(sent, received, edge)
    messages = made if isinstance(made, Messages) else Messages(made, edge)
    count = sent[0].size(0)
    if not isinstance(messages.state, tuple) or not all(isinstance(m, Tensor) for m in messages.state):
        raise expected("message", "to return a tuple of tensors", messages.state)
    for i, m in enumerate(messages.state):
        if m.dim() == 0 or m.size(0) != count:
            raise expected(f"message()[{i}]", f"{count} rows, one for each edge", m)
    if messages.edge is not None and (messages.edge.dim() == 0 or messages.edge.size(0) != count):
        raise expected("message().edge", f"{count} rows, one for each edge", messages.edge)
    return messages, scores


def reads_receivers(message: Message, merge: Merge) -> bool:
    """Return whether a message or a score reads the receivers, or may do so."""
    return type(message) not in (Copy, Scale) or merge.score is not None


def no_slots(got: int, arity: int) -> GraphError:
    """Return the error for more predecessors than slots."""
    return expected("topology", f"at most {arity} slots, the cell's arity", Words(f"{got}"))
