"""Training curves."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import Words, expected
from ._figure import GREY, INK, PALETTE, PathLike, check_path, check_title, figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves"]

_CLOCKS = ("epoch", "step", "seconds")  # these may be the x axis; they are not series
_SPLITS = {"train": "training", "val": "validation", "valid": "validation", "dev": "validation", "test": "test"}
_COLOURS = dict(zip(("training", "validation", "test"), PALETTE, strict=False))
_FEW = 12  # points that get a marker each
_IN_PER_CENT = ("accuracy", "f1", "auroc")  # by fit


class _Run(NamedTuple):
    records: Sequence[Mapping[str, Any]]
    best: int | None = None  # epoch
    by: str = ""  # the series that was best in it
    fitted: bool = False  # recorded by fit


def curves(run: Any, path: PathLike = None, *, title: str = "") -> Figure:
    """Draw training curves: one panel per loss, metric and, if it changes, learning rate; the best epoch is marked.

    Training and validation losses have a panel each: the former is measured during the epoch, with dropout, and often
    on other examples than the latter, such as phrases and sentences. With several runs each is a thin line, and their
    mean, where all of them have a value, is a thick one. The axis of a loss whose middle 80 % spans over two orders of
    magnitude is logarithmic.

    Args:
        run: the folder of a run, or of the runs of several seeds; what ``fit`` returned; or records, one dict per epoch
            such as ``{"epoch": 3, "step": 40, "loss": 0.5, "val_accuracy": 0.7, "lr": 0.01}``; or a list of these, one
            per run. Every number but `epoch`, `step` and `seconds` is a series, of the split that its prefix says
            (`train_`, `val_`, `dev_`, `test_`; training without one). NaN, infinity and None leave a gap.
        path: where to write the picture, a .png, .svg or .pdf file.
        title: above the picture.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: nothing to draw, a folder without metrics, a series that mixes numbers and text, a path that can't
            be written.

    >>> records = [{"epoch": e, "loss": 1 / e, "val_loss": 1.2 / e, "val_accuracy": 1 - 1 / e} for e in range(1, 6)]
    >>> [panel.get_ylabel() for panel in curves(records).axes]
    ['training loss', 'validation loss', 'validation accuracy']
    """
    check_path(path)
    check_title(title)
    runs = _runs(run, "run")
    names = dict.fromkeys(k for r in runs for record in r.records for k in record if k not in _CLOCKS)
    clock = next((c for c in _CLOCKS if all(_rises([record.get(c) for record in r.records]) for r in runs)), "record")
    series = {name: [_points(r, name, clock) for r in runs if any(name in x for x in r.records)] for name in names}
    series = {name: found for name, found in series.items() if any(np.isfinite(ys).any() for _, ys, _ in found)}
    if len({y for _, ys, _ in series.get("lr", ()) for y in ys if not math.isnan(y)}) == 1:
        del series["lr"]
    if not series:
        raise expected("run", "records with at least one number other than epoch, step and seconds", Words("none"))
    panels: dict[str, list[str]] = {}
    for name in sorted(series, key=lambda name: (not name.endswith("loss"), name == "lr")):
        what = _parts(name)[1]
        panels.setdefault(name if what.endswith("loss") else what, []).append(name)

    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    made = figure(max(3.1 * columns, 4.2), 2.5 * rows + 0.3 + (0.3 if title else 0.0), "constrained")
    for i, members in enumerate(panels.values(), start=1):
        axes = made.add_subplot(rows, columns, i)
        called = _draw(axes, {name: series[name] for name in members}, clock, _reason(runs))
        unit = " (%)" if all(run.fitted for run in runs) and _parts(members[0])[1] in _IN_PER_CENT else ""
        axes.set_ylabel(called + unit, fontsize=9, parse_math=False)
    entries = {str(line.get_label()): line for axes in made.axes for line in axes.get_lines()}
    entries = {label: line for label, line in entries.items() if not label.startswith("_")}
    if entries:
        made.legend(handles=entries.values(), loc="outside lower center", ncols=columns + 1, fontsize=8, frameon=False)
    if title:
        made.suptitle(title, fontsize=11, color=INK, parse_math=False)
    return save(made, path)


def _runs(given: Any, argument: str) -> list[_Run]:
    """Return the runs, checked."""
    if isinstance(given, (str, os.PathLike)):
        folder = Path(given).expanduser()
        inner = sorted(folder.glob("seed-*/metrics.jsonl"), key=lambda file: (len(file.parent.name), file.parent.name))
        return [_read(file.parent) for file in inner] or [_read(folder)]
    if hasattr(given, "records"):
        return [_Run(given.records, getattr(given, "best_epoch", None), str(getattr(given, "selected_by", "")), True)]
    if not isinstance(given, Sequence) or isinstance(given, bytes):
        raise expected(argument, "a run's folder, what fit returned, a list of dicts, or a list of these", given)
    if given and not any(isinstance(record, Mapping) for record in given):
        return [run for i, each in enumerate(given) for run in _runs(each, f"{argument}[{i}]")]
    return [_Run(_checked(given, argument))]


def _checked(records: Sequence[Any], argument: str) -> Sequence[Mapping[str, Any]]:
    for i, record in enumerate(records):
        if not isinstance(record, Mapping) or not all(isinstance(key, str) for key in record):
            raise expected(f"{argument}[{i}]", "a dict with strings for keys, as each record is", record)
    return records


def _read(folder: Path) -> _Run:
    """Read the metrics of a run, which may still be training."""
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        result = folder / "result.json"
        found = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {"best_epoch": None}
        records = _checked([json.loads(line) for line in lines if line.endswith("\n")], "line")
        return _Run(records, found["best_epoch"], str(found.get("selected_by", "")), True)
    except FileNotFoundError:
        raise expected("run", "the folder of a run", Words(f"{folder}, which has no metrics.jsonl")) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise expected("run", "the folder of a run", Words(f"{folder}, whose files can't be read: {error}")) from None


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _rises(times: list[Any]) -> bool:
    return all(map(_is_number, times)) and sorted(set(times)) == times


def _points(run: _Run, name: str, clock: str) -> tuple[Any, Any, int | None]:
    """Return x and y of a series, NaN where there is a gap, and which of the points is of the best epoch."""
    chosen = [(i, record) for i, record in enumerate(run.records, start=1) if name in record]
    ys = [record[name] for _, record in chosen]
    texts = [i for i, y in enumerate(ys) if y is not None and not _is_number(y)]
    if texts and len(texts) < len(ys) - ys.count(None):
        raise expected(f"{name!r} in record {chosen[texts[0]][0]}", "a number, as in other records", ys[texts[0]])
    xs = [record[clock] if clock != "record" else i for i, record in chosen]
    numbers = np.array([math.nan if y is None or texts else float(y) for y in ys])
    best = [i for i, (_, record) in enumerate(chosen) if run.best is not None and record.get("epoch") == run.best]
    return np.array(xs, float), np.where(np.isfinite(numbers), numbers, math.nan), best[0] if best else None


def _parts(name: str) -> tuple[str, str]:
    """Return the split that a series is of, and what it measures."""
    prefix, _, rest = name.partition("_")
    return (_SPLITS[prefix], rest) if prefix in _SPLITS and rest else ("training", name)


def _reason(runs: Sequence[_Run]) -> str:
    """Return by which value the best epoch of the runs was selected, as the end of a label."""
    by = {run.by for run in runs}
    return f", by {' '.join(_parts(by.pop()))}" if len(by) == 1 and by != {""} else ""


def _draw(axes: Axes, series: dict[str, list[tuple[Any, Any, int | None]]], clock: str, reason: str) -> str:
    """Draw a panel and return what it shows; the legend that all panels share takes what is labelled here."""
    from matplotlib.ticker import MaxNLocator

    for name, runs in series.items():
        split, what = _parts(name)
        colour = _COLOURS[split] if what != "lr" else GREY
        several = len(runs) > 1
        for xs, ys, best in runs:
            gap = np.isnan(np.concatenate([[math.nan], ys, [math.nan]]))
            marked = np.flatnonzero(~gap[1:-1] & ((gap[:-2] & gap[2:]) | (len(ys) <= _FEW))).tolist()
            width = 0.7 if several else 1.5 if len(ys) < 300 else 0.9
            look: dict[str, Any] = {"linewidth": width, "alpha": 0.4 if several else 1.0}
            label = split if len(series) > 1 and not several else None
            mark = "o" if marked else None
            axes.plot(xs, ys, color=colour, marker=mark, markersize=3, markevery=marked, label=label, **look)
            if best is not None and what != "lr":
                if not several:
                    label = f"best epoch{reason}: {xs[best]:g}"
                    axes.axvline(xs[best], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label=label, zorder=1)
                if split != "training":
                    label = f"best epoch of each run{reason}" if several else None
                    axes.plot(xs[best], ys[best], "*", color=INK, markersize=8, linestyle="", label=label, zorder=4)
        if several:
            shared = sorted(set.intersection(*(set(xs.tolist()) for xs, _, _ in runs)))
            mean = np.mean([ys[np.isin(xs, shared)] for xs, ys, _ in runs], 0)
            label = f"{split}, mean of {len(runs)}" if what != "lr" else None
            axes.plot(shared, mean, color=colour, linewidth=2, label=label)
    called = f"{split} {what}" if what.endswith("loss") or (len(series) == 1 and what != name) else what
    axes.set_xlabel(clock, fontsize=9)
    low, high = np.nanpercentile(np.concatenate([ys for runs in series.values() for _, ys, _ in runs]), [10, 90])
    if what.endswith("loss") and low > 0 and high > 100 * low:
        axes.set_yscale("log")
    if len(set(np.concatenate([xs for runs in series.values() for xs, _, _ in runs]))) == 1:
        axes.set_xlim(xs[0] - 1, xs[0] + 1)
    if clock != "seconds":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(True, color="#E4E4E4", linewidth=0.7)
    axes.tick_params(colors=INK, labelsize=8, color=GREY)
    return "learning rate" if what == "lr" else called
