"""Many trees in a few flat arrays, and the data sets that cut their trees out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
import torch.utils.data
from torch import Tensor

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["Forest", "TreeSet", "texts_to_ids"]


@dataclass(frozen=True)
class Forest:
    """B trees of N nodes in all, each in preorder: a node comes before its descendants.

    Args:
        sizes: the number of nodes of each tree, int64 [B].
        parent: each node's parent, counted from its own tree's root; -1 at the root; int64 [N].
        columns: further tensors with one row a node; each tree gets its rows, as its own.
    """

    sizes: Tensor
    parent: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)

    @property
    def starts(self) -> Tensor:
        """The first node of each tree, and N; int64 [B+1]."""
        return torch.cat([self.sizes.new_zeros(1), self.sizes.cumsum(0)])

    def is_leaf(self) -> Tensor:
        """Say of each node whether it is no one's parent, bool [N]."""
        inner = self.parent + self.starts[:-1].repeat_interleave(self.sizes)
        leaf = torch.ones(len(self.parent), dtype=torch.bool)
        leaf[inner[self.parent >= 0]] = False
        return leaf

    def select(self, keep: Tensor) -> Forest:
        """Return the trees that a bool [B] keeps."""
        nodes = keep.repeat_interleave(self.sizes)
        columns = {name: column[nodes] for name, column in self.columns.items()}
        return Forest(self.sizes[keep], self.parent[nodes], columns)

    def pack(self) -> dict[str, Tensor]:
        """Return the arrays for the cache: as 32-bit integers, half as long to read."""
        arrays = {"sizes": self.sizes, "parent": self.parent, **self.columns}
        return {name: array.int() for name, array in arrays.items()}

    @classmethod
    def unpack(cls, arrays: dict[str, Tensor]) -> Forest:
        """Return the forest that was packed."""
        rest = {name: array.long() for name, array in arrays.items()}
        return cls(rest.pop("sizes"), rest.pop("parent"), rest)

    @classmethod
    def of(cls, trees: Sequence[Data], columns: Sequence[str] = ()) -> Forest:
        """Return the forest of trees whose edge k runs from node k + 1 to its parent."""
        sizes = torch.tensor([tree.num_nodes for tree in trees], dtype=torch.int64)
        none, root = torch.empty(0, dtype=torch.int64), torch.full((1,), -1)
        parent = torch.cat([none, *(part for tree in trees for part in (root, tree.edge_index[1]))])
        return cls(sizes, parent, {name: torch.cat([none, *(tree[name] for tree in trees)]) for name in columns})


def texts_to_ids(texts: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Return an index for each text, int64, and the texts that the indices stand for, in the order of first use."""
    table: dict[str, int] = {}
    ids = [table.setdefault(text, len(table)) for text in texts]
    return torch.from_numpy(np.array(ids, np.int64)), list(table)


class TreeSet(torch.utils.data.Dataset["Data"]):
    """Trees as PyG ``Data``, each made when it is first taken out; its attribute ``trees`` is the plain list.

    Args:
        forest: the trees.
        transform: applied to a tree each time that it is taken out.
    """

    def __init__(self, forest: Forest, *, transform: Callable[[Data], Data] | None = None) -> None:
        """Keep the arrays."""
        self.transform = transform
        self._forest = forest
        self._starts: list[int] = forest.starts.tolist()
        self._made: list[Data | None] = [None] * len(forest.sizes)
        here = torch.arange(len(forest.parent)) - forest.starts[:-1].repeat_interleave(forest.sizes)
        self._edges = torch.stack([here, forest.parent])  # behind each tree's root, its edges

    def __len__(self) -> int:
        """Return the number of trees."""
        return len(self._made)

    @overload
    def __getitem__(self, index: int) -> Data: ...

    @overload
    def __getitem__(self, index: slice) -> list[Data]: ...

    def __getitem__(self, index: int | slice) -> Data | list[Data]:
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
        """Return a tree, which owns its tensors: it can go to another process without its forest."""
        made = self._made[index]
        if made is None:
            from torch_geometric.data import Data

            index = range(len(self))[index]
            start, end = self._starts[index : index + 2]
            fields: dict[str, Any] = {"edge_index": _copy(self._edges.numpy()[:, start + 1 : end])}
            for name, column in self._forest.columns.items():
                fields[name] = _copy(column.numpy()[start:end])
            made = Data.from_dict({**fields, **self._texts(index), "num_nodes": end - start})
            self._made[index] = made
        return made

    def _texts(self, index: int) -> dict[str, Any]:
        """Return the fields of a tree that are no tensors."""
        return {}


def _copy(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(rows.copy())  # far quicker than a slice and a clone in torch
