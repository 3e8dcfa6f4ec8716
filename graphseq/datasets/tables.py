"""Text files of numbers, whose errors name the file and the line."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import GraphError

__all__ = ["line_error", "read_numbers"]


def read_numbers(path: Path, kind: type[int] | type[float]) -> Tensor:
    """Return the lines of a file, numbers separated by commas, as int64 or float64 [rows, columns].

    Raises:
        GraphError: a line is not numbers, or has more or fewer than the first; the message names it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file
            found = np.loadtxt(path, kind, delimiter=",", comments=None, ndmin=2, encoding="utf-8")
    except (ValueError, OverflowError) as error:
        width = 0
        for row, line in enumerate(_lines(path).values()):
            try:
                width = width or len(line.split(","))
                wrong = len([kind(part) for part in line.split(",")]) != width
            except ValueError:
                wrong = True
            if wrong:
                what = f"{width} {'whole numbers' if kind is int else 'numbers'} separated by commas"
                raise line_error(path, row, what, repr(line[:80])) from None
        raise GraphError(f"{path}: {error}") from None  # a whole number beyond 64 bits
    return torch.from_numpy(found)


def line_error(path: Path, row: int, what: str, got: object) -> GraphError:
    """Return the error that a file's row, counted from 0, should have been `what` and was `got`."""
    return GraphError(f"{path}, line {list(_lines(path))[row]}: expected {what}, got {got}")


def _lines(path: Path) -> dict[int, str]:
    """Return a file's lines that are not blank by their number."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return {number: line for number, line in enumerate(lines, 1) if line.strip()}
