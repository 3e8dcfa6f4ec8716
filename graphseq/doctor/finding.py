"""Checks and their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch

__all__ = ["Check", "Finding", "Raised", "State", "fault", "user_code"]

State = Literal["passed", "failed", "warning", "not checked"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: the check's name.
        state: "passed", "failed", "warning" (it may be intended) or "not checked".
        message: the evidence: what was tried, and the result.
        advice: why it matters and what to look at; empty if there is nothing to do.
        cause: the likely cause; empty if there is nothing to explain.

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


def fault(cause: str, evidence: str, state: State = "failed") -> Finding:
    """Return what a test found; :class:`Check` adds its name and advice. Without a cause there is nothing to advise."""
    return Finding("", state, evidence, cause=cause)


@dataclass(frozen=True)
class Check:
    """A test, which returns None if it passes, with the meaning of a pass and the advice for a failure."""

    name: str
    passed: str
    advice: str
    test: Callable[..., Finding | None]

    def __call__(self, *given: object, seed: int, raised: str) -> Finding:
        """Run the test; `raised` is the likely cause if user code raises."""
        try:
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                torch.manual_seed(seed)
                found = self.test(*given) or Finding("", "passed", self.passed)
        except Raised as error:
            found = fault(raised, f"it raises {error}")
        return replace(found, check=self.name, advice=self.advice if found.cause else "")


class Raised(Exception):
    """User code raised an error: its type and the first line of its message; the error itself is the cause."""


@contextmanager
def user_code() -> Iterator[None]:
    """Run user code: whatever it raises becomes :class:`Raised`.

    The only broad `except` of the checks. A model under test may raise anything, even exit, and that it does is what a
    check reports, so no type of error may end the report.
    """
    try:
        yield
    except Raised:
        raise
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        raise Raised(type(error).__name__ + (f": {lines[0].rstrip('.')}" if lines else "")) from error
