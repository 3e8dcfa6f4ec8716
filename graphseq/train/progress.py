"""Progress on standard error: a bar in a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .metrics import metric
from .session import Session

__all__ = ["progress"]

_EPOCHS, _STEPS = 2.0, 30.0  # seconds between two lines, at least: at the end of epochs, and within one

Show = Callable[[Mapping[str, float] | None], None]


@contextmanager
def progress(session: Session, name: str, *, verbose: bool) -> Iterator[Show]:
    """Yield a function to call with None after a step and with its record after an epoch."""
    from tqdm import tqdm

    if not verbose or session.fabric.global_rank or sys.stderr is None:
        yield lambda record: None
    elif sys.stderr.isatty():
        total = session.settings.epochs * session.steps_per_epoch
        with tqdm(total=total, initial=session.step_count, desc=name, unit="step") as bar:

            def show(record: Mapping[str, float] | None) -> None:
                if record is None:
                    bar.update()
                else:
                    bar.set_postfix_str(_result(session, record), refresh=False)

            yield show
    else:
        yield _lines(session, name)


def _lines(session: Session, name: str) -> Show:
    """Return a function that writes a line after the first and the last epoch, and every few seconds in between."""
    from tqdm import tqdm

    first, start, last = session.step_count, time.monotonic(), float("-inf")
    epochs, steps = session.settings.epochs, session.steps_per_epoch

    def show(record: Mapping[str, float] | None) -> None:
        nonlocal last
        now = time.monotonic()
        if record is None:
            if now - max(last, start) < _STEPS:
                return
            what = f"epoch {session.epoch + 1}/{epochs}, step {session.batch}/{steps}"
        elif session.is_over or now - last >= _EPOCHS:
            what = f"epoch {session.epoch}/{epochs}, {_result(session, record)}"
        else:
            return
        done = session.step_count - first
        left = (now - start) / done * (epochs * steps - session.step_count)
        sys.stderr.write(f"{name}: {what}, {tqdm.format_interval(left)} left\n")
        sys.stderr.flush()
        last = now

    return show


def _result(session: Session, record: Mapping[str, float]) -> str:
    """Format an epoch's loss and first validation metric."""
    name = session.task.metrics[0]
    told = f"loss {record['loss']:.4g}"
    if f"val_{name}" not in record:
        return told
    value, unit = record[f"val_{name}"], metric(name).unit
    return f"{told}, val_{name} " + (f"{value:.1f} %" if unit == "%" else f"{value:.4g}")
