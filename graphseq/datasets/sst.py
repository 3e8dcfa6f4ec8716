"""The Stanford Sentiment Treebank: sentences as binary trees, with a sentiment for every phrase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..convert import Vocabulary, read_trees
from ..errors import Words, expected
from .cache import Stored, cache_key, cached
from .files import find_or_fetch, verify
from .roots import Root
from .trees import Sentences, SentenceSet

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["SENTIMENTS", "SST", "Phrases"]

SENTIMENTS = ("very negative", "negative", "neutral", "positive", "very positive")

_TREES = {"train": 8544, "dev": 1101, "test": 2210}
_URL = "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
_BINARY = (0, 0, -1, 1, 1)  # the five sentiments in the two-class task


@dataclass(frozen=True)
class Phrases:
    """P phrases as sequences of words, end to end, with a sentiment each.

    Args:
        word: the words' indices in the data set's vocabulary, int64 [T].
        offsets: where each phrase begins, and T; int64 [P+1].
        y: the sentiments, int64 [P].
    """

    word: Tensor
    offsets: Tensor
    y: Tensor

    def __len__(self) -> int:
        """Return the number of phrases."""
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one phrase's words and its sentiment."""
        index = range(len(self))[index]
        return self.word[self.offsets[index] : self.offsets[index + 1]], int(self.y[index])


class SST(SentenceSet):
    """One split of the Stanford Sentiment Treebank; its attribute ``trees`` is the plain list.

    Source: R. Socher et al., "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
    EMNLP 2013. Free for research.

    Each tree is a ``Data`` as :func:`graphseq.convert.read_trees` makes it: node 0 is the root; ``y`` int64
    [N] is the sentiment of each node's phrase; ``word`` int64 [N] is the vocabulary index of a leaf's word and
    -1 elsewhere; ``span`` int64 [N, 2] is the first and the past-the-last word of each node's phrase;
    ``edge_index`` int64 [2, N-1] is child → parent, the left child's edge before the right child's; ``tokens``
    is the list of the words.

    Args:
        split: ``"train"``, ``"dev"`` or ``"test"``.
        root: a data root with ``sst/<split>.txt``, searched first; only read.
        task: ``"fine"`` for the five sentiments 0 to 4 (:data:`SENTIMENTS`); ``"binary"`` for 0, negative, and 1,
            positive, without the sentences that are neutral as a whole; neutral phrases of the others have -1.
        vocabulary: the words' indices; by default of the training split, whichever split is read.
        min_count: how often a word must be in the training split to be in the default vocabulary.
        lower: whether the default vocabulary lower-cases words.
        transform: applied to a tree each time it is taken out.
        check: whether the split must be the published one; False for your own.
        offline: whether downloads are forbidden, as with ``GRAPHSEQ_OFFLINE=1``.

    Raises:
        MissingData: the file is in no data root and was not downloaded.
        CorruptData: the file is not the published one.
        GraphError: the file is malformed, or does not have the published number of trees.

    Example::

        train = SST("train", min_count=2)
        dev = SST("dev", vocabulary=train.vocabulary)
        train[0].tokens, train[0].y[0]  # a sentence and its sentiment
    """

    def __init__(
        self, split: str, root: Root = None, *, task: str = "fine", vocabulary: Vocabulary | None = None,
        min_count: int = 1, lower: bool = False, transform: Callable[[Data], Data] | None = None,
        check: bool = True, offline: bool = False,
    ) -> None:  # fmt: skip
        """Read the split's file, or what the cache has of it."""
        if split not in _TREES:
            raise expected("split", "'train', 'dev' or 'test'", split)
        if task not in ("fine", "binary"):
            raise expected("task", "'fine' or 'binary'", task)
        sentences = _load(split, root, task, check, offline)
        if vocabulary is None:
            train = sentences if split == "train" else _load("train", root, task, check, offline)
            words = map(train.table.__getitem__, train.words.tolist())
            vocabulary = Vocabulary.build(words, min_count=min_count, lower=lower)
        elif min_count != 1 or lower:
            raise expected("vocabulary", "None where min_count or lower says how to build it", vocabulary)
        elif not isinstance(vocabulary, Vocabulary):
            raise expected("vocabulary", "a graphseq.convert.Vocabulary", vocabulary)
        self.split, self.task, self.vocabulary = split, task, vocabulary
        self.num_classes = len(SENTIMENTS) if task == "fine" else 2
        index = torch.tensor(vocabulary.encode(sentences.table), dtype=torch.int64)
        word = torch.full_like(sentences.nodes["parent"], -1)
        word[sentences.is_leaf()] = index[sentences.words]
        sentences.nodes["word"] = word
        super().__init__(sentences, transform=transform)

    def __repr__(self) -> str:
        """Return the split and its size."""
        return f"SST({self.split!r}, trees={len(self)}, words={len(self.vocabulary)})"

    def phrases(self, *, unique: bool = True) -> Phrases:
        """Return the phrases of all trees, whole sentences too, as sequences of words, for models without trees.

        Phrases come in the order of the trees and their nodes. Those that the binary task calls neutral are left out.

        Args:
            unique: whether a phrase that occurs again, word for word with the same sentiment, is left out.
        """
        sentences = self._sentences
        starts = sentences.first_words[:-1].repeat_interleave(sentences.sizes)
        begin, end = (sentences.nodes["span"] + starts.unsqueeze(-1)).unbind(-1)
        y = sentences.nodes["y"]
        kept = (y >= 0).nonzero().flatten()
        if unique:
            kept = _first_of_each(sentences.words, begin, end, y, kept)
        begin, length = begin[kept], (end - begin)[kept]
        offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
        at = torch.arange(int(offsets[-1])) + (begin - offsets[:-1]).repeat_interleave(length)
        return Phrases(sentences.nodes["word"][sentences.is_leaf()][at], offsets, y[kept])


def _first_of_each(words: Tensor, begin: Tensor, end: Tensor, y: Tensor, nodes: Tensor) -> Tensor:
    """Return those of the nodes whose phrase and sentiment no earlier one has."""
    text = words.numpy()
    seen: dict[tuple[int, bytes], int] = {}
    columns = (column[nodes].tolist() for column in (begin, end, y))
    for node, a, b, label in zip(nodes.tolist(), *columns, strict=True):
        seen.setdefault((label, text[a:b].tobytes()), node)
    return torch.tensor(list(seen.values()), dtype=torch.int64)


def _load(split: str, root: Root, task: str, check: bool, offline: bool) -> Sentences:
    """Return a split as the task has it."""
    path = find_or_fetch("sst", [f"{split}.txt"], [_URL], root, offline=offline) / f"{split}.txt"
    key = cache_key(verify("sst", [path], check=check))

    def read() -> Stored:
        return Sentences.of(read_trees(path, labels="01234", one_per_line=True)).store()

    sentences = Sentences.load(cached(f"sst-{split}", key, read))
    count = len(sentences.sizes)
    if check and count != _TREES[split]:
        came = Words(f"{count} in {path} (check=False for your own)")
        raise expected("root", f"the {_TREES[split]} trees of the published {split} split", came)
    if task == "binary":
        sentences = sentences.select(sentences.nodes["y"][sentences.starts[:-1]] != 2)
        sentences.nodes["y"] = torch.tensor(_BINARY)[sentences.nodes["y"]]
    return sentences
