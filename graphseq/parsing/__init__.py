"""A parser of sentences, and what it is made of."""

from .features import WordFeatures
from .gold import GoldTree, labelled_tree, matched, unlabelled_tree
from .trees import decode, max_margin, tree_crf

__all__ = [
    "GoldTree",
    "WordFeatures",
    "decode",
    "labelled_tree",
    "matched",
    "max_margin",
    "tree_crf",
    "unlabelled_tree",
]
