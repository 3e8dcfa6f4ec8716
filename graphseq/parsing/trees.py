"""Losses and decoding over binary trees, without labels and with."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn.models.parser import SpanScores
from ..ops.chart import best_trees, log_partition, marginals

__all__ = ["decode", "max_margin", "tree_crf"]

_NEVER = -1e4  # the score of a span that is forbidden


def _of_spans(scores: SpanScores) -> Tensor:
    """Return a score for each span: the sum over its labels; the whole sentence must have one that isn't null."""
    if scores.scores.size(1) == 1:
        return scores.scores[:, 0]
    return _rooted(scores).logsumexp(1)


def _rooted(scores: SpanScores) -> Tensor:
    whole = (scores.spans[:, 1] == 0) & (scores.spans[:, 2] == scores.lengths[scores.spans[:, 0]])
    null = torch.arange(scores.scores.size(1), device=whole.device) == 0
    return scores.scores.masked_fill(whole[:, None] & null, _NEVER)


def _allowed(scores: SpanScores, gold: Tensor) -> Tensor:
    """Return the charts of the gold spans' labels, everything else forbidden."""
    size = scores.size
    index = torch.full((len(scores.lengths) * size * size,), -1, device=gold.device)
    index[scores.place] = torch.arange(len(scores.spans), device=gold.device)
    at = index[(gold[:, 0] * size + gold[:, 1]) * size + gold[:, 2]]
    kept = scores.scores.flatten().index_select(0, at * scores.scores.size(1) + gold[:, 3])
    flat = kept.new_full((len(scores.lengths) * size * size,), _NEVER)
    return flat.index_put(((gold[:, 0] * size + gold[:, 1]) * size + gold[:, 2],), kept).view(-1, size, size)


def tree_crf(scores: SpanScores, gold: Tensor) -> Tensor:
    """Return ``-log p`` of each sentence's tree, `[B]`, where ``p(tree) ∝ exp Σ s(i, j, l)`` over binary trees.

    Finkel, Kleeman & Manning (2008), Efficient, feature-based, conditional random field parsing. The probability of a
    tree with nodes of more than two children is the sum over its binarisations.

    Args:
        scores: of all spans.
        gold: int64 `[M, 4]`: sentence, first word, the one past the last, and label; with the null label the spans by
            which a node may be binarised.
    """
    chart = scores.chart(_of_spans(scores))
    return log_partition(chart, scores.lengths) - log_partition(_allowed(scores, gold), scores.lengths)


def max_margin(scores: SpanScores, gold: Tensor) -> Tensor:
    """Return ``max_tree (s(tree) + Δ(tree)) - s(gold)`` of each sentence, `[B]`: Δ counts labelled spans not in gold.

    Taskar et al. (2004), Max-margin parsing; Stern, Andreas & Klein (2017), section 4. Of the binarisations of the gold
    tree the best one counts (Gaddy, Stern & Klein 2018). Arguments are those of :func:`tree_crf`.
    """
    rooted = _rooted(scores) if scores.scores.size(1) > 1 else scores.scores
    size, labels = scores.size, scores.scores.size(1)
    wrong = torch.ones(len(scores.lengths) * size * size, labels, device=gold.device)
    wrong[(gold[:, 0] * size + gold[:, 1]) * size + gold[:, 2], gold[:, 3]] = 0
    augmented = rooted + wrong[scores.place]
    if labels > 1:
        augmented = torch.cat([rooted[:, :1], augmented[:, 1:]], 1)  # the null label is no error
    worst = _best(scores.chart(augmented.amax(1)), scores.lengths)
    return (worst - _best(_allowed(scores, gold), scores.lengths)).clamp(min=0)


def _best(chart: Tensor, lengths: Tensor) -> Tensor:
    """Return the score of the best tree, differentiable by the scores of its spans."""
    tree = best_trees(chart, lengths)
    found = tree[..., 0] >= 0
    size = chart.size(1)
    values = chart.flatten(1).gather(1, (tree[..., 0] * size + tree[..., 1]).clamp(min=0))
    return torch.where(found, values, values.new_zeros(())).sum(1)


def decode(
    scores: SpanScores, *, by_marginals: bool = True, threshold: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the best tree of each sentence: its spans, int64 `[B, 2T - 3, 2]`, and their labels, int64.

    Args:
        scores: of all spans.
        by_marginals: take the tree with the largest expected number of right spans (minimum Bayes risk: Goodman 1996,
            Parsing algorithms and metrics), else the one with the largest score.
        threshold: the least probability of a label with which it is counted, by marginals.

    Returns:
        Spans in preorder, -1 in what a shorter sentence lacks, and labels: 0 for the null label and without labels.
    """
    with torch.no_grad():
        labels = scores.scores.size(1)
        if labels == 1:
            chart = scores.chart(scores.scores[:, 0])
            tree = best_trees(marginals(chart, scores.lengths) if by_marginals else chart, scores.lengths)
            return tree, torch.zeros(tree.shape[:2], dtype=torch.int64)
        rooted = _rooted(scores)
        if by_marginals:
            spans = marginals(scores.chart(rooted.logsumexp(1)), scores.lengths).flatten()[scores.place]
            gain, label = (spans[:, None] * rooted.softmax(1))[:, 1:].max(1)
            gain = gain - threshold
        else:
            gain, label = rooted[:, 1:].max(1)
        label = torch.where(gain > 0, label + 1, 0)
        whole = (scores.spans[:, 1] == 0) & (scores.spans[:, 2] == scores.lengths[scores.spans[:, 0]])
        label = torch.where(whole & (label == 0), rooted[:, 1:].argmax(1) + 1, label)
        tree = best_trees(scores.chart(gain.clamp(min=0)), scores.lengths)
        size = scores.size
        names = scores.chart(label).flatten(1)
        return tree, names.gather(1, (tree[..., 0] * size + tree[..., 1]).clamp(min=0))
