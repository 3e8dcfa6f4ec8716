"""From text to PyG ``Data``: words, sentences' phrase structure and dependency trees, graphs of programs."""

from .binarise import binarise, collapse_unary, restore_unary, unbinarise
from .brackets import Vocabulary, encode_words, leaf_spans, read_trees, write_trees
from .branching import branching
from .code import (
    EDGES,
    HIDDEN,
    KINDS,
    NAME,
    encode_tokens,
    from_code,
    hide_place,
    split_identifier,
    syntax_tree,
    variable_places,
)
from .conllu import read_conllu, write_conllu
from .heads import COLLINS_HEADS, HeadRule, head_children
from .nltk import from_dependency_graph, from_nltk, to_dependency_graph, to_nltk
from .penn import remove_root, remove_traces, strip_function, strip_functions
from .spacy import from_spacy
from .stanza import constituency_from_stanza, from_stanza
from .words import tokenize, treebank_words

__all__ = [
    "COLLINS_HEADS",
    "EDGES",
    "HIDDEN",
    "KINDS",
    "NAME",
    "HeadRule",
    "Vocabulary",
    "binarise",
    "branching",
    "collapse_unary",
    "constituency_from_stanza",
    "encode_tokens",
    "encode_words",
    "from_code",
    "from_dependency_graph",
    "from_nltk",
    "from_spacy",
    "from_stanza",
    "head_children",
    "hide_place",
    "leaf_spans",
    "read_conllu",
    "read_trees",
    "remove_root",
    "remove_traces",
    "restore_unary",
    "split_identifier",
    "strip_function",
    "strip_functions",
    "syntax_tree",
    "to_dependency_graph",
    "to_nltk",
    "tokenize",
    "treebank_words",
    "unbinarise",
    "variable_places",
    "write_conllu",
    "write_trees",
]
