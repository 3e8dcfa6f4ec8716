"""What the level-scan operators share: the structure they run over, and how states move along its edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from .levels import ALIGNED, FOREST

STRUCTURE = (
    "Tensor level_ptr, Tensor edge_ptr, Tensor senders, Tensor receivers, Tensor? slot, Tensor form"
)


class Structure(NamedTuple):
    """The parts of packed levels that a sweep reads: see :class:`graphseq.ops.levels.Packed`.

    `slot` `[E]` is each packed edge's place among its receiver's, or None where predecessors are summed.
    """

    level_ptr: Tensor
    edge_ptr: Tensor
    senders: Tensor
    receivers: Tensor
    slot: Tensor | None
    form: Tensor


class Bounds(NamedTuple):
    """The same as numbers, for what walks the levels in Python: where they and their edges begin, and the form."""

    ptr: tuple[int, ...]
    edges: tuple[int, ...]
    form: int

    def levels(self) -> list[Level]:
        """Return every level from below."""
        ptr, edges = self.ptr, self.edges
        return [
            Level(ptr[k], ptr[k + 1], edges[k], edges[k + 1], ptr[k - 1] if k else -1) for k in range(len(ptr) - 1)
        ]

    @staticmethod
    def of(structure: Structure) -> Bounds:
        """Read them from the tensors."""
        edges = structure.edge_ptr[structure.level_ptr.to(structure.edge_ptr.device)]
        return Bounds(tuple(structure.level_ptr.tolist()), tuple(edges.tolist()), int(structure.form))


class Level(NamedTuple):
    """Rows a to b, edges from to; `before`, the first row of the level below (-1 at level 0)."""

    a: int
    b: int
    edge_a: int
    edge_b: int
    before: int


class Scan:
    """A structure made ready to be walked, on the CPU kernels where they fit and on plain PyTorch elsewhere."""

    def __init__(self, structure: Structure, like: Tensor) -> None:
        self.structure = structure
        self.ptr: list[int] = structure.level_ptr.tolist()
        form = int(structure.form)
        self.aligned, self.forest = form == ALIGNED, form >= FOREST
        self.native = like.device.type == "cpu" and like.dtype == torch.float32
        self.edges = self.ptr if self.aligned else structure.edge_ptr[structure.level_ptr].tolist()
        if self.native:
            self.arrays = tuple(None if t is None else t.numpy() for t in structure)
            slot = torch.zeros_like(structure.senders) if structure.slot is None else structure.slot
            self.edge_arrays = structure.edge_ptr.numpy(), structure.senders.numpy(), slot.numpy()

    @property
    def first(self) -> int:
        """Number of nodes on level 0."""
        return self.ptr[1] if len(self.ptr) > 1 else 0

    @property
    def widest(self) -> int:
        """Largest number of nodes on a level above 0."""
        return max((b - a for a, b in pairwise(self.ptr[1:])), default=0)

    def level(self, k: int) -> Level:
        return Level(
            self.ptr[k], self.ptr[k + 1], self.edges[k], self.edges[k + 1], self.ptr[k - 1] if k else -1
        )

    def up(self) -> Iterator[Level]:
        return (self.level(k) for k in range(len(self.ptr) - 1))

    def down(self) -> Iterator[Level]:
        return (self.level(k) for k in reversed(range(len(self.ptr) - 1)))

    def gather(self, level: Level, x: Tensor, out: Tensor, at: int = 0) -> None:
        """Merge the predecessors' rows of `x` into the level's rows of `out`: summed, or each in its slot.

        `out` begins at row `at` of the nodes.
        """
        a, b, edge_a, edge_b, _ = level
        _, _, senders, receivers, slot, _ = self.structure
        if self.native:
            from . import _gates as kernels

            work, (_, ep, se, _, sl, _) = (b - a) * out.size(1), self.arrays
            if slot is None:
                kernels.gather_sum(work, a, b, at, ep, se, x.numpy(), out.numpy())
            else:
                kernels.gather_slots(work, a, b, at, ep, se, sl, x.numpy(), out.numpy())
            return
        rows = merge_rows(x.index_select(0, senders[edge_a:edge_b]), receivers[edge_a:edge_b] - a, b - a,
                          None if slot is None else slot[edge_a:edge_b], out.size(1) // x.size(1))  # fmt: skip
        out[a - at : b - at] = rows.reshape(b - a, -1)

    def scatter(self, level: Level, grad: Tensor, out: Tensor, at: int = 0) -> None:
        """Add the level's rows of `grad` to their predecessors' rows of `out`: the transpose of `gather`."""
        a, b, edge_a, edge_b, _ = level
        _, _, senders, receivers, slot, _ = self.structure
        if self.native:
            from . import _gates as kernels

            work, (_, ep, se, _, sl, _) = (b - a) * out.size(1) if self.forest else 0, self.arrays
            if slot is None:
                kernels.scatter_sum(work, a, b, at, ep, se, grad.numpy(), out.numpy())
            else:
                kernels.scatter_slots(work, a, b, at, ep, se, sl, grad.numpy(), out.numpy())
            return
        rows = grad.index_select(0, receivers[edge_a:edge_b] - at)
        if slot is not None:
            rows = rows.view(edge_b - edge_a, -1, out.size(1))
            rows = rows[torch.arange(edge_b - edge_a, device=rows.device), slot[edge_a:edge_b]]
        out.index_add_(0, senders[edge_a:edge_b], rows)

    def previous(self, h: Tensor) -> Tensor:
        """Return the predecessor's row of `h` for each row above level 0, of aligned levels."""
        width = set(map(int.__sub__, self.ptr[1:], self.ptr))
        if len(width) == 1:
            return h[: h.size(0) - self.first]  # equal lengths: one shift
        return h.index_select(0, self.structure.senders)


def merge_rows(rows: Tensor, receivers: Tensor, count: int, slot: Tensor | None, slots: int) -> Tensor:
    """Sum rows by receiver, `[count, F]`, or lay each in its receiver's slot, `[count, slots, F]`; differentiable."""
    if slot is None:
        return rows.new_zeros(count, *rows.shape[1:]).index_add(0, receivers, rows)
    flat = rows.new_zeros(count * slots, *rows.shape[1:]).index_copy(0, receivers * slots + slot, rows)
    return flat.view(count, slots, *rows.shape[1:])


def plain_sweep(
    structure: Structure,
    step: Callable[[Level, tuple[Tensor, ...] | None], tuple[Tensor, ...]],
    bounds: Bounds | None = None,
) -> tuple[Tensor, ...]:
    """Sweep with ordinary PyTorch operations alone: what every fast path is measured against and falls back to.

    Args:
        structure: over packed levels.
        step: takes a level and its senders' states, one row an edge (None at level 0), and returns the states of
            the level's nodes.
        bounds: of the structure, where they are known.

    Returns:
        The states of all nodes, packed. Reading a level reads all below it, so this is for derivatives of higher
        order and for tracing, not for deep structures.
    """
    where = bounds or Bounds.of(structure)
    done: list[tuple[Tensor, ...]] = []
    for level in where.levels():
        sent = None
        if done:
            index, below = structure.senders[level.edge_a : level.edge_b], done
            if where.form == ALIGNED:
                index, below = index - level.before, done[-1:]
            sent = tuple(torch.cat(part).index_select(0, index) for part in zip(*below, strict=True))
        done.append(step(level, sent))
    return tuple(torch.cat(part) for part in zip(*done, strict=True))
