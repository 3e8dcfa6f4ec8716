"""Charts on a GPU: a few operations for all spans of a width, which write into buffers.

A span's value is in two buffers: in the row of its first word, at its width w; and in the row of its end, at T - w. So
both parts of a span's splits are slices, of the widths 1, 2, … and w - 1, w - 2, …
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["best", "inside", "outside", "valid_spans"]


class _Parts:
    """What spans have, found by the splits of those that contain them."""

    def __init__(self, like: Tensor) -> None:
        self.size = like.size(1)
        self.left, self.right = (like.new_zeros(like.shape) for _ in range(2))

    def write(self, width: int, value: Tensor) -> None:
        """Store the values of all spans of a width, `[B, T - width]`."""
        self.left[:, : self.size - width, width] = value
        self.right[:, width:, self.size - width] = value

    def splits(self, width: int) -> tuple[Tensor, Tensor]:
        """Return views of both parts of each split, `[B, T - width, width - 1]`."""
        return self.left[:, : self.size - width, 1:width], self.right[:, width:, self.size - width + 1 :]

    def square(self, valid: Tensor) -> Tensor:
        """Return the values by first word and end, 0 where `valid` is not."""
        place = torch.arange(self.size, device=valid.device)
        width = (place - place[:, None]).clamp(min=0).expand(valid.shape)
        return torch.where(valid, self.left.gather(2, width), 0)


def valid_spans(lengths: Tensor, size: int) -> Tensor:
    """Return which entries are spans of their sentence, bool `[B, T, T]`."""
    place = torch.arange(size, device=lengths.device)
    return (place[:, None] < place) & (place <= lengths[:, None, None])


def _filled(scores: Tensor, lengths: Tensor, merge: Callable[[Tensor], Tensor]) -> tuple[_Parts, Tensor]:
    """Fill a chart with ``s(i, j) + merge_k c(i, k) + c(k, j)``; scores that are no span's count as 0."""
    valid = valid_spans(lengths, scores.size(1))
    s, parts = torch.where(valid, scores, 0), _Parts(scores)
    for width in range(1, parts.size):
        own = s.diagonal(width, 1, 2)
        if width > 1:
            left, right = parts.splits(width)
            own = own + merge(left + right)
        parts.write(width, own)
    return parts, valid


def inside(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return the sums over all trees of each span."""
    parts, valid = _filled(scores, lengths, lambda sums: sums.logsumexp(2))
    return parts.square(valid)


def outside(grad: Tensor, scores: Tensor, lengths: Tensor, chart: Tensor) -> Tensor:
    """Distribute each span's gradient over its splits, from the widest down."""
    valid = valid_spans(lengths, scores.size(1))
    zero = scores.new_zeros(())
    c, g = torch.where(valid, chart, zero), torch.where(valid, grad.to(scores.dtype), zero)
    rest = torch.where(valid, scores - chart, -float("inf"))  # what is no span shares nothing
    sums, gained = _Parts(c), _Parts(c)
    for width in range(1, sums.size):
        sums.write(width, c.diagonal(width, 1, 2))
    for width in range(sums.size - 1, 0, -1):
        mass = g.diagonal(width, 1, 2)
        first, end = gained.left[:, : sums.size - width, width], gained.right[:, width:, sums.size - width]
        first += mass + end
        if width > 1:
            left, right = sums.splits(width)
            share = (left + right + rest.diagonal(width, 1, 2)[..., None]).clamp_(max=0).exp_() * first[..., None]
            to_left, to_right = gained.splits(width)
            to_left += share
            to_right += share
    return gained.square(valid)


def best(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return the first of the best splits of each span, -1 where there is none."""
    size, found = scores.size(1), _Parts(lengths.new_zeros(scores.shape))
    firsts = torch.arange(size, device=scores.device)

    def merge(sums: Tensor) -> Tensor:
        width = sums.size(2) + 1
        at = sums.argmax(2, keepdim=True)  # the first
        found.left[:, : size - width, width] = firsts[: size - width] + 1 + at[..., 0]
        return sums.gather(2, at)[..., 0]

    _, valid = _filled(scores, lengths, merge)
    square = found.square(valid)
    return torch.where(square > 0, square, -1)
