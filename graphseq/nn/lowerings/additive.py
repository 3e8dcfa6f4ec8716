"""Attention with additive scores as an operator."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ...messages import State
from ..attention import Additive
from .attend import (
    Edges,
    attended,
    attends,
    by_sender,
    flat,
    operator,
    over_receivers,
    parts_of,
    reference,
    rows,
    settings,
    shares,
)


def _reference(x: Tensor, s: Tensor, r: Tensor, b: Tensor | None, edges: Edges) -> State:
    return reference(Additive(edges.slope), x, (s,), r, b, edges)


def _kernel(x: Tensor, s: Tensor, r: Tensor, b: Tensor | None, edges: Edges) -> State:
    from ...ops.kernels.additive import additive

    return attended(additive, edges, x, *(rows(t, edges.heads) for t in (s, r, b)), np.float32(edges.slope))


def _gradient(given: Any, edges: Edges, grads: Any, outputs: State) -> State:
    from ...ops.kernels.additive import additive_backward

    (x, s, r, b), (out, lse), heads, wide = given, outputs, edges.heads, given[0].size(1)
    dx, ds, dz = x.new_empty(x.shape), s.new_empty(s.shape), x.new_empty(edges.columns.size(0), heads)
    parts, work = parts_of(edges.t_ptr, heads, wide, 2)
    numbers = (*(rows(t, heads) for t in (s, r, b)), np.float32(edges.slope), *settings(edges, heads, wide))
    read = flat(x), *numbers, work, lse.contiguous().numpy()
    additive_backward(
        edges.columns.numel() * wide, parts, *by_sender(edges), *read, flat(grads[0]),
        shares(grads[0], out, heads).numpy(), flat(dx), ds.numpy(), dz.numpy(),
    )  # fmt: skip
    return dx, ds, over_receivers(edges, dz), x.new_empty(0) if b is None else dz


ADDITIVE = operator(
    "additive_attention", "Tensor x, Tensor s, Tensor r, Tensor? b", kernel=_kernel, gradient=_gradient,
    reference=_reference, kind="additive", names="xsrb",
)  # fmt: skip


@attends(Additive)
def additive(x: Tensor, sent: State, received: Tensor, b: Tensor | None, score: Any, edges: Any) -> State | None:
    """Attend by ``leaky(s_u + r_v + b_e)``."""
    heads = received.size(1)
    known = (*sent, received) if b is None else (*sent, received, b)
    plain = not isinstance(score.slope, Tensor) and len(sent) == 1
    if not plain or heads == 0 or x.size(1) % heads or any(t.size(1) != heads for t in known):
        return None
    return ADDITIVE.over(x, *sent, received, b, edges(heads, score.slope))
