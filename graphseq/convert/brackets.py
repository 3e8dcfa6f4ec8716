"""Bracketed trees, such as the Stanford Sentiment Treebank's ``(3 (2 It) (4 works))``, as PyG ``Data``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import torch
from torch import Tensor

from ..errors import GraphError, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["Vocabulary", "encode_words", "leaf_spans", "read_trees"]

# Only ASCII spaces separate words: a no-break space is a letter like any other. A line feed is
# a token of its own, so that a tree can be made to end with its line.
_TOKEN = re.compile(r"\([^() \t\r\n]*|\)|\n|[^() \t\r\n]+")


@dataclass(frozen=True)
class Vocabulary:
    """An immutable map from words to indices; index 0 stands for every unknown word.

    Args:
        words: the known words, in the order of their indices 1, 2, …
        lower: whether words are lower-cased before they are looked up.

    >>> vocabulary = Vocabulary.build(["a", "b", "a", "c", "b", "a"], min_count=2)
    >>> vocabulary.words, vocabulary["b"], vocabulary["c"], len(vocabulary)
    (('a', 'b'), 2, 0, 3)
    """

    words: tuple[str, ...]
    lower: bool = False
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check and index the words."""
        if isinstance(self.words, str):
            raise expected("words", "a tuple of words", self.words)
        object.__setattr__(self, "words", tuple(self.words))
        index = {word: i for i, word in enumerate(self.words, start=1)}
        if len(index) != len(self.words):
            raise expected("words", "words that all differ", self.words)
        if self.lower and any(word != word.lower() for word in self.words):
            raise expected("words", "lower-case words where lower=True", self.words)
        object.__setattr__(self, "_index", index)

    @classmethod
    def build(cls, words: Iterable[str], *, min_count: int = 1, lower: bool = False) -> Vocabulary:
        """Collect the words seen at least `min_count` times: the most frequent first, then by alphabet."""
        if min_count < 1:
            raise expected("min_count", "an integer of at least 1", min_count)
        if isinstance(words, str):
            raise expected("words", "an iterable of words", words)
        count = Counter(word.lower() for word in words) if lower else Counter(words)
        kept = sorted((-n, word) for word, n in count.items() if n >= min_count)
        return cls(tuple(word for _, word in kept), lower)

    def __len__(self) -> int:
        """Return the number of indices, the unknown word's included: an embedding needs that many rows."""
        return len(self.words) + 1

    def __contains__(self, word: str) -> bool:
        """Return whether the word is known."""
        return (word.lower() if self.lower else word) in self._index

    def __getitem__(self, word: str) -> int:
        """Return the word's index, 0 when it is unknown."""
        return self._index.get(word.lower() if self.lower else word, 0)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the index of each word."""
        return [self[word] for word in words]


def read_trees(
    source: str | os.PathLike[str],
    *,
    vocabulary: Vocabulary | None = None,
    labels: Sequence[str] | None = None,
    one_per_line: bool = False,
) -> list[Data]:
    """Read bracketed trees: each node is ``(label child child …)`` or ``(label word)``.

    Nodes are numbered by their opening brackets: node 0 is the root, a node comes before its descendants and
    a child before its right siblings. Edge k runs from node k + 1 to its parent, so the edges that enter one
    parent come in the order of its children.

    Args:
        source: the text itself, as a string, or the path of a UTF-8 file, as a :class:`pathlib.Path`.
        vocabulary: gives the words their indices; without it the trees have no ``word``.
        labels: the labels that may occur in the text; ``y`` holds indices into them. Without it any label is
            accepted and each tree has a list of strings ``labels`` instead of ``y``; a root whose label is
            missing, as the Penn Treebank writes it, gets the empty label.
        one_per_line: whether each tree must end on the line that it begins on, which finds a lost bracket
            in the line where it was lost.

    Returns:
        One ``Data`` per tree: ``edge_index`` int64 [2, N-1], child → parent; ``word`` int64 [N], the index of
        a leaf's word and -1 elsewhere; ``y`` int64 [N]; ``tokens``, the list of the leaves' words from
        left to right; ``num_nodes``.

    Raises:
        GraphError: the text is malformed; the message names line, column and what is wrong.

    >>> vocabulary = Vocabulary(("It", "works"))
    >>> [tree] = read_trees("(3 (2 It) (4 works))", vocabulary=vocabulary, labels="01234")
    >>> tree.y.tolist(), tree.word.tolist(), tree.edge_index.tolist(), tree.tokens
    ([3, 2, 4], [-1, 1, 2], [[1, 2], [0, 0]], ['It', 'works'])
    """
    text, name = _text(source)
    trees = _to_data(_Parser(text, name, labels, one_per_line).parse())
    if vocabulary is not None:
        for tree in trees:
            tree.word = encode_words(tree, vocabulary)
    return trees


def encode_words(tree: Data, vocabulary: Vocabulary) -> Tensor:
    """Return the index of each leaf's word and -1 for the other nodes, int64 [N].

    >>> [tree] = read_trees("(S (D the) (N cat))")
    >>> encode_words(tree, Vocabulary(("cat",))).tolist()
    [-1, 0, 1]
    """
    if not isinstance(vocabulary, Vocabulary):
        raise expected("vocabulary", "a graphseq.convert.Vocabulary", vocabulary)
    word = np.zeros(tree.num_nodes, np.int64)
    word[tree.edge_index[1].numpy()] = -1
    word[word == 0] = vocabulary.encode(tree.tokens)
    return torch.from_numpy(word)


def leaf_spans(tree: Data) -> Tensor:
    """Return which leaves are below each node: the first, and the one past the last, int64 [N, 2].

    The tree's nodes are in preorder, as :func:`read_trees` numbers them; leaves are counted from left to right.

    >>> [tree] = read_trees("(S (NP (D the) (N cat)) (V sat))")
    >>> leaf_spans(tree).tolist()
    [[0, 3], [0, 2], [0, 1], [1, 2], [2, 3]]
    """
    parent = tree.edge_index[1].tolist()
    last = list(range(tree.num_nodes))  # of each node's descendants
    for child in range(tree.num_nodes - 1, 0, -1):
        above = parent[child - 1]
        last[above] = max(last[above], last[child])
    before = np.zeros(tree.num_nodes + 1, np.int64)  # leaves before each node
    np.cumsum(np.equal(last, np.arange(tree.num_nodes)), out=before[1:])
    return torch.from_numpy(np.stack([before[:-1], before[np.array(last, np.int64) + 1]], axis=1))


def _text(source: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the text and its name in messages."""
    if isinstance(source, str):
        return source, "text"
    if not isinstance(source, os.PathLike):
        raise expected("source", "a text or a pathlib.Path", source)
    path = Path(source)
    try:
        return path.read_bytes().decode("utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise GraphError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise GraphError(f"{path}: cannot be read: {error.strerror}") from None


@dataclass
class _Parser:
    """The trees of a text as flat lists over all of their nodes."""

    text: str
    name: str
    allowed: Sequence[str] | None
    one_per_line: bool
    labels: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)  # -1 at a root
    words: list[str | None] = field(default_factory=list)  # None at an inner node

    def parse(self) -> _Parser:
        """Fill the lists in one pass over the tokens, with the open nodes on a stack."""
        labels, parents, words = self.labels, self.parents, self.words
        allowed = None if self.allowed is None else frozenset(self.allowed)
        above: list[int] = []  # the open nodes but the innermost
        top = -1  # the innermost open node
        crowded = False  # whether no further tree may begin on this line
        for at, token in enumerate(_TOKEN.findall(self.text)):
            mark = token[0]
            if mark == "(":
                label = token[1:]
                if top >= 0 and words[top] is not None:
                    self._fail(at, f"a node inside a leaf, whose word is {words[top]!r}")
                if not label and (allowed is not None or top >= 0):
                    self._fail(at, "the label is missing after '('")
                if allowed is not None and label not in allowed:
                    self._fail(at, f"the label {label!r} is not one of {', '.join(self.allowed or ())}")
                if crowded and top < 0:
                    self._fail(at, "a second tree on one line")
                crowded = self.one_per_line
                above.append(top)
                parents.append(top)
                labels.append(label)
                words.append(None)
                top = len(parents) - 1
            elif mark == ")":
                if top < 0:
                    self._fail(at, "')' without an open '('")
                if top == len(parents) - 1 and words[top] is None:
                    self._fail(at, f"an empty node: after the label {labels[top]!r} no word and no child")
                top = above.pop()
            elif mark == "\n":
                if crowded and top >= 0:
                    self._fail(at, f"the line ends before {len(above)} open '(' are closed")
                crowded = False
            else:
                if top < 0:
                    self._fail(at, f"{token!r} outside of a tree")
                if top != len(parents) - 1 or words[top] is not None:
                    self._fail(at, f"{token!r} in a node that already has a word or a child")
                words[top] = token
        if top >= 0:
            self._fail(-1, f"the text ends before {len(above)} open '(' are closed")
        return self

    def _fail(self, at: int, wrong: str) -> NoReturn:
        """Raise the error, with the place of token number `at`, or of the text's end for -1."""
        start = len(self.text)
        for i, match in enumerate(_TOKEN.finditer(self.text)):
            if i == at:
                start = match.start()
                break
        line = self.text.count("\n", 0, start) + 1
        column = start - self.text.rfind("\n", 0, start)
        raise GraphError(f"{self.name}, line {line}, column {column}: {wrong}")


def _to_data(parsed: _Parser) -> list[Data]:
    """Cut the flat lists into trees; every tree owns its tensors."""
    from torch_geometric.data import Data

    parent = np.asarray(parsed.parents, dtype=np.int64)
    starts = np.flatnonzero(parent < 0).tolist()
    y = None
    if parsed.allowed is not None:
        code = {label: i for i, label in enumerate(parsed.allowed)}
        y = np.fromiter((code[label] for label in parsed.labels), np.int64, len(parent))

    trees = []
    for start, end in pairwise([*starts, len(parent)]):
        edges = np.empty((2, end - start - 1), np.int64)
        edges[0] = np.arange(1, end - start)
        np.subtract(parent[start + 1 : end], start, out=edges[1])
        tree = Data(edge_index=torch.from_numpy(edges), num_nodes=end - start)
        if y is not None:
            tree.y = torch.from_numpy(y[start:end].copy())
        else:
            tree.labels = parsed.labels[start:end]
        tree.tokens = [w for w in parsed.words[start:end] if w is not None]
        trees.append(tree)
    return trees
