"""Bracketed trees of sentences as flat arrays: what the sets of sentences keep in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphseq.convert import leaf_spans
from graphseq.datasets.cache import Stored
from graphseq.datasets.forest import Forest, TreeSet, texts_to_ids

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["SentenceSet", "Sentences"]


@dataclass(frozen=True)
class Sentences:
    """Trees whose leaves are words.

    Args:
        forest: the trees, with columns ``y`` and ``span``.
        words: which text each leaf is, int64, an index into `table`.
        table: the texts.
    """

    forest: Forest
    words: Tensor
    table: list[str]

    @classmethod
    def of(cls, trees: Sequence[Data]) -> Sentences:
        """Return trees as :func:`graphseq.convert.read_trees` makes them, with ``y``."""
        for tree in trees:
            tree.span = leaf_spans(tree)
        words, table = texts_to_ids([token for tree in trees for token in tree.tokens])
        return cls(Forest.of(trees, columns=("y", "span")), words, table)

    def store(self) -> Stored:
        """Return what the cache keeps."""
        return Stored({**self.forest.pack(), "words": self.words.int()}, {"table": self.table})

    @classmethod
    def load(cls, stored: Stored) -> Sentences:
        """Return what the cache kept."""
        arrays = dict(stored.arrays)
        words = arrays.pop("words").long()
        return cls(Forest.unpack(arrays), words, stored.facts["table"])

    @property
    def first_words(self) -> Tensor:
        """Where each sentence's words begin, and the number of all words; int64 [B+1]."""
        lengths = self.forest.columns["span"][self.forest.starts[:-1], 1]
        return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])

    def select(self, keep: Tensor) -> Sentences:
        """Return the trees that a bool [B] keeps."""
        kept = keep.repeat_interleave(self.first_words.diff())
        return Sentences(self.forest.select(keep), self.words[kept], self.table)


class SentenceSet(TreeSet):
    """Trees of sentences, each with the list of its words as ``tokens``.

    Args:
        sentences: the trees.
        transform: applied to a tree each time that it is taken out.
    """

    def __init__(self, sentences: Sentences, *, transform: Callable[[Data], Data] | None = None) -> None:
        """Keep the arrays."""
        super().__init__(sentences.forest, transform=transform)
        self._sentences = sentences
        self._first_words: list[int] = sentences.first_words.tolist()

    def _texts(self, index: int) -> dict[str, Any]:
        words = self._sentences.words[self._first_words[index] : self._first_words[index + 1]]
        return {"tokens": [self._sentences.table[word] for word in words.tolist()]}
