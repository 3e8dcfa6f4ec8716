"""What a treebank's trees teach a parser, and how its answers are measured against them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..convert import Vocabulary, leaf_spans

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["PUNCTUATION", "GoldTree", "labelled_tree", "matched", "unlabelled_tree"]

PUNCTUATION = frozenset({",", ":", "``", "''", "."})  # the tags that evalb's COLLINS.prm ignores
_SAME = {"PRT": "ADVP"}  # its labels that count as equal
_TOP = "TOP"

Bracket = tuple[int, int, str]


@dataclass(frozen=True)
class GoldTree:
    """A sentence and its tree.

    Args:
        tokens: the words.
        nodes: first word, the one past the last, and label of each span with a label, each span once: labels of a
            unary chain are joined from above by "+"; without labels all nodes, with "".
        null: the spans by which nodes with more than two children may be binarised.
        counted: whether each word counts in the evaluation.
        tags: the words' tags, if they are known.
        tagged: whether the last part of a word's label is its tag, which is no bracket.
        evaluated: whether its brackets count.
    """

    tokens: list[str]
    nodes: list[Bracket]
    null: list[tuple[int, int]]
    counted: list[bool]
    tags: Sequence[str] = ()
    tagged: bool = False
    evaluated: bool = True

    def target(self, labels: Vocabulary | None) -> Tensor:
        """Return what the losses take, int64 `[M, 3]`; a chain that is not among the labels is its own last part, or
        the first label. Where there are labels, a node without one may have any: -1.
        """
        rows = [(i, j, self._index(labels, label)) for i, j, label in self.nodes]
        return torch.tensor(rows + [(i, j, 0) for i, j in self.null], dtype=torch.int64)

    def with_tags(self) -> GoldTree:
        """Return the tree with each word's tag as a label of the word, below those of nodes with this word alone."""
        chains = {i: label for i, j, label in self.nodes if j - i == 1}
        words = [(i, i + 1, f"{chains[i]}+{tag}" if i in chains else tag) for i, tag in enumerate(self.tags)]
        nodes = [node for node in self.nodes if node[1] - node[0] > 1]
        null = [(i, j) for i, j in self.null if j - i > 1]
        return GoldTree(self.tokens, nodes + words, null, self.counted, self.tags, tagged=True)

    def unlabelled(self) -> GoldTree:
        """Return the tree without its labels; nodes with more than two children may be binarised in any way."""
        nodes = [(i, j, "") for i, j, _ in self.nodes]
        return GoldTree(self.tokens, nodes, self.null, [True] * len(self.tokens))

    def _index(self, labels: Vocabulary | None, label: str) -> int:
        if labels is None or not label:
            return 0 if labels is None else -1
        return labels[label] or labels[label.rpartition("+")[2]] or 1

    def brackets(self, nodes: Sequence[Bracket] | None = None) -> Counter[Bracket]:
        """Return the brackets that are counted, of these nodes, by default its own.

        Labelled, by the rules of evalb with COLLINS.prm: words tagged as punctuation are removed, TOP does not count,
        ADVP and PRT are equal. Without labels: nodes of at least two words, but not the whole sentence.
        """
        nodes = self.nodes if nodes is None else nodes
        if not self.evaluated:
            return Counter()
        n = len(self.tokens)
        if not any(label for *_, label in self.nodes):
            return Counter((i, j, "") for i, j, _ in nodes if 1 < j - i < n)
        before = [0]
        for counts in self.counted:
            before.append(before[-1] + counts)
        found: Counter[Bracket] = Counter()
        for i, j, chain in nodes:
            for label in filter(None, chain.split("+")[: -1 if self.tagged and j - i == 1 else None]):
                if label != _TOP and before[i] < before[j]:
                    found[before[i], before[j], _SAME.get(label, label)] += 1
        return found


def matched(gold: Counter[Bracket], found: Counter[Bracket]) -> tuple[int, int, int]:
    """Return how many brackets are right, found, and in the treebank.

    >>> matched(Counter({(0, 2, "NP"): 1, (0, 3, "S"): 1}), Counter({(0, 2, "NP"): 2}))
    (1, 2, 2)
    """
    return (gold & found).total(), found.total(), gold.total()


def unlabelled_tree(tree: Data) -> GoldTree:
    """Return a binary tree without its labels.

    >>> from graphseq.convert import read_trees
    >>> [tree] = read_trees("(3 (2 It) (3 (2 works) (2 .)))")
    >>> sorted(unlabelled_tree(tree).brackets())
    [(1, 3, '')]
    """
    spans = tree.span if "span" in tree else leaf_spans(tree)
    tokens = list(tree.tokens)
    return GoldTree(tokens, [(i, j, "") for i, j in spans.tolist()], [], [True] * len(tokens))


def labelled_tree(tree: Data) -> GoldTree | None:
    """Return a treebank's tree as parsers learn it: without traces, functional tags and tags of words; None if no word
    is left.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels``.

    >>> from graphseq.convert import read_trees
    >>> text = "( (S (NP-SBJ (NN cat) (-NONE- *)) (VP (VBD sat) (ADVP (RB down))) (. .)) )"
    >>> gold = labelled_tree(read_trees(text)[0])
    >>> gold.nodes
    [(2, 3, 'ADVP'), (1, 3, 'VP'), (0, 1, 'NP'), (0, 4, 'S')]
    >>> gold.null, gold.counted
    ([(0, 3), (1, 2), (1, 4), (3, 4)], [True, True, True, False])
    """
    size = tree.num_nodes
    children: list[list[int]] = [[] for _ in range(size)]
    for child, parent in tree.edge_index.t().tolist():
        children[parent].append(child)
    words = iter(tree.tokens)
    tokens: list[str] = []
    tags: list[str] = []
    start, end = [0] * size, [0] * size
    for v, label in enumerate(tree.labels):  # in preorder
        start[v] = len(tokens)
        if not children[v]:
            word = next(words)
            if label != "-NONE-":
                tokens.append(word)
                tags.append(label)
                end[v] = len(tokens)
    if not tokens:
        return None
    chains: dict[tuple[int, int], str] = {}
    null: set[tuple[int, int]] = set()
    for v in range(size - 1, -1, -1):
        below = children[v]
        if not below:
            continue
        end[v] = max(end[u] for u in below)
        if end[v] <= start[v]:  # only traces
            end[v] = 0
            continue
        span = start[v], end[v]
        label = _plain(tree.labels[v]) or (_TOP if not v else "")
        if label == _TOP and (span in chains or not label):
            label = ""  # the empty root above a sentence
        if label:
            chains[span] = f"{label}+{chains[span]}" if span in chains else label
        edges = [start[u] for u in below if end[u] > start[u]] + [end[v]]
        null.update((a, b) for k, a in enumerate(edges) for b in edges[k + 1 :])
    null.update((i, i + 1) for i in range(len(tokens)))
    nodes = [(i, j, label) for (i, j), label in chains.items()]
    counted = [tag not in PUNCTUATION for tag in tags]
    return GoldTree(tokens, nodes, sorted(null - set(chains)), counted, tags)


def _plain(label: str) -> str:
    """Return a label without its functional tags and indices."""
    return label if label.startswith("-") else label.partition("-")[0].partition("=")[0].partition("|")[0]
