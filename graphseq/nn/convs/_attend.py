"""Shared by the attention layers: heads, self-loops with features, edge features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core import messages, reduce, softmax
from ...errors import expected
from ...messages import Merge, State
from ...ops.segments import Segments
from ...spectral import self_loops
from ...topology import Links
from ...topology.inputs import check_same_kind
from ..attention import Score
from ..cells.base import check_sizes


class _Product(Merge):
    """The product of the rows; 1 without rows."""

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        index = segments.index.view(-1, *[1] * (rows.dim() - 1)).expand_as(rows)
        return rows.new_ones(segments.count, *rows.shape[1:]).scatter_reduce(0, index, rows, "prod")

    def empty(self, rows: Tensor, count: int) -> Tensor:
        return rows.new_ones(count, *rows.shape[1:])


_FILLS: dict[str, str | Merge] = {"add": "sum", "sum": "sum", "mean": "mean", "min": "min", "max": "max"}
_FILLS["mul"] = _Product()


def check_fill(fill_value: Any) -> Any:
    """Check what the features of self-loops are, and return it.

    Raises:
        GraphError: neither a number, a tensor nor a known word.
    """
    if isinstance(fill_value, str) and fill_value not in _FILLS:
        raise expected("fill_value", f"a number, a tensor or one of {', '.join(_FILLS)}", fill_value)
    if not isinstance(fill_value, str | int | float | Tensor):
        raise expected("fill_value", f"a number, a tensor or one of {', '.join(_FILLS)}", fill_value)
    return fill_value


def check_attention(heads: Any, out_channels: Any, edge_dim: Any) -> None:
    """Check the sizes of an attention layer.

    Raises:
        GraphError: one is not a whole number above 0; the error names it.
    """
    check_sizes(heads=heads, out_channels=out_channels)
    if edge_dim is not None:
        check_sizes(edge_dim=edge_dim)


def check_slope(negative_slope: Any) -> float:
    """Check the slope of a leaky rectifier, and return it.

    Raises:
        GraphError: it is not a number.
    """
    if isinstance(negative_slope, bool) or not isinstance(negative_slope, int | float):
        raise expected("negative_slope", "a number", negative_slope)
    return negative_slope


def check_edges(edge_attr: Tensor | None, links: Links, edge_dim: int | None, like: Tensor) -> Tensor | None:
    """Return the features of edges as `[E, edge_dim]`.

    Raises:
        GraphError: features of a layer without `edge_dim`, or of the wrong shape, dtype or device.
    """
    if edge_attr is None:
        return None
    if edge_dim is None:
        raise expected("edge_attr", "None for a layer without edge_dim", edge_attr)
    if isinstance(edge_attr, Tensor) and edge_attr.dim() == 1:
        edge_attr = edge_attr[:, None]
    if not isinstance(edge_attr, Tensor) or edge_attr.shape != (links.num_edges, edge_dim):
        raise expected("edge_attr", f"shape [{links.num_edges}, {edge_dim}], a row for each edge", edge_attr)
    if edge_attr.device != like.device or not edge_attr.is_floating_point():
        raise expected("edge_attr", f"floating-point numbers on {like.device}, as `x` is", edge_attr)
    check_same_kind("edge_attr", edge_attr, like)
    return edge_attr


def replace_loops(links: Links, edge_attr: Tensor | None, fill_value: Any) -> tuple[Links, Tensor | None]:
    """Replace the self-loops by one for each node, after all other edges, with features of their own.

    Args:
        links: on one set of nodes, or between two.
        edge_attr: `[E, D]`, or None.
        fill_value: the features of loops: a number, a tensor, or a reduction of those of the edges into the node.
    """
    looped, kept = self_loops(links)
    if edge_attr is None:
        return looped, None
    n = min(links.num_senders, links.num_receivers)
    others = edge_attr.index_select(0, kept[: kept.size(0) - n])
    if isinstance(fill_value, str):
        bare = looped.memo("without loops", lambda: _without_last(looped, n))
        (filled,) = reduce(bare, (others,), merge=_FILLS[fill_value])
        filled = filled[:n]
    else:
        filled = torch.as_tensor(fill_value).to(edge_attr)
        if filled.dim() > 2 or (filled.dim() and filled.size(-1) not in (1, edge_attr.size(1))):
            raise expected("fill_value", f"a number, or a tensor of {edge_attr.size(1)}", fill_value)
        filled = filled.expand(n, edge_attr.size(1))
    return looped, torch.cat([others, filled])


def coefficients(
    links: Links, score: Score, state: State, received: Tensor, edge_attr: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the edges and the α of each, `[E, heads]`."""

    def scored(sent: State, at: Any, edge: Tensor | None) -> State:
        return (score(sent, at, edge),)

    rows = messages(links, state, message=scored, received=received, edge_attr=edge_attr)
    return links.edge_index.clone(), softmax(links, rows.state[0])


def _without_last(links: Links, count: int) -> Links:
    kept = links.edge_index[:, : links.num_edges - count].contiguous()
    return Links(kept, links.num_senders, links.num_receivers)
