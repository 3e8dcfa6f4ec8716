"""``graphseq parse``: sentences to trees."""

from __future__ import annotations

import json
import os
import re
import select
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

_NAME = re.compile(r"\S+\.(?:txt|text|csv|tsv|jsonl?|md|mrg|ptb|trees?|html?)", re.I)  # of a file
_AT_ONCE, _BLOCK = 512, 1 << 16  # sentences, and bytes that are read at once
_PAUSE = 0.02  # seconds without a line after which those that are there are answered


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
        typer.Option(metavar="FILE", help="A parser of your own: a run, or a file of Parser.save.", show_default=False),
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
    found = _parser(weights)
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
        numbers = iter(good)
        for some in read_lines(source, good, bad, tokens_of):
            for made in found.parse_many(some):
                _show(made, tree, as_json, next(numbers))
    report_lines(good, bad)


def _parser(weights: Path | None) -> Parser:
    if weights is None:
        return parser()
    if not weights.is_dir():
        return Parser.load(weights)
    from ..recipes.parsers import parser_of

    return parser_of(weights)


def source_of(given: str) -> BinaryIO | None:
    """Return standard input or the file of this name; None if it is a sentence."""
    if given == "-":
        if sys.stdin is None:
            raise expected("sentence", "sentences on standard input", Words("none: it is closed"))
        return sys.stdin.buffer
    try:
        given.encode()
    except UnicodeEncodeError:
        raise expected("sentence", "text in UTF-8", given) from None
    try:
        path = Path(given)
        if path.is_dir():
            raise expected("sentence", "a sentence or a file", Words(f"{given}, a folder"))
        if path.is_file():
            return path.open("rb")
        if _NAME.fullmatch(given.strip()):
            what = "a file that exists, or a sentence (of one word that looks like a file: on standard input)"
            raise expected("sentence", what, given)
        return None
    except GraphError:
        raise
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return None


def read_lines(source: BinaryIO, good: list[int], bad: list[int], read: Callable[[str], T]) -> Iterator[list[T]]:
    """Yield what `read` makes of the lines, as many at once as are there; blank lines are skipped, and those that it
    refuses reported and skipped.
    """
    found: list[T] = []
    number = 0
    for line in _lines(source):
        if line is None or len(found) == _AT_ONCE:
            yield found
            found = []
        if line is None:
            continue
        number += 1
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
            found.append(words)
    yield found


def _lines(source: BinaryIO) -> Iterator[bytes | None]:
    """Yield lines, and None when no more are there for now, so that answers to those needn't wait for others."""
    try:
        file = source.fileno()
    except OSError:  # no file of the system's
        yield from source
        return
    rest = b""
    while block := os.read(file, _BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
        if sys.platform != "win32" and not select.select([file], [], [], _PAUSE)[0]:
            yield None
    yield rest


def report_lines(good: list[int], bad: list[int]) -> None:
    """Say how many lines were skipped, and exit with 1 if none is left."""
    if bad:
        were = "line was" if len(bad) == 1 else "lines were"
        note(f"{len(bad):,} {were} skipped, {len(good):,} read")
    elif not good:
        note("no sentences: all lines are blank")
    if not good:
        raise typer.Exit(1)


def _show(made: Parse, tree: bool, as_json: bool, line: int | None) -> None:
    if as_json:
        say(json.dumps(({"line": line} if line is not None else {}) | made.to_dict(), ensure_ascii=False))
    else:
        say(made.drawn() + "\n" if tree else made.bracketed())
