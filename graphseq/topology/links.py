"""Directed edges from senders to receivers: what every aggregation runs over."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

import torch
from torch import Tensor

from ..errors import Words, expected
from ..ops.csr import csr
from ..ops.levels import Packed
from ..ops.library import apart, kept
from ..ops.spmm import Sparse
from .inputs import check_count, check_edges, check_range

__all__ = ["Links", "lasting"]

_SHORT = 1 << 16  # number of edges up to which grouping them early costs next to nothing

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Links:
    """E directed edges from S senders to R receivers, with their derived structure, computed on first use.

    A bipartite layer, a sampled block, a typed relation and a readout (nodes → graphs) are links; a
    :class:`graphseq.Topology` is links on one set of nodes. :func:`graphseq.core.aggregate` runs over any of them.

    >>> links = Links.between(torch.tensor([[0, 1, 2], [1, 1, 0]]), num_senders=3, num_receivers=2)
    >>> links
    Links(num_senders=3, num_receivers=2, num_edges=3)
    >>> links.in_degree
    tensor([1, 2])
    """

    def __init__(self, edge_index: Tensor, num_senders: int, num_receivers: int, slot: Tensor | None = None) -> None:
        """Take parts that are known to be consistent; :meth:`between` checks them first.

        Args:
            edge_index: int64 `[2, E]`, sender → receiver; exclusively owned, since it is not copied.
            num_senders: S.
            num_receivers: R.
            slot: int64 `[E]`, each edge's place among those with the same receiver; None for the order of the edges.
        """
        self._edge_index, self._slot = edge_index, slot
        self.num_senders, self.num_receivers = num_senders, num_receivers
        self._memo: dict[Any, Any] = {}
        self._plans: dict[Any, Any] = {}  # recomputed after a move or a copy

    @classmethod
    def between(cls, edge_index: Tensor, num_senders: int, num_receivers: int) -> Links:
        """Build from a list of edges between two sets.

        Args:
            edge_index: int64 `[2, E]`, sender → receiver; their order is kept.
            num_senders: S.
            num_receivers: R.

        Raises:
            GraphError: wrong type or shape, an index out of range.
        """
        check_edges(edge_index)
        own, matrix = kept(lambda: checked(edge_index, num_senders, num_receivers))
        links = Links(own, num_senders, num_receivers)
        links.know(matrix=matrix)
        return links

    @property
    def edge_index(self) -> Tensor:
        """The edges, sender → receiver, int64 `[2, E]`."""
        return self._edge_index

    @property
    def num_edges(self) -> int:
        """E."""
        return self.edge_index.size(1)

    @property
    def device(self) -> torch.device:
        """The device of its tensors."""
        return self.edge_index.device

    @property
    def in_degree(self) -> Tensor:
        """Number of edges into each receiver, int64 `[R]`."""
        return self.matrix.ptr.diff()

    @property
    def out_degree(self) -> Tensor:
        """Number of edges out of each sender, int64 `[S]`."""
        return self.matrix.t_ptr.diff()

    @property
    def slot(self) -> Tensor:
        """Each edge's place among those with its receiver, from 0, int64 `[E]`."""
        return self.memo("slot", self._places) if self._slot is None else self._slot

    def _places(self) -> Tensor:
        ptr, _, edge, *_ = self.matrix
        place = torch.arange(self.num_edges, device=self.device) - ptr[self.edge_index[1][edge]]
        return torch.empty_like(edge).scatter_(0, edge, place)

    @property
    def matrix(self) -> Sparse:
        """The adjacency as a sparse matrix whose rows are receivers, with its transpose: the edges into v are
        ``edge[ptr[v]:ptr[v + 1]]``, in their order.
        """
        return self.memo("matrix", lambda: csr(self.edge_index, self.num_senders, self.num_receivers))

    def memo(self, key: Any, make: Callable[[], _T], *, moves: bool = True) -> _T:
        """Return the result of the first call of `make` for `key`.

        A result of tensors, links and tuples moves along to other devices and into copies; any other (`moves`
        False) is recomputed there.
        """
        memo = self._memo if moves else self._plans
        if key not in memo:
            traced = torch.compiler.is_compiling()
            if traced and not torch.is_grad_enabled():
                memo, key = self._plans, ("no grad", key)  # perhaps inference mode: no tensors for training
            if key not in memo:
                memo[key] = make() if traced else apart(make)
        result: _T = memo[key]
        return result

    def know(self, **parts: Any) -> None:
        """Take parts that are already known, for :meth:`memo`; None for one that is not."""
        self._memo.update({key: part for key, part in parts.items() if part is not None})

    def reverse(self) -> Self:
        """Return the same with every edge reversed; reversing that returns this one."""

        def make() -> Any:
            turned, matrix = self._turned(), self._memo.get("matrix")
            turned.know(reverse=self, matrix=None if matrix is None else matrix.transpose())
            return turned

        result: Self = self.memo("reverse", make)
        return result

    def _turned(self) -> Any:
        return Links(self.edge_index.flip(0), self.num_receivers, self.num_senders)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Return this on another device, with everything that is already compiled.

        Raises:
            GraphError: PyTorch sees no such device.
        """
        try:
            where = torch.empty(0, device=device).device
        except (AssertionError, RuntimeError) as error:  # the first from a build without CUDA
            got = Words(f"{device!r}: {(str(error).splitlines() or [''])[0]}")
            raise expected("device", "a device that PyTorch sees", got) from None
        if where == self.device:
            return self
        seen: dict[int, Any] = {}

        def move(value: Any) -> Any:
            if isinstance(value, Tensor | Packed):
                return value.to(device, non_blocking=non_blocking)
            if isinstance(value, Links):
                if id(value) not in seen:
                    there = seen[id(value)] = object.__new__(type(value))
                    there.__dict__.update({n: move(v) for n, v in vars(value).items()}, _plans={})
                return seen[id(value)]
            if isinstance(value, tuple):
                parts = [move(v) for v in value]
                return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
            if isinstance(value, dict):
                return {key: move(v) for key, v in value.items()}
            return value

        moved: Self = kept(lambda: move(self))
        return moved

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_plans": {}}

    def __repr__(self) -> str:
        counts = f"num_senders={self.num_senders}, num_receivers={self.num_receivers}"
        return f"Links({counts}, num_edges={self.num_edges})"


def checked(edge_index: Tensor, num_senders: int, num_receivers: int) -> tuple[Tensor, Sparse | None]:
    """Return a copy of the edge list, checked, and for a short one its matrix, since grouping edges checks them.

    Raises:
        GraphError: an index out of range. A traced list has no values to check; its operators check later.
    """
    own = edge_index.detach().clone(memory_format=torch.contiguous_format)
    if torch.compiler.is_compiling():
        return own, None
    check_count("num_senders", num_senders)
    check_count("num_receivers", num_receivers)
    if own.device.type == "cpu" and own.size(1) <= _SHORT:
        return own, csr(own, num_senders, num_receivers)
    check_range("edge_index[0]", own[0], num_senders)
    check_range("edge_index[1]", own[1], num_receivers)
    return own, None


def lasting(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function make a result that outlives the call, see :func:`kept`."""

    @wraps(function)
    def call(*args: _P.args, **options: _P.kwargs) -> _T:
        return kept(lambda: function(*args, **options))

    return call
