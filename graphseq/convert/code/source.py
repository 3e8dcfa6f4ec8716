"""Python source as PyG ``Data``: the abstract syntax tree that :mod:`ast` gives, one node each."""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import expected
from ..brackets import Vocabulary
from .python_parser import parse_python
from .python_tree import TOKEN_FIELD, read_tree

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["KINDS", "NAME", "encode_tokens", "syntax_tree"]

NAME = "<name>"  # replaces a hidden name

# Written out, not taken from `ast`, so that an index means the same in every Python version.
_KINDS = """
    Module Interactive Expression FunctionType
    FunctionDef AsyncFunctionDef ClassDef Return Delete Assign TypeAlias AugAssign AnnAssign
    For AsyncFor While If With AsyncWith Match Raise Try TryStar Assert Import ImportFrom
    Global Nonlocal Expr Pass Break Continue
    BoolOp NamedExpr BinOp UnaryOp Lambda IfExp Dict Set ListComp SetComp DictComp GeneratorExp
    Await Yield YieldFrom Compare Call FormattedValue Interpolation JoinedStr TemplateStr
    Constant Attribute Subscript Starred Name List Tuple Slice
    And Or Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr BitXor BitAnd FloorDiv
    Invert Not UAdd USub Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn
    comprehension ExceptHandler arguments arg keyword alias withitem match_case TypeIgnore
    MatchValue MatchSingleton MatchSequence MatchMapping MatchClass MatchStar MatchAs MatchOr
    TypeVar ParamSpec TypeVarTuple
"""
KINDS: tuple[str, ...] = ("<unknown>", *_KINDS.split())  # 0: a kind of a later Python version
_KIND = {name: i for i, name in enumerate(KINDS)}


def syntax_tree(
    source: str | bytes | os.PathLike[str] | ast.AST, *, vocabulary: Vocabulary | None = None, hide: str | None = None
) -> Data:
    """Return the syntax tree of Python source.

    Nodes are numbered depth first: node 0 is the root, a node comes before its descendants, and children
    are in the order of the source. Edge k runs from node k + 1 to its parent. ``Load``, ``Store`` and
    ``Del`` are not nodes: the position in the tree implies them.

    Args:
        source: the source of a module, a file of it as a :class:`pathlib.Path`, or a node of an ``ast`` tree.
        vocabulary: gives the tokens their indices; without it the tree has no ``token``.
        hide: a name; every token equal to it, up to leading and trailing underscores, is replaced
            by :data:`NAME`, so that a model can predict a function's name.

    Returns:
        ``Data`` with ``kind`` int64 [N], indices into :data:`KINDS`; ``token`` int64 [N], -1 where a node
        has none; ``tokens``, a list of N strings: the identifier, attribute, argument or module that a node
        names, the type of a constant as ``"<str>"``, or ``""``; ``edge_index`` int64 [2, N-1], child →
        parent; ``num_nodes``.

    Raises:
        GraphError: the source is not Python that this interpreter parses; the message names the place.

    >>> tree = syntax_tree("x = y + 1")
    >>> [KINDS[k] for k in tree.kind.tolist()]
    ['Module', 'Assign', 'Name', 'BinOp', 'Name', 'Add', 'Constant']
    >>> tree.tokens, tree.edge_index[1].tolist()
    (['', '', 'x', '', 'y', '', '<int>'], [0, 1, 1, 3, 3, 3])
    """
    from torch_geometric.data import Data

    found = read_tree(parse_python(source))
    edges = np.array([range(1, len(found.parents)), found.parents[1:]], np.int64)
    tree = Data(edge_index=torch.from_numpy(edges), num_nodes=len(found.nodes))
    names = [type(node).__name__ for node in found.nodes]
    tree.kind = torch.from_numpy(np.array([_KIND.get(name, 0) for name in names], np.int64))
    hidden = None if hide is None else hide.strip("_")
    pairs = zip(found.nodes, names, strict=True)
    tree.tokens = [_token(TOKEN_FIELD[name], node, hidden) if name in TOKEN_FIELD else "" for node, name in pairs]
    if vocabulary is not None:
        tree.token = encode_tokens(tree.tokens, vocabulary)
    return tree


def encode_tokens(tokens: list[str], vocabulary: Vocabulary) -> Tensor:
    """Return the tokens' indices, int64 [N]: -1 for an empty token, 0 for an unknown one.

    >>> encode_tokens(["", "x", "y"], Vocabulary(("y",))).tolist()
    [-1, 0, 1]
    """
    if not isinstance(vocabulary, Vocabulary):
        raise expected("vocabulary", "a graphseq.convert.Vocabulary", vocabulary)
    return torch.from_numpy(np.array([vocabulary[token] if token else -1 for token in tokens], np.int64))


def _token(field: str, node: ast.AST, hidden: str | None) -> str:
    value: Any = getattr(node, field, None)
    if field == "value":
        singleton = value is None or value is ... or isinstance(value, bool)
        return f"<{value}>" if singleton else f"<{type(value).__name__}>"
    names = value if field == "names" else [value or ""]
    return " ".join(NAME if hidden and name.strip("_") == hidden else name for name in names)
