"""The loop: epochs of steps, each epoch judged, the best one kept, and a run that can be stopped and taken up again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from ..errors import GraphError, Words, expected
from .folder import Log, RunFolder, write_environment
from .machine import Machine
from .session import Session
from .settings import Training
from .task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Outcome", "Stopped", "fit"]

_AGREE_EVERY = 20  # steps between two agreements of several processes whether to save


class Stopped(GraphError):
    """Training was asked to stop, by Ctrl-C or by the system, and has saved where it was."""


@dataclass(frozen=True)
class Outcome:
    """What training gave.

    Args:
        best_epoch: the epoch whose weights the model has now, from 1.
        epochs: how many there were.
        val: loss and metrics of the validation split in that epoch; empty without one.
        test: the same of the test split, which was judged this once; empty without one.
        records: one record an epoch: loss, learning rate, and loss and metrics of the validation split.
    """

    best_epoch: int
    epochs: int
    val: dict[str, float]
    test: dict[str, float]
    records: list[dict[str, float]] = field(repr=False)


def fit(
    task: Task, settings: Training, *, seed: int = 0, fabric: Fabric | None = None, workers: int = 0,
    folder: RunFolder | str | os.PathLike[str] | None = None, resume: bool = False, save_every: float = 30.0,
    tensorboard: bool = False, name: str = "training",
) -> Outcome:  # fmt: skip
    """Train a task's model in place, and leave it with the weights of the epoch that was best on validation data.

    Args:
        task: model, splits, loss, metrics.
        settings: how to train.
        seed: of the order of examples and of what the model draws; the model has its weights already.
        fabric: a launched Fabric; by default the CPU, one process.
        workers: processes that prepare batches; the result does not depend on them.
        folder: where to write metrics and checkpoints, a path will do; by default nothing is written.
        resume: whether to go on from the folder's checkpoint, if it has one. What comes out then is, bit for bit,
            what would have come out without the stop.
        save_every: seconds between two checkpoints; 0 for one after every step.
        tensorboard: whether to write for TensorBoard too.
        name: stands before the progress bar.

    Raises:
        GraphError: a part of the task is not what it should be, the loss is no longer finite, the folder holds a run
            already, the checkpoint is of something else, a file cannot be written.
        Stopped: the process got SIGINT (Ctrl-C) or SIGTERM; a checkpoint was written if there is a folder.

    >>> from graphseq.train import Batch, Split
    >>> x, y = torch.eye(4), torch.tensor([0, 1, 0, 1])
    >>> split = Split(4, lambda i: Batch((x[i],), y[i]))
    >>> outcome = fit(Task(torch.nn.Linear(4, 2), split, split), Training(epochs=30, lr=0.1))
    >>> outcome.val["accuracy"]
    1.0
    """
    fabric = _alone() if fabric is None else fabric
    folder = folder if folder is None or isinstance(folder, RunFolder) else RunFolder(folder)
    if resume and folder is None:
        raise expected("folder", "the folder of the run to go on with", None)
    if folder is not None and not resume and folder.has_checkpoint:
        raise expected("folder", "one without a run", Words(f"{folder.path}; resume=True goes on with what is there"))
    session = Session(task, settings, fabric, seed, workers)
    mine = folder if fabric.global_rank == 0 else None
    with ExitStack() as stack:
        lines = 0
        if mine is not None:
            stack.enter_context(mine.lock())
        if folder is not None and resume and folder.has_checkpoint:
            lines = folder.load(session)
        elif mine is not None:
            write_environment(mine, fabric.device)
        log = stack.enter_context(Log(mine, lines=lines, tensorboard=tensorboard))
        stop = stack.enter_context(_signals())
        keep = _keeper(session, folder, log, stop, save_every)
        bar = stack.enter_context(_bar(session, name))
        while not session.is_over:
            for parts in session.rest_of_epoch():
                session.step(parts)
                bar(None)
                if session.batch < session.steps_per_epoch:
                    keep(False)
            record = session.end_epoch()
            log.write(record)
            bar(record)
            keep(False)
        keep(True)
    session.use_best()
    test = {} if task.test is None else session.judge(task.test)
    val = {} if task.val is None else session.judge(task.val)
    return Outcome(session.best_epoch, session.epoch, val, test, log.records)


def _alone() -> Fabric:
    fabric = Machine(device="cpu").fabric()
    fabric.launch()
    return fabric


def _keeper(
    session: Session, folder: RunFolder | None, log: Log, stop: list[int], every: float
) -> Callable[[bool], None]:
    """Return a function to call between steps: it saves when it is time, when told to and when asked to stop."""
    fabric, saved = session.fabric, time.monotonic()

    def keep(now: bool) -> None:
        nonlocal saved
        due = time.monotonic() - saved >= every
        asked = bool(stop)
        if fabric.world_size > 1:
            if not now and session.batch % _AGREE_EVERY:
                return
            wishes = torch.tensor([float(due), float(asked)], device=fabric.device)
            due, asked = (bool(wish) for wish in fabric.all_reduce(wishes, reduce_op="sum"))
        if folder is not None and (now or due or asked):
            folder.save(session, lines=len(log.records))
            saved = time.monotonic()
        if asked and not now:
            raise Stopped(f"stopped in epoch {session.epoch + 1}, after {session.step_count} steps")

    return keep


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM instead of stopping in the midst of a step; a second one stops at once."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, _: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(session: Session, name: str) -> Iterator[Callable[[dict[str, float] | None], None]]:
    """Show progress on a terminal: call with None after a step and with its record after an epoch."""
    from tqdm import tqdm

    hide = True if session.fabric.global_rank else None  # None: hidden where there is no terminal
    total = session.settings.epochs * session.steps_per_epoch
    with tqdm(total=total, initial=session.step_count, desc=name, unit="step", disable=hide) as bar:
        if bar.disable:
            yield lambda record: None
            return
        metric = f"val_{session.task.metrics[0]}"

        def show(record: dict[str, float] | None) -> None:
            if record is None:
                bar.update()
            else:
                shown = {name: f"{record[name]:.4f}" for name in ("loss", metric) if name in record}
                bar.set_postfix(shown, refresh=False)

        yield show
