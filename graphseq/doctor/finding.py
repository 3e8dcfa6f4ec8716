"""What a check finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

__all__ = ["Fault", "Finding", "Raised", "State", "skip", "summary", "user_code"]

State = Literal["passed", "failed", "warning", "not checked"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: the check's name.
        state: "passed", "failed", "warning" (it may be intended) or "not checked".
        message: the evidence: what was tried, and what came out.
        advice: why it matters and what to look at; empty where there is nothing to do.
        cause: the likely cause; empty where there is nothing to explain.

    >>> print(Finding("edge order", "failed", "they differ by 0.3", "Sum over edges.", "The order of edges is read"))
    failed: edge order: The order of edges is read. Evidence: they differ by 0.3. Sum over edges.
    """

    check: str
    state: State
    message: str
    advice: str = ""
    cause: str = ""

    def __str__(self) -> str:
        """Return all of it on one line, the cause first."""
        text = f"{self.cause}. Evidence: {self.message}" if self.cause else self.message
        return f"{self.state}: {self.check}: {text}" + (f". {self.advice}" if self.advice else "")


class Fault(Exception):
    """Raised by a check that finds something: the likely cause, and the evidence."""

    def __init__(self, cause: str, message: str, state: State = "failed") -> None:
        super().__init__(cause)
        self.cause, self.message, self.state = cause, message, state

    def finding(self, check: str, advice: str) -> Finding:
        """Return it as the outcome of a check."""
        return Finding(check, self.state, self.message, advice if self.cause else "", self.cause)


def skip(why: str) -> Fault:
    """Return what a check raises that does not apply."""
    return Fault("", why, "not checked")


class Raised(Exception):
    """The user's code raised an error; the text is its summary, the cause the error itself."""


@contextmanager
def user_code() -> Iterator[None]:
    """Run code that isn't ours: whatever it raises becomes :class:`Raised`.

    The only broad `except` of the checks. A model under test may raise anything, even exit, and that it does is what a
    check reports, so no type of error may end the report.
    """
    try:
        yield
    except Raised:
        raise
    except (Exception, SystemExit) as error:
        raise Raised(summary(error)) from error


def summary(error: BaseException) -> str:
    """Return an error on one line: its type and the first line of its message.

    >>> summary(KeyError("x"))
    "KeyError: 'x'"
    """
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0].rstrip('.')}" if lines else name
