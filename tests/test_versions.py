"""The versions that the tests run with: `constraints*.txt` beside the bounds that `pyproject.toml` declares."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def declared() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return sorted({*project["dependencies"], *(text for extra in extras for text in extra)})


def test_the_lowest_constraints_are_the_declared_bounds() -> None:
    bounds = [text.partition(";")[0].replace(">=", "==") for text in declared()]
    assert sorted(lines("constraints-lowest.txt")) == bounds


def test_pinned_versions_meet_the_declared_bounds() -> None:
    pins = dict(line.split("==") for line in lines("constraints.txt"))
    requirements = [Requirement(text) for text in declared()]
    assert [str(r) for r in requirements if not r.specifier.contains(pins[r.name])] == []


def test_the_newest_versions_are_not_pinned() -> None:
    assert lines("constraints-newest.txt") == []
