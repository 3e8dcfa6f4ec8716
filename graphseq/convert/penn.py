"""Trees of the Penn Treebank without what its annotators added to the phrases: traces, function tags, empty roots.

The format: A. Bies et al., "Bracketing Guidelines for Treebank II Style", University of Pennsylvania (1995).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Words, expected
from .preorder import Preorder

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["remove_root", "remove_traces", "strip_function", "strip_functions"]

_ROOTS = ("", "ROOT", "TOP", "S1")


def remove_traces(tree: Data, *, trace: str = "-NONE-") -> Data:
    """Return a tree without its traces, and without the constituents that these leave empty.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels``.
        trace: the label of leaves that are no words of the sentence.

    Returns:
        A new ``Data`` with ``edge_index``, ``labels``, ``tokens``, ``num_nodes``, and ``y`` and ``word`` where the
        tree has them; other fields are not carried over.

    Raises:
        GraphError: it is no such tree, or nothing would be left.

    >>> from graphseq.convert import read_trees, write_trees
    >>> [tree] = read_trees("(S (NP-SBJ (-NONE- *-1)) (VP (VB Go) (NP (-NONE- *T*) (NN home))))")
    >>> print(write_trees([remove_traces(tree)]), end="")
    (S (VP (VB Go) (NP (NN home))))
    """
    nodes = Preorder.of(tree)
    labels = nodes.need_labels()
    kept = [word is not None and label != trace for word, label in zip(nodes.words, labels, strict=True)]
    for node in range(len(kept) - 1, 0, -1):  # each after its descendants
        kept[nodes.parent[node]] |= kept[node]
    if not kept[0]:
        raise expected("tree", f"a leaf whose label is not {trace!r}", Words("none"))
    return nodes.keep(kept).data()


def strip_function(label: str) -> str:
    """Return a label without function tags and indices; one that begins with a hyphen is left as it is.

    >>> [strip_function(label) for label in ("NP-SBJ-1", "NP=2", "PRP$", "ADVP|PRT", "-LRB-", "-NONE-")]
    ['NP', 'NP', 'PRP$', 'ADVP|PRT', '-LRB-', '-NONE-']
    """
    if label.startswith(("-", "=")):
        return label
    return label.partition("-")[0].partition("=")[0]


def strip_functions(tree: Data) -> Data:
    """Return a tree whose labels have no function tags and indices: ``NP`` for ``NP-SBJ-1`` and ``NP=2``.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels``.

    Returns:
        A new ``Data`` with ``edge_index``, ``labels``, ``tokens``, ``num_nodes``, and ``word`` where the tree has it;
        other fields are not carried over, nor is ``y``, which counts the labels of before.

    Raises:
        GraphError: it is no such tree.

    >>> from graphseq.convert import read_trees
    >>> [tree] = read_trees("(S-TPC-1 (NP-SBJ=2 (PRP$ its) (-LRB- -LRB-)))")
    >>> strip_functions(tree).labels
    ['S', 'NP', 'PRP$', '-LRB-']
    """
    nodes = Preorder.of(tree)
    labels = [strip_function(label) for label in nodes.need_labels()]
    fields = {name: values for name, values in nodes.fields.items() if name != "y"} | {"labels": labels}
    return replace(nodes, fields=fields).data()


def remove_root(tree: Data, *, labels: Collection[str] = _ROOTS) -> Data:
    """Return a tree without the roots that only hold it: ``(S …)`` for ``( (S …))`` and ``(ROOT (S …))``.

    A root with several children or with a word is never removed.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels``.
        labels: those of roots to remove.

    Returns:
        A new ``Data``, with the fields that :func:`remove_traces` describes.

    Raises:
        GraphError: it is no such tree.

    >>> from graphseq.convert import read_trees
    >>> remove_root(read_trees("( (S (NP It) (VP works)))")[0]).labels
    ['S', 'NP', 'VP']
    """
    if isinstance(labels, str):
        raise expected("labels", "a collection of labels", labels)
    nodes = Preorder.of(tree)
    names = nodes.need_labels()
    top = 0
    while names[top] in labels and nodes.words[top] is None and nodes.parent.count(top) == 1:
        top += 1
    return nodes.keep([node >= top for node in range(len(names))]).data()
