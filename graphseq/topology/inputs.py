"""Callers' arguments, checked and converted to index tensors; every error names the argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import Words, describe, expected, out_of_range


def integers(argument: str, value: Any, shape: str = "[N]") -> Tensor:
    """Return a sequence or tensor of int64 with one dimension, as a tensor.

    Raises:
        GraphError: it is something else.
    """
    if not isinstance(value, Tensor):
        listed: Any = value.tolist() if hasattr(value, "tolist") else value
        ok = isinstance(listed, Sequence) and all(isinstance(v, int) and not isinstance(v, bool) for v in listed)
        if not ok:
            raise expected(argument, f"integers of shape {shape}", value)
        return torch.tensor(listed, dtype=torch.int64)
    if value.dtype != torch.int64 or value.dim() != 1:
        raise expected(argument, f"int64 of shape {shape}", value)
    return value


def check_range(argument: str, index: Tensor, size: int, *, low: int = 0) -> None:
    """Check that all entries lie from `low` to `size` - 1."""
    if index.numel() == 0:
        return
    least, most = (int(v) for v in index.aminmax())
    if least < low or most >= size:
        raise out_of_range(argument, least if least < low else most, size, low=low, least=least)


def check_edges(edge_index: Any) -> None:
    """Check the type and shape of a list of edges.

    Raises:
        GraphError: it is something else.
    """
    wrong = not isinstance(edge_index, Tensor) or edge_index.dtype != torch.int64 or edge_index.dim() != 2
    if wrong or edge_index.size(0) != 2:
        raise expected("edge_index", "int64 of shape [2, E]", _told(edge_index))


def _told(edge_index: Any) -> Any:
    """Return a list of edges that is none, with what makes one of it."""
    if hasattr(edge_index, "tocoo"):
        return Words(f"{describe(edge_index)}; Topology.from_scipy makes a topology of it")
    if not isinstance(edge_index, Tensor) or edge_index.dim() != 2 or edge_index.layout != torch.strided:
        return edge_index
    if edge_index.size(0) != 2 and edge_index.size(1) == 2:
        return Words(f"{describe(edge_index)}; transpose it: edge_index.t()")
    if edge_index.size(0) == 2 and edge_index.dtype != torch.int64:
        return Words(f"{describe(edge_index)}; convert it: edge_index.long()")
    return edge_index


def check_count(argument: str, value: Any) -> int:
    """Check that `value` is a whole number that is not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise expected(argument, "a whole number ≥ 0", value)
    return value


def offsets(counts: Tensor) -> Tensor:
    """Return where each of the runs of these lengths begins, and the end of the last: `[B]` → `[B + 1]`."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def graph_offsets(
    batch: Tensor, num_nodes: int, num_graphs: int | None, edge_index: Tensor | None, argument: str = "batch"
) -> Tensor:
    """Check the vector with each node's graph, and return where each graph's nodes begin.

    Raises:
        GraphError: `batch` has another length, descends, or an edge joins two of its graphs.
    """
    if not isinstance(batch, Tensor) or batch.dtype != torch.int64 or batch.dim() != 1:
        raise expected("batch", "int64 of shape [N]", batch)
    if batch.size(0) != num_nodes:
        raise expected("batch", f"int64 of shape [{num_nodes}], one entry a node", batch)
    if edge_index is not None and batch.device != edge_index.device:
        raise expected("batch", f"a tensor on {edge_index.device}, as `edge_index` is", batch)
    if bool((batch[1:] < batch[:-1]).any()):
        wanted = "ascending graph numbers" if argument == "batch" else "an order in which graphs stay contiguous"
        raise expected(argument, wanted, Words("a graph's nodes that are not contiguous"))
    least = max(int(batch[-1]) + 1, 1) if num_nodes else 0
    count = least if num_graphs is None else check_count("num_graphs", num_graphs)
    check_range("batch", batch, count)
    if edge_index is not None:
        across = batch[edge_index[0]] != batch[edge_index[1]]
        if bool(across.any()):
            u, v = edge_index[:, int(across.nonzero()[0])].tolist()
            got = Words(f"the edge {u} → {v} between two")
            raise expected("edge_index", "edges inside one graph of `batch`", got)
    return offsets(torch.bincount(batch, minlength=count))


def networkx_edges(graph: Any) -> tuple[Tensor, int]:
    """Return `edge_index` and the number of nodes of a networkx graph; an undirected edge is two directed ones."""
    if not hasattr(graph, "is_directed") or not hasattr(graph, "edges"):
        raise expected("graph", "a networkx graph", graph)
    number = {node: i for i, node in enumerate(graph.nodes)}
    pairs = [(number[u], number[v]) for u, v in graph.edges()]
    if not graph.is_directed():
        pairs = [pair for u, v in pairs for pair in ([(u, v), (v, u)] if u != v else [(u, v)])]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t().contiguous(), len(number)


def scipy_edges(adjacency: Any) -> tuple[Tensor, int]:
    """Return `edge_index` and the number of nodes of a SciPy sparse matrix; row u, column v is the edge u → v."""
    shape: tuple[int, ...] = getattr(adjacency, "shape", ())
    if not hasattr(adjacency, "tocoo") or len(shape) != 2 or shape[0] != shape[1]:
        raise expected("adjacency", "a square SciPy sparse matrix", adjacency)
    coo = adjacency.tocoo()
    rows, columns = (torch.from_numpy(part.astype("int64")) for part in (coo.row, coo.col))
    return torch.stack([rows, columns]), int(shape[0])


def same_length(argument: str, rows: Tensor, count: int, what: str) -> None:
    """Check the first dimension of `rows`.

    Raises:
        GraphError: it has another length, or none.
    """
    if not isinstance(rows, Tensor):
        raise expected(argument, f"a tensor with {count} rows, one for each {what}", rows)
    if torch.compiler.is_compiling() and rows.dim():
        torch._check(rows.size(0) == count)  # sizes that may be known only when the traced function runs
        return
    if rows.dim() == 0 or rows.size(0) != count:
        raise expected(argument, f"{count} rows, one for each {what}", rows)


def check_same_kind(argument: str, tensor: Tensor, like: Tensor, whose: str = "`x`") -> None:
    """Check that a tensor has the dtype and the device of another; under autocast dtypes may differ.

    Raises:
        GraphError: it has not.
    """
    if tensor.device != like.device or (tensor.dtype != like.dtype and not torch.is_autocast_enabled(like.device.type)):
        kind = f"{str(like.dtype).removeprefix('torch.')} on {like.device}, as {whose} is"
        raise expected(argument, kind, Words(f"{str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"))
