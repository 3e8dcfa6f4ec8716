"""``graphseq parse``: sentences to trees."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import typer

from ..errors import GraphError, Words, expected
from ..parsing import Parse, Parser, parser, tokens_of
from ..plot import check_path
from .options import AsJson
from .show import note, say

__all__ = ["parse", "read_lines", "report_lines", "source_of"]

T = TypeVar("T")


def parse(
    sentence: Annotated[
        str | None,
        typer.Argument(
            metavar="SENTENCE", help="A sentence; or a file with one on each line; - for standard input.",
            show_default=False,
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw one sentence: .svg, .png, .pdf.")] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Print the tree with a line for each node and word.")] = False,
    as_json: AsJson = False,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A parser of your own, as Parser.save writes it.", show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Parse sentences: print each one's tree in brackets, or as one JSON object with tokens, spans and brackets.

    Invalid lines are reported on standard error and skipped.
    """
    check_path(svg, argument="--svg")
    if tree and as_json:
        raise expected("--tree", "either --tree or --json", Words("both"))
    if sentence is None or not sentence.strip():
        raise expected("sentence", "a sentence, a file, or - for standard input", Words("nothing"))
    found = Parser.load(weights) if weights is not None else parser()
    source = source_of(sentence)
    if source is None:
        made = found.parse(sentence)
        _show(made, tree, as_json, None)
        if svg is not None:
            made.figure(str(svg))
        return
    if svg is not None:
        raise expected("--svg", "one sentence to draw", Words("a file of them"))
    bad: list[int] = []
    good: list[int] = []
    with source:
        for at, made in enumerate(found.parse_many(read_lines(source, good, bad, tokens_of))):
            _show(made, tree, as_json, good[at])
    report_lines(good, bad)


def source_of(given: str) -> BinaryIO | None:
    """Return standard input or the file of this name; None if it is a sentence."""
    if given == "-":
        if sys.stdin is None:
            raise expected("sentence", "sentences on standard input", Words("none: it is closed"))
        return sys.stdin.buffer
    try:
        path = Path(given)
        if path.is_dir():
            raise expected("sentence", "a sentence or a file", Words(f"{given}, a folder"))
        return path.open("rb") if path.is_file() else None
    except GraphError:
        raise
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return None


def read_lines(source: BinaryIO, good: list[int], bad: list[int], read: Callable[[str], T]) -> Iterator[T]:
    """Yield what `read` makes of each line; blank lines are skipped, and reported those that it refuses."""
    for number, line in enumerate(source, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if not text.strip():
                continue
            words = read(text)
        except UnicodeDecodeError as error:
            bad.append(number)
            note(f"line {number}: not UTF-8: {error.reason} at byte {error.start}")
        except GraphError as error:
            bad.append(number)
            note(f"line {number}: {error}")
        else:
            good.append(number)
            yield words


def report_lines(good: list[int], bad: list[int]) -> None:
    """Say how many lines were skipped, and exit with 1 if all were."""
    if bad:
        note(f"{len(bad):,} of {len(bad) + len(good):,} lines are no sentences")
    if bad and not good:
        raise typer.Exit(1)


def _show(made: Parse, tree: bool, as_json: bool, line: int | None) -> None:
    if as_json:
        say(json.dumps(({"line": line} if line is not None else {}) | made.to_dict(), ensure_ascii=False))
    else:
        say(made.drawn() + "\n" if tree else made.bracketed())
