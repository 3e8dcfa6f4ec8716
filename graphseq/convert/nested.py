"""Trees of nested objects as PyG ``Data``, and back; nothing recurses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import Words, describe, expected
from .preorder import Preorder

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["flatten", "nest"]

T = TypeVar("T")


def flatten(root: Any, split: Callable[[Any], tuple[Any, Iterable[Any]] | str], argument: str) -> Data:
    """Return the tree below `root`, as :func:`graphseq.convert.read_trees` would, with ``labels``.

    Args:
        root: an object.
        split: returns an object's label and children; or, of a word, its text.
        argument: the tree's name in messages.

    Raises:
        GraphError: a node without a word or a child, a word beside a node, a label that is not a string, a cycle.
    """
    nodes = Preorder([], [], {"labels": []})
    labels = nodes.fields["labels"]
    stack = [(root, -1, 0)]
    path: list[int] = []  # of the objects above, and whether one is among them
    on_path: set[int] = set()
    while stack:
        item, above, depth = stack.pop()
        while len(path) > depth:
            on_path.remove(path.pop())
        if id(item) in on_path:
            raise expected(argument, "a tree", Words("a node that is below itself"))
        path.append(id(item))
        on_path.add(id(item))
        found = split(item)
        if isinstance(found, str):
            raise expected(argument, "a word alone below its label", Words(f"{describe(found)} beside other children"))
        label, below = found[0], list(found[1])
        if not isinstance(label, str):
            raise expected(argument, "labels that are strings", label)
        if not below:
            raise expected(argument, "a word or a child below each label", Words(f"none below {describe(label)}"))
        word = split(below[0]) if len(below) == 1 else ""
        is_leaf = len(below) == 1 and isinstance(word, str)
        nodes.parent.append(above)
        labels.append(label)
        nodes.words.append(word if is_leaf and isinstance(word, str) else None)
        if not is_leaf:
            stack += [(child, len(labels) - 1, depth + 1) for child in reversed(below)]
    return nodes.data()


def nest(nodes: Preorder, labels: list[str], make: Callable[[str, list[Any]], T]) -> T:
    """Return the root of nested objects, which `make` builds of a label and the list of the children or the word."""
    made: list[T] = []  # a stack of the roots that no node holds yet, the leftmost on top
    children = nodes.children()
    for node in range(len(labels) - 1, -1, -1):  # each after its descendants
        word = nodes.words[node]
        made.append(make(labels[node], [made.pop() for _ in children[node]] if word is None else [word]))
    return made.pop()
