"""Metrics of a whole split; accuracy, F1 and AUROC in per cent wherever they are reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import Words, describe, expected

__all__ = ["METRICS", "Metric", "chosen_labels", "measure", "metric"]


@dataclass(frozen=True)
class Metric:
    """A metric of predictions.

    Args:
        of: a function of all scores and targets of a split.
        larger_is_better: whether a larger value is the better one.
        unit: ``"%"`` where `of` returns a fraction, which :func:`measure` converts to per cent; else it is printed
            after the number.
        classes: whether targets are classes and scores one number for each class; otherwise both are numbers.
        counts: whether scores are counts, in columns of each example's row, which tell all; targets are not read.
    """

    of: Callable[[Tensor, Tensor], Tensor]
    larger_is_better: bool = True
    unit: str = "%"
    classes: bool = True
    counts: bool = False


def _of_classes(name: str, **options: Any) -> Metric:
    def of(scores: Tensor, target: Tensor) -> Tensor:
        from torchmetrics.functional import classification

        # validate_args checks for classes out of range, as fit has done, and costs half as much as a small model
        found: Tensor = getattr(classification, name)(scores, target, scores.size(1), validate_args=False, **options)
        return found

    return Metric(of)


def _auroc(scores: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the classes that are there of the area for each against the rest; of one class, NaN."""
    from torchmetrics.functional.classification import binary_auroc

    # of probabilities: torchmetrics takes scores that happen to lie between 0 and 1 for these, and counts a class
    # without examples as an area of 0; float64, as in float32 the surest examples would all be tied at 1
    chances, classes = scores.cpu().double().softmax(1), target.cpu()
    present = classes.unique().tolist()
    if len(present) < 2:
        return scores.new_tensor(math.nan)
    return torch.stack([binary_auroc(chances[:, c], (classes == c).long()) for c in present]).mean()


def _of_numbers(name: str, **options: Any) -> Metric:
    def of(scores: Tensor, target: Tensor) -> Tensor:
        from torchmetrics.functional import regression

        error: Tensor = getattr(regression, name)(scores.reshape(-1), target.reshape(-1).to(scores), **options)
        return error

    return Metric(of, larger_is_better=False, unit="", classes=False)


def _bracket_f1(rows: Tensor, target: Tensor) -> Tensor:
    """Return 2 · right / (found + true) brackets of rows `[n, 4]`: loss, right, found, true."""
    _, right, found, true = rows.double().sum(0)
    f1: Tensor = 2 * right / (found + true)
    return f1


def chosen_labels(scores: Tensor) -> Tensor:
    """Return which labels are predicted, bool `[n, L]`, of scores `[n, L]`: those above 0, or the best one. Column 0
    stands for labels that are unknown, and never is.

    >>> chosen_labels(torch.tensor([[3.0, 1.0, 2.0], [3.0, -1.0, -2.0]])).tolist()
    [[False, True, True], [False, True, False]]
    """
    known = scores[:, 1:]
    chosen = known > 0
    if known.size(1):
        chosen = chosen.scatter(1, known.argmax(1, keepdim=True), torch.ones_like(chosen[:, :1]))
    return torch.cat([torch.zeros_like(scores[:, :1], dtype=torch.bool), chosen], 1)


def _subtoken_f1(scores: Tensor, target: Tensor) -> Tensor:
    """Return 2 · right / (found + true) labels, of scores and the number of times that each label is there, `[n, L]`;
    those in column 0 are missed.
    """
    found = chosen_labels(scores)
    right = (found & (target > 0)).sum().double()
    return 2 * right / (found.sum() + target.sum().double())


METRICS: dict[str, Metric] = {
    "accuracy": _of_classes("multiclass_accuracy", average="micro"),
    "f1": _of_classes("multiclass_f1_score", average="macro"),
    "auroc": Metric(_auroc),
    "rmse": _of_numbers("mean_squared_error", squared=False),
    "bracket_f1": Metric(_bracket_f1, classes=False, counts=True),
    "subtoken_f1": Metric(_subtoken_f1, classes=False),
    "mae": _of_numbers("mean_absolute_error"),
}


def metric(name: str) -> Metric:
    """Return the metric of this name.

    >>> metric("accuracy").unit
    '%'
    """
    if name not in METRICS:
        raise expected("metrics", f"names from {', '.join(METRICS)}", Words(repr(name)))
    return METRICS[name]


def measure(names: Sequence[str], scores: Tensor, target: Tensor) -> dict[str, float]:
    """Return each metric of a split's scores and targets, those with the unit "%" in per cent; without targets, NaN.

    >>> import torch
    >>> measure(["accuracy"], torch.eye(2), torch.tensor([0, 0]))
    {'accuracy': 50.0}
    """
    return {name: _value(name, scores, target) if len(target) else math.nan for name in names}


def _value(name: str, scores: Tensor, target: Tensor) -> float:
    found = metric(name)
    if found.classes and (scores.dim() != 2 or target.dim() != 1 or target.is_floating_point()):
        what = f"scores [n, C] and classes int64 [n] for {name}"
        raise expected("metrics", what, Words(f"{describe(scores)} and {describe(target)}"))
    if not found.classes and not found.counts and scores.numel() != target.numel():
        what = f"as many scores as targets for {name}"
        raise expected("metrics", what, Words(f"{describe(scores)} and {describe(target)}"))
    return float(found.of(scores, target)) * (100 if found.unit == "%" else 1)
