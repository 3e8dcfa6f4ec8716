"""Metrics of a whole split, by torchmetrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..errors import Words, describe, expected

__all__ = ["METRICS", "Metric", "measure", "metric"]


@dataclass(frozen=True)
class Metric:
    """A number that judges predictions.

    Args:
        of: takes all scores and targets of a split.
        larger_is_better: which way is up.
        unit: ``"%"`` for a share, which is told in per cent; else what is printed behind the number.
        classes: whether targets are classes and scores one number for each class; else both are numbers.
    """

    of: Callable[[Tensor, Tensor], Tensor]
    larger_is_better: bool = True
    unit: str = "%"
    classes: bool = True


def _accuracy(scores: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.classification import multiclass_accuracy

    # validate_args would look for targets out of range, which the loss has done, at half the cost of a small model
    return multiclass_accuracy(scores, target, scores.size(1), average="micro", validate_args=False)


def _f1(scores: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.classification import multiclass_f1_score

    return multiclass_f1_score(scores, target, scores.size(1), average="macro", validate_args=False)


def _auroc(scores: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.classification import multiclass_auroc

    area = multiclass_auroc(scores, target, scores.size(1), validate_args=False)
    return scores.new_tensor(float("nan")) if area is None else area


def _rmse(scores: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.regression import mean_squared_error

    return mean_squared_error(scores.reshape(-1), target.reshape(-1).to(scores), squared=False)


def _mae(scores: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.regression import mean_absolute_error

    return mean_absolute_error(scores.reshape(-1), target.reshape(-1).to(scores))


METRICS: dict[str, Metric] = {
    "accuracy": Metric(_accuracy),
    "f1": Metric(_f1),
    "auroc": Metric(_auroc),
    "rmse": Metric(_rmse, larger_is_better=False, unit="", classes=False),
    "mae": Metric(_mae, larger_is_better=False, unit="", classes=False),
}


def metric(name: str) -> Metric:
    """Return the metric of this name.

    >>> metric("accuracy").unit
    '%'
    """
    if name not in METRICS:
        raise expected("metrics", f"names out of {', '.join(METRICS)}", Words(repr(name)))
    return METRICS[name]


def measure(names: Sequence[str], scores: Tensor, target: Tensor) -> dict[str, float]:
    """Return each metric of a split's scores and targets; of no targets, NaN.

    >>> import torch
    >>> measure(["accuracy"], torch.eye(2), torch.tensor([0, 0]))
    {'accuracy': 0.5}
    """
    if not len(target):
        return {name: float("nan") for name in names}
    return {name: float(_fitting(name, scores, target).of(scores, target)) for name in names}


def _fitting(name: str, scores: Tensor, target: Tensor) -> Metric:
    found = metric(name)
    if found.classes and (scores.dim() != 2 or target.dim() != 1 or target.is_floating_point()):
        what = f"scores [n, C] and classes int64 [n] for {name}"
        raise expected("metrics", what, Words(f"{describe(scores)} and {describe(target)}"))
    if not found.classes and scores.numel() != target.numel():
        what = f"as many scores as targets for {name}"
        raise expected("metrics", what, Words(f"{describe(scores)} and {describe(target)}"))
    return found
