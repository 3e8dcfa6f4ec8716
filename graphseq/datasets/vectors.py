"""Word vectors from text files, as GloVe's and word2vec's."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import GraphError, Words, expected

__all__ = ["word_vectors"]

_WRITTEN = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}", "``": '"', "''": '"'}
_LONGEST = 1 << 16  # characters of a line


def word_vectors(path: str | os.PathLike[str], words: Sequence[str], size: int) -> tuple[Tensor, Tensor]:
    """Return the vectors of some words, and which of them the file has.

    Pennington, Socher & Manning (2014), GloVe: global vectors for word representation; Mikolov et al. (2013),
    Efficient estimation of word representations in vector space. A line is a word and its numbers, separated by spaces;
    a first line of two numbers, as word2vec writes it, is skipped, and so are words with spaces in them. Numbers are
    read only where they are wanted, so that memory depends on `words`, not on the file.

    Args:
        path: a text file in UTF-8, which may be compressed by gzip (``.gz``).
        words: those wanted. A word that the file lacks is looked up without the treebank's escapes (-LRB- for a
            bracket, ``\\\\/`` for a slash), then in lower case.
        size: the number of numbers that a word must have.

    Returns:
        Vectors, float32 `[len(words), size]`, 0 for words that the file lacks; and found, bool `[len(words)]`.

    Raises:
        GraphError: there is no such file, it is no such text, or a line has another number of numbers.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "vectors.txt")
    >>> count = file.write_text("film 0.5 1\\n( 0 2\\n")
    >>> word_vectors(file, ["Film", "-LRB-", "zebra"], 2)
    (tensor([[0.5000, 1.0000],
            [0.0000, 2.0000],
            [0.0000, 0.0000]]), tensor([ True,  True, False]))
    """
    wanted: dict[str, list[tuple[int, int]]] = {}  # of a written form: places, and how good the form is
    for place, word in enumerate(words):
        for rank, form in enumerate(_forms(word)):
            wanted.setdefault(form, []).append((place, rank))
    vectors, best = np.zeros((len(words), size), np.float32), np.full(len(words), 99)
    for number, word, numbers in _lines(Path(path), wanted):
        if _has_spaces(numbers, size):
            continue  # another word than the one that it begins with, as in GloVe's vectors of the Common Crawl
        row = _numbers(numbers, size, f"{path}, line {number}")
        for place, rank in wanted[word]:
            if rank < best[place]:
                vectors[place], best[place] = row, rank
    return torch.from_numpy(vectors), torch.from_numpy(best < 99)


def _forms(word: str) -> list[str]:
    """Return the ways in which a word may be written, the best first."""
    plain = _WRITTEN.get(word.lower(), word.replace("\\/", "/").replace("\\*", "*"))
    return list(dict.fromkeys([word, plain, plain.lower()]))


def _lines(path: Path, wanted: dict[str, list[tuple[int, int]]]) -> list[tuple[int, str, str]]:
    """Return number, word and numbers of the lines whose word is wanted."""
    found = []
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), start=1):
                if b"\0" in line or len(line) == _LONGEST:
                    raise expected("vectors", "a text file of word vectors", Words(f"{path}, line {number}: no text"))
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                word, _, numbers = line.rstrip().partition(b" ")
                if number == 1 and word.isdigit() and numbers.strip().isdigit():
                    continue
                text = word.decode("utf-8", "replace")
                if text in wanted:
                    found.append((number, text, numbers.decode("ascii", "replace")))
    except (OSError, EOFError) as error:
        raise GraphError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return found


def _has_spaces(text: str, size: int) -> bool:
    """Return whether what follows the first part of a line is more of the word, and then its numbers."""
    parts = text.split()
    if len(parts) <= size:
        return False
    try:
        float(parts[-size - 1])
    except ValueError:
        return True
    return False


def _numbers(text: str, size: int, where: str) -> list[float]:
    """Return the numbers of a line."""
    parts = text.split()
    if len(parts) != size:
        wanted = f"{size} numbers after each word, the size of an embedding"
        raise expected("vectors", wanted, Words(f"{len(parts)} in {where}"))
    try:
        row = [float(part) for part in parts]
    except ValueError as error:
        raise expected("vectors", f"{size} numbers after each word", Words(f"{error} in {where}")) from None
    if not (np.abs(row) <= np.finfo(np.float32).max).all():
        raise expected("vectors", "finite numbers of float32", Words(f"others in {where}"))
    return row
