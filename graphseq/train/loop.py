"""The loop: epochs of steps, each one evaluated, the best one kept; training can be stopped and resumed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from ..errors import GraphError, Words, expected
from .files import write_json
from .folder import Log, RunFolder, environment
from .machine import Machine
from .progress import progress
from .session import Session
from .settings import Training
from .task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Outcome", "Stopped", "fit"]

_AGREE_EVERY = 20  # steps after which several processes agree whether to save


class Stopped(GraphError):
    """Training was stopped by Ctrl-C or by the system, after saving a checkpoint."""


@dataclass(frozen=True)
class Outcome:
    """The result of a training. Accuracy, F1 and AUROC are in per cent.

    Args:
        best_epoch: the epoch whose weights the model has now, from 1.
        selected_by: the validation value that was best in it, such as "val_loss"; "" if the last epoch is
            taken.
        epochs: the number of epochs.
        val: loss and metrics of the validation split with the weights of that epoch; empty without one.
        test: the same of the test split, which is evaluated only once; empty without one.
        records: one record per epoch: loss, learning rate, and loss and metrics of the validation split.
    """

    best_epoch: int
    selected_by: str
    epochs: int
    val: dict[str, float]
    test: dict[str, float]
    records: list[dict[str, float]] = field(repr=False)


def fit(
    task: Task, settings: Training, *, seed: int = 0, device: str = "cpu", fabric: Fabric | None = None,
    workers: int = 0, folder: RunFolder | str | os.PathLike[str] | None = None, resume: bool = False,
    save_every: float = 30.0, tensorboard: bool = False, verbose: bool = False, name: str = "training",
) -> Outcome:  # fmt: skip
    """Train a task's model in place, and leave it with the weights of the epoch that was best on validation data.

    The data are checked before the first step. If training ends with an error, such as a loss that is no longer
    finite, the model has the weights of the best epoch so far, or its initial ones.

    Args:
        task: model, splits, loss, metrics.
        settings: how to train.
        seed: of the order of examples and of what the model draws; the model has its weights already.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best one; the model stays there.
        fabric: a launched Fabric in place of a device, for several processes or mixed precision.
        workers: processes that prepare batches; the result does not depend on them.
        folder: where to write metrics and checkpoints, or its path; by default nothing is written.
        resume: whether to resume from the folder's checkpoint, if it has one. The result is, bit for bit, that of a
            run that was never interrupted.
        save_every: seconds between two checkpoints; 0 for one after every step.
        tensorboard: whether to write TensorBoard logs as well.
        verbose: whether to show progress on standard error: a bar on a terminal, else lines with epoch, loss,
            validation metric and time left.
        name: a prefix of the progress.

    Raises:
        GraphError: a part of the task is invalid, the data have NaN or labels out of range, the loss is
            no longer finite, the folder holds a run already, the checkpoint is of another run, a file cannot be
            written.
        Stopped: the process got SIGINT (Ctrl-C) or SIGTERM; a checkpoint was written if there is a folder.

    >>> from graphseq.train import Batch, Split
    >>> x, y = torch.eye(4), torch.tensor([0, 1, 0, 1])
    >>> split = Split(4, lambda i: Batch((x[i],), y[i]))
    >>> outcome = fit(Task(torch.nn.Linear(4, 2), split, split), Training(epochs=30, lr=0.1))
    >>> outcome.val["accuracy"]
    100.0
    """
    if not isinstance(task, Task):
        raise expected("task", "a Task, such as Task(model, train, val, test)", task)
    if fabric is None:
        fabric = Machine(device=device).fabric()
        fabric.launch()
    elif device != "cpu":
        raise expected("device", "no device together with a fabric, which has one", device)
    folder = folder if folder is None or isinstance(folder, RunFolder) else RunFolder(folder)
    if resume and folder is None:
        raise expected("folder", "the folder of the run to resume", None)
    if folder is not None and not resume and folder.has_checkpoint:
        raise expected("folder", "one without a run", Words(f"{folder.path}; resume=True resumes the run there"))
    session = Session(task, settings, fabric, seed, workers)
    try:
        records = _train(session, folder, resume, save_every, tensorboard, verbose, name)
    except Stopped:
        raise
    except GraphError:
        with suppress(GraphError):
            session.use_best()
        raise
    session.use_best()
    test = {} if task.test is None else session.evaluate(task.test)
    val = {} if task.val is None else session.evaluate(task.val)
    return Outcome(session.best_epoch, session.selected_by, session.epoch, val, test, records)


def _train(
    session: Session, folder: RunFolder | None, resume: bool, save_every: float, tensorboard: bool, verbose: bool,
    name: str,
) -> list[dict[str, float]]:  # fmt: skip
    """Run the remaining epochs and return the records of all."""
    mine = folder if session.fabric.global_rank == 0 else None
    with ExitStack() as stack:
        lines = 0
        if mine is not None:
            stack.enter_context(mine.lock())
        if folder is not None and resume and folder.has_checkpoint:
            lines = folder.load(session)
        else:
            session.check_data()
            if mine is not None:
                write_json(mine / "environment.json", environment(session.fabric.device))
        log = Log(mine, lines=lines, tensorboard=tensorboard)
        stop = stack.enter_context(_signals())
        keep = _keeper(session, folder, log, stop, save_every)
        show = stack.enter_context(progress(session, name, verbose=verbose))
        while not session.is_over:
            for parts in session.rest_of_epoch():
                session.step(parts)
                show(None)
                if session.batch < session.steps_per_epoch:
                    keep(False)
            record = session.end_epoch()
            log.write(record)
            show(record)
            keep(False)
        keep(True)
    return log.records


def _keeper(
    session: Session, folder: RunFolder | None, log: Log, stop: list[int], every: float
) -> Callable[[bool], None]:
    """Return a function to call between steps, which saves when it is time, on request and on a signal to stop."""
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
    """Record SIGINT and SIGTERM instead of stopping in the middle of a step; a second one stops immediately."""
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
