"""Means over the nodes of each graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...errors import expected
from ...topology import Topology
from ...topology.inputs import check_range
from ..pool import readout


def check_rows(x: Any) -> None:
    """Check features of nodes.

    Raises:
        GraphError: they are something else.
    """
    if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
        raise expected("x", "a floating-point tensor of shape [N, F]", x)


def means(x: Tensor, batch: Tensor | Topology | None, batch_size: int | None) -> Tensor:
    """Return for each node the mean over its graph, `[N, F]`; for one graph `[1, F]`.

    Args:
        x: `[N, F]`.
        batch: int64 `[N]`, the graph of each node, or a topology; None for one graph.
        batch_size: B, by default the largest entry of a batch vector plus one.
    """
    if batch is not None and not isinstance(batch, Topology):
        fits = isinstance(batch, Tensor) and batch.dtype == torch.int64 and batch.shape == (x.size(0),)
        if not fits:
            raise expected("batch", f"int64 of shape [{x.size(0)}], the graph of each node, or a topology", batch)
        if batch_size is not None and not torch.compiler.is_compiling():
            check_range("batch", batch, batch_size)
    exact = torch.promote_types(x.dtype, torch.float32)  # sums exceed the range of 16 bits
    if batch is None:
        return (x.sum(0, keepdim=True, dtype=exact) / max(x.size(0), 1)).to(x.dtype)
    mean = readout(x, batch, "mean", num_graphs=batch_size)
    return mean.index_select(0, batch.batch if isinstance(batch, Topology) else batch)
