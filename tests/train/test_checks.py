"""Data that would train wrongly are refused, with argument and place, before a step; weights stay finite."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import mse_loss

from graphseq.errors import GraphError
from graphseq.train import Batch, Split, Task, Training, fit
from tests.train import jobs

X = torch.eye(6)
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def with_labels(*labels: float, dtype: torch.dtype = torch.int64) -> Split:
    y = torch.tensor(labels, dtype=dtype)
    return Split(6, lambda i: Batch((X[i],), y[i]))


def with_inputs(place: tuple[int, int], value: float, wrap=lambda x: x) -> Split:
    x = X.clone()
    x[place] = value
    return Split(6, lambda i: Batch((wrap(x[i]),), Y[i]))


GOOD = with_labels(*Y.tolist())
NAN = float("nan")


class Linear(torch.nn.Linear):
    """Reads a tensor, or one within an object."""

    def forward(self, x):
        read = {torch.Tensor: lambda: x, dict: lambda: x["x"], list: lambda: x[0], SimpleNamespace: lambda: x.x}
        return super().forward(read[type(x)]())


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (with_labels(0, 1, 2, 0, 3, 7), r"`target`: expected classes from 0 to 2, got 3 at \[4\] \(examples 0 to 5 "),
        (with_labels(0, -100, 2, 0, 1, 2), r"`target`: expected classes from 0 to 2, got -100 at \[1\]"),
        (
            with_labels(0, 1, 2, 0, 1, 2, dtype=torch.float32),
            r"`target`: expected classes, int64 of shape \[n\], got f",
        ),
        (with_labels(0, 1, 2, 0, 1, 2, dtype=torch.int32), r"`target`: expected classes, int64 of shape \[n\], got "),
        (with_labels(0, 1, 2, 0, 1), r"`size`: expected as many .*, got 6, and `collate` fails: index 5 is out of"),
        (Split(6, lambda i: Batch((X[i],), Y[i][1:])), r"`target`: expected one for each of . rows of the model's"),
        (Split(1, lambda i: Batch((X,), Y[:5])), r"`target`: expected one for each of 6 rows of the model's scores"),
        (Split(1, lambda i: Batch((X,), Y[:5], torch.arange(6))), r"`target`: expected one for each of 6 rows"),
        (with_inputs((4, 1), NAN), r"`inputs\[0\]`: expected numbers, got nan at \[4, 1\] of float32 of shape \[6"),
        (with_inputs((4, 1), NAN, lambda x: [x]), r"`inputs\[0\]\[0\]`: expected numbers, got nan at \[4, 1\]"),
        (with_inputs((4, 1), NAN, lambda x: {"x": x}), r"`inputs\[0\]\.x`: expected numbers, got nan at \[4, 1\]"),
        (with_inputs((4, 1), NAN, lambda x: SimpleNamespace(x=x)), r"`inputs\[0\]\.x`: expected numbers, got nan at"),
        (Split(6, lambda i: Batch((X[i],), Y[i], None, X[i, 0] / X[i, 0])), r"`weight`: expected numbers, got nan at"),
    ],
)
@pytest.mark.parametrize("batch_size", [0, 2])
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_refused_before_a_step(train: Split, message: str, batch_size: int, part: str) -> None:
    task = Task(Linear(6, 3), GOOD, GOOD, GOOD)
    setattr(task, part, train)
    before = copy.deepcopy(task.model.state_dict())
    with pytest.raises(GraphError, match=message):
        fit(task, Training(epochs=2, batch_size=batch_size, eval_batch_size=6))
    assert all(torch.equal(value, before[name]) for name, value in task.model.state_dict().items())


def test_numbers_to_predict() -> None:
    def task(y: torch.Tensor) -> Task:
        split = Split(6, lambda i: Batch((X[i],), y[i]))
        model, loss = torch.nn.Linear(6, 1), lambda scores, target: mse_loss(scores[:, 0], target, reduction="none")
        return Task(model, split, loss=loss, metrics=["mae"])

    fit(task(torch.tensor([0.5, -1.0, 99.0, 0, 0, 0])), Training(epochs=1))
    with pytest.raises(GraphError, match=r"`target`: expected numbers, got nan at \[2\]"):
        fit(task(torch.tensor([0.5, -1.0, NAN, 0, 0, 0])), Training(epochs=1))


def test_infinite_inputs_may_be_masks() -> None:
    class Masked(torch.nn.Linear):
        def forward(self, mask):
            return super().forward(mask.softmax(1))

    split = with_inputs((0, 1), float("-inf"))
    assert fit(Task(Masked(6, 3), split, split), Training(epochs=1)).epochs == 1


def test_the_check_draws_nothing() -> None:
    class Drawn(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x + torch.rand(x.shape))  # in evaluation too

    models = [Drawn(6, 3), Drawn(6, 3)]
    models[1].load_state_dict(models[0].state_dict())
    fit(Task(models[0], GOOD), Training(epochs=1, optimizer="sgd", lr=1.0), seed=1)
    torch.manual_seed(1)
    torch.nn.functional.cross_entropy(models[1](X), Y).backward()
    expected = models[1].weight - models[1].weight.grad
    torch.testing.assert_close(models[0].weight, expected)


def _finite(model: torch.nn.Module) -> bool:
    return all(bool(value.isfinite().all()) for value in model.state_dict().values())


@pytest.mark.parametrize("val", [0, 31])
@pytest.mark.parametrize("norm", [False, True])
def test_a_loss_that_is_not_finite_leaves_finite_weights(val: int, norm: bool) -> None:
    task = jobs.task(norm=norm)
    task.val = task.val if val else None
    with pytest.raises(GraphError, match=r"the (validation )?loss is n|the weights are not finite"):
        fit(task, Training(epochs=5, lr=1e38, optimizer="sgd"))
    assert _finite(task.model)


@pytest.mark.parametrize("val", [False, True])
def test_a_loss_lost_later_leaves_the_weights_of_the_epochs_before(val: bool) -> None:
    def task(spoil: int | None) -> Task:
        made, losses = jobs.task(), []
        plain = made.loss

        def loss(scores, target):
            losses.append(1)
            lost = torch.is_grad_enabled() and spoil == len(losses)
            return plain(scores, target) * (float("nan") if lost else 1.0)

        made.loss, made.val = loss, made.val if val else None
        return made

    spoiled, whole = task(7 if val else 4), task(None)  # with validation, each epoch takes two losses
    with pytest.raises(GraphError, match="the loss is nan in epoch 4; try a lower learning rate"):
        fit(spoiled, Training(epochs=9))
    fit(whole, Training(epochs=3))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, spoiled.model.state_dict()[name])


def test_weights_lost_in_the_last_step() -> None:
    task = jobs.task()
    plain, task.val, task.test = task.loss, None, None
    task.loss = lambda scores, target: 1e6 * plain(scores, target)
    with pytest.raises(GraphError, match="the weights are not finite; try a lower"):
        fit(task, Training(epochs=1, lr=1e38, optimizer="sgd"))
    assert _finite(task.model)
