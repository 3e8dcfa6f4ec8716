"""Sums and means over neighbours as sparse products, without a tensor that has a row for each edge."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ...lowering import lower
from ...messages import Copy, Mean, Merge, Scale, State, Sum
from ...ops.library import HALF
from ...ops.segment import segment_sum
from ...ops.spmm import spmm
from ...topology import Links, Members


@lower(None, Copy, Sum, "any")
@lower(None, Scale, Sum, "any")
def neighbour_sum(links: Links, state: State, received: Any, edge_attr: Tensor | None, merge: Merge) -> State | None:
    """Return ``m_v = Σ_{u→v} w_uv h_u``, with one weight per edge, or none."""
    if edge_attr is not None and edge_attr.dim() != 1:
        return None
    return (_sum(links, edge_attr, state[0]),) if len(state) == 1 else tuple(_sum(links, edge_attr, s) for s in state)


def _sum(links: Links, weight: Tensor | None, x: Tensor) -> Tensor:
    if isinstance(links, Members) and weight is None:
        return segment_sum(x, links.segments)
    if x.dim() == 2:
        return spmm(links.matrix, weight, x)
    flat = x.reshape(x.size(0), math.prod(x.shape[1:]))
    return spmm(links.matrix, weight, flat).view(links.num_receivers, *x.shape[1:])


@lower(None, Copy, Mean, "any")
@lower(None, Scale, Mean, "any")
def neighbour_mean(links: Links, state: State, received: Any, edge_attr: Tensor | None, merge: Merge) -> State | None:
    """Return the same over the number of neighbours."""
    wide = tuple(s.float() if s.dtype in HALF else s for s in state)  # a sum may exceed the range of 16 bits
    summed = neighbour_sum(links, wide, received, edge_attr, merge)
    if summed is None:
        return None
    degree = links.memo("degree", lambda: links.in_degree.clamp(min=1))
    means = (m / degree.view(-1, *[1] * (m.dim() - 1)) for m in summed)
    return tuple(m.to(s.dtype) if s.is_floating_point() else m for m, s in zip(means, state, strict=True))
