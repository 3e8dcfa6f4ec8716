"""Sums, means, maxima and minima over neighbours, without a tensor that has a row for each edge."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...lowering import lower
from ...messages import Copy, Max, Mean, Merge, Min, Scale, State, Sum
from ...ops.library import HALF
from ...ops.neighbour_max import neighbour_max
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
    means = (m / _degree(links, m.dtype).view(-1, *[1] * (m.dim() - 1)) for m in summed)
    return tuple(m.to(s.dtype) if s.is_floating_point() else m for m, s in zip(means, state, strict=True))


def _degree(links: Links, dtype: torch.dtype) -> Tensor:
    """Return the in-degrees, at least 1, in the dtype of what they divide: converting them each time costs as much."""
    kind = dtype if dtype.is_floating_point else torch.int64
    return links.memo(("degree", kind), lambda: links.in_degree.clamp(min=1).to(kind))


@lower(None, Copy, Max, "any")
def neighbour_maximum(
    links: Links, state: State, received: Any, edge_attr: Tensor | None, merge: Merge
) -> State | None:  # fmt: skip
    """Return ``m_v = max_{u→v} h_u`` in each feature."""
    return tuple(_max(links, s) for s in state) if all(s.is_floating_point() for s in state) else None


@lower(None, Copy, Min, "any")
def neighbour_minimum(
    links: Links, state: State, received: Any, edge_attr: Tensor | None, merge: Merge
) -> State | None:  # fmt: skip
    """Return the same of the smallest."""
    return tuple(-_max(links, -s) for s in state) if all(s.is_floating_point() for s in state) else None


def _max(links: Links, x: Tensor) -> Tensor:
    flat = x if x.dim() == 2 else x.reshape(x.size(0), math.prod(x.shape[1:]))
    out = neighbour_max(flat, links.matrix.ptr, links.matrix.columns)
    return out if x.dim() == 2 else out.view(links.num_receivers, *x.shape[1:])
