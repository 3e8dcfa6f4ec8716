"""Graphs on one set of nodes, and their derived structure."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import Words, expected
from ..ops.levels import Numbers, Packed, levels, longest_paths, pack
from ..ops.library import kept
from .links import Links


class Graphs(Links):
    """Links from nodes to nodes, and the graphs that the nodes belong to; the base of :class:`graphseq.Topology`."""

    def __init__(self, edge_index: Tensor, num_nodes: int, graph_ptr: Tensor, slot: Tensor | None = None) -> None:
        """Take parts that are known to be consistent; the class methods check theirs first.

        Args:
            edge_index: int64 `[2, E]`, source → target; exclusively owned, since it is not copied.
            num_nodes: N.
            graph_ptr: int64 `[B + 1]`; the nodes of graph b are ``graph_ptr[b]`` … ``graph_ptr[b + 1] - 1``.
            slot: int64 `[E]`, each edge's place among those with the same target; None for the order of the edges.
        """
        super().__init__(edge_index, num_nodes, num_nodes, slot)
        self._graph_ptr = graph_ptr
        self._members: Tensor | None = None  # graphs in each member, where `batch` joined several

    @property
    def num_nodes(self) -> int:
        """N."""
        return self.num_receivers

    @property
    def num_graphs(self) -> int:
        """B."""
        return self._graph_ptr.size(0) - 1

    @property
    def graph_ptr(self) -> Tensor:
        """Where the nodes of each graph begin, and N, int64 `[B + 1]`."""
        return self._graph_ptr

    @property
    def batch(self) -> Tensor:
        """The graph of each node, int64 `[N]`."""
        return self.memo("batch", lambda: self.members.edge_index[1])

    @property
    def members(self) -> Links:
        """The links from nodes to the graphs that they belong to, over which a readout aggregates."""
        return self.memo("members", lambda: Members(self._graph_ptr, self.num_nodes))

    @property
    def roots(self) -> Tensor:
        """The nodes without outgoing edges, ascending: the root of a tree, the last node of a chain."""
        return self.memo("roots", lambda: (self.out_degree == 0).nonzero()[:, 0])

    @property
    def root_members(self) -> Links:
        """The links from the roots, in the order of :attr:`roots`, to the graphs that they belong to."""

        def make() -> Links:
            return Members(torch.searchsorted(self.roots, self._graph_ptr), self.roots.size(0))

        return self.memo("root members", make)

    @property
    def is_acyclic(self) -> bool:
        """Whether a sweep can run over it."""
        if "level" not in self._memo:
            m = self.matrix
            level, acyclic = kept(lambda: longest_paths(m.ptr, m.t_ptr, m.t_columns))
            if not acyclic:
                return False
            self.know(level=level)
        return True

    @property
    def num_levels(self) -> int:
        """L: the number of nodes on the longest path."""
        return self.packed.level_ptr.size(0) - 1

    @property
    def level(self) -> Tensor:
        """Each node's level, the number of edges on the longest path to it, int64 `[N]`.

        Raises:
            GraphError: there is a cycle; the error names it.
        """

        def make() -> Tensor:
            m = self.matrix
            found: Tensor = levels(m.ptr, m.columns, m.t_ptr, m.t_columns)
            return found

        return self.memo("level", make)

    @property
    def packed(self) -> Packed:
        """The nodes level by level: what a sweep runs over."""

        def make() -> Packed:
            m = self.matrix
            packed = Packed(*pack(self.level, self._graph_ptr, m.ptr, m.columns, m.edge))
            if not torch.compiler.is_compiling():  # for later tracing, in which no numbers can be read
                self.know(numbers=packed.numbers())
            return packed

        return self.memo("packed", make)

    @property
    def numbers(self) -> Numbers:
        """Where levels and their edges begin, as numbers."""
        if "numbers" not in self._memo and torch.compiler.is_compiling():
            wanted = "one that is compiled (read its `packed`) before a cell without an operator is traced"
            raise expected("topology", wanted, Words("one that is not"))
        return self.memo("numbers", lambda: self.packed.numbers())

    def _turned(self) -> Any:
        turned = type(self)(self.edge_index.flip(0), self.num_nodes, self._graph_ptr)
        turned._members = self._members
        return turned

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graphs):
            return NotImplemented
        mine, others = (self.edge_index, self._graph_ptr), (other.edge_index, other._graph_ptr)
        same = all(
            a.shape == b.shape and a.device == b.device and torch.equal(a, b) for a, b in zip(mine, others, strict=True)
        )
        if not same or self.num_nodes != other.num_nodes:
            return False
        return (self._slot is None and other._slot is None) or torch.equal(self.slot, other.slot)

    def __hash__(self) -> int:
        return hash((self.num_nodes, self.num_edges, self.num_graphs))

    def __repr__(self) -> str:
        counts = f"num_nodes={self.num_nodes}, num_edges={self.num_edges}, num_graphs={self.num_graphs}"
        return f"{type(self).__name__}({counts})"


class Members(Links):
    """The links from consecutive senders to the segments that they form, as nodes are the members of graphs.

    Attributes:
        segments: where each segment begins, and the end, int64 `[R + 1]`; so nothing needs to be gathered.
    """

    def __init__(self, segments: Tensor, count: int) -> None:
        super().__init__(segments, count, segments.size(0) - 1)
        self.segments = segments

    @property
    def num_edges(self) -> int:
        """E, one for each sender."""
        return self.num_senders

    @property
    def device(self) -> torch.device:
        """The device of its tensors."""
        return self.segments.device

    @property
    def edge_index(self) -> Tensor:
        """The edges, sender → receiver, int64 `[2, E]`."""

        def make() -> Tensor:
            number = torch.arange(self.num_receivers, device=self.device)
            receivers = torch.repeat_interleave(number, self.segments.diff(), output_size=self.num_senders)
            return torch.stack([torch.arange(self.num_senders, device=self.device), receivers])

        return self.memo("edges", make)
