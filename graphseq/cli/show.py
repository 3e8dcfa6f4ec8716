"""What commands print: tables, numbers with units, JSON."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

__all__ = ["cut", "is_first", "note", "number", "program", "say", "say_json", "table", "told"]


def is_first() -> bool:
    """Return whether this process prints, if there are several."""
    return os.environ.get("RANK", "0") == "0"


def program() -> str:
    """Return how to call this program, so that printed commands can be pasted."""
    called = Path(sys.argv[0])
    if called.stem != "graphseq":
        return f"{_shortest(Path(sys.executable))} -m graphseq"
    return _shortest(called)


def _shortest(file: Path) -> str:
    """Return a program's name if it is found by that, else its path: from the current folder, if it is below that."""
    found = shutil.which(file.name)
    if found is not None and Path(found).absolute() == file.absolute():
        return file.name
    full = file.absolute()
    if not full.is_relative_to(Path.cwd()):
        return shlex.quote(str(full))
    inner = full.relative_to(Path.cwd())
    return shlex.quote(str(inner) if len(inner.parts) > 1 else f"./{inner}")


def say(text: str = "") -> None:
    """Print a line on standard output."""
    if is_first():
        typer.echo(text)


def note(text: str) -> None:
    """Print a line that is not a result to standard error."""
    if is_first():
        typer.echo(text, err=True)


def say_json(content: Any) -> None:
    """Print one line of JSON; numbers that are not finite become null."""
    sys.stdout.flush()
    say(json.dumps(_finite(content), default=str))


def _finite(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content


def cut(text: str, longest: int) -> str:
    """Return a text, truncated with an ellipsis if it is too long.

    >>> cut("a long story", 7)
    'a long…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def number(value: float, unit: str) -> str:
    """Return a measured number with its unit.

    >>> number(81.66, "%"), number(0.51234, "")
    ('81.7 %', '0.512')
    """
    return f"{value:.1f} %" if unit == "%" else f"{value:.3g} {unit}".rstrip()


def told(summary: Mapping[str, Any]) -> str:
    """Return a summary's metric in words: split, mean, with several runs standard deviation, and unit.

    >>> told({"metric": "accuracy", "mean": 81.66, "std": 0.61, "values": [81, 82], "split": "test", "unit": "%"})
    'test accuracy 81.7 ± 0.6 %'
    """
    mean, std, unit = summary["mean"], summary["std"], summary["unit"]
    if len(summary["values"]) < 2:
        value = number(mean, unit)
    elif unit == "%":
        value = f"{mean:.1f} ± {std:.1f} %"
    else:
        value = f"{mean:.3g} ± {std:.2g} {unit}".rstrip()
    return f"{summary['split']} {summary['metric']} {value}"


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Lay texts out in columns.

    >>> print(table([["a", "1"], ["long", "2"]], ["name", "n"]))
    name  n
    a     1
    long  2
    """
    lines = [list(header), *map(list, rows)] if header else [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
