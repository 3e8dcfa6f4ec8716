"""Dependency trees in the CoNLL-U format, as PyG ``Data`` whose edges run from each word to its head."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn

from ..errors import GraphError, expected
from .dependencies import column, dependencies, fault, heads_of
from .text import foreign_byte, read_text

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["read_conllu", "write_conllu"]

_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_FIELDS = {
    "tokens": 1, "lemmas": 2, "upos": 3, "xpos": 4, "feats": 5, "relations": 7, "deps": 8, "misc": 9,
}  # fmt: skip
_HEAD = 6
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_RANGE = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")  # a token of several words
_EMPTY = re.compile(r"(0|[1-9][0-9]{0,8})\.([1-9][0-9]{0,8})")  # a node of the enhanced dependencies


def read_conllu(
    source: str | os.PathLike[str], *, single_root: bool = True, errors: list[GraphError] | None = None
) -> list[Data]:
    """Read sentences with their dependency trees.

    The format: https://universaldependencies.org/format.html. Nodes are the words in their order, node k being the
    word with ID k + 1; edges run from dependents to heads, so that a sweep goes from the leaves to the root.

    Args:
        source: the text itself, as a string, or the path of a UTF-8 file, as a :class:`pathlib.Path`.
        single_root: whether each sentence must have one root; otherwise it may have several.
        errors: a list that gets the first error of each malformed sentence, which is skipped. Without it the first
            error is raised.

    Returns:
        One ``Data`` per sentence of N words: ``edge_index`` int64 [2, N-1], dependent → head, in the order of the
        dependents; ``num_nodes``; lists of N strings as they stand in the file, ``"_"`` where there is nothing:
        ``tokens``, ``lemmas``, ``upos``, ``xpos``, ``feats``, ``relations``, ``deps``, ``misc``; ``comments``, the
        lines before the words; ``extra``, the lines of multiword tokens (``1-2``) and empty nodes (``1.1``).

    Raises:
        GraphError: the text is malformed; the message names line, column and what is wrong.

    >>> text = "1\\tIt\\tit\\tPRON\\t_\\t_\\t2\\tnsubj\\t_\\t_\\n2\\tworks\\twork\\tVERB\\t_\\t_\\t0\\troot\\t_\\t_\\n"
    >>> [tree] = read_conllu(text)
    >>> tree.tokens, tree.edge_index.tolist(), tree.relations, tree.upos
    (['It', 'works'], [[0], [1]], ['nsubj', 'root'], ['PRON', 'VERB'])
    """
    text, name = read_text(source, lenient=errors is not None)
    trees: list[Data] = []
    for first, lines in _blocks(text):
        try:
            trees.append(_Sentence(name, first, lines).tree(single_root))
        except GraphError as error:
            if errors is None:
                raise
            errors.append(error)
    return trees


def write_conllu(sentences: Iterable[Data]) -> str:
    """Write sentences in the CoNLL-U format: the inverse of :func:`read_conllu`.

    Args:
        sentences: dependency trees with ``tokens``, as :func:`read_conllu` returns them, or the converters from spaCy,
            Stanza and NLTK. Fields that are missing are written as ``_``.

    Returns:
        The text; an empty line follows each sentence.

    Raises:
        GraphError: a node with two heads, a cycle, a field that has not one string for each word, or one that is
            empty or has a tab or line break in it.

    >>> text = "# text = Go\\n1\\tGo\\tgo\\tVERB\\tVB\\tMood=Imp\\t0\\troot\\t_\\tSpaceAfter=No\\n\\n"
    >>> write_conllu(read_conllu(text)) == text
    True
    """
    if isinstance(sentences, str) or not isinstance(sentences, Iterable) or hasattr(sentences, "edge_index"):
        raise expected("sentences", "a list of dependency trees as PyG Data", sentences)
    return "".join(_write(tree, f"sentences[{number}]") for number, tree in enumerate(sentences))


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of each sentence, and the number of the first."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        line = line.removesuffix("\r")
        if line.strip(" \t"):
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


class _Sentence:
    """The lines of a sentence, and their checks."""

    def __init__(self, name: str, first: int, lines: list[str]) -> None:
        self.name, self.first, self.lines = name, first, lines
        self.words: list[list[str]] = []  # the cells of each word
        self.at: list[int] = []  # the line of each word
        self.comments: list[str] = []
        self.extra: list[str] = []
        self.covered = 0  # the last word of the last range
        self.empty = 0  # the empty nodes since the last word
        for place, line in enumerate(lines):
            self._add(place, line)
        if not self.words:
            self._fail(len(lines) - 1, 0, "the sentence ends without a word")
        if self.covered > len(self.words):
            self._fail(len(lines) - 1, 0, f"the sentence ends before word {self.covered} of a range")

    def tree(self, single_root: bool) -> Data:
        """Return the sentence as PyG ``Data``."""
        heads = [int(cells[_HEAD]) for cells in self.words]
        if wrong := fault(heads, single_root=single_root):
            self._fail(self.at[wrong[0] - 1], _HEAD, wrong[1])
        tree = dependencies(heads, {name: [cells[i] for cells in self.words] for name, i in _FIELDS.items()})
        tree.comments, tree.extra = self.comments, self.extra
        return tree

    def _add(self, place: int, line: str) -> None:
        if column := foreign_byte(line):
            self._fail_at(place, column, "not UTF-8")
        if "\r" in line:
            self._fail_at(place, line.index("\r") + 1, "a carriage return inside of a line")
        if line.startswith("#"):
            if self.words or self.extra:
                self._fail(place, 0, "a comment after the first word")
            self.comments.append(line)
            return
        cells = line.split("\t")
        if len(cells) != len(_COLUMNS):
            self._fail(place, 0, f"{len(cells)} columns instead of {len(_COLUMNS)}, separated by tabs")
        if "" in cells:
            column = cells.index("")
            self._fail(place, column, f"{_COLUMNS[column]} is empty")
        number = cells[0]
        done = len(self.words)
        if _NUMBER.fullmatch(number):
            if int(number) != done + 1:
                self._fail(place, 0, f"the word {number}, where {done + 1} follows")
            if not _NUMBER.fullmatch(cells[_HEAD]):
                self._fail(place, _HEAD, f"the head {cells[_HEAD]!r} is not a number")
            self.words.append(cells)
            self.at.append(place)
            self.empty = 0
            return
        if span := _RANGE.fullmatch(number):
            start, end = int(span[1]), int(span[2])
            if start != done + 1 or end < start or self.covered > done:
                self._fail(place, 0, f"the range {number} after word {max(done, self.covered)}")
            self.covered = end
        elif node := _EMPTY.fullmatch(number):
            self.empty += 1
            if (int(node[1]), int(node[2])) != (done, self.empty):
                self._fail(place, 0, f"the empty node {number}, where {done}.{self.empty} follows")
        else:
            self._fail(place, 0, f"{number!r} is not the number of a word, of a range or of an empty node")
        self.extra.append(line)

    def _fail(self, place: int, column: int, wrong: str) -> NoReturn:
        """Raise the error at a column of the table."""
        before = self.lines[place].split("\t")[:column]
        self._fail_at(place, sum(len(cell) + 1 for cell in before) + 1, wrong)

    def _fail_at(self, place: int, column: int, wrong: str) -> NoReturn:
        raise GraphError(f"{self.name}, line {self.first + place}, column {column}: {wrong}")


def _write(tree: Data, argument: str) -> str:
    """Return the text of a sentence, whose lines pass the checks of the reader."""
    heads = heads_of(tree, argument)
    if not heads:
        raise expected(argument, "a sentence of at least one word", tree)
    fields = {i: column(tree, name, len(heads), argument) for name, i in _FIELDS.items()}
    fields |= {0: [str(number) for number in range(1, len(heads) + 1)], _HEAD: [str(head) for head in heads]}
    table = list(zip(*(fields[i] for i in range(len(_COLUMNS))), strict=True))
    comments, extra = _lines(tree, "comments", argument), _lines(tree, "extra", argument)
    lines = list(comments)
    at: dict[int, list[str]] = {}
    for line in extra:
        number = line.partition("\t")[0]
        if span := _RANGE.fullmatch(number):
            at.setdefault(int(span[1]) - 1, []).append(line)
        elif node := _EMPTY.fullmatch(number):
            at.setdefault(int(node[1]), []).append(line)
        else:
            raise expected(argument, "`extra`, lines of ranges and of empty nodes", line)
    for place in range(len(table) + 1):
        lines += at.get(place, ())
        lines += ["\t".join(cells) for cells in table[place : place + 1]]
    for line in lines:
        if "\n" in line:
            raise expected(argument, "strings without line breaks", line)
    written = _Sentence(argument, 1, lines)
    if written.comments != comments:
        raise expected(argument, '`comments` that begin with "#"', comments)
    if written.extra != extra:
        raise expected(argument, "`extra` in the order of the words", extra)
    return "".join(f"{line}\n" for line in [*lines, ""])


def _lines(tree: Data, name: str, argument: str) -> list[str]:
    lines: object = getattr(tree, name, None) or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise expected(argument, f"`{name}`, a list of strings", lines)
    return lines
