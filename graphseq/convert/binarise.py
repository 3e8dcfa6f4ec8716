"""Trees of at most two children a node, and trees without chains of only children; both are undone exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ..errors import Words, expected
from .heads import COLLINS_HEADS, HeadRule, find_heads
from .preorder import Preorder

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["binarise", "collapse_unary", "restore_unary", "unbinarise"]

_NONE = {"y": -1, "word": -1, "intermediate": True}  # fields of an intermediate node


def binarise(
    tree: Data,
    *,
    side: Literal["left", "right", "head"] = "right",
    rules: Mapping[str, Sequence[HeadRule]] = COLLINS_HEADS,
    mark: str = "@",
) -> Data:
    """Return a tree in which no node has more than two children; :func:`unbinarise` undoes it.

    Source: D. Klein and C. D. Manning, "Accurate Unlexicalized Parsing", ACL 2003. An intermediate node holds all
    children but one: for ``"right"`` all but the first, for ``"left"`` all but the last, and so on below. For
    ``"head"`` the head child and the siblings to its right are combined first, from the nearest to the farthest, then
    those to its left.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels`` or ``y``; ``"head"`` needs ``labels``.
        side: where the intermediate nodes are.
        rules: of heads, see :func:`graphseq.convert.head_children`; for ``"head"`` only.
        mark: how an intermediate node's label begins, before the label of the node that was divided.

    Returns:
        A new ``Data`` with ``edge_index``, ``tokens``, ``num_nodes``, and ``labels``, ``y`` and ``word`` where the tree
        has them, -1 at an intermediate node; ``intermediate``, bool [N]. Other fields are not carried over.

    Raises:
        GraphError: it is no such tree, is binarised already, or has a label that begins with `mark`.

    >>> from graphseq.convert import read_trees, write_trees
    >>> [tree] = read_trees("(NP (DT a) (JJ big) (NN cat))")
    >>> print(write_trees([binarise(tree), binarise(tree, side="left")]), end="")
    (NP (DT a) (@NP (JJ big) (NN cat)))
    (NP (@NP (DT a) (JJ big)) (NN cat))
    """
    if side not in ("left", "right", "head"):
        raise expected("side", '"left", "right" or "head"', side)
    nodes = Preorder.of(tree)
    labels: list[str] | None = nodes.fields.get("labels")
    _check_mark("mark", mark)
    for label in labels or ():
        if label.startswith(mark):
            raise expected("tree", f"no label that begins with {mark!r} (see `mark`)", label)
    if any(nodes.fields.get("intermediate", ())):
        raise expected("tree", "a tree that is not binarised", Words("one with intermediate nodes"))
    children = nodes.children()
    if side == "head":
        heads = find_heads(nodes.need_labels(), children, rules)
    else:
        heads = [below[0 if side == "left" else -1] if below else -1 for below in children]
    parent, sources = _divide(children, heads)

    found = {name: [values[v] if v >= 0 else _NONE[name] for v in sources] for name, values in nodes.fields.items()
             if name not in ("labels", "intermediate")}  # fmt: skip
    if labels is not None:
        found["labels"] = [labels[v] if v >= 0 else mark + labels[~v] for v in sources]
    found["intermediate"] = [v < 0 for v in sources]
    return Preorder(parent, [nodes.words[v] if v >= 0 else None for v in sources], found).data()


def _divide(children: list[list[int]], heads: list[int]) -> tuple[list[int], list[int]]:
    """Return, for the nodes of the binary tree, the parent, and the node it was: ~v at an intermediate node of v."""
    parent: list[int] = []
    sources: list[int] = []
    at = [below.index(head) if below else 0 for below, head in zip(children, heads, strict=True)]
    stack = [(0, 0, 0, -1)]  # a node, first and end of a group of its children (0, 0 for itself), the parent
    while stack:
        node, first, end, above = stack.pop()
        here = len(parent)
        parent.append(above)
        sources.append(~node if end else node)
        below = children[node]
        end = end or len(below)
        if end - first > 2:
            left = first < at[node]  # the child that leaves the group is its first, or else its last
            groups = [(first, first + 1), (first + 1, end)] if left else [(first, end - 1), (end - 1, end)]
        else:
            groups = [(child, child + 1) for child in range(first, end)]
        for low, high in reversed(groups):
            stack.append((below[low], 0, 0, here) if high - low == 1 else (node, low, high, here))
    return parent, sources


def unbinarise(tree: Data, *, mark: str = "@") -> Data:
    """Return the tree that :func:`binarise` was given: the children of intermediate nodes go to their parents.

    Args:
        tree: with ``intermediate``, bool [N]; without it, as when it was read from a text, the intermediate nodes are
            those whose label begins with `mark`.
        mark: how an intermediate node's label begins.

    Returns:
        A new ``Data`` with ``edge_index``, ``tokens``, ``num_nodes``, and ``labels``, ``y`` and ``word`` where the tree
        has them; other fields are not carried over.

    Raises:
        GraphError: it is no such tree, or its root or a leaf is intermediate.

    >>> from graphseq.convert import read_trees
    >>> [tree] = read_trees("(NP (DT a) (@NP (JJ big) (NN cat)))")
    >>> unbinarise(tree).labels
    ['NP', 'DT', 'JJ', 'NN']
    """
    nodes = Preorder.of(tree)
    _check_mark("mark", mark)
    marked = nodes.fields.pop("intermediate", None)
    if marked is None:
        marked = [label.startswith(mark) for label in nodes.need_labels()]
    if marked[0] or any(word is not None and is_marked for word, is_marked in zip(nodes.words, marked, strict=True)):
        raise expected("tree", "a root and leaves that are not intermediate", Words("one that is"))
    return nodes.keep([not is_marked for is_marked in marked]).data()


def collapse_unary(tree: Data, *, leaves: bool = True, join: str = "+") -> Data:
    """Return a tree in which no node has an only child: chains become single nodes; :func:`restore_unary` undoes it.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels``.
        leaves: whether leaves take part in chains; otherwise, as tags of words, they stay apart, so that nodes have an
            only child where this is a leaf.
        join: what stands between the labels of a chain, from its highest node to its lowest.

    Returns:
        A new ``Data`` with ``edge_index``, ``labels``, ``tokens``, ``num_nodes``, and ``word`` where the tree has it;
        other fields are not carried over, nor is ``y``, which counts the labels of before.

    Raises:
        GraphError: it is no such tree, or `join` occurs in a label.

    >>> from graphseq.convert import read_trees, write_trees
    >>> [tree] = read_trees("(S (VP (VB Go) (NP (NN home))))")
    >>> print(write_trees([collapse_unary(tree), collapse_unary(tree, leaves=False)]), end="")
    (S+VP (VB Go) (NP+NN home))
    (S+VP (VB Go) (NP (NN home)))
    """
    nodes = Preorder.of(tree)
    labels = nodes.need_labels()
    _check_mark("join", join)
    for label in labels:
        if join in label:
            raise expected("tree", f"no label with {join!r} (see `join`)", label)
    nodes.fields.pop("y", None)
    kept = [True] * len(labels)
    for below in nodes.children():
        if len(below) == 1 and (leaves or nodes.words[below[0]] is None):
            kept[below[0]] = False
    highest = list(range(len(labels)))  # the first node of the chain of each
    chains = [[label] for label in labels]
    for node, above in enumerate(nodes.parent):
        if not kept[node]:
            top = highest[node] = highest[above]
            chains[top].append(labels[node])
            for values in (nodes.words, nodes.fields.get("word", [])):
                values[top : top + 1] = values[node : node + 1]
    nodes.fields["labels"] = [join.join(chain) for chain in chains]
    return nodes.keep(kept).data()


def restore_unary(tree: Data, *, join: str = "+") -> Data:
    """Return the tree that :func:`collapse_unary` was given: nodes become chains, with one node for each label.

    Args:
        tree: with ``labels``, as :func:`collapse_unary` returns it; what was binarised since is undone first.
        join: what stands between the labels of a chain.

    Returns:
        A new ``Data``, with the fields that :func:`collapse_unary` describes.

    Raises:
        GraphError: it is no such tree, or it has intermediate nodes.

    >>> from graphseq.convert import read_trees
    >>> restore_unary(read_trees("(S+VP (VB Go) (NP+NN home))")[0]).labels
    ['S', 'VP', 'VB', 'NP', 'NN']
    """
    nodes = Preorder.of(tree)
    _check_mark("join", join)
    if any(nodes.fields.pop("intermediate", ())):
        raise expected("tree", "a tree without intermediate nodes", Words("a binarised one"))
    found = Preorder([], [], {name: [] for name in nodes.fields if name != "y"})
    lowest: list[int] = []  # the new number of the lowest node of each chain
    for node, label in enumerate(nodes.need_labels()):
        above = lowest[nodes.parent[node]] if node else -1
        chain = label.split(join)
        for place, name in enumerate(chain):
            last = place == len(chain) - 1
            found.parent.append(above)
            above = len(found.parent) - 1
            found.words.append(nodes.words[node] if last else None)
            for field, values in found.fields.items():
                own = name if field == "labels" else nodes.fields[field][node]
                values.append(-1 if field == "word" and not last else own)
        lowest.append(above)
    return found.data()


def _check_mark(argument: str, mark: str) -> None:
    if not isinstance(mark, str) or not mark:
        raise expected(argument, "a string of at least one character", mark)
