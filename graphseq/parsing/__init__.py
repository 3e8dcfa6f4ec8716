"""A parser of sentences, and what it is made of."""

from .baselines import left_branching, right_branching
from .features import WordFeatures
from .gold import GoldTree, labelled_tree, matched, unlabelled_tree
from .grammar import Grammar
from .result import Parse
from .shipped import Parser, parse, parse_many, parser, tokens_of
from .trees import decode, max_margin, tree_crf

__all__ = [
    "GoldTree",
    "Grammar",
    "Parse",
    "Parser",
    "WordFeatures",
    "decode",
    "labelled_tree",
    "left_branching",
    "matched",
    "max_margin",
    "parse",
    "parse_many",
    "parser",
    "right_branching",
    "tokens_of",
    "tree_crf",
    "unlabelled_tree",
]
