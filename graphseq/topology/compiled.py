"""What is computed once of a structure and kept: the plan that layers execute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import Words, expected
from ..ops._scan import Bounds
from ..ops.csr import csr
from ..ops.levels import Packed, levels, longest_paths, pack
from ..ops.spmm import Sparse

_T = TypeVar("_T")


class Compiled:
    """Nodes, edges and graphs, with all that follows from them; each part is made when first asked for."""

    def __init__(
        self, edge_index: Tensor, num_nodes: int, graph_ptr: Tensor, slot: Tensor | None = None
    ) -> None:
        """Take parts that are known to fit together; the class methods check theirs first.

        Args:
            edge_index: int64 `[2, E]`, source → target.
            num_nodes: N.
            graph_ptr: int64 `[B + 1]`; the nodes of graph b are ``graph_ptr[b]`` … ``graph_ptr[b + 1] - 1``.
            slot: int64 `[E]`, each edge's place among those with its target; None for the order of the edges.
        """
        self._edge_index, self._num_nodes, self._graph_ptr, self._slot = (
            edge_index,
            num_nodes,
            graph_ptr,
            slot,
        )
        self._members: Tensor | None = None  # graphs in each member, where `batch` joined several
        self._in: tuple[Tensor, Tensor] | None = None  # edges by receiver: ptr, perm
        self._out: tuple[Tensor, Tensor] | None = None  # edges by sender
        self._level: Tensor | None = None
        self._packed: Packed | None = None
        self._reverse: Any = None
        self._memo: dict[Any, Any] = {}

    @property
    def edge_index(self) -> Tensor:
        """The edges, source → target, int64 `[2, E]`."""
        return self._edge_index

    @property
    def num_nodes(self) -> int:
        """N."""
        return self._num_nodes

    @property
    def num_edges(self) -> int:
        """E."""
        return self._edge_index.size(1)

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
        graphs = torch.arange(self.num_graphs, device=self.device)
        return self.memo(
            "batch",
            lambda: torch.repeat_interleave(graphs, self._graph_ptr.diff(), output_size=self._num_nodes),
        )

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self._edge_index.device

    @property
    def in_degree(self) -> Tensor:
        """Number of edges into each node, int64 `[N]`."""
        return self.by_receiver[0].diff()

    @property
    def out_degree(self) -> Tensor:
        """Number of edges out of each node, int64 `[N]`."""
        return self.by_sender[0].diff()

    @property
    def roots(self) -> Tensor:
        """The nodes without edges out of them, ascending: of a tree its root, of a chain its last node."""
        return self.memo("roots", lambda: (self.out_degree == 0).nonzero()[:, 0])

    @property
    def slot(self) -> Tensor:
        """Each edge's place among those with its target, from 0, int64 `[E]`."""
        if self._slot is None:
            ptr, perm = self.by_receiver
            place = torch.arange(self.num_edges, device=self.device) - ptr[self._edge_index[1][perm]]
            self._slot = torch.empty_like(perm).scatter_(0, perm, place)
        return self._slot

    @property
    def is_acyclic(self) -> bool:
        """Whether a sweep can run over it."""
        if self._level is None:
            (in_ptr, _), (out_ptr, perm) = self.by_receiver, self.by_sender
            level, acyclic = longest_paths(in_ptr, out_ptr, self._edge_index[1][perm])
            if not acyclic:
                return False
            self._level = level
        return True

    @property
    def num_levels(self) -> int:
        """L: the number of nodes on the longest path."""
        return self.packed.level_ptr.size(0) - 1

    @property
    def by_receiver(self) -> tuple[Tensor, Tensor]:
        """`ptr` `[N + 1]` and `perm` `[E]`: the edges into v are ``perm[ptr[v]:ptr[v + 1]]``, in their order."""
        if self._in is None:
            self._in = _kept(lambda: csr(self._edge_index[1], self._num_nodes))
        return self._in

    @property
    def by_sender(self) -> tuple[Tensor, Tensor]:
        """The same for the edges out of each node."""
        if self._out is None:
            self._out = _kept(lambda: csr(self._edge_index[0], self._num_nodes))
        return self._out

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The source and the target of each edge, int64 `[E]` each."""
        return self.memo("ends", lambda: (self._edge_index[0], self._edge_index[1]))

    @property
    def matrix(self) -> Sparse:
        """The adjacency as a sparse matrix whose rows are receivers, with its transpose."""
        return self.memo("matrix", self._matrix)

    def _matrix(self) -> Sparse:
        (in_ptr, in_perm), (out_ptr, out_perm) = self.by_receiver, self.by_sender
        sources, targets = self._edge_index
        return Sparse(in_ptr, sources[in_perm], in_perm, out_ptr, targets[out_perm], out_perm)

    @property
    def level(self) -> Tensor:
        """Each node's level, the number of edges on the longest path to it, int64 `[N]`.

        Raises:
            GraphError: there is a cycle; the error names it.
        """
        if self._level is None:
            m = self.matrix
            self._level = _kept(lambda: levels(m.ptr, m.columns, m.t_ptr, m.t_columns))
        return self._level

    @property
    def packed(self) -> Packed:
        """The nodes level by level: what a sweep runs over."""
        if self._packed is None:
            (ptr, perm), level = self.by_receiver, self.level
            senders = self.matrix.columns
            self._packed = _kept(lambda: Packed(*pack(level, self._graph_ptr, ptr, senders, perm)))
            if not torch.compiler.is_compiling():
                self.bounds  # noqa: B018  # for tracing later, which has no numbers to read
        return self._packed

    @property
    def bounds(self) -> Bounds:
        """Where levels and their edges begin, as numbers."""
        if "bounds" not in self._memo:
            if torch.compiler.is_compiling():
                wanted = "one that is compiled (read its `packed`) before a cell without an operator is traced"
                raise expected("topology", wanted, Words("one that is not"))
            packed = self.packed
            edges = packed.edge_ptr[packed.level_ptr.to(packed.edge_ptr.device)]
            self._memo["bounds"] = Bounds(tuple(packed.level_ptr.tolist()), tuple(edges.tolist()), int(packed.form))
        found: Bounds = self._memo["bounds"]
        return found

    def memo(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return what `make` returned the first time that it was asked for under `key`."""
        if key not in self._memo:
            self._memo[key] = _kept(make)
        result: _T = self._memo[key]
        return result


def _kept(make: Callable[[], _T]) -> _T:
    """Make something that outlives the call, so that it serves training too, even if asked for under inference mode."""
    if torch.compiler.is_compiling() or not torch.is_inference_mode_enabled():
        return make()
    with torch.inference_mode(False):
        return make()
