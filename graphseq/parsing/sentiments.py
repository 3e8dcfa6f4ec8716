"""The sentiment of a sentence and of each of its phrases, as a result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any, NamedTuple

from torch import Tensor

from ..datasets import SENTIMENTS
from .result import Parse, svg_of

__all__ = ["Phrase", "Sentiment"]

# Of 256 terminal colours, red over grey to blue, which those who don't tell red from green can tell.
_TERMINAL = (160, 209, 245, 75, 27)


_ID = re.compile(r'(?<= id=")|(?<=url\(#)|(?<=href="#)')  # of a drawing's parts, which are unique in a page


class Phrase(NamedTuple):
    """A node of a sentence's tree.

    Attributes:
        span: the first word, and the one past the last.
        text: its words, see :attr:`Parse.words`.
        label: 0, very negative, to 4, very positive.
        scores: the probability of each label, `[5]`.
    """

    span: tuple[int, int]
    text: str
    label: int
    scores: Tensor

    @property
    def value(self) -> float:
        """The expected sentiment, from -2 to 2."""
        return float(sum((k - 2) * p for k, p in enumerate(self.scores.tolist())))


@dataclass(frozen=True, eq=False, repr=False)
class Sentiment:
    """The sentiment of every phrase of a sentence.

    Args:
        parse: its tree.
        probabilities: of each label for each node, `[nodes, 5]`.
    """

    parse: Parse
    probabilities: Tensor

    @cached_property
    def phrases(self) -> list[Phrase]:
        """Return the phrase of each node of the tree, in the order of `parse.spans`."""
        labels, words = self.probabilities.argmax(1).tolist(), self.parse.words
        rows = zip(self.parse.spans.tolist(), labels, self.probabilities.unbind(), strict=True)
        return [Phrase((a, b), " ".join(words[a:b]), label, scores) for (a, b), label, scores in rows]

    @property
    def label(self) -> int:
        """Return the label of the sentence, from 0, very negative, to 4, very positive."""
        return self.phrases[0].label

    @property
    def scores(self) -> Tensor:
        """Return the probability of each label of the sentence, `[5]`."""
        return self.probabilities[0]

    @property
    def value(self) -> float:
        """Return the expected sentiment of the sentence, from -2 to 2."""
        return self.phrases[0].value

    def drawn(self, *, colours: bool = False) -> str:
        """Return the tree as lines of text: before each phrase its expected sentiment, from -2 to 2.

        Args:
            colours: whether numbers have a terminal's colours.
        """
        names = []
        for phrase in self.phrases:
            number = signed(phrase.value, 1).replace("-", "−")
            names.append(f"\x1b[1;38;5;{_TERMINAL[phrase.label]}m{number}\x1b[0m" if colours else number)
        return self.parse.drawn(names)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``graphseq sentiment --json`` prints."""
        phrases = [
            {
                "span": list(p.span), "text": p.text, "label": p.label, "value": round(p.value, 4),
                "scores": _rounded(p.scores),
            }
            for p in self.phrases
        ]  # fmt: skip
        found = {
            "label": self.label, "sentiment": SENTIMENTS[self.label], "value": round(self.value, 4),
            "scores": _rounded(self.scores),
        }  # fmt: skip
        return found | {"phrases": phrases, "parse": self.parse.to_dict()}

    def figure(self, path: str | None = None) -> Any:
        """Draw the tree with each phrase in the colour of its sentiment, see :func:`graphseq.plot.tree`."""
        from ..plot import tree

        labels = [phrase.label for phrase in self.phrases]
        return tree(self.parse.topology, path, colours=labels, tokens=self.parse.words, names=SENTIMENTS)

    def _repr_svg_(self) -> str:
        return svg_of(self.figure)

    def _repr_html_(self) -> str:
        svg = self._repr_svg_()
        return f'<div class="graphseq-sentiment">{svg[svg.index("<svg") :]}</div>'

    def page(self) -> str:
        """Return a page of HTML: the drawn tree, and a table of phrases."""
        return page([self.section()], " ".join(self.parse.words))

    def section(self) -> str:
        """Return what :meth:`page` shows, as a part of a page."""
        rows = "\n".join(
            f"<tr><td>{escape(p.text)}</td><td>{SENTIMENTS[p.label]}</td><td>{signed(p.value, 2)}</td></tr>"
            for p in self.phrases
        )
        return (
            f"<h1>{escape(' '.join(self.parse.words))}</h1>\n<p>{SENTIMENTS[self.label]}</p>\n{self._repr_html_()}\n"
            f"<table>\n<tr><th>phrase</th><th>sentiment</th><th>expected, −2 to 2</th></tr>\n{rows}\n</table>\n"
        )

    def __repr__(self) -> str:
        return f"Sentiment({SENTIMENTS[self.label]}: {' '.join(self.parse.words)})"


def page(sections: Iterable[str], title: str) -> str:
    """Return a page of HTML with sections of sentences."""
    sections = [_ID.sub(rf"\g<0>s{k}-", section) if k else section for k, section in enumerate(sections)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>\n<body>\n'
        f"{''.join(sections)}</body></html>\n"
    )


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, and zero without one.

    >>> signed(0.04, 1), signed(-0.04, 1), signed(-0.06, 1)
    ('0.0', '0.0', '-0.1')
    """
    number = f"{value:+.{digits}f}"
    return number if number.strip("+-0.") else number[1:]


def _rounded(scores: Tensor) -> Sequence[float]:
    return [round(score, 4) for score in scores.tolist()]
