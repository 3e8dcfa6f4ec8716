"""Attention with scores that are dot products as an operator."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...messages import State
from ..attention import Dot
from .attend import (
    Edges,
    attended,
    attends,
    by_receiver,
    by_sender,
    flat,
    operator,
    parts_of,
    reference,
    settings,
    shares,
)


def _reference(x: Tensor, k: Tensor, q: Tensor, edges: Edges) -> State:
    return reference(Dot(edges.heads, 1.0), x, (k,), q, None, edges)


def _kernel(x: Tensor, k: Tensor, q: Tensor, edges: Edges) -> State:
    from ...ops.kernels.dot_product import product

    return attended(product, edges, x, flat(k), flat(q))


def _gradient(given: Any, edges: Edges, grads: Any, outputs: State) -> State:
    from ...ops.kernels.dot_product import product_receivers, product_senders

    (x, k, q), (out, lse), heads, wide = given, outputs, edges.heads, given[0].size(1)
    dx, dk, dq = (t.new_empty(t.shape) for t in (x, k, q))
    dz, count = x.new_empty(edges.columns.size(0), heads), edges.columns.numel() * wide
    parts, work = parts_of(edges.t_ptr, heads, wide, 2)
    product_senders(
        count, parts, *by_sender(edges), flat(x), flat(k), flat(q), *settings(edges, heads, wide), work,
        lse.contiguous().numpy(), flat(grads[0]), shares(grads[0], out, heads).numpy(), flat(dx), flat(dk), dz.numpy(),
    )  # fmt: skip
    parts, work = parts_of(edges.ptr, heads, wide, 1)
    product_receivers(count, parts, *by_receiver(edges), flat(k), wide // heads, work, dz.numpy(), flat(dq))
    return dx, dk, dq


PRODUCT = operator(
    "dot_product_attention", "Tensor x, Tensor k, Tensor q", kernel=_kernel, gradient=_gradient, reference=_reference,
    kind="dot", names="xsr",
)


@attends(Dot)
def dot_product(x: Tensor, sent: State, received: Tensor, b: Tensor | None, score: Any, edges: Any) -> State | None:
    """Attend by ``scale · q_v · k_u``, where edges have no features."""
    heads = score.heads
    if len(sent) != 1 or b is not None or not sent[0].shape[1:] == received.shape[1:] == x.shape[1:]:
        return None
    if x.size(1) == 0 or heads < 1 or x.size(1) % heads:
        return None
    scale = (x.size(1) // heads) ** -0.5 if score.scale is None else score.scale
    if isinstance(scale, Tensor):  # one, or one for each head
        scale = scale.to(received.dtype).expand(heads).repeat_interleave(x.size(1) // heads)
    return PRODUCT.over(x, *sent, received * scale, edges(heads, 0.0))
