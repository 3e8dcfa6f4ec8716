"""The cost of the training loop compared with a hand-written one, and whether data keep up with it."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy

from graphseq.errors import GraphError
from graphseq.recipes import Recipe, Source, find_recipe
from graphseq.train import Machine, RunFolder, Session, Task, Training, fit

from .timing import Row, compare, cost, over

STEPS = {"karate-gcn": 400, "cora-gcn": 120}
ROUNDS = 21  # many short ones: other load on a machine varies by more than the difference to be measured
LOAD = """
import time
import torch_geometric.data
from graphseq.datasets import SST
start = time.perf_counter()
SST("train", lower=True)
print(time.perf_counter() - start)
"""


def by_hand(task: Task, settings: Training, metric: str) -> None:
    """Train as `fit` does and, unless `metric` is "", evaluate the validation split after each epoch."""
    model = task.model
    optimizer = torch.optim.Adam(task.groups, settings.lr, weight_decay=settings.weight_decay, fused=True)
    batch = task.train.collate(torch.arange(task.train.size))
    val = task.val.collate(torch.arange(task.val.size)) if metric else None
    best, kept = float("inf"), [p.detach().clone() for p in model.parameters()]
    for _ in range(settings.epochs):
        model.train()
        loss = cross_entropy(model(*batch.inputs)[batch.index], batch.target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if val is None:
            continue
        model.eval()
        with torch.no_grad():
            scores = model(*val.inputs)[val.index]
        if metric == "torchmetrics":
            multiclass_accuracy(scores, val.target, scores.size(1), average="micro", validate_args=False).item()
        else:
            (scores.argmax(1) == val.target).float().mean().item()
        val_loss = float(cross_entropy(scores, val.target))
        if val_loss < best:
            best = val_loss
            for old, new in zip(kept, model.parameters(), strict=True):
                old.copy_(new.detach())


def _overhead(name: str) -> list[Row]:
    """Compare on one thread: two wait for each other, which hides what is looked for.

    Data are read once: reading them takes longer, and scatters more, than what is looked for.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    epochs = STEPS[name]
    fabric = Machine(device="cpu").fabric()
    fabric.launch()

    read = find_recipe(name).task(Source(), 0)[0]

    def task_of(recipe: Recipe, val: bool = True) -> Task:
        model = copy.deepcopy(read.model)
        return replace(read, model=model, groups=recipe.groups(model), val=read.val if val else None, test=None)

    def hand(recipe: Recipe, accuracy: str) -> None:
        by_hand(task_of(recipe), recipe, accuracy)

    def loop(recipe: Recipe, val: bool, write: bool) -> None:
        task = task_of(recipe, val)
        with tempfile.TemporaryDirectory() as folder:
            fit(task, recipe, fabric=fabric, folder=RunFolder(folder) if write else None)

    works: list[Callable[[], None]] = []
    for count in (epochs, 1):  # the second run tells what is done once
        recipe = find_recipe(name, epochs=count)
        works += [partial(hand, recipe, accuracy) for accuracy in ("", "argmax", "torchmetrics")]
        works += [partial(loop, recipe, *what) for what in ((False, False), (True, False), (True, True))]
    times = compare(*works, rounds=ROUNDS, warmup=2)
    torch.set_num_threads(threads)
    each = [
        [1e6 * (long - short) / (epochs - 1) for long, short in zip(times[i], times[i + 6], strict=True)]
        for i in range(6)
    ]
    bare, plain, metric, steps, evaluated, written = each

    def extra(above: Sequence[float], below: Sequence[float]) -> list[float]:
        return [a - b for a, b in zip(above, below, strict=True)]

    return [
        cost("training", f"{name}, µs more than a loop by hand: a step", extra(steps, bare), 100),
        cost(
            "training", f"{name}, µs more: a step and validation, both by torchmetrics", extra(evaluated, metric), 100
        ),
        cost("training", f"{name}, µs more: the same, by hand without torchmetrics", extra(evaluated, plain)),
        cost("training", f"{name}, µs more: the same, and a run's folder", extra(written, plain)),
        cost("training", f"{name}, step, validation and folder, over a loop by hand", over(written, plain)),
    ]


def _batching(name: str, recipe: Recipe) -> Row:
    """Return how long it takes to make batches, over the steps that use them."""
    task, _ = recipe.task(Source(), 0)
    fabric = Machine(device="cpu").fabric()
    fabric.launch()
    session = Session(task, recipe, fabric, 0)
    making, stepping = [], []
    while len(making) < 65:
        batches = session.rest_of_epoch()
        for _ in range(min(65, session.steps_per_epoch)):
            start = time.perf_counter()
            parts = next(batches)
            middle = time.perf_counter()
            session.step(parts)
            making.append(middle - start)
            stepping.append(time.perf_counter() - middle)
        session.batch = 0
    making, stepping = making[5:], stepping[5:]
    return cost("training", f"{name}: making a batch over its step", over(making, stepping), 0.25)


def _loading() -> Row:
    seconds = []
    for _ in range(6):
        done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, env=os.environ)
        if done.returncode:
            raise GraphError(done.stderr.splitlines()[-1])
        seconds.append(float(done.stdout))
    return cost("training", "SST's training split from the cache, seconds, process after process", seconds[1:], 0.5)


def _memory(epochs: int = 2000) -> Row:
    """Return how much memory rises between the 500th and the last epoch, in MiB."""
    import psutil

    recipe = find_recipe("karate-gcn", epochs=epochs)
    task, _ = recipe.task(Source(), 0)
    used: list[int] = []
    train = task.model.train

    def watched(mode: bool = True) -> torch.nn.Module:
        if mode:
            used.append(psutil.Process().memory_info().rss if len(used) + 1 in (500, epochs) else 0)
        return train(mode)

    task.model.train = watched  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        fit(task, recipe, folder=RunFolder(folder), save_every=0.5)
    rise = (used[epochs - 1] - used[499]) / 2**20
    return cost("training", f"karate-gcn: MiB from epoch 500 to {epochs}", [rise], 8)


def rows(notes: list[str]) -> list[Row]:
    found = [*_overhead("karate-gcn"), _memory()]
    for name in ("cora-gcn", "mutag-gin", "sst-treelstm"):
        try:
            if name in STEPS:
                found += _overhead(name)
            else:
                found.append(_batching(name, find_recipe(name)))
        except GraphError as error:
            notes.append(f"{name} is left out: {str(error).splitlines()[0]}.")
    try:
        found.append(_loading())
    except GraphError:
        notes.append("SST is not here: loading it is left out.")
    return found
