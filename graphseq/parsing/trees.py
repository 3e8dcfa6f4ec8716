"""Losses and decoding over binary trees, without labels and with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import Words, expected
from ..nn.models.parser import SpanScores, place_of
from ..ops.chart import best_trees, log_partition, marginals

__all__ = ["decode", "labels_of_words", "max_margin", "tree_crf"]

_NEVER = -1e4  # the score of a span or label that is forbidden


def _rooted(scores: SpanScores) -> Tensor:
    """Return the scores with the null label forbidden for a whole sentence."""
    if scores.scores.size(2) == 1:
        return scores.scores
    null = torch.arange(scores.scores.size(2), device=scores.spans.device) == 0
    return scores.scores.masked_fill(scores.whole[:, None] & null, _NEVER)


def _total(scores: Tensor) -> Tensor:
    """Return the log of the sum over labels of `[K, S, L]`."""
    return scores[..., 0] if scores.size(2) == 1 else scores.logsumexp(2)


def _charts(scores: SpanScores, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the charts of `[K, S]` as one batch `[K · B, T, T]`, and its lengths."""
    return scores.chart(values).flatten(0, 1), scores.lengths.repeat(len(values))


def _allowed(scores: SpanScores, rooted: Tensor, gold: Tensor, any_label: Tensor) -> Tensor:
    """Return charts `[K · B, T, T]` of the gold spans' scores, everything else forbidden.

    `any_label` are the scores `[K, S]` of spans whose label is not known.
    """
    members, _, labels = rooted.shape
    size = scores.size
    row = torch.zeros(len(scores.lengths) * size * size, dtype=torch.int64, device=gold.device)
    row[scores.place] = torch.arange(len(scores.spans), device=gold.device)
    at, label = place_of(gold, size), gold[:, 3]
    kept = rooted.flatten(1).index_select(1, row[at] * labels + label.clamp(min=0))
    kept = torch.where(label < 0, any_label.index_select(1, row[at]), kept)
    flat = kept.new_full((members, len(row)), _NEVER).index_copy(1, at, kept)
    return flat.view(-1, size, size)


def labels_of_words(labels: Sequence[str], tags: Sequence[str]) -> Tensor | None:
    """Return which labels end with a tag, bool `[L]`; None without tags.

    >>> labels_of_words(["", "NP", "NP+NN", "NN"], ["NN"]).tolist()
    [False, False, True, True]
    """
    known = set(tags)
    return torch.tensor([label.rpartition("+")[2] in known for label in labels]) if known else None


def _check(scores: SpanScores, gold: Tensor) -> None:
    if not isinstance(gold, Tensor) or gold.dtype != torch.int64 or gold.dim() != 2 or gold.size(1) != 4:
        raise expected("gold", "int64 of shape [M, 4]: sentence, first word, the one past the last, label", gold)
    if torch.compiler.is_compiling():
        return
    count, labels = len(scores.lengths), scores.scores.size(2)
    sentence, first, end, label = gold.unbind(1)
    known = (sentence >= 0) & (sentence < count) & (first >= 0) & (first < end) & (label >= -1) & (label < labels)
    if not bool(known.all()) or not bool((end <= scores.lengths[sentence]).all()):
        raise expected("gold", f"spans of {count} sentences, labels from -1 to {labels - 1}", Words("others"))
    if not bool((torch.bincount(sentence, minlength=count)[scores.lengths > 0] > 0).all()):
        raise expected("gold", "spans of each sentence", Words("a sentence without any"))


def tree_crf(scores: SpanScores, gold: Tensor) -> Tensor:
    """Return ``-log p`` of each sentence's tree, `[B]`, where ``p(tree) ∝ exp Σ s(i, j, l)`` over binary trees.

    Finkel, Kleeman & Manning (2008), Efficient, feature-based, conditional random field parsing. The probability of a
    tree with nodes of more than two children is the sum over its binarisations. Of several members it is the mean.

    Args:
        scores: of all spans.
        gold: int64 `[M, 4]`: sentence, first word, the one past the last, and label; with the null label the spans by
            which a node may be binarised, -1 where any label may be. No span is there twice.

    Raises:
        GraphError: no such spans or labels, a sentence without any.
    """
    _check(scores, gold)
    rooted = _rooted(scores)
    total = _total(rooted)
    chart, lengths = _charts(scores, total)
    loss = log_partition(chart, lengths) - log_partition(_allowed(scores, rooted, gold, total), lengths)
    return loss.view(-1, len(scores.lengths)).mean(0)


def max_margin(scores: SpanScores, gold: Tensor) -> Tensor:
    """Return ``max_tree (s(tree) + Δ(tree)) - s(gold)`` of each sentence, `[B]`: Δ counts labelled spans not in gold.

    Taskar et al. (2004), Max-margin parsing; Stern, Andreas & Klein (2017), section 4. Of the binarisations of the gold
    tree the best one counts (Gaddy, Stern & Klein 2018). Arguments are those of :func:`tree_crf`.
    """
    _check(scores, gold)
    labels = scores.scores.size(2)
    at, known = place_of(gold, scores.size), torch.arange(labels, device=gold.device) == gold[:, 3:]
    wrong = torch.ones(len(scores.lengths) * scores.size**2, labels, device=gold.device)
    wrong[at] = 1 - (known | (gold[:, 3:] < 0)).to(wrong.dtype)
    if labels > 1:
        wrong[:, 0] = 0  # the null label is no error
    rooted = _rooted(scores)
    chart, lengths = _charts(scores, (rooted + wrong[scores.place]).amax(2))
    loss = _best(chart, lengths) - _best(_allowed(scores, rooted, gold, rooted.amax(2)), lengths)
    return loss.clamp(min=0).view(-1, len(scores.lengths)).mean(0)


def _best(chart: Tensor, lengths: Tensor) -> Tensor:
    """Return the score of the best tree, differentiable by the scores of its spans."""
    tree = best_trees(chart, lengths)
    values = chart.flatten(1).gather(1, (tree[..., 0] * chart.size(1) + tree[..., 1]).clamp(min=0))
    return torch.where(tree[..., 0] >= 0, values, values.new_zeros(())).sum(1)


@torch.no_grad()
def decode(
    scores: SpanScores, *, by_marginals: bool = True, threshold: float = 0.4, of_words: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the best tree of each sentence: its spans, int64 `[B, 2T - 3, 2]`, and their labels, `[B, 2T - 3]`.

    Args:
        scores: of all spans.
        by_marginals: take the tree with the largest expected number of right spans (Goodman 1996, Parsing algorithms
            and metrics), of the members' mean; else the one with the largest score, summed over members.
        threshold: what the probability of a label must exceed to be counted, by marginals: half of the F1 that is
            expected makes that largest.
        of_words: bool `[L]`, see :func:`labels_of_words`: which labels are those of a word, which always has one;
            others are of more words.

    Returns:
        Spans in preorder, -1 in what a shorter sentence lacks, and labels, 0 for the null label and without labels.
    """
    rooted = _rooted(scores)
    members, _, labels = rooted.shape
    if by_marginals:
        chances = marginals(*_charts(scores, _total(rooted)))
        of_spans = chances.view(members, -1).index_select(1, scores.place)[..., None]
        gain = (of_spans if labels == 1 else of_spans * rooted.softmax(2)).mean(0)
        null = torch.full_like(gain[:, 0], threshold)
    else:
        gain = rooted.sum(0)
        null = gain[:, 0]
    if labels == 1:
        tree = best_trees(scores.chart(gain[:, 0]), scores.lengths)
        return tree, torch.zeros_like(tree[..., 0])
    always = scores.whole
    if of_words is not None:
        word = scores.spans[:, 2] - scores.spans[:, 1] == 1
        gain = gain.masked_fill(of_words.to(gain.device) != word[:, None], -torch.inf)
        always = always | word
    most, label = gain[:, 1:].max(1)
    label = torch.where((most > null) | always, label + 1, 0)
    tree = best_trees(scores.chart(torch.where(always, most, most.maximum(null))), scores.lengths)
    place = (tree[..., 0] * scores.size + tree[..., 1]).clamp(min=0)
    return tree, scores.chart(label).flatten(1).gather(1, place)
