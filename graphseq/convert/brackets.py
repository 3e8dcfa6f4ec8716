"""Bracketed trees, such as the Stanford Sentiment Treebank's ``(3 (2 It) (4 works))``, as PyG ``Data``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import torch
from torch import Tensor

from ..errors import GraphError, Words, expected, out_of_range
from .preorder import Preorder
from .text import foreign_byte, read_text

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["Vocabulary", "encode_words", "leaf_spans", "node_labels", "read_trees", "write_trees"]

# Only ASCII spaces separate words: a no-break space is a letter like any other. A line feed is
# a token of its own, so that a tree can be made to end with its line.
_TOKEN = re.compile(r"\([^() \t\r\n]*|\)|\n|[^() \t\r\n]+")
_LETTERS = re.compile(r"[^() \t\r\n]+")  # of a word or a label


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
    errors: list[GraphError] | None = None,
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
        errors: a list that gets the error of each malformed line, which is skipped; needs `one_per_line`. Without
            it the first error is raised.

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
    >>> errors = []
    >>> len(read_trees("(2 a)\\n(2 b\\n(2 c)", one_per_line=True, errors=errors)), str(errors[0])
    (2, "text, line 2, column 5: the line ends before 1 open '(' are closed")
    """
    text, name = read_text(source, lenient=errors is not None)
    if errors is None:
        trees = _to_data(_Parser(text, name, labels, one_per_line).parse())
    elif one_per_line:
        trees = _sound_lines(text, name, labels, errors)
    else:
        raise expected("one_per_line", "True where `errors` are collected line by line", one_per_line)
    if vocabulary is not None:
        for tree in trees:
            tree.word = encode_words(tree, vocabulary)
    return trees


def write_trees(trees: Iterable[Data], *, labels: Sequence[str] | None = None) -> str:
    """Write bracketed trees, one a line: the inverse of :func:`read_trees`.

    Args:
        trees: as :func:`read_trees` makes them.
        labels: the labels that ``y`` counts; without it the trees have ``labels``.

    Returns:
        The text; each line ends with a line feed.

    Raises:
        GraphError: a tree's nodes are not in preorder; or it has no labels, an empty one below the root, or a word
            or label with blanks or brackets. (The Penn Treebank writes brackets as ``-LRB-`` and ``-RRB-``.)

    >>> write_trees(read_trees("( (S (NP It)\\n  (VP works)) )"))
    '( (S (NP It) (VP works)))\\n'
    >>> write_trees(read_trees("(3 (2 It) (4 works))", labels="01234"), labels="01234")
    '(3 (2 It) (4 works))\\n'
    """
    if isinstance(trees, str) or not isinstance(trees, Iterable) or hasattr(trees, "edge_index"):
        raise expected("trees", "a list of trees as PyG Data", trees)
    return "".join(_line(tree, f"trees[{number}]", labels) for number, tree in enumerate(trees))


def _line(tree: Data, argument: str, labels: Sequence[str] | None) -> str:
    nodes = Preorder.of(tree, argument)
    names = node_labels(nodes, argument, labels)
    parts: list[str] = []
    path: list[int] = []
    for node, (above, name, word) in enumerate(zip(nodes.parent, names, nodes.words, strict=True)):
        while path and path[-1] != above:
            parts.append(")")
            path.pop()
        if not _LETTERS.fullmatch(name) and (name or node):
            raise expected(argument, "labels without blanks and brackets, none empty but the root's", name)
        if word is not None and not _LETTERS.fullmatch(word):
            raise expected(argument, "words without blanks and brackets, none empty", word)
        parts += (" (" if node else "(", name, "" if word is None else f" {word}")
        path.append(node)
    return "".join(parts) + ")" * len(path) + "\n"


def node_labels(nodes: Preorder, argument: str, labels: Sequence[str] | None) -> list[str]:
    """Return the label of each node: the tree's own, or those of `labels` that ``y`` counts.

    Raises:
        GraphError: it has none, or an index that is out of range.
    """
    if labels is None:
        return nodes.need_labels(argument)
    if "y" not in nodes.fields:
        raise expected(argument, "a tree with `y`, indices into `labels`", Words("one without"))
    y: list[int] = nodes.fields["y"]
    if not all(0 <= index < len(labels) for index in y):
        wrong = next(index for index in y if not 0 <= index < len(labels))
        raise out_of_range(f"{argument}.y", wrong, len(labels))
    return [labels[index] for index in y]


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


def _sound_lines(text: str, name: str, labels: Sequence[str] | None, errors: list[GraphError]) -> list[Data]:
    """Return the trees of the lines that can be read, and collect the errors of the others."""
    trees: list[Data] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            if column := foreign_byte(line):
                raise GraphError(f"{name}, line {number}, column {column}: not UTF-8")
            ended = f"{line}\n" if number < len(lines) else line
            trees += _to_data(_Parser(ended, name, labels, True, first_line=number).parse())
        except GraphError as error:
            errors.append(error)
    return trees


@dataclass
class _Parser:
    """The trees of a text as flat lists over all of their nodes."""

    text: str
    name: str
    allowed: Sequence[str] | None
    one_per_line: bool
    first_line: int = 1  # the number of the text's first line
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
        line = self.text.count("\n", 0, start) + self.first_line
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
