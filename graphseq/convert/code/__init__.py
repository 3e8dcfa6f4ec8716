"""From source code to PyG ``Data``: syntax trees, program graphs, a function's variables."""

from .program_graph import EDGES, from_code
from .source import KINDS, NAME, encode_tokens, syntax_tree
from .subtokens import split_identifier
from .variables import HIDDEN, hide_place, variable_places

__all__ = [
    "EDGES", "HIDDEN", "KINDS", "NAME", "encode_tokens", "from_code", "hide_place", "split_identifier", "syntax_tree",
    "variable_places",
]  # fmt: skip
