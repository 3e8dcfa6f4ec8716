"""A tree of :mod:`ast` as flat lists over its nodes in preorder, children in the order of the source."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .syntax import Syntax

__all__ = ["TOKEN_FIELD", "PythonTree", "read_tree"]

_NAMED = """
    FunctionDef AsyncFunctionDef ClassDef alias ExceptHandler MatchAs MatchStar TypeVar ParamSpec TypeVarTuple
"""
TOKEN_FIELD = dict.fromkeys(_NAMED.split(), "name") | {
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

# The fields whose nodes stand before the node's own token.
_BEFORE_TOKEN = {
    "FunctionDef": ("decorator_list",),
    "AsyncFunctionDef": ("decorator_list",),
    "ClassDef": ("decorator_list",),
    "Attribute": ("value",),
    "ExceptHandler": ("type",),
    "MatchAs": ("pattern",),
    "MatchMapping": ("keys", "patterns"),
}

# Where the order of ast's fields is not the order in the source, as in a dict's keys and values.
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_UNSORTED = (*_FUNCTIONS, ast.ClassDef, ast.IfExp, ast.Dict, ast.Call, ast.arguments, ast.MatchMapping)


@dataclass(frozen=True)
class PythonTree:
    """The nodes of an ``ast`` tree in preorder, without ``Load``, ``Store`` and ``Del``.

    Args:
        nodes: the N nodes.
        parents: of each node, -1 at the root.
        fields: the name of the parent's field that contains the node.
    """

    nodes: list[ast.AST] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)

    def syntax(self) -> Syntax:
        """Return kinds, tokens and places."""
        names = [_names(node) for node in self.nodes]
        tokens = [_token(node, found) for node, found in zip(self.nodes, names, strict=True)]
        kinds = [type(node).__name__ for node in self.nodes]
        lines = self._lines()
        return Syntax(kinds, self.parents, self.fields, tokens, names, lines, self._order(kinds, tokens))

    @cached_property
    def children(self) -> list[list[int]]:
        """Return the children of each node."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for node, parent in enumerate(self.parents[1:], start=1):
            found[parent].append(node)
        return found

    def last_descendants(self) -> list[int]:
        """Return the last node below each node, itself if there is none."""
        last = list(range(len(self.nodes)))
        for node in range(len(last) - 1, 0, -1):
            parent = self.parents[node]
            last[parent] = max(last[parent], last[node])
        return last

    def _order(self, kinds: list[str], tokens: list[str]) -> list[int]:
        """Return the nodes with tokens in the order of these: ``a`` before ``b`` in ``a.b``, whose root is ``b``."""
        last, behind = self.last_descendants(), list(range(len(tokens)))
        for node in range(1, len(tokens)):
            parent = self.parents[node]
            if self.fields[node] in _BEFORE_TOKEN.get(kinds[parent], ()):
                behind[parent] = max(behind[parent], last[node])
        return sorted((node for node, token in enumerate(tokens) if token), key=lambda node: (behind[node], -node))

    def _lines(self) -> list[tuple[int, int]]:
        """Return the lines of the nodes: a node's contain its children's; without any they are those of its parent."""
        first = [getattr(node, "lineno", None) or 0 for node in self.nodes]
        end = [getattr(node, "end_lineno", None) or line for node, line in zip(self.nodes, first, strict=True)]
        if isinstance(self.nodes[0], ast.Module):
            first[0] = end[0] = 1
        for node in range(len(first) - 1, 0, -1):
            parent = self.parents[node]
            if first[node]:
                first[parent] = min(first[parent] or first[node], first[node])
                end[parent] = max(end[parent], end[node])
        for node in range(1, len(first)):
            if not first[node]:
                first[node], end[node] = first[self.parents[node]], end[self.parents[node]]
        return list(zip(first, end, strict=True))


def read_tree(root: ast.AST) -> PythonTree:
    """Return the nodes of an ``ast`` tree; an explicit stack, since a tree may be deep."""
    tree = PythonTree()
    stack = [(root, -1, "")]
    while stack:
        node, parent, name = stack.pop()
        here = len(tree.nodes)
        tree.nodes.append(node)
        tree.parents.append(parent)
        tree.fields.append(name)
        stack.extend((child, here, name) for name, child in reversed(_children(node)))
    return tree


def _children(node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Return a node's children with their fields, in the order of the source."""
    children: list[tuple[str, ast.AST]] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            children += [(name, child) for child in value if isinstance(child, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            children.append((name, value))
    if isinstance(node, _UNSORTED):
        # A function's `arguments` has no place of its own: behind the decorators, at the `def`.
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        children.sort(key=lambda c: (getattr(c[1], "lineno", line), getattr(c[1], "col_offset", column)))
    return children


def _names(node: ast.AST) -> list[str]:
    """Return the identifiers that a node's token has."""
    name = TOKEN_FIELD.get(type(node).__name__)
    if name is None or name == "value":
        return []
    value = getattr(node, name, None)
    found = value if isinstance(value, list) else [value]
    return [text for text in [*found, getattr(node, "asname", None)] if text]


def _token(node: ast.AST, names: list[str]) -> str:
    if isinstance(node, (ast.Constant, ast.MatchSingleton)):
        return _literal(node.value)
    if isinstance(node, ast.ImportFrom):
        return "." * (node.level or 0) + (node.module or "")
    return (" as " if isinstance(node, ast.alias) else " ").join(names)


def _literal(value: Any) -> str:
    if value is ...:
        return "..."
    try:
        return repr(value)
    except ValueError:  # too many digits for Python to convert
        return hex(value)
