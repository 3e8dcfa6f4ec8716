"""Splits of lists in memory: each example is prepared once, and batches are joined from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import Words, expected
from ..topology import Topology, batch
from .task import Batch, Split

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["chain_split", "check_graphs", "check_nodes", "check_trees", "graph_split", "node_split", "tree_split"]


def graph_split(
    graphs: Sequence[Data], *, weight: Tensor | None = None, edges: str = "topology", edge_attr: bool = False
) -> Split:
    """Return a split of graphs, whose batches are ``(x, topology)`` with one target per graph.

    Args:
        graphs: PyG ``Data`` with ``x``, ``edge_index`` and ``y``; if they all have ``edge_weight``, batches are
            ``(x, topology, None, edge_weight)``, as :class:`graphseq.nn.GraphClassifier` takes them.
        weight: `[n]`, weight of each graph in the loss.
        edges: "edge_index" for ``(x, edge_index, batch)`` in place of ``(x, topology, None)``, as PyG's models take it.
        edge_attr: whether all graphs have ``edge_attr``, which follows ``edge_weight``, or None in place of that.

    Raises:
        GraphError: a graph lacks x or y, its number of features differs from the first, or only some have weights.
    """
    _check_kind(edges)
    weighted = check_graphs(graphs, edge_attr=edge_attr)
    x = [_floating(graph.x) for graph in graphs]
    weights = [graph.edge_weight for graph in graphs] if weighted else []
    features = [_floating(graph.edge_attr) for graph in graphs] if edge_attr else []
    y = _targets([graph.y for graph in graphs])
    topologies = [Topology.from_data(graph) for graph in graphs]

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        whole = batch([topologies[i] for i in chosen])
        inputs: list[Any] = [torch.cat([x[i] for i in chosen])]
        inputs += [whole, None] if edges == "topology" else [whole.edge_index, whole.batch]
        inputs += [torch.cat([part[i] for i in chosen]) if part else None for part in (weights, features)]
        return Batch(_without_end(inputs), y[indices], weight=None if weight is None else weight[indices])

    return Split(len(graphs), collate)


def _floating(values: Tensor) -> Tensor:
    return values if values.is_floating_point() else values.float()


def _without_end(inputs: list[Any]) -> tuple[Any, ...]:
    """Return a model's arguments, without the last ones that are None."""
    while inputs[-1] is None:
        inputs.pop()
    return tuple(inputs)


def _check_kind(edges: str) -> None:
    """Check what a model takes as edges.

    Raises:
        GraphError: neither of the two.
    """
    if edges not in ("topology", "edge_index"):
        raise expected("edges", '"topology" or "edge_index"', edges)


def check_graphs(graphs: Sequence[Data], *, edge_attr: bool = False) -> bool:
    """Check graphs for :func:`graph_split`, and return whether they have ``edge_weight``.

    Raises:
        GraphError: see there.
    """
    weighted = False
    for i, graph in enumerate(graphs):
        _is_data(graph, f"graphs[{i}]")
        width = "F" if not i else graphs[0].x.size(1)
        if not isinstance(graph.x, Tensor) or graph.x.dim() != 2 or (i and graph.x.size(1) != width):
            raise expected(f"graphs[{i}].x", f"a tensor of shape [N, {width}]", graph.x)
        if not isinstance(graph.y, Tensor) or not graph.y.numel():
            raise expected(f"graphs[{i}].y", "the graph's target as a tensor, such as torch.tensor([1])", graph.y)
        if i and graph.y.numel() != graphs[0].y.numel():
            raise expected(f"graphs[{i}].y", f"{graphs[0].y.numel()} targets, as in graphs[0]", graph.y)
        weight = graph.get("edge_weight")
        if i and isinstance(weight, Tensor) != weighted:
            what = "a tensor, as graphs[0] has it" if weighted else "none, as graphs[0] has none"
            raise expected(f"graphs[{i}].edge_weight", what, weight)
        weighted = isinstance(weight, Tensor)
        if edge_attr:
            _check_features(graph, f"graphs[{i}]", graphs[0])
    return weighted


def _check_features(graph: Data, name: str, first: Data) -> None:
    """Check the features of a graph's edges.

    Raises:
        GraphError: not one row for each edge, or not as wide as those of the first graph.
    """
    rows, count = graph.get("edge_attr"), 0 if graph.edge_index is None else graph.edge_index.size(1)
    shape = [count, *first.edge_attr.shape[1:]] if isinstance(first.get("edge_attr"), Tensor) else [count, "D"]
    if not isinstance(rows, Tensor) or list(rows.shape) != shape:
        told = ", ".join(map(str, shape))
        raise expected(f"{name}.edge_attr", f"a tensor of shape [{told}], a row for each edge", rows)


def check_nodes(data: Any, names: Sequence[str]) -> None:
    """Check that a graph's nodes have features and targets.

    Raises:
        GraphError: they have not.
    """
    _is_data(data, "data")
    for name in names:
        rows = data.get(name)
        if not isinstance(rows, Tensor) or rows.dim() == 0 or rows.size(0) != data.num_nodes:
            raise expected(f"data.{name}", f"a tensor with {data.num_nodes} rows, one for each node", rows)


def check_trees(trees: Sequence[Data], tensors: Sequence[str]) -> None:
    """Check that trees have these tensors.

    Raises:
        GraphError: one lacks a tensor, or is not PyG ``Data``.
    """
    for i, tree in enumerate(trees):
        _is_data(tree, f"trees[{i}]")
        if lost := [name for name in tensors if not isinstance(tree.get(name), Tensor)]:
            raise expected(f"trees[{i}]", f"Data with the tensors {', '.join(tensors)}", Words(f"no {lost[0]}"))


def _is_data(given: Any, name: str) -> None:
    """Check that an argument is a graph.

    Raises:
        GraphError: it is not PyG ``Data``.
    """
    from torch_geometric.data import Data

    if not isinstance(given, Data):
        is_networkx = type(given).__module__.startswith("networkx")
        hint = ", which torch_geometric.utils.from_networkx makes" if is_networkx else ""
        raise expected(name, f"torch_geometric.data.Data{hint}", given)


def _targets(y: Sequence[Tensor]) -> Tensor:
    """Return `[n]`, or `[n, T]` if there are several targets per example."""
    if not y:
        return torch.zeros(0, dtype=torch.int64)
    return torch.stack([target.reshape(-1) for target in y]).squeeze(1)


def tree_split(
    trees: Sequence[Data], *, inputs: Sequence[str] = ("word",), on: str = "nodes", root_weight: float = 1.0,
    weight: Tensor | None = None,
) -> Split:  # fmt: skip
    """Return a split of trees, whose batches are the nodes' tensors and the topology.

    Args:
        trees: PyG ``Data``, edges child → parent, with ``y`` and the tensors `inputs`.
        inputs: the nodes' tensors that the model takes.
        on: what has a target: each of the "nodes" with a label ``y`` of 0 or more; the "roots"; or the "trees", where
            y has one entry per tree and the model returns one row per tree.
        root_weight: weight of a root in the loss; other nodes have 1.
        weight: `[n]`, weight of each tree in the loss.

    Raises:
        GraphError: a tree lacks a tensor; another `on`.
    """
    if on not in ("nodes", "roots", "trees"):
        raise expected("on", '"nodes", "roots" or "trees"', on)
    check_trees(trees, (*inputs, "y"))
    topologies = [Topology.from_data(tree) for tree in trees]
    for topology in topologies:
        _ = topology.level  # computed here once, then joined in each batch

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        topology = batch([topologies[i] for i in chosen])
        *given, y = (torch.cat([trees[i][name] for i in chosen]) for name in (*inputs, "y"))
        each = None if weight is None else weight[indices]
        if on == "trees":
            return Batch((*given, topology), y, weight=each)
        if on == "roots":
            return Batch((*given, topology), y[topology.roots], topology.roots, each)
        count = torch.ones(len(y)).index_fill(0, topology.roots, root_weight)
        count = count if each is None else count * each[topology.batch]
        nodes = (y >= 0).nonzero()[:, 0]
        if len(nodes) == len(y):
            return Batch((*given, topology), y, weight=count)
        return Batch((*given, topology), y[nodes], nodes, count[nodes])

    return Split(len(trees), collate)


def chain_split(values: Tensor, lengths: Tensor, y: Tensor, *, weight: Tensor | None = None) -> Split:
    """Return a split of concatenated sequences, whose batches are ``(values, topology)``.

    Args:
        values: `[N, …]`, vectors or words.
        lengths: int64 `[n]`, which sum up to N.
        y: `[n]`.
        weight: `[n]`, weight of each sequence in the loss.
    """
    begins = lengths.cumsum(0) - lengths

    def collate(indices: Tensor) -> Batch:
        begin, length = begins[indices], lengths[indices]
        first = length.cumsum(0) - length
        at = torch.arange(int(length.sum())) + (begin - first).repeat_interleave(length)
        counted = None if weight is None else weight[indices]
        return Batch((values[at], Topology.chain(length)), y[indices], weight=counted)

    return Split(len(lengths), collate)


def node_split(
    data: Data, nodes: Tensor, *, weight: Tensor | None = None, x: Any = None, topology: Topology | None = None,
    edges: str = "topology", edge_attr: bool = False,
) -> Split:  # fmt: skip
    """Return a split of one graph's nodes; each batch has the whole graph, ``(x, topology)``.

    Args:
        data: PyG ``Data`` with ``x``, ``edge_index`` and ``y``; ``edge_weight``, if any, follows the topology.
        nodes: a mask, or int64 `[n]`.
        weight: `[n]`, weight of each node in the loss.
        x: the features in another form, such as :class:`graphseq.nn.SparseFeatures`.
        topology: of the graph, if it has been made already.
        edges: "edge_index" for ``(x, edge_index)``, as PyG's models take it.
        edge_attr: whether the data have ``edge_attr``, which follows ``edge_weight``, or None in place of that.

    Raises:
        GraphError: another `edges`; features that are not one row for each edge.
    """
    _check_kind(edges)
    if edge_attr:
        _check_features(data, "data", data)
    nodes = nodes.nonzero()[:, 0] if nodes.dtype == torch.bool else nodes
    known = topology or Topology.from_data(data)
    weights = data.edge_weight if isinstance(data.get("edge_weight"), Tensor) else None
    listed = [data.x if x is None else x, known if edges == "topology" else known.edge_index, weights]
    inputs = _without_end([*listed, _floating(data.edge_attr) if edge_attr else None])

    def collate(indices: Tensor) -> Batch:
        chosen = nodes[indices]
        return Batch(inputs, data.y[chosen], chosen, None if weight is None else weight[indices])

    return Split(len(nodes), collate)
