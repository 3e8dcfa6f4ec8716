"""NLTK's trees and dependency graphs, both ways. NLTK is imported when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import Words, expected
from .brackets import node_labels
from .dependencies import column, dependencies, fault, heads_of
from .nested import flatten, nest
from .preorder import Preorder

if TYPE_CHECKING:
    from nltk.parse import DependencyGraph
    from nltk.tree import Tree
    from torch_geometric.data import Data

__all__ = ["from_dependency_graph", "from_nltk", "to_dependency_graph", "to_nltk"]

_COLUMNS = {"tokens": "word", "lemmas": "lemma", "upos": "ctag", "xpos": "tag", "feats": "feats", "relations": "rel"}


def from_nltk(tree: Tree) -> Data:
    """Return an ``nltk.Tree``, a ``ParentedTree`` or another of its subclasses as ``read_trees`` would read it.

    Args:
        tree: each leaf is a string, the only child of its parent.

    Returns:
        ``Data`` with ``edge_index`` int64 [2, N-1], child → parent; ``labels``, a list of N strings; ``tokens``, the
        list of the words; ``num_nodes``.

    Raises:
        GraphError: it is no such tree.

    >>> from nltk.tree import Tree
    >>> tree = from_nltk(Tree("S", [Tree("NP", ["It"]), Tree("VP", ["works"])]))
    >>> tree.labels, tree.tokens, tree.edge_index.tolist()
    (['S', 'NP', 'VP'], ['It', 'works'], [[1, 2], [0, 0]])
    """
    from nltk.tree import Tree

    if not isinstance(tree, Tree):
        raise expected("tree", "an nltk.Tree", tree)

    def split(item: Any) -> tuple[Any, list[Any]] | str:
        if isinstance(item, str):
            return item
        if not isinstance(item, Tree):
            raise expected("tree", "leaves that are strings", item)
        return item.label(), list(item)

    return flatten(tree, split, "tree")


def to_nltk(tree: Data, *, kind: type[Any] | None = None, labels: Sequence[str] | None = None) -> Any:
    """Return a tree as an ``nltk.Tree``: the inverse of :func:`from_nltk`.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it.
        kind: ``nltk.Tree``, the default, or a subclass such as ``nltk.ParentedTree``.
        labels: the labels that ``y`` counts; without it the tree has ``labels``.

    Raises:
        GraphError: it is no such tree.

    >>> from graphseq.convert import read_trees
    >>> print(to_nltk(read_trees("(S (NP It) (VP works))")[0]))
    (S (NP It) (VP works))
    """
    from nltk.tree import Tree

    if kind is not None and not (isinstance(kind, type) and issubclass(kind, Tree)):
        raise expected("kind", "nltk.Tree or a subclass of it", kind)
    nodes = Preorder.of(tree)
    return nest(nodes, node_labels(nodes, "tree", labels), kind or Tree)


def from_dependency_graph(graph: DependencyGraph, *, single_root: bool = True) -> Data:
    """Return NLTK's ``DependencyGraph`` as :func:`graphseq.convert.read_conllu` would read it.

    Args:
        graph: its nodes count from 1; node 0 is above the root.
        single_root: whether there must be one root.

    Returns:
        ``Data`` with ``edge_index`` int64 [2, N-1], dependent → head; ``num_nodes``; lists of N strings, ``"_"`` where
        there is nothing: ``tokens``, ``lemmas``, ``upos``, ``xpos``, ``feats``, ``relations``.

    Raises:
        GraphError: a word without a head, a head that there is not, a cycle, several roots.

    >>> from nltk.parse import DependencyGraph
    >>> tree = from_dependency_graph(DependencyGraph("It PRP 2 nsubj\\nworks VBZ 0 ROOT"))
    >>> tree.tokens, tree.edge_index.tolist(), tree.relations
    (['It', 'works'], [[0], [1]], ['nsubj', 'ROOT'])
    """
    from nltk.parse import DependencyGraph

    if not isinstance(graph, DependencyGraph):
        raise expected("graph", "an nltk.DependencyGraph", graph)
    known = sorted(address for address, node in graph.nodes.items() if address and node["address"] is not None)
    if known != list(range(1, len(known) + 1)):
        raise expected("graph", f"nodes from 1 to {len(known)}", Words(f"{known[:9]}"))
    rows = [graph.nodes[address] for address in known]
    heads = [row["head"] for row in rows]
    for number, head in enumerate(heads, start=1):
        if type(head) is not int:
            raise expected("graph", f"a number as the head of word {number}", head)
    if wrong := fault(heads, single_root=single_root):
        raise expected("graph", "a dependency tree", Words(wrong[1]))
    fields = {name: [str(row[column] or "_") for row in rows] for name, column in _COLUMNS.items()}
    return dependencies(heads, fields)


def to_dependency_graph(tree: Data) -> DependencyGraph:
    """Return a dependency tree as NLTK's ``DependencyGraph``.

    Args:
        tree: as :func:`graphseq.convert.read_conllu` returns it, or :func:`from_dependency_graph`.

    Raises:
        GraphError: it is no such tree.

    >>> from graphseq.convert import read_conllu
    >>> [tree] = read_conllu("1\\tGo\\tgo\\tVERB\\tVB\\t_\\t0\\troot\\t_\\t_\\n")
    >>> to_dependency_graph(tree).root["word"]
    'Go'
    """
    from nltk.parse import DependencyGraph

    heads = heads_of(tree, "tree")
    graph = DependencyGraph()
    columns = {theirs: column(tree, ours, len(heads), "tree") for ours, theirs in _COLUMNS.items()}
    for number, head in enumerate(heads, start=1):
        cells = {name: values[number - 1] for name, values in columns.items()}
        graph.nodes[number].update({"address": number, "head": head, **cells})
        graph.nodes[head]["deps"][cells["rel"]].append(number)
    if 0 in heads:
        graph.root = graph.nodes[heads.index(0) + 1]
    return graph
