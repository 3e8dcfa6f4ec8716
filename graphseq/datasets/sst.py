"""The Stanford Sentiment Treebank: sentences as binary trees, with a sentiment for every phrase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch.utils.data

from graphseq.convert import Vocabulary, encode_words, read_trees
from graphseq.datasets.roots import Root, find_or_fetch
from graphseq.errors import Words, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["SENTIMENTS", "SST"]

SENTIMENTS = ("very negative", "negative", "neutral", "positive", "very positive")

_TREES = {"train": 8544, "dev": 1101, "test": 2210}
_HOW = (
    "To get it, unpack https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip and lay its train.txt, "
    "dev.txt and test.txt in the folder sst of a data root."
)


class SST(torch.utils.data.Dataset["Data"]):
    """One split of the Stanford Sentiment Treebank; its attribute ``trees`` is the plain list.

    Source: R. Socher et al., "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank",
    EMNLP 2013. Free for research.

    Each tree is a ``Data`` as :func:`graphseq.convert.read_trees` makes it: node 0 is the root; ``y`` int64
    [N] is the sentiment 0 to 4 of each node's phrase (:data:`SENTIMENTS`); ``word`` int64 [N] is the
    vocabulary index of a leaf's word and -1 elsewhere; ``edge_index`` int64 [2, N-1] is child → parent, the
    left child's edge before the right child's; ``tokens`` is the list of the words.

    Args:
        split: ``"train"``, ``"dev"`` or ``"test"``.
        root: a data root, read before all others; it is only read.
        vocabulary: the words' indices; by default built of the training split, whichever split is asked for.
        min_count: how often a word must be in the training split to be in the default vocabulary.
        lower: whether the default vocabulary lower-cases words.
        transform: applied to a tree each time that it is taken out.
        check: whether the split must have as many trees as the published one; False for a cut or own one.

    Raises:
        GraphError: the file is in no data root, or malformed, or does not have the published number of trees.

    Example::

        train = SST("train", min_count=2)
        dev = SST("dev", vocabulary=train.vocabulary)
        train[0].tokens, train[0].y[0]  # a sentence and its sentiment
    """

    num_classes = len(SENTIMENTS)

    def __init__(
        self,
        split: str,
        root: Root = None,
        *,
        vocabulary: Vocabulary | None = None,
        min_count: int = 1,
        lower: bool = False,
        transform: Callable[[Data], Data] | None = None,
        check: bool = True,
    ) -> None:
        """Read the split's file."""
        if split not in _TREES:
            raise expected("split", "'train', 'dev' or 'test'", split)
        trees = _read(split, root, check)
        if vocabulary is None:
            train = trees if split == "train" else _read("train", root, check)
            words = (word for tree in train for word in tree.tokens)
            vocabulary = Vocabulary.build(words, min_count=min_count, lower=lower)
        elif min_count != 1 or lower:
            raise expected("vocabulary", "None where min_count or lower says how to build it", vocabulary)
        self.split = split
        self.vocabulary = vocabulary
        self.transform = transform
        self.trees = trees
        for tree in trees:
            tree.word = encode_words(tree, vocabulary)

    def __len__(self) -> int:
        """Return the number of trees."""
        return len(self.trees)

    def __getitem__(self, index: int) -> Data:
        """Return one tree."""
        tree = self.trees[index]
        return tree if self.transform is None else self.transform(tree)

    def __iter__(self) -> Iterator[Data]:
        """Iterate over the trees."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        """Return the split and its size."""
        return f"SST({self.split!r}, trees={len(self)}, words={len(self.vocabulary)})"


def _read(split: str, root: Root, check: bool) -> list[Data]:
    path = find_or_fetch("sst", [f"{split}.txt"], root, how=_HOW) / f"{split}.txt"
    trees = read_trees(path, labels="01234", one_per_line=True)
    if check and len(trees) != _TREES[split]:
        came = Words(f"{len(trees)} in {path} (check=False for a set of your own)")
        raise expected("root", f"the {_TREES[split]} trees of the published {split} split", came)
    return trees
