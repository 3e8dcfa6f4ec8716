"""The data, checked before the first step: an error names the argument, the place and the examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import GraphError, Words, describe, expected
from ..topology import Topology
from .metrics import metric
from .settings import Training
from .task import Batch, Split, Task, class_loss

__all__ = ["check_data"]


def check_data(
    task: Task, settings: Training, made: Mapping[int, Sequence[tuple[Batch, bool]]], score: Callable[[Batch], Tensor]
) -> None:
    """Check the inputs and targets of all splits, batch by batch, and that the model takes a batch of each.

    Args:
        task: model, splits, loss and metrics.
        settings: determine the batch sizes.
        made: the batches of splits that are already collated, by the split's id.
        score: returns the model's rows for a batch's targets.

    Raises:
        GraphError: NaN in inputs, targets or weights; classes that are not int64 or out of range; a number of
            targets that differs from that of rows.
    """
    by_class = task.loss is class_loss or any(metric(name).classes for name in task.metrics)
    for name, split in (("train", task.train), ("val", task.val), ("test", task.test)):
        if split is None:
            continue
        batches = [batch for batch, _ in made.get(id(split), ())]
        examples = torch.arange(split.size).split(settings.eval_batch_size if settings.batch_size else split.size)
        scores = _scored(task, score, batches[0] if batches else split.batch(examples[0][:1]))
        if by_class and scores.dim() != 2:
            raise expected("model", "one that returns scores [n, C], as the loss or the metrics need them", scores)
        for i, chosen in enumerate(examples):
            try:
                _check(batches[i] if batches else split.batch(chosen), scores.size(1) if by_class else None)
            except GraphError as error:
                where = f"examples {int(chosen[0])} to {int(chosen[-1])} of the split `{name}`"
                found = _in_one(split, chosen, scores.size(1) if by_class else None, name)
                raise found or GraphError(f"{error} ({where})") from None


def _scored(task: Task, score: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
    """Return the model's rows.

    Raises:
        GraphError: the model has layers of PyG's, which take no topology.
    """
    try:
        return score(batch)
    except ValueError as error:
        if "MessagePassing" not in str(error) or not any(isinstance(part, Topology) for part in batch.inputs):
            raise
        wanted = "one that takes a Topology; PyG's layers take the edge_index of splits made with edges='edge_index'"
        raise expected("model", wanted, Words(type(task.model).__name__)) from error


def _in_one(split: Split, chosen: Tensor, classes: int | None, name: str) -> GraphError | None:
    """Return the error of the first of some examples that has one; None if their places in the data aren't known."""
    if split.origin is None:
        return None
    for i in chosen.tolist():
        try:
            _check(split.batch(torch.tensor([i])), classes)
        except GraphError as error:
            return GraphError(f"{error} (example {int(split.origin[i])} of the data, in the split `{name}`)")
    return None


def _check(batch: Batch, classes: int | None) -> None:
    for i, part in enumerate(batch.inputs):
        for name, tensor in _tensors(f"inputs[{i}]", part):
            _no_nan(name, tensor)
    if batch.weight is not None:
        _no_nan("weight", batch.weight)
    target = batch.target
    if batch.index is not None and len(batch.index) != len(target):
        raise expected("target", f"one for each of {len(batch.index)} rows in `index`", target)
    if classes is None:
        _no_nan("target", target)
    elif target.dtype != torch.int64 or target.dim() != 1:
        raise expected("target", "classes, int64 of shape [n]", target)
    else:
        wrong = ((target < 0) | (target >= classes)).nonzero()
        if len(wrong):
            at = int(wrong[0])
            raise expected("target", f"classes from 0 to {classes - 1}", Words(f"{int(target[at])} at [{at}]"))


def _tensors(name: str, part: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield a tensor, or the tensors in a list, in a mapping or among an object's attributes, with their names."""
    if isinstance(part, Tensor):
        yield name, part
    elif isinstance(part, list | tuple):
        for i, value in enumerate(part):
            yield from _tensors(f"{name}[{i}]", value)
    else:
        found = part.to_dict() if hasattr(part, "to_dict") else getattr(part, "__dict__", {})
        for key, value in (part if isinstance(part, Mapping) else found).items():
            if isinstance(value, Tensor):
                yield f"{name}.{key}", value


def _no_nan(name: str, tensor: Tensor) -> None:
    dense = tensor if tensor.layout == torch.strided else tensor.values()
    if (dense.is_floating_point() or dense.is_complex()) and bool(dense.isnan().any()):
        place = dense.isnan().nonzero()[0].tolist()
        raise expected(name, "numbers", Words(f"{math.nan} at {place} of {describe(tensor)}"))
