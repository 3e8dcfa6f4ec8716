"""Run the examples and print a table of their results: ``python -m examples [NAME …]``."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from graphseq import GraphError
from graphseq.datasets import SST, planetoid, tudataset

EXAMPLES = ("karate", "one_cell", "digits", "stdlib", "cora", "mutag", "sst")
COLUMNS = ("example", "model", "metric", "validation", "test", "seconds")

# What reads the data of those that need any. It raises a GraphError that says how to get them.
LOADERS: dict[str, Callable[[], Any]] = {
    "cora": lambda: planetoid("Cora"),
    "mutag": lambda: tudataset("MUTAG"),
    "sst": lambda: SST("dev"),  # reads the training split too, for its words
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Lay rows of results out in columns."""
    cells = [COLUMNS, *(tuple(_cell(name, row.get(name)) for name in COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
                     for line in cells)  # fmt: skip


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if column == "seconds" else f"{value:.1%}"
    return str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the examples named, all by default, and return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EXAMPLES)}; all by default")
    names = parser.parse_args(argv).names or EXAMPLES
    for name in names:
        if name not in EXAMPLES:
            parser.error(f"{name!r} is not one of {', '.join(EXAMPLES)}")

    rows, left_out, failed = [], {}, []
    for name in names:
        print(f"\n== {name}", flush=True)
        start = time.perf_counter()
        try:
            LOADERS.get(name, lambda: None)()
        except GraphError as error:
            print("Left out: its data are not here.", flush=True)
            left_out[name] = error
            continue
        try:
            row = importlib.import_module(f"examples.{name}").main()
        except Exception:
            traceback.print_exc()
            failed.append(name)
            row = {"model": "failed"}
        rows.append({"example": name, **row, "seconds": time.perf_counter() - start})

    print(f"\n{table(rows)}")
    for name, error in left_out.items():
        print(f"\nLeft out: {name}. {error}")
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
