"""Dependency trees as PyG ``Data``: nodes are words in their order, edges run from each to its head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import Words, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["column", "dependencies", "fault", "heads_of"]


def dependencies(heads: Sequence[int], fields: dict[str, list[str]]) -> Data:
    """Return a sentence of N words.

    Args:
        heads: of each word, counted from 1; 0 at a root.
        fields: lists of N strings, by their names in the ``Data``.
    """
    from torch_geometric.data import Data

    head = np.array(heads, np.int64)
    dependent = np.flatnonzero(head)
    edges = torch.from_numpy(np.stack([dependent, head[dependent] - 1]))
    return Data.from_dict({"edge_index": edges, "num_nodes": len(head), **fields})


def fault(heads: Sequence[int], *, single_root: bool) -> tuple[int, str] | None:
    """Return the number of a word whose head cannot be, counted from 1, and what is wrong with it; or None."""
    roots = [number for number, head in enumerate(heads, start=1) if head == 0]
    for number, head in enumerate(heads, start=1):
        if not 0 <= head <= len(heads):
            return number, f"the head {head} is not a number from 0 to {len(heads)}"
    seen = [0] * (len(heads) + 1)  # the word from which each was reached
    for start in range(1, len(heads) + 1):
        path, word = [], start
        while word and not seen[word]:
            seen[word] = start
            path.append(word)
            word = heads[word - 1]
        if word and seen[word] == start:
            cycle = [*path[path.index(word) :], word]
            shown = cycle if len(cycle) < 10 else [*cycle[:8], "…", word]
            return word, f"the cycle {' → '.join(map(str, shown))}"
    if single_root and len(roots) > 1:
        return roots[1], f"a second root, beside word {roots[0]}"
    return None


def heads_of(tree: Data, argument: str) -> list[int]:
    """Return the head of each word, counted from 1; 0 at a root.

    Raises:
        GraphError: it is not a dependency tree: a node with two heads, a cycle.
    """
    edges, count = getattr(tree, "edge_index", None), getattr(tree, "num_nodes", None)
    if not isinstance(edges, Tensor) or edges.dim() != 2 or len(edges) != 2 or count is None:
        raise expected(argument, "a dependency tree as PyG Data", tree)
    heads = [0] * count
    for dependent, head in edges.t().tolist():
        if not (0 <= dependent < count and 0 <= head < count):
            raise expected(argument, f"nodes from 0 to {count - 1}", Words(f"the edge {dependent} → {head}"))
        if heads[dependent]:
            raise expected(argument, "at most one head for each node", Words(f"two for node {dependent}"))
        heads[dependent] = head + 1
    if wrong := fault(heads, single_root=False):
        raise expected(argument, "a dependency tree", Words(wrong[1]))
    return heads


def column(tree: Data, name: str, count: int, argument: str) -> list[str]:
    """Return a field with a string for each word; ``"_"`` for each where the tree lacks it, unless it is ``tokens``.

    Raises:
        GraphError: it is not such a list.
    """
    values: object = getattr(tree, name, None)
    if values is None and name != "tokens":
        return ["_"] * count
    if not isinstance(values, list) or len(values) != count or not all(isinstance(value, str) for value in values):
        raise expected(argument, f"`{name}`, a list of {count} strings, one a word", values)
    return values
