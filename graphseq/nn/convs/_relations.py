"""Edges of several relations, grouped by relation as well as by node."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import Words, expected
from ...ops.library import apart, is_transformed
from ...topology import Links
from ...topology.inputs import check_range

# Every node is paired with every relation if that makes at most so many pairs for each edge, or few in all. Then one
# product serves all relations; else each has its own product, over the pairs that have an edge.
_PER_EDGE, _FEW = 4, 4096


class Pairs(NamedTuple):
    """Pairs of a node and a relation, P of them.

    Attributes:
        of: int64 `[E]`, the pair of each edge.
        total: P.
        nodes: int64 `[P]`, the node of each pair, where only pairs with an edge are there, sorted by relation; None
            where all are: of node v and the k-th of K relations v · K + k.
        sizes: the number of pairs of each relation; None where all are there.
    """

    of: Tensor
    total: int
    nodes: Tensor | None = None
    sizes: tuple[int, ...] | None = None

    def relations(self) -> Tensor:
        """Return the relation of each pair, where only pairs with an edge are there, int64 `[P]`."""
        sizes = torch.tensor(self.sizes, device=self.of.device)
        every = torch.arange(sizes.size(0), device=self.of.device)
        return torch.repeat_interleave(every, sizes, output_size=self.total)


class Relations(NamedTuple):
    """Links whose edges have one of K relations.

    Attributes:
        types: int64 `[E]`, the relation of each edge.
        num_relations: K.
        received: the pairs of receivers.
        into: from senders to the pairs of receivers.
        num_receivers: R.
    """

    types: Tensor
    num_relations: int
    received: Pairs
    into: Links
    num_receivers: int

    @property
    def sent(self) -> Pairs:
        """The pairs of senders."""
        senders, n = self.into.edge_index[0], self.into.num_senders
        return self.into.memo("sent", lambda: _pairs(senders, n, self.types, self.num_relations))

    @property
    def out_of(self) -> Links:
        """From the pairs of senders to receivers."""

        def make() -> Links:
            receivers = self.received.of // self.num_relations
            if self.received.nodes is not None:
                receivers = self.received.nodes.index_select(0, self.received.of)
            return Links(torch.stack([self.sent.of, receivers]), self.sent.total, self.num_receivers)

        return self.into.memo("out of", make)

    @property
    def between(self) -> Links:
        """From the pairs of senders to those of receivers."""
        sent, received = self.sent, self.received
        ends = sent.of, received.of
        return self.into.memo("between", lambda: Links(torch.stack(ends), sent.total, received.total))

    @property
    def home(self) -> Links:
        """From the pairs of receivers to the receivers."""

        def make() -> Links:
            every, nodes = torch.arange(self.received.total, device=self.types.device), self.received.nodes
            nodes = every // self.num_relations if nodes is None else nodes
            return Links(torch.stack([every, nodes]), self.received.total, self.num_receivers)

        return self.into.memo("home", make)

    def shares(self, dtype: torch.dtype) -> Tensor:
        """Return for each edge ``1 / c``, where c is the number of edges of its relation into its receiver, `[E]`."""

        def make() -> Tensor:
            return self.into.in_degree.clamp(min=1).double().reciprocal().to(dtype).index_select(0, self.received.of)

        return self.into.memo(("shares", dtype), make)


def related(links: Links, edge_type: Any, count: int) -> Relations:
    """Return links with the relations of their edges, which are compiled once for the links.

    The relations are compared with those of the call before, so that every change is noticed.

    Raises:
        GraphError: not one relation for each edge, or numbers out of range.
    """
    if not isinstance(edge_type, Tensor) or edge_type.dtype != torch.int64 or edge_type.shape != (links.num_edges,):
        raise expected("edge_type", f"int64 of shape [{links.num_edges}], the relation of each edge", edge_type)
    if edge_type.device != links.device:
        raise expected("edge_type", f"a tensor on {links.device}, as `x` is", Words(f"one on {edge_type.device}"))

    def make() -> Relations:
        types = edge_type.detach().clone()
        if torch.compiler.is_compiling():
            torch._assert_async(((types >= 0) & (types < count)).all())
        else:
            check_range("edge_type", types, count)
        senders, receivers = links.edge_index
        pairs = _pairs(receivers, links.num_receivers, types, count)
        into = Links(torch.stack([senders, pairs.of]), links.num_senders, pairs.total)
        return Relations(types, count, pairs, into, links.num_receivers)

    if torch.compiler.is_compiling() or is_transformed():
        return make()
    name = f"{count} relations"
    found = links.memo(name, make)
    if not torch.equal(found.types, edge_type):
        found = apart(make)
        links.know(**{name: found})
    return found


def _pairs(nodes: Tensor, num_nodes: int, types: Tensor, count: int) -> Pairs:
    """Return the pairs of the edges' nodes and relations."""
    every = num_nodes * count
    if torch.compiler.is_compiling() or every <= max(_FEW, _PER_EDGE * types.size(0)):  # traced, none can be counted
        return Pairs(nodes * count + types, every)
    num_nodes = max(num_nodes, 1)  # which divides below
    found, of = torch.unique(types * num_nodes + nodes, return_inverse=True)
    sizes = torch.bincount(found // num_nodes, minlength=count)
    return Pairs(of, found.size(0), found % num_nodes, tuple(sizes.tolist()))
