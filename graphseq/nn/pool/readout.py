"""One vector for each graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core import aggregate
from ...errors import expected
from ...messages import meant
from ...topology import Links, Members, Topology
from ...topology.inputs import check_count, check_range, integers, same_length


def readout(
    x: Tensor, batch_or_topology: Tensor | Topology, reduce: str = "sum", *, num_graphs: int | None = None
) -> Tensor:
    """Reduce the features of each graph's nodes: ``out_b = reduce over v in graph b of x_v``.

    Args:
        x: `[N, ...]`.
        batch_or_topology: a topology of N nodes, or the graph of each node, int64 `[N]`, in any order.
        reduce: "sum", "mean", "max" or "min". A graph without nodes gets 0; of ties the first node gets the gradient.
        num_graphs: B, where the last graphs of a batch vector are empty; by default its largest entry plus one.

    Returns:
        `[B, ...]`.

    Raises:
        GraphError: another `reduce`; a batch of another type or length.

    >>> readout(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1]))
    tensor([[3.],
            [3.]])
    """
    if isinstance(batch_or_topology, Topology):
        same_length("x", x, batch_or_topology.num_nodes, "node")
        if num_graphs not in (None, batch_or_topology.num_graphs):
            raise expected("num_graphs", f"None or the topology's {batch_or_topology.num_graphs}", num_graphs)
        members = batch_or_topology.members
    else:
        members = _members(x, batch_or_topology, num_graphs)
    if reduce not in ("sum", "mean", "max", "min"):
        raise expected("reduce", '"sum", "mean", "max" or "min"', meant(reduce))
    (out,) = aggregate(members, (x,), merge=reduce)
    return out


def _members(x: Tensor, batch: Any, num_graphs: int | None) -> Links:
    """Return the links from nodes to their graphs."""
    batch = integers("batch_or_topology", batch)
    same_length("x", x, batch.size(0), "entry of the batch vector")
    n = batch.size(0)
    if n and not torch.compiler.is_compiling() and bool((batch[1:] >= batch[:-1]).all()):
        least, most = int(batch[0]), int(batch[-1])
        count = most + 1 if num_graphs is None else check_count("num_graphs", num_graphs)
        if least >= 0 and most < count:
            return Members(torch.searchsorted(batch, torch.arange(count + 1, device=batch.device)), n)
    if num_graphs is None:
        num_graphs = max(int(batch.max()) + 1, 0) if n else 0
    if not torch.compiler.is_compiling():
        check_range("batch_or_topology", batch, check_count("num_graphs", num_graphs))
    return Links(torch.stack([torch.arange(n, device=batch.device), batch]), n, num_graphs)
