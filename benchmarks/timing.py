"""Time two things in turn, round by round, and keep the ratio of each round."""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

THREADS = 2
LOAD = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")  # of other work, before any of ours
ROUNDS, WARMUP = 9, 3
LEAST = 0.02  # seconds that one timing lasts at least; what is quicker is called several times

PROCESS = Path("/proc/self")  # of Linux

Work = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """A median ratio with its quartiles, and what it is measured against.

    `bar` is the least that a speed-up (peer over ours) may be, or the most that a cost (ours over a floor) may be.
    """

    group: str
    name: str
    kind: str  # "speed-up" or "cost"
    ratio: float
    low: float
    high: float
    bar: float | None = None

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        good = self.ratio >= self.bar if self.kind == "speed-up" else self.ratio <= self.bar
        return "met" if good else "missed"


def speed_up(group: str, name: str, ratios: Sequence[float], bar: float | None = None) -> Row:
    return _row(group, name, "speed-up", ratios, bar)


def cost(group: str, name: str, ratios: Sequence[float], bar: float | None = None) -> Row:
    return _row(group, name, "cost", ratios, bar)


def _row(group: str, name: str, kind: str, ratios: Sequence[float], bar: float | None) -> Row:
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else [ratios[0]] * 3
    return Row(group, name, kind, middle, low, high, bar)


def compare(*works: Work, rounds: int = ROUNDS, warmup: int = WARMUP) -> list[list[float]]:
    """Run the works in turn, and return for each its seconds in every round."""
    calls = []
    for work in works:
        for _ in range(warmup - 1):
            work()
        calls.append(max(1, math.ceil(LEAST / max(_seconds(work, 1), 1e-9))))
    times: list[list[float]] = [[] for _ in works]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for kept, work, count in zip(times, works, calls, strict=True):
                kept.append(_seconds(work, count))
    finally:
        gc.enable()
    return times


def over(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of every round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def geometric(columns: Sequence[Sequence[float]]) -> list[float]:
    """Return the geometric mean of several works' ratios in every round."""
    return [statistics.geometric_mean(ratios) for ratios in zip(*columns, strict=True)]


def _seconds(work: Work, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        work()
    return (time.perf_counter() - start) / count


def peak_memory(work: Work) -> int:
    """Return by how many MiB the resident memory rises above what it is now, at most, while work runs."""

    def status(field: str) -> int:
        lines = (PROCESS / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))

    gc.collect()
    (PROCESS / "clear_refs").write_text("5")  # sets the peak back to what is resident
    before = status("VmRSS")
    work()
    return (status("VmHWM") - before) // 1024


def environment() -> dict[str, Any]:
    """Say what the figures depend on."""
    versions = {p: metadata.version(p) for p in ("torch", "torch_geometric", "numba", "numpy")}
    return {
        "date": date.today().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load before": round(LOAD, 1),
        "threads": torch.get_num_threads(),
        "dtype": "float32",
        "python": platform.python_version(),
        **versions,
        "rounds": ROUNDS,
        "warmup": WARMUP,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    named = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return named[0].partition(":")[2].strip() if named else platform.processor() or platform.machine()


def table(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Return what was measured, as Markdown."""
    about = ", ".join(f"{key} {value}" for key, value in environment().items())
    lines = [f"{about}.", "", "| | ratio | quartiles | bar | |", "| --- | --- | --- | --- | --- |"]
    for r in rows:
        sign = "≥" if r.kind == "speed-up" else "≤"
        bar = "" if r.bar is None else f"{sign} {r.bar:g}"
        lines.append(f"| {r.group}: {r.name} | {r.ratio:.3g} | {r.low:.3g} – {r.high:.3g} | {bar} | {r.verdict} |")
    return "\n".join([*lines, "", *notes])


def main(groups: dict[str, Callable[[list[str]], list[Row]]], argv: Sequence[str]) -> int:
    """Run groups, print their table, and write it where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(groups)}; all by default")
    parser.add_argument("--json", action="store_true", help="print one object on the last line")
    parser.add_argument("--out", type=Path, help="also write the table to OUT.md and the object to OUT.json")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.groups) - set(groups)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    notes: list[str] = []
    rows = [row for name in arguments.groups or groups for row in groups[name](notes)]
    text, found = table(rows, notes), [asdict(row) | {"verdict": row.verdict} for row in rows]
    print(text)
    whole = {"environment": environment(), "rows": found, "notes": notes}
    if arguments.out is not None:
        arguments.out.with_suffix(".md").write_text(f"# Measured\n\n{text.rstrip()}\n")
        arguments.out.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(whole))
    return 0
