"""A task to train: a model, splits that make batches, a loss and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..errors import Words, describe, expected
from .metrics import metric

__all__ = ["Batch", "Split", "Task", "class_loss"]


@dataclass(frozen=True)
class Batch:
    """Some examples, ready for the model.

    Args:
        inputs: the model's arguments: tensors, topologies.
        target: `[n]` or `[n, …]`, the values to predict.
        index: int64 `[n]`, the row of the model's output for each target; by default all, in order.
        weight: `[n]`, weight of each target in the loss; by default 1.
    """

    inputs: tuple[Any, ...]
    target: Tensor
    index: Tensor | None = None
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that the model's arguments are a tuple, even if there is only one."""
        if not isinstance(self.inputs, tuple):
            raise expected("inputs", "a tuple of the model's arguments, such as (x,)", self.inputs)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        inputs = tuple(part.to(device) if hasattr(part, "to") else part for part in self.inputs)
        index, weight = (None if part is None else part.to(device) for part in (self.index, self.weight))
        return Batch(inputs, self.target.to(device), index, weight)

    def rows(self, output: Tensor) -> Tensor:
        """Return those of the model's rows that the targets belong to."""
        return output if self.index is None else output.index_select(0, self.index)

    def without_weight(self) -> Batch:
        """Return the batch with weights of 0."""
        return replace(self, weight=torch.zeros(len(self.target)))


@dataclass(frozen=True)
class Split:
    """A part of the data.

    Args:
        size: the number of examples.
        collate: makes a batch of the examples with these indices, int64 `[n]`, n at least 1. It must not draw
            random numbers: it may run in another process.
        origin: int64 `[size]`, where each example was in the list that the split was made of; for messages.
    """

    size: int
    collate: Callable[[Tensor], Batch] = field(repr=False)
    origin: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the number of examples."""
        if not isinstance(self.size, int) or self.size < 0:
            raise expected("size", "a number of examples", self.size)
        if not callable(self.collate):
            raise expected("collate", "a function from indices to a Batch", self.collate)

    def batch(self, indices: Tensor) -> Batch:
        """Return the batch of some examples.

        Raises:
            GraphError: `collate` returns something else, or lacks an example.
        """
        try:
            made = self.collate(indices)
        except IndexError as error:  # an example that does not exist
            what = Words(f"{self.size}, and `collate` fails: {error}")
            raise expected("size", "as many examples as `collate` can return", what) from error
        if not isinstance(made, Batch):
            raise expected("collate", "a function that returns a Batch", Words(f"one that returns {describe(made)}"))
        return made


def class_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Return the cross entropy of each row, `[n]`, of scores `[n, C]` and classes int64 `[n]`."""
    return cross_entropy(scores, target, reduction="none")


@dataclass
class Task:
    """What :func:`graphseq.train.fit` trains: model, splits, loss and metrics.

    The model takes a batch's ``inputs`` and returns scores, or a pair of scores and a scalar that is added to
    the loss, such as a link loss.

    Args:
        model: with weights as training begins.
        train: the training split.
        val: selects the epoch; without it, that is the last one.
        test: evaluated once, with the weights of the selected epoch.
        loss: a function of scores and targets that returns one number per row.
        metrics: names from :data:`graphseq.train.METRICS`; the first is reported.
        groups: the optimizer's parameter groups, with options of their own; by default one of all parameters.
    """

    model: nn.Module
    train: Split
    val: Split | None = None
    test: Split | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = class_loss
    metrics: Sequence[str] = ("accuracy",)
    groups: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the names of metrics."""
        self._check_metrics()

    def _check_metrics(self) -> None:
        if isinstance(self.metrics, str) or not self.metrics:
            raise expected("metrics", "a list of at least one name", self.metrics)
        for name in self.metrics:
            metric(name)

    def check(self) -> None:
        """Check that the task can be trained.

        Raises:
            GraphError: a part is missing, empty or of another kind.
        """
        if not isinstance(self.model, nn.Module):
            raise expected("model", "a torch.nn.Module", self.model)
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise expected("model", "one with parameters to train", Words("one without"))
        for name, split in (("train", self.train), ("val", self.val), ("test", self.test)):
            if not isinstance(split, Split) and (split is not None or name == "train"):
                raise expected(name, "a Split", split)
            if split is not None and not split.size:
                raise expected(name, "a split with at least one example", Words("an empty one"))
        self._check_metrics()  # which may have been set since
