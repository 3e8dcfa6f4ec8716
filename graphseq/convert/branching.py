"""Trees over words that need no parser: balanced, and branching to the left or to the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import Words, expected
from ..topology import Topology

__all__ = ["branching"]


def branching(lengths: Tensor | Sequence[int], kind: Literal["balanced", "left", "right"] = "balanced") -> Topology:
    """Return a binary tree over each sentence of n words, as a batch.

    Source: H. Shi et al., "On Tree-Based Neural Sentence Modeling", EMNLP 2018. A sentence has 2n - 1 nodes in
    preorder, as in :func:`graphseq.convert.read_trees`: its first node is the root, and the leaves, in their order,
    are the words.

    Args:
        lengths: int64 [B], the number of words of each sentence; 0 is a graph without nodes.
        kind: ``"balanced"`` divides words in halves, the left one being the larger; ``"left"`` keeps the last word
            apart, ``(((a b) c) d)``; ``"right"`` the first, ``(a (b (c d)))``.

    Raises:
        GraphError: another kind, or a number below 0.

    >>> branching([3], "right").edge_index.tolist(), branching([3], "left").edge_index.tolist()
    ([[1, 2, 3, 4], [0, 0, 2, 2]], [[1, 2, 3, 4], [0, 1, 1, 0]])
    >>> leaves = branching([2, 1]).in_degree == 0
    >>> leaves.tolist()
    [False, True, True, True]
    """
    if kind not in ("balanced", "left", "right"):
        raise expected("kind", '"balanced", "left" or "right"', kind)
    counts = _counts(lengths)
    sizes = np.maximum(2 * counts - 1, 0)
    first = np.cumsum(sizes) - sizes
    parent = np.full(int(sizes.sum()), -1, np.int64)
    node, words = first[counts > 1], counts[counts > 1]
    while len(node):  # one level of all trees
        left = (words + 1) // 2 if kind == "balanced" else words - 1 if kind == "left" else np.ones_like(words)
        children = np.concatenate([node + 1, node + 2 * left])
        parent[children] = np.concatenate([node, node])
        below = np.concatenate([left, words - left])
        node, words = children[below > 1], below[below > 1]
    child = np.flatnonzero(parent >= 0)
    edges = torch.from_numpy(np.stack([child, parent[child]]))
    batch = torch.from_numpy(np.repeat(np.arange(len(counts)), sizes))
    return Topology.from_edge_index(edges, batch=batch, num_graphs=len(counts))


def _counts(lengths: Tensor | Sequence[int]) -> np.ndarray:
    """Return the lengths as int64 [B]."""
    listed = lengths.tolist() if isinstance(lengths, Tensor) and lengths.dim() == 1 else lengths
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not all(type(n) is int for n in listed):
        raise expected("lengths", "int64 of shape [B]", lengths)
    if any(n < 0 for n in listed):
        raise expected("lengths", "numbers ≥ 0", Words(f"{min(listed)}"))
    return np.array(listed, np.int64)
