"""The block of a graph network: edges, nodes and globals updated in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ...core import aggregate as merged_over
from ...errors import Words, expected
from ...messages import Merge, find_merge
from ...ops.spmm import Sparse
from ...topology import Links, Topology
from ...topology.inputs import check_same_kind
from ._common import first_map, reset, structure_of

Model = nn.Module | None


class GraphNetwork(nn.Module):
    """A full block of a graph network; a part without a model passes unchanged.

        e_k' = φ_e(e_k, x_v, x_u, u)        for each edge k: u → v
        x_v' = φ_x(Σ_{k into v} e_k', x_v, u)
        u'   = φ_u(Σ_k e_k', Σ_v x_v', u)   for each graph

    Battaglia et al. (2018), Relational inductive biases, deep learning, and graph networks, Algorithm 1. A model gets
    its arguments concatenated in this order, without those that are missing. If it begins with a linear map, this is
    applied to nodes and globals before they are gathered, so that the concatenation is never made for each edge.

    Args:
        edge_model: φ_e, a module of one tensor `[E, F_e + 2 F + F_u]`; None to leave edges as they are.
        node_model: φ_x, of `[N, F_e' + F + F_u]`; None to leave nodes as they are.
        global_model: φ_u, of `[B, F_e' + F' + F_u]`; None to leave globals as they are.
        aggregate: "sum", "mean", "max", "min" or a :class:`graphseq.Merge`, in place of the sums.

    Raises:
        GraphError: an invalid argument; inputs that don't fit each other, or the model's first linear map.

    >>> block = GraphNetwork(nn.Linear(3 + 2 * 4 + 2, 5), nn.Linear(5 + 4 + 2, 6), nn.Linear(5 + 6 + 2, 7))
    >>> x, edge_attr, u = torch.zeros(3, 4), torch.zeros(2, 3), torch.zeros(1, 2)
    >>> [part.shape[1] for part in block(x, torch.tensor([[0, 1], [1, 2]]), edge_attr, u)]
    [6, 5, 7]
    """

    names: tuple[str, ...] = ("edge_model", "node_model", "global_model")

    def __init__(
        self, edge_model: Model = None, node_model: Model = None, global_model: Model = None, *,
        aggregate: str | Merge = "sum",
    ) -> None:  # fmt: skip
        super().__init__()
        for name, model in (("edge_model", edge_model), ("node_model", node_model), ("global_model", global_model)):
            if model is not None and not isinstance(model, nn.Module):
                raise expected(name, "a torch.nn.Module or None", model)
        if find_merge(aggregate, argument="aggregate").score is not None or aggregate == "slots":
            raise expected("aggregate", '"sum", "mean", "max", "min" or a Merge without a score', aggregate)
        self.edge_model, self.node_model, self.global_model = edge_model, node_model, global_model
        self.aggregate = aggregate

    def named(self, edge_model: str = "", node_model: str = "", global_model: str = "") -> GraphNetwork:
        """Return this block, whose errors name its models as the arguments of a network that it is part of."""
        self.names = tuple(a or b for a, b in zip((edge_model, node_model, global_model), self.names, strict=True))
        return self

    def reset_parameters(self) -> None:
        """Reset the parameters of the models."""
        for model in self.children():
            reset(model)

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, u: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
        """Return x', `[N, F']`, the edges' new features `[E, F_e']`, and the globals u' `[B, F_u']`; None as given.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes, which knows its graphs, or a sparse `adj_t`.
            edge_attr: `[E, F_e]`.
            u: `[B, F_u]`, a row for each graph.
            batch: int64 `[N]`, the graph of each node; one graph by default.
        """
        topology, weight = structure_of(edge_index, x)
        if edge_attr is None and weight is not None:
            edge_attr = weight[:, None]
        _check("edge_attr", edge_attr, topology.num_edges, "edge", x)
        nodes, graphs = _graphs(topology, edge_index, u, batch, x)
        _check("u", u, graphs, "graph", x)
        index = topology.edge_index[1]
        if self.edge_model is not None:
            edge_attr = self._edges(topology, x, edge_attr, u, nodes)
        into_nodes = None if edge_attr is None else self._sum(_incidence(topology), edge_attr)
        if self.node_model is not None:
            x = _joined(self.names[1], self.node_model, (into_nodes, x, u), (None, None, nodes))
        if self.global_model is not None:

            def of_edges() -> Links:
                return _belonging(nodes.index_select(0, index), graphs)

            own = batch is None  # then the topology's graphs are meant, and it keeps the links
            parts = None
            if edge_attr is not None:
                parts = self._sum(topology.memo("graphs of edges", of_edges) if own else of_edges(), edge_attr)
            whole = self._sum(topology.members if own else _belonging(nodes, graphs), x)
            u = _joined(self.names[2], self.global_model, (parts, whole, u), (None, None, None))
        return x, edge_attr, u

    def _sum(self, links: Links, rows: Tensor) -> Tensor:
        return merged_over(links, (rows,), merge=self.aggregate)[0]

    def _edges(
        self, topology: Topology, x: Tensor, edge_attr: Tensor | None, u: Tensor | None, nodes: Tensor
    ) -> Tensor:
        """Return φ_e of each edge."""
        model: Any = self.edge_model
        widths = [0 if t is None else t.size(1) for t in (edge_attr, x, x, u)]
        names = "edges", "receivers", "senders", "globals"
        told = ", ".join(f"{name} {width}" for name, width in zip(names, widths, strict=True))
        first = _first(self.names[0], model, sum(widths), f" ({told})")
        if first is None:
            senders, receivers = topology.edge_index
            given = [edge_attr, x.index_select(0, receivers), x.index_select(0, senders)]
            if u is not None:
                given.append(u.index_select(0, nodes.index_select(0, receivers)))
            out: Tensor = model(torch.cat([t for t in given if t is not None], 1))
            return out
        layer, rest = first
        of_edge, of_receiver, of_sender, of_globals = layer.weight.split(widths, 1)
        at_receiver = linear(x, of_receiver, layer.bias)
        if u is not None:
            at_receiver = at_receiver + linear(u, of_globals).index_select(0, nodes)
        both = torch.cat([linear(x, of_sender), at_receiver])
        (total,) = merged_over(_ends(topology), (both,))
        if edge_attr is not None:
            total = total + linear(edge_attr, of_edge)
        return _through(rest, total)


def _first(name: str, model: nn.Module, width: int, told: str = "") -> tuple[nn.Linear, list[nn.Module]] | None:
    """Return the plain linear map that a model begins with, and what follows; None if it begins otherwise.

    Args:
        name: of the model.
        model: any.
        width: of what it gets.
        told: the parts of that.

    Raises:
        GraphError: the linear map has the wrong number of inputs.
    """
    found = first_map(model)
    if found is not None and found[0].in_features != width:
        what = f"a first layer of {width} inputs, as wide as what it gets{told}"
        raise expected(name, what, Words(f"{found[0].in_features}"))
    return found


def _through(layers: Sequence[nn.Module], x: Any) -> Tensor:
    for layer in layers:
        x = layer(x)
    result: Tensor = x
    return result


def _joined(name: str, model: nn.Module, parts: tuple[Tensor | None, ...], at: tuple[Tensor | None, ...]) -> Tensor:
    """Return a model of some parts side by side, those with an index gathered by it."""
    there = [(t, index) for t, index in zip(parts, at, strict=True) if t is not None]
    first = _first(name, model, sum(t.size(1) for t, _ in there))
    if first is None:
        out: Tensor = model(torch.cat([t if index is None else t.index_select(0, index) for t, index in there], 1))
        return out
    layer, rest = first
    weights = layer.weight.split([t.size(1) for t, _ in there], 1)
    total: Tensor | None = None
    for (t, index), weight in zip(there, weights, strict=True):
        term = linear(t, weight, layer.bias if total is None else None)
        term = term if index is None else term.index_select(0, index)
        total = term if total is None else total + term
    return _through(rest, total)


def _check(name: str, rows: Tensor | None, count: int, what: str, like: Tensor) -> None:
    if rows is None:
        return
    if not isinstance(rows, Tensor) or rows.dim() != 2 or rows.size(0) != count:
        raise expected(name, f"shape [{count}, F], a row for each {what}", rows)
    if rows.device != like.device or not rows.is_floating_point():
        raise expected(name, f"floating-point numbers on {like.device}, as `x` is", rows)
    check_same_kind(name, rows, like)


def _graphs(topology: Topology, given: Any, u: Any, batch: Any, x: Tensor) -> tuple[Tensor, int]:
    """Return the graph of each node, and the number of graphs.

    Raises:
        GraphError: a batch vector that doesn't fit the nodes or the globals, or one in addition to a topology.
    """
    if isinstance(given, Topology):
        if batch is not None:
            raise expected("batch", "None with a topology, which knows its graphs", batch)
        return topology.batch, topology.num_graphs
    if u is not None and (not isinstance(u, Tensor) or u.dim() != 2):
        raise expected("u", "shape [B, F_u], a row for each graph", u)
    count = None if u is None else u.size(0)
    if batch is None:
        if count not in (None, 1):
            raise expected("batch", f"the graph of each node, since `u` has {count} rows", None)
        return torch.zeros(x.size(0), dtype=torch.int64, device=x.device), 1
    if not isinstance(batch, Tensor) or batch.dtype != torch.int64 or batch.shape != (x.size(0),):
        raise expected("batch", f"int64 of shape [{x.size(0)}], the graph of each node", batch)
    if torch.compiler.is_compiling() and count is not None:
        torch._assert_async(((batch >= 0) & (batch < count)).all())
        return batch, count
    least, most = (int(batch.min()), int(batch.max())) if batch.numel() else (0, -1)
    if least < 0 or (count is not None and most >= count):
        limit = "numbers of at least 0" if count is None else f"numbers from 0 to {count - 1}, one per row of `u`"
        raise expected("batch", limit, Words(f"{least} to {most}"))
    return batch, most + 1 if count is None else count


def _belonging(index: Tensor, count: int) -> Links:
    """Return the links from nodes or edges to their graphs."""
    return Links(torch.stack([torch.arange(index.size(0), device=index.device), index]), index.size(0), count)


def _incidence(topology: Topology) -> Links:
    """Return the links from edges to the nodes that receive them."""

    def make() -> Links:
        m, e = topology.matrix, topology.num_edges
        every = torch.arange(e + 1, device=topology.device)
        receivers = topology.edge_index[1]
        links = Links(torch.stack([every[:-1], receivers]), e, topology.num_nodes)
        links.know(matrix=Sparse(m.ptr, m.edge, m.edge, every, receivers, every[:-1]))
        return links

    return topology.memo("incidence", make)


def _ends(topology: Topology) -> Links:
    """Return the links to each edge from its sender, and from its receiver, whose number is N larger."""

    def make() -> Links:
        m, e, n = topology.matrix, topology.num_edges, topology.num_nodes
        every = torch.arange(2 * e + 1, device=topology.device)
        ends = torch.stack([topology.edge_index[0], topology.edge_index[1] + n], 1).flatten()
        links = Links(torch.stack([ends, every[:-1] // 2]), 2 * n, e)
        t_ptr = torch.cat([m.t_ptr, m.ptr[1:] + e])
        t_edge = torch.cat([2 * m.t_edge, 2 * m.edge + 1])
        links.know(matrix=Sparse(every[::2].contiguous(), ends, every[:-1], t_ptr, t_edge // 2, t_edge))
        return links

    return topology.memo("ends", make)
