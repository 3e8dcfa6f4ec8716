"""Packed levels as walked by the kernels: how states move along edges, in float32 on the CPU."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..levels import ALIGNED, FOREST, Structure
from .gates import gather, scatter


class Level(NamedTuple):
    """Rows a to b, edges from to; `before`, the first row of the level below (-1 at level 0)."""

    a: int
    b: int
    edge_a: int
    edge_b: int
    before: int


class Scan:
    """A structure prepared for walking.

    Attributes:
        aligned: whether predecessors lie in the same place one level below, so that nothing is gathered.
        forest: whether no node has two successors, so that several threads may scatter.
        levels: from below.
        first: number of nodes of level 0.
        edge_arrays: `edge_ptr`, `senders` and `slot` as arrays; without slots, all are in slot 0.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure, form = structure, int(structure.form)
        self.aligned, self.forest = form == ALIGNED, form >= FOREST
        ptr, edges = structure.level_ptr.tolist(), structure.level_edges.tolist()
        before = [-1, *ptr]
        self.levels = [Level(ptr[k], ptr[k + 1], edges[k], edges[k + 1], before[k]) for k in range(len(ptr) - 1)]
        self.first = ptr[1] if len(ptr) > 1 else 0
        self.widest = max((b - a for a, b in pairwise(ptr[1:])), default=0)
        slot = torch.zeros_like(structure.senders) if structure.slot is None else structure.slot
        self.edge_arrays = structure.edge_ptr.numpy(), structure.senders.numpy(), slot.numpy()

    def transposed(self, weight: Tensor) -> Tensor:
        """Return a weight transposed; copied for many levels, since thin products read that twice as fast."""
        return weight.t().contiguous() if len(self.levels) > _MANY else weight.t()

    def gather(self, level: Level, x: Tensor, out: Tensor, at: int = 0) -> None:
        """Merge the predecessors' rows of `x` into the level's rows of `out`: summed, or each in its slot.

        `out` begins at row `at` of the nodes.
        """
        a, b, *_ = level
        gather((b - a) * out.size(1), a, b, at, *self.edge_arrays, x.numpy(), out.numpy())

    def product(
        self, level: Level, h: Tensor, weight: Tensor, merged: Tensor, out: Tensor, start: Tensor | None = None
    ) -> None:
        """Fill `out` with ``s W``: s are the merged states below, for which `merged` has room, or `start` at level 0.

        If levels are aligned, nothing is merged; if `start` covers only the first slot, so does the weight.
        """
        a, b, *_, before = level
        if before >= 0 and self.aligned:
            torch.mm(h[before : before + b - a], weight, out=out)
        elif before >= 0:
            self.gather(level, h, merged, a)
            torch.mm(merged[: b - a], weight, out=out)
        elif start is not None:
            torch.mm(start, weight[: start.size(1)], out=out)
        else:
            out.zero_()

    def product_backward(self, level: Level, grad: Tensor, weight: Tensor, ds: Tensor, dh: Tensor) -> None:
        """Add to `dh` the gradient of the states below; `ds` has room for that of the merged ones."""
        a, b, *_, before = level
        if before >= 0 and self.aligned:
            dh[before : before + b - a].addmm_(grad, weight)
        elif before >= 0:
            torch.mm(grad, weight, out=ds[: b - a])
            self.scatter(level, ds, dh)

    def scatter(self, level: Level, grad: Tensor, out: Tensor) -> None:
        """Add the level's rows, which `grad` begins with, to their predecessors' rows of `out`: undoes `gather`."""
        a, b, *_ = level
        work = (b - a) * out.size(1) if self.forest else 0
        scatter(work, a, b, a, *self.edge_arrays, grad.numpy(), out.numpy())

    def weight_gradient(self, grad: Tensor, h: Tensor, width: int, start: Tensor | None, skip: int = 0) -> Tensor:
        """Return ``dᵀ s`` over all levels in one product; `grad` lacks the rows of the first `skip` nodes."""
        first = self.first - skip
        dw = grad[first:].t() @ (self.previous(h) if self.aligned else self.merged(h, width))
        if start is not None:
            dw[:, : start.size(1)].addmm_(grad[:first].t(), start)
        return dw

    def merged(self, x: Tensor, width: int) -> Tensor:
        """Return the merged predecessors' rows of all nodes above level 0, in a workspace."""
        out, last = workspace("merged", x.size(0) - self.first, width), len(self.levels)
        if last > 1:
            self.gather(Level(self.first, x.size(0), 0, 0, 0), x, out, self.first)
        return out

    def room(self, name: str, width: int) -> Tensor:
        """Return a workspace for one level's merged rows."""
        return workspace(name, 0 if self.aligned else self.widest, width)

    def previous(self, h: Tensor) -> Tensor:
        """Return the predecessor's row of `h` for each row above level 0, of aligned levels."""
        if len({level.b - level.a for level in self.levels}) == 1:
            return h[: h.size(0) - self.first]  # equal lengths: one shift
        return h.index_select(0, self.structure.senders)


_SPACE = threading.local()
_MANY = 8  # levels
_MOST = 1 << 24  # number of elements above which a workspace is not kept


def workspace(name: str, rows: int, width: int) -> Tensor:
    """Return memory `[rows, width]` for an operator's temporary use, uninitialised.

    Fresh pages cost more than the computation in them, so a thread keeps its last workspace of each name. It must not
    leave the operator.
    """
    size = rows * width
    if size > _MOST:
        return torch.empty(rows, width, dtype=torch.float32, device="cpu")
    kept: dict[str, Tensor] = _SPACE.__dict__
    if name not in kept or kept[name].numel() < size:
        with torch.inference_mode(False):
            kept[name] = torch.empty(size, dtype=torch.float32, device="cpu")
    return kept[name][:size].view(rows, width)


def own(name: str, grad: Tensor | None, like: Tensor) -> Tensor:
    """Return a gradient in a workspace, where it may be modified; a missing one is 0."""
    space = workspace(name, *like.shape)
    return space.zero_() if grad is None else space.copy_(grad)
