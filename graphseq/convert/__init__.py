"""From text to PyG ``Data``: words, bracketed trees of sentences, and the syntax trees of Python source."""

from .brackets import Vocabulary, encode_words, leaf_spans, read_trees
from .source import KINDS, NAME, encode_tokens, syntax_tree
from .words import tokenize, treebank_words

__all__ = [
    "KINDS",
    "NAME",
    "Vocabulary",
    "encode_tokens",
    "encode_words",
    "leaf_spans",
    "read_trees",
    "syntax_tree",
    "tokenize",
    "treebank_words",
]
