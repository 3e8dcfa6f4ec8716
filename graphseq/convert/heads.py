"""Heads of phrases by rules: which child of a node is the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import expected
from .penn import strip_function
from .preorder import Preorder

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["COLLINS_HEADS", "HeadRule", "find_heads", "head_children"]

# Where a search begins, "left", "right" or "last" (the last child alone), and the labels that it looks for.
HeadRule = tuple[str, tuple[str, ...]]

_IN_ORDER = """
ADJP   left  NNS QP NN $ ADVP JJ VBN VBG ADJP JJR NP JJS DT FW RBR RBS SBAR RB
ADVP   right RB RBR RBS FW ADVP TO CD JJR JJ IN NP JJS NN
CONJP  right CC RB IN
FRAG   right
INTJ   left
LST    right LS :
NAC    left  NN NNS NNP NNPS NP NAC EX $ CD QP PRP VBG JJ JJS JJR ADJP FW
PP     right IN TO VBG VBN RP FW
PRN    left
PRT    right RP
QP     left  $ IN NNS NN JJ RB DT CD NCD QP JJR JJS
RRC    right VP NP ADVP ADJP PP
S      left  TO IN VP S SBAR ADJP UCP NP
SBAR   left  WHNP WHPP WHADVP WHADJP IN DT S SQ SINV SBAR FRAG
SBARQ  left  SQ S SINV SBARQ FRAG
SINV   left  VBZ VBD VBP VB MD VP S SINV ADJP NP
SQ     left  VBZ VBD VBP VB MD VP SQ
UCP    right
VP     left  TO VBD VBN MD VBZ VB VBG VBP VP ADJP NN NNS NP
WHADJP left  CC WRB JJ ADJP
WHADVP right CC WRB
WHNP   left  WDT WP WP$ WHADJP WHPP WHNP
WHPP   right IN TO FW
"""
_NOUN_PHRASE: tuple[HeadRule, ...] = (
    ("last", ("POS",)),
    ("right", ("NN", "NNP", "NNPS", "NNS", "NX", "POS", "JJR")),
    ("left", ("NP",)),
    ("right", ("$", "ADJP", "PRN")),
    ("right", ("CD",)),
    ("right", ("JJ", "JJS", "RB", "QP")),
    ("right", ()),
)
_PUNCTUATION = frozenset(("``", "''", ",", ".", ":", "-NONE-"))


def _rules(line: str) -> tuple[str, tuple[HeadRule, ...]]:
    """Return a phrase and its rules: a search for one label after the other, and then for any."""
    phrase, side, *labels = line.split()
    return phrase, (*((side, (label,)) for label in labels), (side, ()))


COLLINS_HEADS: Mapping[str, Sequence[HeadRule]] = dict(map(_rules, _IN_ORDER.strip().splitlines())) | {
    "NP": _NOUN_PHRASE
}


def head_children(tree: Data, *, rules: Mapping[str, Sequence[HeadRule]] = COLLINS_HEADS) -> Tensor:
    """Return the head child of each node.

    Source: M. Collins, "Head-Driven Statistical Models for Natural Language Parsing", PhD thesis, University of
    Pennsylvania (1999), appendix A. Labels count without function tags. The rules of a phrase are tried in their
    order; each searches the children, from the left or from the right, for the first with one of its labels, and
    without labels for the first of all. Punctuation and traces are heads only where there is nothing else. Phrases
    without rules take the first child from the left. If a conjunction (``CC``) precedes the head, the conjunct before
    that is the head.

    Args:
        tree: as :func:`graphseq.convert.read_trees` makes it, with ``labels``.
        rules: of each phrase; by default those for English.

    Returns:
        int64 [N]: the child's number, -1 at a leaf.

    Raises:
        GraphError: it is no such tree, or a rule begins neither ``"left"`` nor ``"right"`` nor at the ``"last"`` child.

    >>> from graphseq.convert import read_trees
    >>> [tree] = read_trees("(S (NP (DT The) (NN cat)) (VP (VBD sat)) (. .))")
    >>> head_children(tree).tolist()
    [4, 3, -1, -1, 5, -1, -1]
    """
    nodes = Preorder.of(tree)
    heads = find_heads(nodes.need_labels(), nodes.children(), rules)
    return torch.from_numpy(np.array(heads, np.int64))


def find_heads(labels: list[str], children: list[list[int]], rules: Mapping[str, Sequence[HeadRule]]) -> list[int]:
    """Return the head child of each node, -1 at a leaf."""
    for searches in rules.values():
        for side, _ in searches:
            if side not in ("left", "right", "last"):
                raise expected("rules", '"left", "right" or "last" as the beginning of a search', side)
    bare = [strip_function(label) for label in labels]
    return [_head(bare[node], below, bare, rules) if below else -1 for node, below in enumerate(children)]


def _head(phrase: str, below: list[int], labels: list[str], rules: Mapping[str, Sequence[HeadRule]]) -> int:
    words = [child for child in below if labels[child] not in _PUNCTUATION] or below
    head = words[0]
    for side, wanted in rules.get(phrase, ()):
        searched = words if side == "left" else words[::-1] if side == "right" else words[-1:]
        found = [child for child in searched if not wanted or labels[child] in wanted]
        if found:
            head = found[0]
            break
    at = words.index(head)
    return words[at - 2] if at >= 2 and labels[words[at - 1]] == "CC" else head
