"""Trees as flat lists over their nodes in preorder: what converters and transformations work on.

A tree's nodes are numbered by the opening brackets of its text, and edge k runs from node k + 1 to its parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import Words, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["FIELDS", "Preorder"]

FIELDS = ("labels", "y", "word", "intermediate")  # those with an entry for each node that transformations carry over


@dataclass(frozen=True)
class Preorder:
    """A tree of N nodes.

    Args:
        parent: of each node, -1 at the root, node 0.
        words: of each leaf, None at an inner node.
        fields: those of :data:`FIELDS` that the tree has, lists of length N.
    """

    parent: list[int]
    words: list[str | None]
    fields: dict[str, list[Any]]

    @classmethod
    def of(cls, tree: Data, argument: str = "tree") -> Preorder:
        """Return the lists of a tree, which shares nothing with them.

        Raises:
            GraphError: it is not a tree as :func:`graphseq.convert.read_trees` makes it.
        """
        edges, count = getattr(tree, "edge_index", None), getattr(tree, "num_nodes", None)
        if not isinstance(edges, Tensor) or not count:
            raise expected(argument, "a tree as PyG Data", tree)
        if edges.dtype != torch.int64 or edges.dim() != 2 or len(edges) != 2:
            raise expected(argument, "edges as int64 of shape [2, E]", edges)
        parent = [-1, *edges[1].tolist()]
        if len(parent) != count or edges[0].tolist() != list(range(1, count)) or not _is_preorder(parent):
            raise expected(argument, "nodes in preorder, edge k from node k + 1 to its parent", edges)
        inner, tokens = set(parent), getattr(tree, "tokens", [])
        leaves = [node for node in range(count) if node not in inner]
        if not _are_texts(tokens, len(leaves)):
            raise expected(argument, f"`tokens`, a list of {len(leaves)} words, one a leaf", tokens)
        words: list[str | None] = [None] * count
        for node, token in zip(leaves, tokens, strict=True):
            words[node] = token
        found = {name: getattr(tree, name, None) for name in FIELDS}
        return cls(parent, words, {k: _column(v, k, count, argument) for k, v in found.items() if v is not None})

    def data(self) -> Data:
        """Return the tree as PyG ``Data``."""
        from torch_geometric.data import Data

        edges = np.array([range(1, len(self.parent)), self.parent[1:]], np.int64)
        tree = Data(edge_index=torch.from_numpy(edges), num_nodes=len(self.parent))
        for name, values in self.fields.items():
            dtype = np.bool_ if name == "intermediate" else np.int64
            tree[name] = list(values) if name == "labels" else torch.from_numpy(np.array(values, dtype))
        tree.tokens = [word for word in self.words if word is not None]
        return tree

    def children(self) -> list[list[int]]:
        """Return the children of each node, from left to right."""
        found: list[list[int]] = [[] for _ in self.parent]
        for node, above in enumerate(self.parent[1:], start=1):
            found[above].append(node)
        return found

    def keep(self, kept: Sequence[bool]) -> Preorder:
        """Return the tree of some nodes, each below its nearest ancestor that is kept; one of them is above all."""
        number: list[int] = []  # of each node in the new tree, or of its nearest ancestor there
        parent: list[int] = []
        for node, above in enumerate(self.parent):
            place = number[above] if above >= 0 else -1
            if kept[node]:
                parent.append(place)
                place = len(parent) - 1
            number.append(place)
        chosen = [node for node in range(len(kept)) if kept[node]]
        fields = {name: [values[node] for node in chosen] for name, values in self.fields.items()}
        return Preorder(parent, [self.words[node] for node in chosen], fields)

    def need_labels(self, argument: str = "tree") -> list[str]:
        """Return the labels.

        Raises:
            GraphError: the tree has none.
        """
        if "labels" not in self.fields:
            raise expected(argument, "a tree with `labels`, a list of strings", Words("one without"))
        return self.fields["labels"]


def _is_preorder(parent: list[int]) -> bool:
    """Return whether each node's parent is the node before it or one of that one's ancestors."""
    path = [0]
    for node in range(1, len(parent)):
        while path and path[-1] != parent[node]:
            path.pop()
        if not path:
            return False
        path.append(node)
    return True


def _are_texts(values: object, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(isinstance(text, str) for text in values)


def _column(values: Any, name: str, count: int, argument: str) -> list[Any]:
    if name == "labels":
        if not _are_texts(values, count):
            raise expected(argument, f"`labels`, a list of {count} strings, one a node", values)
        return list(values)
    dtype = torch.bool if name == "intermediate" else torch.int64
    if not isinstance(values, Tensor) or values.shape != (count,) or values.dtype != dtype:
        kind = str(dtype).removeprefix("torch.")
        raise expected(argument, f"`{name}`, {kind} of shape [{count}], one a node", values)
    found: list[Any] = values.tolist()
    return found
