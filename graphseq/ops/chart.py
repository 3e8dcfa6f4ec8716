"""Charts over binary trees of sentences: the sum over all trees, its gradient, and the best tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import Words, expected
from . import chart_cuda
from .chart_cuda import valid_spans
from .library import HALF, Operator, is_batched

__all__ = ["best_trees", "inside", "log_partition", "marginals"]

# The operators take scores [B, T, T] and lengths int64 [B], each below T. Entries that are no span of their sentence
# are never read, and are 0 in charts and in gradients, -1 in splits.


def _kernels() -> tuple[Any, Any]:
    from .kernels import chart
    from .kernels.jit import array

    return array, chart


def _work(lengths: Tensor) -> int:
    return int((lengths.double() ** 3).sum())


def _by_width(scores: Tensor, lengths: Tensor, merge: Callable[[Tensor], Tensor]) -> tuple[list[Tensor], Tensor]:
    """Return the chart's diagonals, of width 1, 2, …, and the chart: ``c(i, j) = s(i, j) + merge_k c(i, k) + c(k, j)``.

    The sums of each span's splits are in the first dimension of what `merge` gets.
    """
    size = scores.size(-1)
    valid = valid_spans(lengths, size)
    s = torch.where(valid, scores, scores.new_zeros(()))
    diagonals: list[Tensor] = []  # [B, T - width]
    for width in range(1, size):
        own, count = s.diagonal(width, 1, 2), size - width
        if width > 1:
            left = torch.stack([diagonals[u][:, :count] for u in range(width - 1)])
            right = torch.stack([diagonals[width - 2 - u][:, u + 1 : u + 1 + count] for u in range(width - 1)])
            own = own + merge(left + right)
        diagonals.append(own)
    return diagonals, _square(diagonals, valid, scores)


def _square(diagonals: list[Tensor], valid: Tensor, like: Tensor) -> Tensor:
    """Return `[B, T, T]` of its diagonals above the main one, 0 where `valid` is not."""
    size = valid.size(-1)
    if not diagonals:
        return like.new_zeros(valid.shape)
    flat = torch.cat(diagonals, 1)
    i, j = torch.arange(size, device=flat.device)[:, None], torch.arange(size, device=flat.device)
    width = (j - i).clamp(min=1)
    place = (width - 1) * size - (width - 1) * width // 2 + i  # the diagonals before have size - 1, size - 2, …
    square = flat[:, place.clamp(max=flat.size(1) - 1).flatten()].reshape(valid.shape)
    return torch.where(valid, square, square.new_zeros(()))


def _inside_body(scores: Tensor, lengths: Tensor) -> Tensor:
    return _by_width(scores, lengths, lambda sums: sums.logsumexp(0))[1]


def _inside_cpu(scores: Tensor, lengths: Tensor) -> Tensor:
    if scores.dtype not in (torch.float32, torch.float64):
        return _inside_body(scores, lengths)
    array, chart = _kernels()
    out = scores.new_zeros(scores.shape)
    chart.inside(_work(lengths), *map(array, (scores.contiguous(), lengths, out)))
    return out


def _like_scores(scores: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(scores, memory_format=torch.contiguous_format)


def _inside_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs, output)


def _inside_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    scores, lengths, chart = ctx.saved_tensors
    if is_batched(grad) or (torch.is_grad_enabled() and (scores.requires_grad or grad.requires_grad)):
        return _outside_body(grad, scores, lengths), None
    return _outside(grad, scores, lengths, chart), None


def _outside_body(grad: Tensor, scores: Tensor, lengths: Tensor, chart: Tensor | None = None) -> Tensor:
    """Distribute each span's gradient over its splits, from the widest down, in operations that differentiate again."""
    size = scores.size(-1)
    valid = valid_spans(lengths, size)
    s = torch.where(valid, scores, scores.new_zeros(()))
    g = torch.where(valid, grad, grad.new_zeros(()))
    diagonals, _ = _by_width(scores, lengths, lambda sums: sums.logsumexp(0))
    gained: list[Tensor] = [g.diagonal(width, 1, 2) for width in range(1, size)]
    for width in range(size - 1, 1, -1):
        count = size - width
        own, rest = gained[width - 1], s.diagonal(width, 1, 2) - diagonals[width - 1]
        for u in range(width - 1):
            left, right = diagonals[u][:, :count], diagonals[width - 2 - u][:, u + 1 : u + 1 + count]
            share = own * (left + right + rest).clamp(max=0).exp()  # at most 1, whatever large scores are rounded to
            gained[u] = gained[u] + _shift(share, 0, gained[u].size(1))
            other = gained[width - 2 - u]
            gained[width - 2 - u] = other + _shift(share, u + 1, other.size(1))
    return _square(gained, valid, scores)


def _shift(rows: Tensor, before: int, size: int) -> Tensor:
    return torch.nn.functional.pad(rows, (before, size - before - rows.size(1)))


def _outside_cpu(grad: Tensor, scores: Tensor, lengths: Tensor, chart: Tensor) -> Tensor:
    if scores.dtype not in (torch.float32, torch.float64):
        return _outside_body(grad, scores, lengths)
    array, kernels = _kernels()
    out = scores.new_zeros(scores.shape)
    given = (grad.to(scores.dtype).contiguous(), scores.contiguous(), lengths, chart.contiguous(), out)
    kernels.outside(_work(lengths), *map(array, given))
    return out


def _best_body(scores: Tensor, lengths: Tensor) -> Tensor:
    found: list[Tensor] = []

    def merge(sums: Tensor) -> Tensor:
        top = sums.amax(0)
        found.append((sums == top).to(torch.uint8).argmax(0))  # the first
        return top

    _by_width(scores, lengths, merge)
    size = scores.size(-1)
    valid = valid_spans(lengths, size)
    none = [lengths.new_zeros(len(lengths), size - 1)] if size > 1 else []
    firsts = torch.arange(size, device=lengths.device)
    split = [firsts[: size - width] + 1 + at for width, at in enumerate(found, start=2)]
    square = _square([*none, *split], valid, lengths)
    return torch.where(square > 0, square, -1)


def _best_cpu(scores: Tensor, lengths: Tensor) -> Tensor:
    if scores.dtype not in (torch.float32, torch.float64):
        return _best_body(scores, lengths)
    array, chart = _kernels()
    split = lengths.new_full(scores.shape, -1)
    room = torch.empty_like(scores, memory_format=torch.contiguous_format)
    chart.best(_work(lengths), *map(array, (scores.contiguous(), lengths, room, split)))
    return split


def _best_fake(scores: Tensor, lengths: Tensor) -> Tensor:
    return lengths.new_empty(scores.shape)


def _tree_body(split: Tensor, lengths: Tensor) -> Tensor:
    rows: list[list[list[int]]] = []
    most = max(2 * split.size(-1) - 3, 0)
    for at, n in zip(split.tolist(), lengths.tolist(), strict=True):
        waiting, found = [[0, n]] if n else [], []
        while waiting:
            i, j = waiting.pop()
            found.append([i, j])
            if j - i > 1:
                waiting += [[at[i][j], j], [i, at[i][j]]]
        rows.append(found + [[-1, -1]] * (most - len(found)))
    return torch.tensor(rows, dtype=torch.int64).view(len(rows), most, 2).to(split.device)


def _tree_cpu(split: Tensor, lengths: Tensor) -> Tensor:
    array, chart = _kernels()
    spans = split.new_full((len(lengths), max(2 * split.size(-1) - 3, 0), 2), -1)
    chart.tree(int(lengths.sum()), *map(array, (split.contiguous(), lengths, spans)))
    return spans


def _tree_cuda(split: Tensor, lengths: Tensor) -> Tensor:
    return _tree_cpu(split.cpu(), lengths.cpu()).to(split.device)


def _tree_fake(split: Tensor, lengths: Tensor) -> Tensor:
    return split.new_empty(split.size(0), max(2 * split.size(-1) - 3, 0), 2)


_inside = Operator(
    "chart_inside(Tensor scores, Tensor lengths) -> Tensor", _inside_body, _like_scores, cpu=_inside_cpu,
    cuda=chart_cuda.inside, save=_inside_save, backward=_inside_backward, full_precision=True,
)  # fmt: skip
_outside = Operator(
    "chart_outside(Tensor grad, Tensor scores, Tensor lengths, Tensor chart) -> Tensor", _outside_body,
    lambda grad, scores, lengths, chart: _like_scores(scores), cpu=_outside_cpu, cuda=chart_cuda.outside,
    full_precision=True,
)  # fmt: skip
_best = Operator(
    "chart_best(Tensor scores, Tensor lengths) -> Tensor", _best_body, _best_fake, cpu=_best_cpu, cuda=chart_cuda.best,
)  # fmt: skip
_tree = Operator(
    "chart_tree(Tensor split, Tensor lengths) -> Tensor", _tree_body, _tree_fake, cpu=_tree_cpu, cuda=_tree_cuda,
)  # fmt: skip


def _check(scores: Tensor, lengths: Tensor) -> None:
    if not isinstance(scores, Tensor) or not scores.is_floating_point() or scores.dim() != 3:
        raise expected("scores", "numbers of shape [B, T, T]", scores)
    if scores.size(1) != scores.size(2) or not scores.size(1):
        raise expected("scores", "numbers of shape [B, T, T]", scores)
    if not isinstance(lengths, Tensor) or lengths.dtype != torch.int64 or lengths.shape != scores.shape[:1]:
        raise expected("lengths", f"int64 of shape [{scores.size(0)}], one for each sentence", lengths)
    if lengths.device != scores.device:
        raise expected("lengths", f"a tensor on {scores.device}, as the scores", lengths)
    if not torch.compiler.is_compiling() and len(lengths):
        low, high = (int(limit) for limit in lengths.aminmax())
        if low < 0 or high >= scores.size(1):
            raise expected("lengths", f"numbers of words from 0 to {scores.size(1) - 1}", Words(f"{low} to {high}"))


def inside(scores: Tensor, lengths: Tensor) -> Tensor:
    """Sum over the binary trees of every span: ``β(i, j) = s(i, j) + log Σ_{i<k<j} exp(β(i, k) + β(k, j))``.

    Baker (1979), Trainable grammars for speech recognition; a tree's score is the sum of its spans', words included.
    Scores must be finite; a large negative number forbids a span.

    Args:
        scores: `[B, T, T]`, of the span of the words from i to j - 1 at [i, j]; all others are ignored.
        lengths: int64 `[B]`, the number of words of each sentence, at most T - 1.

    Returns:
        β, `[B, T, T]`, 0 where there is no span; differentiable, by the outside algorithm.

    Raises:
        GraphError: other shapes or dtypes, a length that exceeds T - 1.
    """
    _check(scores, lengths)
    if scores.dtype in HALF and not torch.is_autocast_enabled(scores.device.type):
        return inside(scores.float(), lengths).to(scores.dtype)
    chart: Tensor = _inside(scores, lengths)
    return chart


def log_partition(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return ``log Σ_trees exp Σ_spans s(i, j)`` of each sentence, `[B]`; 0 for one without words.

    Its gradient is each span's marginal probability. Arguments and errors are those of :func:`inside`.

    >>> log_partition(torch.zeros(1, 5, 5), torch.tensor([4])).exp().round()  # four words have five trees
    tensor([5.])
    """
    chart = inside(scores, lengths)
    return chart[:, 0].gather(1, lengths[:, None])[:, 0]


def marginals(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return the probability of each span under ``p(tree) ∝ exp Σ_spans s(i, j)``, `[B, T, T]`, without a gradient.

    Arguments and errors are those of :func:`inside`.

    >>> marginals(torch.zeros(1, 4, 4), torch.tensor([3]))[0, 0]
    tensor([0.0000, 1.0000, 0.5000, 1.0000])
    """
    _check(scores, lengths)
    with torch.no_grad():
        if scores.dtype in HALF:
            return marginals(scores.float(), lengths).to(scores.dtype)
        chart = _inside(scores, lengths)
        whole = (torch.arange(scores.size(1), device=scores.device) == lengths[:, None]) & (lengths > 0)[:, None]
        grad = torch.cat([whole[:, None].to(scores.dtype), scores.new_zeros(len(lengths), scores.size(1) - 1, 1).expand(
            -1, -1, scores.size(1))], 1)  # fmt: skip
        found: Tensor = _outside(grad, scores, lengths, chart)
        return found


def best_trees(scores: Tensor, lengths: Tensor) -> Tensor:
    """Return the binary tree with the largest sum of its spans' scores, by the CKY algorithm.

    Of splits with equal sums the first is taken, so that without scores a tree branches to the right.

    Returns:
        The spans of the 2n - 1 nodes in preorder, int64 `[B, 2T - 3, 2]`: first word and the one past the last; -1 in
        what a shorter sentence lacks. Arguments and errors are those of :func:`inside`.

    >>> best_trees(torch.zeros(1, 4, 4), torch.tensor([3]))[0].tolist()
    [[0, 3], [0, 1], [1, 3], [1, 2], [2, 3]]
    """
    _check(scores, lengths)
    scores = scores.detach()
    if scores.dtype in HALF:
        scores = scores.float()
    tree: Tensor = _tree(_best(scores, lengths), lengths)
    return tree
