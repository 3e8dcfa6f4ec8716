"""One vector for each graph."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import expected
from ...ops.csr import csr
from ...ops.segment import segment_reduce
from ...topology import Topology
from ...topology.inputs import check_count, check_range, integers, same_length


def readout(
    x: Tensor, batch_or_topology: Tensor | Topology, reduce: str = "sum", *, num_graphs: int | None = None
) -> Tensor:
    """Reduce the features of each graph's nodes: ``out_b = reduce over v in graph b of x_v``.

    Args:
        x: `[N, ...]`.
        batch_or_topology: a topology of N nodes, or the graph of each node, int64 `[N]`, in any order.
        reduce: "sum", "mean" or "max". A graph without nodes gets 0.
        num_graphs: B, where the last graphs of a batch vector are empty; by default its largest entry plus one.

    Returns:
        `[B, ...]`.

    Raises:
        GraphError: another `reduce`; a batch of another type or length.

    >>> readout(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1]))
    tensor([[3.],
            [3.]])
    """
    if reduce not in ("sum", "mean", "max"):
        raise expected("reduce", '"sum", "mean" or "max"', reduce)
    if isinstance(batch_or_topology, Topology):
        same_length("x", x, batch_or_topology.num_nodes, "node")
        if num_graphs not in (None, batch_or_topology.num_graphs):
            raise expected("num_graphs", f"None or the topology's {batch_or_topology.num_graphs}", num_graphs)
        return segment_reduce(x, batch_or_topology.graph_ptr, reduce)
    batch = integers("batch_or_topology", batch_or_topology)
    same_length("x", x, batch.size(0), "entry of the batch vector")
    if num_graphs is None:
        num_graphs = max(int(batch.max()) + 1, 0) if batch.size(0) else 0
    if not torch.compiler.is_compiling():
        check_range("batch_or_topology", batch, check_count("num_graphs", num_graphs))
    ptr, perm = csr(batch, num_graphs)
    return segment_reduce(x if _ascending(batch) else x.index_select(0, perm), ptr, reduce)


def _ascending(batch: Tensor) -> bool:
    return not torch.compiler.is_compiling() and bool((batch[1:] >= batch[:-1]).all())
