"""User-provided trees: bracketed, nested objects, or lists of parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...convert import Vocabulary, read_trees
from ...errors import GraphError, Words, expected
from .examples import LABELS, Columns, Examples, labels_and_parts, name_of
from .records import TABLES, Record, read_records, read_text

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["Tree", "read_forest", "trees_of"]

_WORDS = ("word", "words", "token", "tokens", "text", "symbol", "value")
_NOTHING = ("_", "")  # labels that mean no label


@dataclass(frozen=True)
class Tree:
    """A tree whose nodes may have a word and a label.

    Args:
        parent: of each node, -1 at the root.
        words: of each node, or None.
        labels: of each node, or None.
    """

    parent: list[int]
    words: list[str | None]
    labels: list[str | None]

    @property
    def root(self) -> int:
        """The node without a parent."""
        return self.parent.index(-1)

    def phrases(self) -> list[str]:
        """Return the words at and below each node, from left to right."""
        children, order = self._downwards()
        found: list[list[str]] = [[word] if word else [] for word in self.words]
        for node in reversed(order):
            for child in children[node]:
                found[node] = found[node] + found[child]
        return [" ".join(words) for words in found]

    def depths(self) -> list[int]:
        """Return how many nodes are above each."""
        depth = [0] * len(self.parent)
        for node in self._downwards()[1][1:]:
            depth[node] = depth[self.parent[node]] + 1
        return depth

    def _downwards(self) -> tuple[list[list[int]], list[int]]:
        """Return the children of each node, and all nodes, each after its parent."""
        children: list[list[int]] = [[] for _ in self.parent]
        for node, parent in enumerate(self.parent):
            if parent >= 0:
                children[parent].append(node)
        order = [self.root]
        for node in order:
            order += children[node]
        return children, order

    def data(self, vocabulary: Vocabulary, classes: Sequence[str]) -> Data:
        """Return it as PyG ``Data`` with ``word`` and ``y``, -1 where a node has none or one that is no class."""
        from torch_geometric.data import Data

        index = {name: i for i, name in enumerate(classes)}
        parent = torch.tensor(self.parent)
        child = (parent >= 0).nonzero()[:, 0]
        word = [-1 if word is None else vocabulary[word] for word in self.words]
        y = [-1 if label is None else index.get(label, -1) for label in self.labels]
        edges = torch.stack([child, parent[child]])
        return Data(edge_index=edges, word=torch.tensor(word), y=torch.tensor(y), num_nodes=len(parent))

    @property
    def arity(self) -> int:
        """The most children of a node."""
        inner = [parent for parent in self.parent if parent >= 0]
        return int(torch.bincount(torch.tensor(inner)).max()) if inner else 0


def read_forest(path: Path, columns: Columns, argument: str = "data", *, outer: bool | None = None) -> Examples:
    """Read trees.

    A ``.jsonl`` or ``.json`` file has bracketed trees as strings; or nested objects ``{"label", "word", "children"}``;
    or objects with ``"tree"``, one of these two, or with ``"parent"`` and ``"words"``, lists over the nodes; these may
    have a ``"label"`` of the whole tree. A table has bracketed trees in the column ``tree``. Any other file is read as
    bracketed trees. If whole trees have labels, the text at a node is its word, not a label.

    Args:
        path: the file.
        columns: their meaning.
        argument: its name in messages.
        outer: whether whole trees have labels; None to infer it.

    Raises:
        GraphError: the file cannot be read, or a tree is invalid.
    """
    if path.suffix.lower() not in (*TABLES, ".json", ".jsonl", ".ndjson"):
        return trees_of(_bracketed(read_text(path, argument), path.name), columns, outer)
    records = read_records(path, argument)
    return trees_of([(record, tree_of(record, columns.input)) for record in records], columns, outer)


def trees_of(found: Sequence[tuple[Record, Tree]], columns: Columns, outer: bool | None) -> Examples:
    """Return trees as examples."""
    records = [record for record, _ in found]
    around = [Record(record.place, _around(record, columns.input)) for record in records]
    named = bool(columns.label) and columns.labelled
    labels, parts = labels_and_parts(around, Columns(label=columns.label, split=columns.split, labelled=named))
    if outer is None:
        outer = any(label is not None for label in labels)
    trees = []
    for (_, tree), label in zip(found, labels, strict=True):
        if outer:
            words = [word or own for word, own in zip(tree.words, tree.labels, strict=True)]
            tree = Tree(tree.parent, words, [label if node == tree.root else None for node in range(len(words))])
        trees.append(tree)
    roots = [tree.labels[tree.root] for tree in trees]
    names = [tree.phrases()[tree.root] or record.place for record, tree in zip(records, trees, strict=True)]
    about = ["labels of whole trees" if outer else "labels of nodes"]
    return Examples(trees, roots, parts, [r.place for r in records], names, about)


def _around(record: Record, column: str) -> dict[str, Any]:
    """Return the label of a whole tree; the label of a record that is itself a node is not one."""
    wraps = {column, "tree", "parent", "parents"} & set(record.fields) - {""}
    plain = {name: value for name, value in record.fields.items() if not isinstance(value, list | dict)}
    return plain if wraps else {name: value for name, value in plain.items() if name not in LABELS}


def tree_of(record: Record, column: str = "") -> Tree:
    """Return the tree of a record.

    Raises:
        GraphError: it has none.
    """
    fields, place = record.fields, record.place
    parents = fields.get("parent", fields.get("parents"))
    value = fields.get(column or "tree", fields.get(""))
    if column and column not in fields:
        raise expected("tree_column", "the name of a column", Words(f"{column!r}, which {place} lacks"))
    if parents is not None and value is None:
        return _of_parents(parents, fields, place)
    if isinstance(value, str):
        found = _bracketed(value, place)
        if len(found) != 1:
            raise GraphError(f"{place}: expected one tree, got {len(found)}")
        return found[0][1]
    if isinstance(value, Mapping):
        return _nested(value, place)
    if value is None and ("children" in fields or any(name in fields for name in _WORDS)):
        return _nested(fields, place)
    what = 'a tree: "(label (label word) …)", {"label", "word", "children"} or {"parent", "words"}'
    raise GraphError(f"{place}: expected {what}, got {str(dict(fields))[:80]}")


def _bracketed(text: str, place: str) -> list[tuple[Record, Tree]]:
    try:
        found = read_trees(text)
    except GraphError as error:
        raise GraphError(f"{place}{str(error).removeprefix('text')}") from None
    if not found:
        raise GraphError(f"{place}: expected a tree such as (label (label word) (label word)), got none")
    trees = []
    for number, data in enumerate(found, start=1):
        parent = [-1, *data.edge_index[1].tolist()]
        inner, tokens = set(parent), iter(data.tokens)
        words = [None if node in inner else next(tokens) for node in range(len(parent))]
        labels = [None if label in _NOTHING else label for label in data.labels]
        trees.append((Record(f"{place}, tree {number}" if len(found) > 1 else place, {}), Tree(parent, words, labels)))
    return trees


def _nested(value: Mapping[str, Any], place: str) -> Tree:
    """Return a tree of nested objects, its nodes numbered as they are written."""
    parent: list[int] = []
    words: list[str | None] = []
    labels: list[str | None] = []
    stack: list[tuple[Any, int]] = [(value, -1)]
    while stack:
        item, above = stack.pop()
        if isinstance(item, str):  # a leaf that is only a word
            item = {"word": item}
        if not isinstance(item, Mapping):
            raise GraphError(f"{place}: expected a node as an object or a word, got {str(item)[:60]}")
        children = item.get("children") or []
        if not isinstance(children, list):
            raise GraphError(f"{place}: expected children as a list, got {str(children)[:60]}")
        parent.append(above)
        words.append(_word(next((item[name] for name in _WORDS if name in item), None), place))
        labels.append(_label(next((item[name] for name in LABELS if name in item), None), place))
        stack += [(child, len(parent) - 1) for child in reversed(children)]
    return Tree(parent, words, labels)


def _of_parents(parents: Any, fields: Mapping[str, Any], place: str) -> Tree:
    if isinstance(parents, str):
        parents = [int(word) if word.lstrip("-").isdecimal() else word for word in parents.replace(",", " ").split()]
    if (
        not isinstance(parents, list)
        or not parents
        or not all(type(p) is int and -1 <= p < len(parents) for p in parents)
    ):
        raise GraphError(f"{place}: expected parent as each node's parent, -1 for the root, got {str(parents)[:60]}")
    if parents.count(-1) != 1:
        raise GraphError(f"{place}: expected one root, with -1 in parent, got {parents.count(-1)}")
    seen = {parents.index(-1)}
    for node in range(len(parents)):
        path = []
        while node not in seen:
            if node in path:
                raise GraphError(f"{place}: expected a tree, got a cycle in parent, at node {node}")
            path.append(node)
            node = parents[node]
        seen.update(path)
    lists: list[list[Any]] = []
    for name, usual in (("words", _WORDS), ("labels", ("labels", "node_labels"))):
        values = next((fields[key] for key in usual if isinstance(fields.get(key), list)), [None] * len(parents))
        if len(values) != len(parents):
            raise GraphError(f"{place}: expected {len(parents)} {name}, one a node, got {len(values)}")
        lists.append(values)
    return Tree(parents, [_word(word, place) for word in lists[0]], [_label(label, place) for label in lists[1]])


def _word(word: Any, place: str) -> str | None:
    if isinstance(word, list | dict):
        raise GraphError(f"{place}: expected a word, got {str(word)[:60]}")
    return None if word is None or word == "" else str(word)


def _label(label: Any, place: str) -> str | None:
    found = name_of(label, place)
    return None if found in _NOTHING else found
