"""``graphseq sentiment``: the sentiment of sentences and of their phrases."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..datasets import SENTIMENTS
from ..errors import Words, expected
from ..parsing import Sentiment, SentimentModel, read_sentence, sentiment_model
from ..parsing.sentiments import page, signed
from ..plot import check_path
from .options import AsJson
from .parse import read_lines, report_lines, source_of
from .show import say, table

__all__ = ["sentiment"]


def sentiment(
    sentence: Annotated[
        str | None,
        typer.Argument(
            metavar="SENTENCE", show_default=False,
            help="A sentence, or a bracketed tree; or a file with one on each line; - for standard input.",
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw one sentence: .svg, .png, .pdf.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with each sentence's tree and phrases.")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Show how much each word contributes.")] = False,
    as_json: AsJson = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A model of your own: a run, or a file of SentimentModel.save.", show_default=False
        ),
    ] = None,
) -> None:  # fmt: skip
    """Print the sentiment of a sentence and of every phrase, from -2 to 2; of a file, one line for each sentence.

    Invalid lines are reported on standard error and skipped.
    """
    check_path(svg, argument="--svg")
    if sentence is None or not sentence.strip():
        raise expected("sentence", "a sentence, a file, or - for standard input", Words("nothing"))
    source = source_of(sentence)
    if html is not None:
        from ..train.files import check_writable

        check_writable(html, "--html")
    if source is not None and svg is not None:
        raise expected("--svg", "one sentence to draw (--html takes a file of them)", Words("a file of them"))
    model = _model(weights)
    if source is None:
        found = model.score(sentence)
        _show(found, model, sentence, words, as_json)
        if svg is not None:
            found.figure(str(svg))
        _write(html, [found.section()], " ".join(found.parse.words))
        return
    good: list[int] = []
    bad: list[int] = []
    sections: list[str] = []
    with source:
        numbers = iter(good)
        for some in read_lines(source, good, bad, read_sentence):
            for made in model.score_many(some):
                moved = model.attributions(made.parse) if words else None
                if as_json:
                    say(json.dumps({"line": next(numbers)} | _object(made, moved), ensure_ascii=False))
                else:
                    say(f"{signed(made.value, 2):>5}  {SENTIMENTS[made.label]:13}  {' '.join(made.parse.words)}")
                    if moved is not None:
                        said = "  ".join(f"{word} {part:+.2f}" for word, part in moved)
                        say(f"       to the logit of {SENTIMENTS[made.label]}: {said}")
                if html is not None:
                    sections.append(made.section())
    if sections:
        _write(html, sections, f"{len(sections):,} sentences")
    report_lines(good, bad)


def _write(path: Path | None, sections: list[str], title: str) -> None:
    if path is not None:
        from ..train.files import write_bytes

        write_bytes(path, page(sections, title).encode("utf-8"))


def _model(weights: Path | None) -> SentimentModel:
    if weights is None:
        return sentiment_model()
    if not weights.is_dir():
        return SentimentModel.load(weights)
    from ..recipes.recursive import sentiment_of

    return sentiment_of(weights)


def _show(found: Sentiment, model: SentimentModel, sentence: str, words: bool, as_json: bool) -> None:
    moved = model.attributions(sentence) if words else None
    if as_json:
        say(json.dumps(_object(found, moved), ensure_ascii=False))
        return
    say(f"{SENTIMENTS[found.label]} ({100 * float(found.scores[found.label]):.0f} %)\n")
    say(found.drawn(colours=sys.stdout.isatty()))
    if moved is not None:
        say(f"\nWhat each word adds to the logit of {SENTIMENTS[found.label]}:")
        say(table([(word, f"{part:+.2f}") for word, part in moved]))


def _object(found: Sentiment, moved: list[tuple[str, float]] | None) -> dict[str, Any]:
    return found.to_dict() | ({} if moved is None else {"words": [[word, round(part, 4)] for word, part in moved]})
