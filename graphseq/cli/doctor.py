"""``graphseq doctor``: check the installation and the data, or a network of your own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..datasets import SetStatus, status
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
    call: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="How to call it: a function of the model and random graphs."),
    ] = None,
    as_json: AsJson = False,
    data_root: DataRoot = None,
) -> None:
    """Check the installation and the data, or a network of your own.

    MODULE:MODEL is a class, an object or a function that makes one, such as my_module:MyModel; it is made with small
    sizes and called on small random graphs, by the names of forward's arguments or as --call states. The exit code is 1
    if a check failed.
    """
    from .. import doctor as checks

    machine: dict[str, Any] = {}
    sets: list[SetStatus] = []
    if model is None:
        sets = status(data_root)
        devices = {device.name: device.description for device in checks.devices()}
        machine = {"versions": checks.versions(), "devices": devices}
        findings: Sequence[Finding] = checks.self_test()
    else:
        findings = checks.check(model, call=call)
    altered = sum(each.state == "altered" for each in sets)
    failed = sum(finding.state == "failed" for finding in findings)
    if as_json:
        about: dict[str, Any] = {"model": model} if model else {"data": [dataclasses.asdict(each) for each in sets]}
        about["findings"] = [dataclasses.asdict(finding) for finding in findings]
        say_json({**machine, **about, "failed": failed + altered})
    else:
        for title, content in machine.items():
            say(f"{title}\n{_indented(content)}\n")
        if sets:
            say(f"data sets\n{_data(sets)}\n")
        say(_report(findings))
        say("\n" + _verdict(failed, altered))
    if failed or altered:
        raise typer.Exit(1)


def _indented(content: Mapping[str, str]) -> str:
    return table([[f"  {name}", text] for name, text in content.items()])


def _data(sets: Sequence[SetStatus]) -> str:
    rows = []
    for each in sets:
        state = "ALTERED" if each.state == "altered" else each.state
        rows.append([f"  {each.name}", state, "; ".join(filter(None, [str(each.folder or ""), each.note]))])
    return table(rows)


def _report(findings: Sequence[Finding]) -> str:
    """Return a table of all findings, and below it cause, evidence and advice of those that failed."""
    lines = ["checks", table([[f"  {f.check}", _MARKS[f.state], f.cause or f.message] for f in findings])]
    for finding in findings:
        if finding.state in ("failed", "warning"):
            cause = f"{finding.cause}.\n  Evidence: " if finding.cause else ""
            lines += ["", f"{finding.check}: {cause}{finding.message}.", f"  {finding.advice}"]
    return "\n".join(lines)


def _verdict(failed: int, altered: int) -> str:
    counts = {"check": failed, "data set": altered}
    parts = [f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items() if count]
    return f"Failed: {' and '.join(parts)}." if parts else "Nothing failed."
