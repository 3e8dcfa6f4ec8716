"""Rows that are grouped by receiver, and their reductions."""

from __future__ import annotations

import torch
from torch import Tensor

from .library import HALF, apart
from .segment import segment_max, segment_sum

__all__ = ["Segments"]


class Segments:
    """Which rows belong to which receiver, for a :class:`graphseq.Merge`: the rows of a receiver are contiguous.

    Attributes:
        count: R, the number of receivers.
        slot: int64 `[E]`, each row's place among its receiver's; None unless requested.
        single: whether every receiver has exactly one row, as in a chain, so that nothing needs to be reduced.
    """

    __slots__ = ("_index", "_ptr", "count", "single", "slot")

    def __init__(
        self, index: Tensor, count: int, ptr: Tensor | None = None, slot: Tensor | None = None, single: bool = False
    ) -> None:
        self._index, self.count, self._ptr, self.slot, self.single = index, count, ptr, slot, single

    @property
    def index(self) -> Tensor:
        """Each row's receiver, ascending, int64 `[E]`."""
        return self._index

    @property
    def ptr(self) -> Tensor:
        """Where the rows of each receiver begin, int64 `[R + 1]`."""
        if self._ptr is None:
            if torch.compiler.is_compiling():
                return self._found()
            self._ptr = apart(self._found)
        return self._ptr

    def _found(self) -> Tensor:
        return torch.searchsorted(self._index, torch.arange(self.count + 1, device=self._index.device))

    def spread(self, values: Tensor) -> Tensor:
        """Give each row the value of its receiver: `[R, ...]` → `[E, ...]`."""
        return values if self.single else values.index_select(0, self._index)

    def first(self, rows: Tensor) -> Tensor:
        """Return the first row of each receiver, any numbers for one without rows."""
        if self.single:
            return rows
        if torch.compiler.is_compiling() or rows.size(0) == 0:  # where the number of rows may be unknown
            rows = torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])])
        return rows.index_select(0, self.ptr[:-1].clamp(max=rows.size(0) - 1))

    def sum(self, rows: Tensor) -> Tensor:
        """Sum the rows of each receiver, 0 for one without rows; 16-bit numbers are summed in 32 bits."""
        if self.single:
            return rows
        if self._ptr is not None:
            return segment_sum(rows, self._ptr)
        wide = rows.float() if rows.dtype in HALF else rows
        return wide.new_zeros(self.count, *rows.shape[1:]).index_add(0, self._index, wide).to(rows.dtype)

    def mean(self, rows: Tensor) -> Tensor:
        """Return the mean of each receiver's rows, 0 for one without rows."""
        if self.single:
            return rows
        degree = self.ptr.diff().clamp(min=1).view(-1, *[1] * (rows.dim() - 1))
        wide = rows.float() if rows.dtype in HALF else rows
        mean = self.sum(wide) / degree
        return mean.to(rows.dtype) if rows.is_floating_point() else mean

    def max(self, rows: Tensor) -> Tensor:
        """Return the maximum of each receiver's rows, 0 for one without rows; of ties the first gets the gradient."""
        return rows if self.single else segment_max(rows, self.ptr)

    def min(self, rows: Tensor) -> Tensor:
        """Return the minimum, likewise."""
        if self.single:
            return rows
        if rows.is_floating_point():
            return -segment_max(-rows, self.ptr)
        least = ~segment_max(~rows, self.ptr)  # which, other than a minus, no integer overflows
        return torch.where((self.ptr.diff() == 0).view(-1, *[1] * (rows.dim() - 1)), torch.zeros_like(least), least)

    def softmax(self, scores: Tensor) -> Tensor:
        """Return ``exp(score)`` divided by its sum over the same receiver, `[E, ...]`."""
        if self.single:
            return torch.softmax(scores[:, None], 1)[:, 0]
        wide = scores.float() if scores.dtype in HALF else scores
        powers = torch.exp(wide - self.spread(self.max(wide.detach())))
        return (powers / self.spread(self.sum(powers))).to(scores.dtype)
