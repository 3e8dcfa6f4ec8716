"""A probabilistic grammar induced from a treebank, and the best tree by it: a baseline of labelled parsing."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from ..errors import Words, expected
from ..ops.grammar import best_derivations
from .baselines import right_branching
from .features import affixes_of
from .result import Parse

__all__ = ["Grammar"]

_RARE = 2  # words that are less frequent are known by their form


class Grammar:
    """A probabilistic context-free grammar in Chomsky normal form, and the most probable tree by it (CKY, exact).

    Booth & Thompson (1973), Applying probability measures to abstract languages. A sentence that has no tree branches
    to the right.

    Args:
        productions: parent, children and probability; the children are two symbols or one word.
        roots: the probability of each symbol as a root.

    Raises:
        GraphError: a production of another form.

    >>> grammar = Grammar([("S", ("N", "V"), 1.0), ("N", ("It",), 1.0), ("V", ("works",), 1.0)], {"S": 1.0})
    >>> grammar.parse(["It", "works"])
    Parse((S (_ It) (_ works)))
    """

    def __init__(self, productions: Iterable[tuple[str, tuple[str, ...], float]], roots: Mapping[str, float]) -> None:
        listed = list(productions)
        if not isinstance(roots, Mapping):
            raise expected("roots", 'the probability of each root, as {"S": 1.0}', roots)
        for parent, children, chance in listed:
            if not isinstance(children, tuple) or len(children) not in (1, 2) or not 0 < chance <= 1 + 1e-9:
                what = Words(f"{parent} → {children!r} with {chance}")
                raise expected("productions", "a tuple of two symbols or one word, and a probability up to 1", what)
        below = {child for _, children, _ in listed if len(children) == 2 for child in children}
        self.symbols = sorted({parent for parent, *_ in listed} | below | set(roots))
        index = {name: i for i, name in enumerate(self.symbols)}
        self._words: dict[str, list[tuple[int, float]]] = defaultdict(list)
        rules = []
        for parent, children, chance in listed:
            if len(children) == 1:
                self._words[children[0]].append((index[parent], math.log(chance)))
            else:
                rules.append((*(index[child] for child in children), index[parent], math.log(chance)))
        rules.sort()
        self._rules = torch.tensor([rule[:3] for rule in rules], dtype=torch.int64).view(-1, 3)
        self._weight = torch.tensor([rule[3] for rule in rules], dtype=torch.float64)
        self._start = torch.full((len(self.symbols),), -math.inf, dtype=torch.float64)
        for name, chance in roots.items():
            self._start[index[name]] = math.log(chance)

    @classmethod
    def induce(cls, trees: Sequence[Any]) -> Grammar:
        """Induce a grammar from a treebank by NLTK, which must be installed: the probability of a rule is its relative
        frequency among its parent's.

        Unary chains are collapsed, nodes with more children binarised to the right with the names of two siblings.
        Words that occur once are replaced by their form and their last letters, as unknown ones are.

        Args:
            trees: PyG ``Data`` as :func:`graphseq.convert.read_trees` makes them; traces and functional tags are
                removed.
        """
        from nltk import Nonterminal, induce_pcfg

        made = [tree for tree in map(_nltk_tree, trees) if tree is not None]
        count = Counter(word for tree in made for word in tree.leaves())
        productions: list[Any] = []
        roots: Counter[str] = Counter()
        for tree in made:
            for at in tree.treepositions("leaves"):
                if count[tree[at]] < _RARE:
                    tree[at] = _form(tree[at])
            tree.collapse_unary(collapsePOS=True, collapseRoot=True, joinChar="+")
            tree.chomsky_normal_form(horzMarkov=2)
            roots[tree.label()] += 1
            productions += tree.productions()
        pcfg = induce_pcfg(Nonterminal("TOP"), productions)
        rules = [(str(p.lhs()), tuple(str(child) for child in p.rhs()), p.prob()) for p in pcfg.productions()]
        return cls(rules, {name: n / roots.total() for name, n in roots.items()})

    def parse(self, tokens: Sequence[str]) -> Parse:
        """Return the most probable tree of a sentence, without the tags of words; if it has none, a tree that branches
        to the right, of which :meth:`log_probability` is -inf.

        Args:
            tokens: its words.

        Raises:
            GraphError: there are no words.
        """
        fallback = right_branching(tokens)
        nodes, score = self._best(tokens)
        if score == -math.inf:
            return Parse(fallback.tokens, fallback.spans, ["S", *[""] * (len(fallback.spans) - 1)])
        labels = [_without_tag(self.symbols[a], end - start == 1) for start, end, a in nodes]
        return Parse(list(tokens), torch.tensor([node[:2] for node in nodes]), labels)

    def log_probability(self, tokens: Sequence[str]) -> float:
        """Return the logarithm of the probability of the most probable tree, -inf for a sentence that has none.

        >>> grammar = Grammar([("S", ("N", "V"), 0.5), ("N", ("It",), 1.0), ("V", ("works",), 1.0)], {"S": 1.0})
        >>> round(grammar.log_probability(["It", "works"]), 4), grammar.log_probability(["works", "It"])
        (-0.6931, -inf)
        """
        right_branching(tokens)  # checks them
        return self._best(tokens)[1]

    def __repr__(self) -> str:
        return f"Grammar({len(self.symbols):,} symbols, {len(self._rules):,} binary rules, {len(self._words):,} words)"

    def _best(self, tokens: Sequence[str]) -> tuple[list[tuple[int, int, int]], float]:
        """Return the nodes of the most probable tree, in preorder, and its log-probability."""
        lexical = torch.full((len(tokens), len(self.symbols)), -math.inf, dtype=torch.float64)
        for row, word in enumerate(tokens):
            for a, chance in self._known(word):
                lexical[row, a] = chance
        [found] = best_derivations(lexical, torch.tensor([len(tokens)]), self._rules, self._weight, self._start)
        return found

    def _known(self, word: str) -> list[tuple[int, float]]:
        """Return a word's symbols with their log-probabilities: its own, its form's, its class's, all rare ones'."""
        for key in (word, _form(word)):
            if key in self._words:
                return self._words[key]
        shape = affixes_of(word)[-1]
        rare: dict[int, float] = {}
        for found in ([k for k in self._words if k.startswith(f"<{shape}<")], self._words):
            for key in found:
                if key.startswith("<="):
                    for a, chance in self._words[key]:
                        rare[a] = rare.get(a, 0.0) + math.exp(chance)
            if rare:
                break
        return [(a, math.log(chance)) for a, chance in rare.items()]


def _form(word: str) -> str:
    """Return what stands for a rare word: its class by capitals, digits and signs, and its last two letters."""
    affixes = affixes_of(word)
    return f"<{affixes[-1]}<{re.sub('[0-9]', '0', affixes[4])}"


def _without_tag(symbol: str, leaf: bool) -> str:
    """Return the labels of a symbol: a leaf's last part is the word's tag, and binarisation's names have a bar."""
    chain = symbol.rpartition("+")[0] if leaf else symbol
    return "" if "|" in chain else chain


def _nltk_tree(data: Any) -> Any:
    """Return an ``nltk.Tree`` without traces, functional tags and the empty root; None if no word is left."""
    from nltk import Tree

    children: list[list[int]] = [[] for _ in range(data.num_nodes)]
    for child, parent in data.edge_index.t().tolist():
        children[parent].append(child)
    words = iter(reversed(data.tokens))
    made: list[Any] = [None] * data.num_nodes
    for v in range(data.num_nodes - 1, -1, -1):
        label = data.labels[v]
        if not children[v]:
            word = next(words)
            made[v] = None if label == "-NONE-" else Tree(label, [word])
            continue
        below = [made[u] for u in children[v] if made[u] is not None]
        plain = label if label.startswith("-") else re.split(r"[-=|]", label)[0]
        if below and not plain and len(below) == 1:
            made[v] = below[0]
        elif below:
            made[v] = Tree(plain or "TOP", below)
    return made[0]
