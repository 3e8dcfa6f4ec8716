"""Training curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..errors import Words, expected
from ._figure import PALETTE, Path_, check_path, figure, plain_axes, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves"]

Record = Mapping[str, Any]
Run = Sequence[Record]
Points = dict[float, float]  # x → y of one series in one run; NaN is a gap

_CLOCKS = ("epoch", "step", "seconds")  # say when, and are no series
_SPLITS = {"train": 0, "val": 1, "valid": 1, "dev": 1, "test": 2}  # prefix → colour
_FEW = 12  # points that get a marker each
_WIDE = 100.0  # largest over smallest loss, above which the axis is logarithmic


def curves(records: Run | Sequence[Run], path: Path_ = None, *, title: str = "") -> Figure:
    """Draw training curves from the records of a metrics file.

    Losses share one panel, each other metric has its own, and so has the learning rate, `lr`, if it changes. A series'
    prefix (`train_`, `val_` or `dev_`, `test_`) says its colour; without one it is a training series. With several
    runs each is a thin line, and their mean, where all of them have a value, is a thick one.

    Args:
        records: one dict a line, such as ``{"epoch": 3, "step": 40, "loss": 0.5, "val_accuracy": 0.7, "lr": 0.01}``, or
            a list of such lists, one a run. What is neither `epoch`, `step` nor `seconds` and has a number is a series;
            text is passed over. A record may lack a key; NaN, infinity and None leave a gap.
        path: where to write the picture, a .png or .svg file.
        title: above the picture.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: nothing to draw, a series that mixes numbers and text, a path that can't be written.

    >>> records = [{"epoch": e, "loss": 1 / e, "val_loss": 1.2 / e, "val_accuracy": 1 - 1 / e} for e in range(1, 6)]
    >>> [panel.get_ylabel() for panel in curves(records).axes]
    ['loss', 'accuracy']
    """
    runs = _as_runs(records)
    if not isinstance(title, str):
        raise expected("title", "a string", title)
    check_path(path)
    clock = _clock(runs)
    series = {name: [_points(run, name, clock) for run in runs] for name in _names(runs)}
    series = {name: found for name, found in series.items() if any(map(_drawable, found)) and _worth(name, found)}
    if not series:
        raise expected("records", "at least one number beside epoch, step and seconds", Words("none"))
    panels: dict[str, list[str]] = {}
    for name in sorted(series, key=_order):
        panels.setdefault(_panel(name), []).append(name)

    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    made = figure(max(4.2 * columns, 5.0), 3.0 * rows + (0.35 if title else 0.0))
    for i, (label, members) in enumerate(panels.items(), start=1):
        _draw(made.add_subplot(rows, columns, i), label, {name: series[name] for name in members}, clock)
    if title:
        made.suptitle(title, fontsize=11, parse_math=False)
    return save(made, path)


def _as_runs(records: Run | Sequence[Run]) -> list[Run]:
    """Return a list of runs, of one or of several."""
    wanted = "a list of dicts, or a list of such lists"
    if isinstance(records, (str, bytes, Mapping)) or not isinstance(records, Sequence):
        raise expected("records", wanted, records)
    runs: list[Any] = [records] if all(isinstance(r, Mapping) for r in records) else list(records)
    for i, run in enumerate(runs):
        if isinstance(run, (str, bytes, Mapping)) or not isinstance(run, Sequence):
            raise expected(f"records[{i}]", "a dict as the others are, or a list of dicts as the others are", run)
        for j, record in enumerate(run):
            if not isinstance(record, Mapping):
                raise expected(f"records[{i}][{j}]" if run is not records else f"records[{j}]", "a dict", record)
    return runs


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _clock(runs: list[Run]) -> str:
    """Return what counts along x: the first of epoch, step and seconds that rises in every run, else the record."""
    for name in _CLOCKS:
        times: list[list[Any]] = [[record.get(name) for record in run] for run in runs]
        if all(all(map(_is_number, run)) and sorted(set(run)) == run for run in times):
            return name
    return "record"


def _names(runs: list[Run]) -> list[str]:
    """Return the names of the series, in the order in which they first come."""
    seen: dict[str, None] = {}
    for i, run in enumerate(runs):
        for j, record in enumerate(run):
            seen |= {key: None for key, value in record.items() if key not in _CLOCKS and _is_number(value)}
            if not all(isinstance(key, str) for key in record):
                raise expected(f"records[{i}][{j}]", "strings for keys", Words(repr(list(record))))
    return list(seen)


def _points(run: Run, name: str, clock: str) -> Points:
    points = {}
    for i, record in enumerate(run):
        if name not in record:
            continue
        value = record[name]
        if value is not None and not _is_number(value):
            raise expected(f"records[{i}][{name!r}]", "a number, as others of this name are", value)
        y = math.nan if value is None else float(value)
        points[float(record[clock] if clock != "record" else i + 1)] = y if math.isfinite(y) else math.nan
    return points


def _drawable(points: Points) -> bool:
    return any(not math.isnan(y) for y in points.values())


def _worth(name: str, found: list[Points]) -> bool:
    """Say whether a series is drawn: a learning rate that never changes is not."""
    return name != "lr" or any(len({y for y in points.values() if not math.isnan(y)}) > 1 for points in found)


def _split(name: str) -> tuple[str, str]:
    """Return the part of the data that a series is of, and what it measures."""
    prefix, _, rest = name.partition("_")
    return (prefix, rest) if prefix in _SPLITS and rest else ("train", name)


def _panel(name: str) -> str:
    what = _split(name)[1]
    return "loss" if what.endswith("loss") else "learning rate" if what == "lr" else what


def _order(name: str) -> tuple[bool, bool, str, bool, int, str]:
    """Losses first, the learning rate last; in a panel its own name first, for training, validation, test."""
    panel, (split, what) = _panel(name), _split(name)
    return panel != "loss", panel == "learning rate", panel, what != panel, _SPLITS[split], name


def _colours(names: list[str]) -> dict[str, str]:
    """Return a colour for each series of a panel: its split's, or the next that is free."""
    chosen: dict[str, str] = {}
    for name in names:
        free = [c for c in PALETTE if c not in chosen.values()] or list(PALETTE)
        own = PALETTE[_SPLITS[_split(name)[0]]]
        chosen[name] = own if own in free else next((c for c in free if c not in PALETTE[:3]), free[0])
    return chosen


def _draw(axes: Axes, label: str, series: dict[str, list[Points]], clock: str) -> None:
    """Draw one panel."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    colours = _colours(list(series))
    for name, runs in series.items():
        runs = [points for points in runs if points]
        called = _legend(name, label)
        if len(runs) == 1:
            _line(axes, runs[0], colours[name], called, 1.6)
            continue
        for points in runs:
            _line(axes, points, colours[name], "_", 0.7, alpha=0.4)
        _line(axes, _mean(runs), colours[name], f"{called}, mean of {len(runs)}", 2.0)
    plain_axes(axes)
    axes.set_xlabel(clock, fontsize=9)
    axes.set_ylabel(label, fontsize=9, parse_math=False)
    values = [y for runs in series.values() for points in runs for y in points.values() if not math.isnan(y)]
    if label in ("loss", "learning rate") and min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if clock != "seconds":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if len(series) > 1 or len(next(iter(series.values()))) > 1 or next(iter(series)) not in (label, "lr"):
        legend = axes.legend(fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
        for text in legend.get_texts():
            text.set_parse_math(False)
        for handle in legend.get_lines():
            handle.set_marker("")


def _legend(name: str, panel: str) -> str:
    """Return a series' name beside its panel's: the part of the data where the panel says the rest."""
    split, what = _split(name)
    if what != panel:
        return name
    return {"val": "validation", "valid": "validation", "train": "training"}.get(split, split)


def _line(axes: Axes, points: Points, colour: str, label: str, width: float, alpha: float = 1.0) -> None:
    """Draw one line; where there are few points, or one between two gaps, they are marked so that they are seen."""
    xs = sorted(points)
    ys = [points[x] for x in xs]
    axes.plot(
        xs, ys, color=colour, label=label, linewidth=width, alpha=alpha, solid_capstyle="round", marker="o",
        markersize=1.5 + width, markevery=_marked(ys),
    )  # fmt: skip


def _marked(ys: list[float]) -> list[int]:
    gap = [True, *map(math.isnan, ys), True]
    few = len(ys) <= _FEW
    return [i for i in range(len(ys)) if not gap[i + 1] and (few or (gap[i] and gap[i + 2]))]


def _mean(runs: list[Points]) -> Points:
    """Return the mean of the runs where every one of them has a record."""
    shared = set.intersection(*map(set, runs))
    return {x: sum(points[x] for points in runs) / len(runs) for x in shared}
