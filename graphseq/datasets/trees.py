"""Many trees in a few flat arrays, and the data sets of sentences that take their trees out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.data
from torch import Tensor

from ..convert import leaf_spans
from .cache import Stored

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["SentenceSet", "Sentences", "flatten", "texts_to_ids"]


def flatten(trees: Sequence[Data], columns: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the sizes of B trees whose edge k runs from node k + 1 to its parent, int64 [B], and tensors with one row
    for each of their N nodes: ``parent``, counted from the tree's root, -1 at the root; and `columns`, their fields.
    """
    none, root = torch.empty(0, dtype=torch.int64), torch.full((1,), -1)
    parent = torch.cat([none, *(part for tree in trees for part in (root, tree.edge_index[1]))])
    nodes = {name: torch.cat([none, *(tree[name] for tree in trees)]) for name in columns}
    return torch.tensor([tree.num_nodes for tree in trees], dtype=torch.int64), {"parent": parent, **nodes}


def texts_to_ids(texts: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Return an index for each text, int64, into the list of different texts, in the order of first use."""
    table: dict[str, int] = {}
    ids = [table.setdefault(text, len(table)) for text in texts]
    return torch.from_numpy(np.array(ids, np.int64)), list(table)


def _starts(sizes: Tensor) -> Tensor:
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])


@dataclass(frozen=True)
class Sentences:
    """B trees of N nodes in preorder, whose leaves are words."""

    sizes: Tensor  # nodes of each tree, int64 [B]
    nodes: dict[str, Tensor]  # one row per node: ``parent``, as `flatten` has it, ``span``, ``y``, …
    words: Tensor  # each leaf's index into `table`, int64
    table: list[str]  # the different words

    @classmethod
    def of(cls, trees: Sequence[Data]) -> Sentences:
        """Return trees as :func:`graphseq.convert.read_trees` makes them, with ``y``."""
        for tree in trees:
            tree.span = leaf_spans(tree)
        return cls(*flatten(trees, ("y", "span")), *texts_to_ids([token for tree in trees for token in tree.tokens]))

    def store(self, **meta: Any) -> Stored:
        """Return what the cache keeps: 32-bit integers, half as long to read."""
        arrays = {"sizes": self.sizes, "words": self.words, **self.nodes}
        return Stored({name: array.int() for name, array in arrays.items()}, {"table": self.table, **meta})

    @classmethod
    def load(cls, stored: Stored) -> Sentences:
        """Return what the cache kept."""
        nodes = {name: array.long() for name, array in stored.arrays.items()}
        return cls(nodes.pop("sizes"), nodes, nodes.pop("words"), stored.meta["table"])

    @property
    def starts(self) -> Tensor:
        """The first node of each tree, and N; int64 [B+1]."""
        return _starts(self.sizes)

    @property
    def first_words(self) -> Tensor:
        """The first word of each sentence, and the number of words; int64 [B+1]."""
        return _starts(self.nodes["span"][self.starts[:-1], 1])

    def is_leaf(self) -> Tensor:
        """Return whether each node has no children, bool [N]."""
        parent = self.nodes["parent"]
        leaf = torch.ones(len(parent), dtype=torch.bool)
        leaf[(parent + self.starts[:-1].repeat_interleave(self.sizes))[parent >= 0]] = False
        return leaf

    def select(self, keep: Tensor) -> Sentences:
        """Return the trees that a bool [B] keeps."""
        nodes = keep.repeat_interleave(self.sizes)
        words = self.words[keep.repeat_interleave(self.first_words.diff())]
        return Sentences(self.sizes[keep], {name: rows[nodes] for name, rows in self.nodes.items()}, words, self.table)


class SentenceSet(torch.utils.data.Dataset["Data"]):
    """Trees as PyG ``Data``, each made when it is first taken out; `trees` is the plain list.

    Args:
        sentences: the trees; each gets its rows of their tensors, and its words as ``tokens``.
        transform: applied to a tree each time it is taken out.
    """

    def __init__(self, sentences: Sentences, *, transform: Callable[[Data], Data] | None = None) -> None:
        """Keep the arrays."""
        self.transform = transform
        self._sentences = sentences
        self._starts: list[int] = sentences.starts.tolist()
        self._first_words: list[int] = sentences.first_words.tolist()
        self._made: list[Data | None] = [None] * len(sentences.sizes)
        parent = sentences.nodes["parent"]
        here = torch.arange(len(parent)) - sentences.starts[:-1].repeat_interleave(sentences.sizes)
        self._edges = torch.stack([here, parent])  # each tree's edges follow its root

    def __len__(self) -> int:
        """Return the number of trees."""
        return len(self._made)

    def __getitem__(self, index: int | slice) -> Any:
        """Return one tree, or the list of those in a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        tree = self._tree(index)
        return tree if self.transform is None else self.transform(tree)

    def __iter__(self) -> Iterator[Data]:
        """Iterate over the trees."""
        return (self[i] for i in range(len(self)))

    @property
    def trees(self) -> list[Data]:
        """All trees, untransformed."""
        return [self._tree(i) for i in range(len(self))]

    def _tree(self, index: int) -> Data:
        """Return a tree, which owns its tensors: it can go to another process without the others."""
        from torch_geometric.data import Data

        if self._made[index] is None:
            index = range(len(self))[index]
            start, end = self._starts[index : index + 2]
            fields: dict[str, Any] = {"edge_index": _copy(self._edges.numpy()[:, start + 1 : end])}
            fields |= {k: _copy(v.numpy()[start:end]) for k, v in self._sentences.nodes.items() if k != "parent"}
            self._made[index] = Data.from_dict({**fields, **self._texts(index), "num_nodes": end - start})
        return self._made[index]

    def _texts(self, index: int) -> dict[str, Any]:
        """Return the fields of a tree that are not tensors."""
        words = self._sentences.words[self._first_words[index] : self._first_words[index + 1]]
        return {"tokens": [self._sentences.table[word] for word in words.tolist()]}


def _copy(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(rows.copy())  # far faster than a slice and a clone in torch
