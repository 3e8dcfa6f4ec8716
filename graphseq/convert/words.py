"""Texts into words."""

from __future__ import annotations

import re
from itertools import chain

__all__ = ["tokenize", "treebank_words"]

_SIGNS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # Chinese and Japanese, without spaces: each character is a word
_WORD = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+(?:['’-][^\W{_SIGNS}]+)*|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """Return the words and punctuation marks of a text.

    >>> tokenize("It's (not) well-made.")
    ["It's", '(', 'not', ')', 'well-made', '.']
    """
    return _WORD.findall(text)


# The treebank's conventions. A no-break space stays in "2 1/2"; all other spaces, control characters and marks of the
# direction of writing separate.
_MARKS = r"\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
_SPACES = re.compile(rf"(?:(?!\xa0)[\s{_MARKS}]|(?<!\d)\xa0|\xa0(?!\d))+")
_EMOJI = (
    r"[\u203c\u2049\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]"
    r"[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]*"
)
_ADDRESS = re.compile(
    r"(?:(?:https?|ftp)://|www\.)[^\s<>\"“”]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[@#][^\W\d]\w*|(?<!\S)[:;=8][-o^']?[()DPp](?!\S)",
    re.I,
)  # URLs, e-mail addresses, names and tags, signs such as :-)
_CLOSING = re.compile(r"[.,;:!?'\"”’)\]}]+$")  # what follows an address
_PIECE = re.compile(
    r"-[LR][RSC]B-|\.{2,}|…|-{2,}|—|(?<!\d)–|–(?!\d)|``|''|[\"“”„«»()\[\]{}<>;@#%$€£¥]|[!?]+|" + _EMOJI +
    r"(?:\u200d" + _EMOJI + r")*|,(?!\d)|(?<!\d),|:(?!\d)|(?<!\d):|(?<!\w)&|&(?!\w)"
)  # fmt: skip
_ABBREVIATION = re.compile(
    r"(?:[^\W\d_]\.)+|(?:mr|mrs|ms|dr|prof|st|jr|sr|bros|co|corp|inc|ltd|vs|etc|al|gen|col|sgt|capt|lt|rev|hon|gov|sen|"
    r"rep|messrs|ave|wash|calif|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|approx|dept|est|fig|vol|ed|cf|ph\.d)\.",
    re.I,
)
_ENDINGS = re.compile(r"(.+?)(n't|'s|'m|'d|'ll|'re|'ve|')$", re.I)
_BEGINNINGS = re.compile(r"'(?:\d0s|\d\d|em|n|n'|til|tis|twas|cause|bout|round|s|m|d|ll|re|ve)$", re.I)
_WHOLE = {"ol'", "n'", "'n'", "an'", "o'", "th'", "'", "''", "`", "``", "n't"}
_APART = {"cannot": 3, "'tis": 2, "'twas": 2}
_SAME = {
    "“": "``", "„": "``", "«": "``", "”": "''", "»": "''", "—": "--", "–": "--", "…": "...", "(": "-LRB-", ")": "-RRB-",
    "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-",
}  # fmt: skip
_OPENING = "([{<`“„«-—–/"


def treebank_words(text: str) -> list[str]:
    """Return the words of a text by the Penn Treebank's conventions, as parsers for it need them.

    Contractions are apart, brackets are -LRB- and -RRB-, quotes `` and '', dashes --; a slash is written \\/ and an
    asterisk \\*. Curly quotes count as straight ones; addresses, tags and emoji are words. The conventions are those of
    Marcus, Santorini & Marcinkiewicz (1993); a text of several sentences is split in the same way.

    >>> treebank_words('He can\\'t say "no" (yet), I\\'m told.')
    ['He', 'ca', "n't", 'say', '``', 'no', "''", '-LRB-', 'yet', '-RRB-', ',', 'I', "'m", 'told', '.']
    """
    chunks = [chunk for chunk in _SPACES.split(text) if chunk]
    parts = [_pieces(chunk) for chunk in chunks]
    words: list[str] = []
    for at, pieces in enumerate(parts):
        after = list(chain.from_iterable(parts[at + 1 : at + 2]))
        for place, piece in enumerate(pieces):
            following = [*pieces[place + 1 :], *after]
            words += _words(piece, pieces[place - 1] if place else "", following, at + 1 == len(parts))
    return words


def _pieces(chunk: str) -> list[str]:
    """Split off the marks in a text without spaces."""
    if chunk.isascii() and chunk.isalpha():  # most are
        return [chunk]
    found: list[str] = []
    address = _ADDRESS.search(chunk)
    if address is not None and (not address.start() or not chunk[address.start() - 1].isalnum()):
        name = address.group()
        if name[-1] not in ")(DPp" or len(name) > 3:
            name = _CLOSING.sub("", name)
        if len(name) > 1:
            end = address.start() + len(name)
            return [*_pieces(chunk[: address.start()]), name, *_pieces(chunk[end:])]
    start = 0
    for match in _PIECE.finditer(chunk):
        found += [chunk[start : match.start()], match.group()]
        start = match.end()
    return [piece for piece in (*found, chunk[start:]) if piece]


def _words(piece: str, before: str, after: list[str], last: bool) -> list[str]:
    """Return the words of a piece: a mark, or a word with its apostrophes and its period."""
    if piece.isascii() and piece.isalpha() and piece.lower() not in _APART:
        return [piece]
    if piece == '"':
        return ["``" if not before or before[-1] in _OPENING else "''"]
    if piece in _SAME:
        return [_SAME[piece]]
    if _ADDRESS.fullmatch(piece) or _PIECE.fullmatch(piece):
        return [piece]
    word = piece.replace("’", "'").replace("‘", "`").replace("–", "-").replace("ʼ", "'")
    head: list[str] = []
    while len(word) > 1 and word[0] in "`'" and word.lower() not in _WHOLE and not _BEGINNINGS.match(word):
        if word[0] == "'" and before and before[-1].isalnum():
            break
        head.append("`")
        word = word[1:]
    tail: list[str] = []
    while len(word) > 1 and word[-1] in ".'" and word.lower() not in _WHOLE:
        if word[-1] == "." and not _is_final(word, after, last):
            break
        if word[-1] == "'" and _BEGINNINGS.match(word):
            break
        tail.append(word[-1])
        word = word[:-1]
    return [*head, *_contracted(word), *reversed(tail)]


def _is_final(word: str, after: list[str], last: bool) -> bool:
    """Return whether a word's period ends a sentence, and isn't part of the word."""
    if word.lower() == "no.":
        return not (after and after[0][:1].isdigit())
    if not _ABBREVIATION.fullmatch(word):
        return True
    closes = last and all(not piece[0].isalnum() for piece in after)
    return closes and word.count(".") == 1 and len(word) > 2


def _contracted(word: str) -> list[str]:
    low = word.lower()
    if low in _WHOLE or (_BEGINNINGS.match(word) and low not in _APART):
        return _escaped([word])
    if low in _APART:
        at = _APART[low]
        return [word[:at], word[at:]]
    tail: list[str] = []
    while (match := _ENDINGS.fullmatch(word)) is not None:
        word, end = match.groups()
        tail.append(end)
    return [*_escaped([word]), *reversed(tail)]


def _escaped(words: list[str]) -> list[str]:
    return [re.sub(r"(?<!\\)([/*])", r"\\\1", word) for word in words]
