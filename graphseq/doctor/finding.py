"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "failed", "passed", "skipped", "told", "warning"]

State = Literal["passed", "failed", "warning", "not checked"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: the check's name.
        state: "passed", "failed", "warning" (it may be meant) or "not checked".
        message: what was found, with numbers.
        advice: why it matters and what to do about it; empty where there is nothing to do.

    >>> print(Finding("edge order", "failed", "results differ by 0.3", "Sum over edges, don't read them in order."))
    failed: edge order: results differ by 0.3. Sum over edges, don't read them in order.
    """

    check: str
    state: State
    message: str
    advice: str = ""

    def __str__(self) -> str:
        """Return all of it on one line."""
        return f"{self.state}: {self.check}: {self.message}" + (f". {self.advice}" if self.advice else "")


def passed(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "passed", message)


def failed(check: str, message: str, advice: str) -> Finding:
    """Return that something is wrong."""
    return Finding(check, "failed", message, advice)


def warning(check: str, message: str, advice: str) -> Finding:
    """Return that something may be wrong, or may be meant."""
    return Finding(check, "warning", message, advice)


def skipped(check: str, why: str) -> Finding:
    """Return that the check could not be made."""
    return Finding(check, "not checked", why)


def told(error: BaseException) -> str:
    """Return an error on one line: its type and the first line of what it says.

    >>> told(KeyError("x"))
    "KeyError: 'x'"
    """
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0].rstrip('.')}" if lines else name
