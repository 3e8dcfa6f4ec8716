"""Means over the nodes of each graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...errors import expected
from ...topology import Topology
from ..pool import readout


def check_rows(x: Any) -> None:
    """Check features of nodes.

    Raises:
        GraphError: they are something else.
    """
    if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
        raise expected("x", "a floating tensor of shape [N, F]", x)


def means(x: Tensor, batch: Tensor | Topology | None, batch_size: int | None) -> Tensor:
    """Return for each node the mean over its graph, `[N, F]`; for one graph `[1, F]`.

    Args:
        x: `[N, F]`.
        batch: int64 `[N]`, the graph of each node, or a topology; None for one graph.
        batch_size: B, by default the largest entry of a batch vector plus one.
    """
    if batch is None:
        return x.sum(0, keepdim=True) / max(x.size(0), 1)
    mean = readout(x, batch, "mean", num_graphs=batch_size)
    return mean.index_select(0, batch.batch if isinstance(batch, Topology) else batch)
