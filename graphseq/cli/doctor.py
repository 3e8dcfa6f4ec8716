"""``graphseq doctor``: whether the installation, the data and a network of one's own are sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..datasets import status
from .options import AsJson, DataRoot
from .show import say, say_json, table

if TYPE_CHECKING:
    from ..doctor import Finding

__all__ = ["doctor"]

_MARKS = {"passed": "ok", "failed": "FAILED", "warning": "warning", "not checked": "not checked"}


def doctor(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODULE:MODEL]", help="A network of your own to check.")
    ] = None,
    as_json: AsJson = False,
    data_root: DataRoot = None,
) -> None:
    """Check the installation and the data, or a network of your own.

    The exit code is 1 if a check failed.
    """
    report, findings = _installation(data_root) if model is None else _model(model)
    if as_json:
        say_json(report | {"findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        for title, rows in report.items():
            if isinstance(rows, str):
                say(f"{title}: {rows}\n")
            else:
                say(f"{title}\n{table(_rows(rows))}\n")
        say(_explain(findings))
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


def _installation(data_root: Any) -> tuple[dict[str, Any], Sequence[Finding]]:
    from .. import doctor as checks

    sets = status(data_root)
    data = {each.name: _words(each.state, each.note, each.folder) for each in sets}
    report = {"versions": checks.versions(), "devices": checks.devices(), "data sets": data}
    return report, checks.self_test()


def _words(state: str, note: str, folder: object) -> list[str]:
    return [state, note, "" if folder is None else str(folder)]


def _model(target: str) -> tuple[dict[str, Any], Sequence[Finding]]:
    from .. import doctor as checks

    return {"model": target}, checks.check(target)


def _rows(content: Any) -> list[list[str]]:
    if isinstance(content, dict):
        return [
            [f"  {key}", *(map(str, value) if isinstance(value, list | tuple) else [str(value)])]
            for key, value in content.items()
        ]
    return [[f"  {each}"] for each in content] or [["  none"]]


def _explain(findings: Sequence[Finding]) -> str:
    lines = ["checks", table([[f"  {f.check}", _MARKS.get(f.state, f.state), f.message] for f in findings])]
    advised = [f for f in findings if f.state in ("failed", "warning") and f.advice]
    for finding in advised:
        lines += ["", f"{finding.check}: {finding.message}", f"  {finding.advice}"]
    count = sum(f.state == "failed" for f in findings)
    return "\n".join([*lines, "", f"{count} checks failed." if count else "No check failed."])
