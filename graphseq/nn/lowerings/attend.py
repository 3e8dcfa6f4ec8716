"""Attention over neighbours as operators: a softmax per receiver, with no row of values for each edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...fused import FusedOperator
from ...lowering import lower
from ...messages import First, Merge, Softmax, State, weighted
from ...ops.library import HAS_TRITON
from ...ops.segments import Segments
from ...ops.spmm import kernels, rows_of
from ...topology import Links
from ..attention import Score

_PARTS, _PARTED = 64, 400_000  # parts of the rows, for threads, where there are more numbers than this


class Edges(NamedTuple):
    """The edges by receiver and by sender, as in :class:`graphseq.ops.spmm.Sparse`, and what else has no gradient.

    Attributes:
        keep: uint8 `[E, heads]`, 1 where dropout keeps an α; None without dropout.
        heads: number of heads.
        share: by which what is kept is scaled up.
        slope: of the score's rectifier.
    """

    ptr: Tensor
    columns: Tensor
    edge: Tensor
    t_ptr: Tensor
    t_columns: Tensor
    t_edge: Tensor
    keep: Tensor | None
    heads: int
    share: float
    slope: float


def reference(score: Score, x: Tensor, sent: State, received: Tensor, b: Tensor | None, edges: Edges) -> State:
    """Return ``Σ_e α_e m_e x_u`` by the equations, from rows of the edges."""
    segments = Segments(rows_of(edges.ptr, edges.columns.size(0)), edges.ptr.size(0) - 1, edges.ptr)
    rows = tuple(t.index_select(0, edges.columns) for t in (x, *sent))
    of_edges = None if b is None else b.index_select(0, edges.edge)
    alpha = segments.softmax(score(rows, segments.spread(received), of_edges))
    if edges.keep is not None:
        alpha = alpha * edges.keep.index_select(0, edges.edge) * edges.share
    return (segments.sum(weighted(alpha, rows[0])),)


def flat(t: Tensor) -> Any:
    """Return a tensor's numbers as an array."""
    return t.contiguous().view(-1).numpy()


def rows(t: Tensor | None, heads: int, dtype: torch.dtype = torch.float32) -> Any:
    """Return numbers `[…, heads]` as an array, one without rows for missing ones."""
    return (torch.empty(0, heads, dtype=dtype) if t is None else t.contiguous()).numpy()


def by_receiver(edges: Edges) -> tuple[Any, ...]:
    """Return the pattern of a pass over receivers."""
    return edges.ptr.numpy(), edges.columns.numpy(), edges.edge.numpy()


def by_sender(edges: Edges) -> tuple[Any, ...]:
    """Return the pattern of a pass over senders."""
    return edges.t_ptr.numpy(), edges.t_columns.numpy(), edges.t_edge.numpy()


def parts_of(ptr: Tensor, heads: int, width: int, arrays: int) -> tuple[Any, Any]:
    """Return where parts of the rows begin, with about as many edges each, and room for the edges of one row."""
    edges, count = int(ptr.numpy()[-1]), ptr.size(0) - 1
    if edges * width <= _PARTED:  # one part; room for all edges costs less than to find the row with most
        return np.array([0, count]), np.empty((1, arrays * edges * heads), np.float32)
    most = int(ptr.diff().max())
    made = min(_PARTS, 4 * edges // most)  # fewer where one row has most edges, or the room would be many times theirs
    parts = torch.searchsorted(ptr, torch.arange(made + 1) * edges // made)
    parts[0], parts[-1] = 0, count
    return parts.numpy(), np.empty((made, arrays * most * heads), np.float32)


def settings(edges: Edges, heads: int, width: int) -> tuple[Any, ...]:
    """Return dropout's mask, the scale of what it keeps, and the width of a head."""
    return rows(edges.keep, heads, torch.uint8), np.float32(edges.share), width // heads


def attended(kernel: Any, edges: Edges, x: Tensor, *read: Any) -> State:
    """Run a forward kernel, which reads x and what the scores need; return merged values and parts of log-sum-exps."""
    n, heads, wide = edges.ptr.size(0) - 1, edges.heads, x.size(1)
    out, lse = x.new_empty(n, wide), x.new_zeros(n, 2 * heads)
    parts, work = parts_of(edges.ptr, heads, wide, 1)
    given = (*by_receiver(edges), flat(x), *read, *settings(edges, heads, wide))
    kernel(edges.columns.numel() * wide, parts, *given, work, flat(out), lse.numpy())
    return out, lse


def shares(grad: Tensor, out: Tensor, heads: int) -> Tensor:
    """Return ``g_v · out_v`` of each head."""
    from ...ops.kernels.attention import shares as kernel

    found = out.new_empty(out.size(0), heads)
    kernel(out.numel(), flat(grad), flat(out), out.size(1) // heads, found.numpy())
    return found


def over_receivers(edges: Edges, numbers: Tensor) -> Tensor:
    """Sum rows of the edges over those of each receiver."""
    array, compiled = kernels()
    out = numbers.new_empty(edges.ptr.size(0) - 1, numbers.size(1))
    compiled.plain_sum(numbers.numel(), *map(array, (edges.ptr, edges.edge, numbers, out)))
    return out


def operator(
    name: str, inputs: str, *, kernel: Callable[..., State], gradient: Callable[..., State],
    reference: Callable[..., State], kind: str, names: str,
) -> FusedOperator:  # fmt: skip
    """Return the operator of one kind of score, whose results are the merged values and the parts of the log-sum-exps.

    Args:
        name: of the operator.
        inputs: its schema before the structure.
        kernel: this and the next two are those of :class:`graphseq.fused.FusedOperator`.
        gradient: on the CPU, as `kernel` is.
        reference: the equations.
        kind: of the score, for the kernels of CUDA.
        names: what these call the inputs, a letter each.
    """

    def layout(given: Any, edges: Edges, size: Callable[[], int]) -> State:
        n, x = edges.ptr.size(0) - 1, given[0]
        return x.new_empty(n, x.size(1)), x.new_empty(n, 2 * edges.heads)

    def forward(*given: Any) -> State:
        from ...ops.kernels import triton_attention

        return triton_attention.attention(kind, given[-1], **dict(zip(names, given[:-1], strict=True)))

    def backward(given: Any, edges: Edges, grads: Any, outputs: State) -> State:
        from ...ops.kernels import triton_attention

        named = dict(zip(names, given, strict=True))
        found = triton_attention.gradient(kind, edges, grads[0], *outputs, **named)
        return tuple(found[key] if t is not None else given[0].new_empty(0) for key, t in named.items())

    return FusedOperator(
        name, inputs, Edges, states=1, saved=1, kernel=kernel, gradient=gradient, reference=reference, layout=layout,
        cuda=(forward, backward) if HAS_TRITON else None,
    )  # fmt: skip


Fused = Callable[[Tensor, State, Tensor, Tensor | None, Any, Callable[[int, float], Edges]], State | None]
_BY_SCORE: dict[type, tuple[Fused, Any]] = {}


def attends(kind: type) -> Callable[[Fused], Fused]:
    """Register the function for a kind of score, called as ``(x, sent, received, edge_attr, score, edges)``.

    `edges(heads, slope)` returns the structure. The function may return None if it does not apply.
    """

    def enter(function: Fused) -> Fused:
        _BY_SCORE[kind] = function, kind.__call__
        return function

    return enter


@lower(None, First, Softmax, "cpu")
@lower(None, First, Softmax, "cuda")
def attend(links: Links, state: State, received: Any, edge_attr: Tensor | None, merge: Merge) -> State | None:
    """Merge the senders' values by the softmax of their scores."""
    kind = type(merge.score)
    fused, says = _BY_SCORE.get(kind, (None, None))
    given = (*state, received) if edge_attr is None else (*state, received, edge_attr)
    if fused is None or kind.__call__ is not says or not all(isinstance(t, Tensor) and t.dim() == 2 for t in given):
        return None
    if any(t.dtype != state[0].dtype for t in given):
        return None
    p = merge.dropout if isinstance(merge, Softmax) else 0.0

    def edges(heads: int, slope: float) -> Edges:
        keep = None
        if p:
            keep = torch.empty(links.num_edges, heads, dtype=torch.uint8, device=state[0].device).bernoulli_(1 - p)
        return Edges(*links.matrix, keep, heads, 1 / (1 - p) if p < 1 else 0.0, slope)

    return fused(state[0], state[1:], received, edge_attr, merge.score, edges)
