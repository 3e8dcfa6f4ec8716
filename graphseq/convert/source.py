"""Python source as PyG ``Data``: the abstract syntax tree that :mod:`ast` gives, one node each."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import Words, expected
from .brackets import Vocabulary

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

_NAMED = """
    FunctionDef AsyncFunctionDef ClassDef alias ExceptHandler MatchAs MatchStar TypeVar ParamSpec TypeVarTuple
"""
_TOKEN_FIELD = dict.fromkeys(_NAMED.split(), "name") | {
    "Name": "id",
    "Attribute": "attr",
    "arg": "arg",
    "keyword": "arg",
    "ImportFrom": "module",
    "MatchMapping": "rest",
    "Global": "names",
    "Nonlocal": "names",
    "Constant": "value",
    "MatchSingleton": "value",
}

# Where the order of ast's fields is not the order in the source, as in a dict's keys and values.
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_UNSORTED = (*_FUNCTIONS, ast.ClassDef, ast.IfExp, ast.Dict, ast.Call, ast.arguments, ast.MatchMapping)


def syntax_tree(source: str | ast.AST, *, vocabulary: Vocabulary | None = None, hide: str | None = None) -> Data:
    """Return the syntax tree of Python source.

    Nodes are numbered depth first: node 0 is the root, a node comes before its descendants, and children
    are in the order of the source. Edge k runs from node k + 1 to its parent. ``Load``, ``Store`` and
    ``Del`` are not nodes: the position in the tree implies them.

    Args:
        source: the source of a module, or a node of an ``ast`` tree.
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

    kinds, parents, tokens = _walk(_parse(source), hide)
    edges = np.array([range(1, len(parents)), parents[1:]], np.int64)
    tree = Data(edge_index=torch.from_numpy(edges), num_nodes=len(kinds))
    tree.kind = torch.from_numpy(np.array(kinds, np.int64))
    tree.tokens = tokens
    if vocabulary is not None:
        tree.token = encode_tokens(tokens, vocabulary)
    return tree


def encode_tokens(tokens: list[str], vocabulary: Vocabulary) -> Tensor:
    """Return the tokens' indices, int64 [N]: -1 for an empty token, 0 for an unknown one.

    >>> encode_tokens(["", "x", "y"], Vocabulary(("y",))).tolist()
    [-1, 0, 1]
    """
    if not isinstance(vocabulary, Vocabulary):
        raise expected("vocabulary", "a graphseq.convert.Vocabulary", vocabulary)
    return torch.from_numpy(np.array([vocabulary[token] if token else -1 for token in tokens], np.int64))


def _parse(source: str | ast.AST) -> ast.AST:
    if isinstance(source, ast.AST):
        return source
    if not isinstance(source, str):
        raise expected("source", "Python source as a string, or an ast node", source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about the source are not the caller's concern
            return ast.parse(source)
    except SyntaxError as error:
        came = f"{error.msg} in line {error.lineno}, column {error.offset}"
    except (ValueError, RecursionError, MemoryError) as error:
        came = f"{type(error).__name__} from Python's parser: {error}"
    raise expected("source", "Python source", Words(came))


def _walk(root: ast.AST, hide: str | None) -> tuple[list[int], list[int], list[str]]:
    """Return kind, parent and token of each node; an explicit stack, since a tree may be deep."""
    kinds: list[int] = []
    parents: list[int] = []
    tokens: list[str] = []
    hidden = None if hide is None else hide.strip("_")
    stack = [(root, -1)]
    while stack:
        node, parent = stack.pop()
        here = len(kinds)
        name = type(node).__name__
        kinds.append(_KIND.get(name, 0))
        parents.append(parent)
        field = _TOKEN_FIELD.get(name)
        tokens.append("" if field is None else _token(field, getattr(node, field, None), hidden))
        stack.extend((child, here) for child in reversed(_children(node)))
    return kinds, parents, tokens


def _token(field: str, value: Any, hidden: str | None) -> str:
    if field == "value":
        singleton = value is None or value is ... or isinstance(value, bool)
        return f"<{value}>" if singleton else f"<{type(value).__name__}>"
    names = value if field == "names" else [value or ""]
    return " ".join(NAME if hidden and name.strip("_") == hidden else name for name in names)


def _children(node: ast.AST) -> list[ast.AST]:
    """Return a node's children in the order of the source."""
    children: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            children += [child for child in value if isinstance(child, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            children.append(value)
    if isinstance(node, _UNSORTED):
        # A function's `arguments` has no place of its own: behind the decorators, at the `def`.
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        children.sort(key=lambda c: (getattr(c, "lineno", line), getattr(c, "col_offset", column)))
    return children
