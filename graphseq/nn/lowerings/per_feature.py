"""Attention with scores of each feature as an operator."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ...messages import State
from ..attention import PerFeature
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


def _reference(x: Tensor, y: Tensor, a: Tensor, edges: Edges) -> State:
    return reference(PerFeature(a, edges.slope), x, (), y, None, edges)


def _kernel(x: Tensor, y: Tensor, a: Tensor, edges: Edges) -> State:
    from ...ops.kernels.per_feature import features

    return attended(features, edges, x, flat(y), flat(a), np.float32(edges.slope))


def _gradient(given: Any, edges: Edges, grads: Any, outputs: State) -> State:
    from ...ops.kernels.per_feature import features_receivers, features_senders

    (x, y, a), (out, lse), heads, wide = given, outputs, edges.heads, given[0].size(1)
    dx, dy, dz = x.new_empty(x.shape), y.new_empty(y.shape), x.new_empty(edges.columns.size(0), heads)
    count = edges.columns.numel() * wide
    parts, work = parts_of(edges.t_ptr, heads, wide, 2)
    read, head = (flat(x), flat(y), flat(a), np.float32(edges.slope)), wide // heads
    features_senders(
        count, parts, *by_sender(edges), *read, *settings(edges, heads, wide), work, lse.contiguous().numpy(),
        flat(grads[0]), shares(grads[0], out, heads).numpy(), flat(dx), dz.numpy(),
    )  # fmt: skip
    parts, _ = parts_of(edges.ptr, heads, wide, 0)
    da = x.new_empty(len(parts) - 1, wide)
    features_receivers(count, parts, *by_receiver(edges), *read, head, dz.numpy(), flat(dy), flat(da))
    return dx, dy, da.sum(0).view(a.shape)


PER_FEATURE = operator(
    "per_feature_attention", "Tensor x, Tensor y, Tensor a", kernel=_kernel, gradient=_gradient, reference=_reference,
    kind="per_feature", names="xra",
)


@attends(PerFeature)
def per_feature(x: Tensor, sent: State, received: Tensor, b: Tensor | None, score: Any, edges: Any) -> State | None:
    """Attend by ``a · leaky(x_u + y_v)``, where edges have no features."""
    a = score.attention
    fits = a.dim() == 2 and a.numel() == x.size(1) == received.size(1) and a.numel() and a.dtype == x.dtype
    if isinstance(score.slope, Tensor) or sent or b is not None or not fits:
        return None
    return PER_FEATURE.over(x, received, a, edges(a.size(0), score.slope))
