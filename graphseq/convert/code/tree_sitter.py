"""Source code that is parsed by tree-sitter. The package and the grammars are imported when they are used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ...errors import GraphError, Words, expected
from .python_parser import read_source
from .syntax import Syntax

__all__ = ["read_code"]

_LANGUAGE = re.compile("[a-z][a-z0-9_]*")
_IDENTIFIER = re.compile(r"[#$@]?[^\W\d][\w$]*[?!]?")


def read_code(source: object, language: str) -> Syntax:
    """Return the syntax of a program: the grammar's named nodes and operators, without comments.

    Raises:
        GraphError: tree-sitter or the grammar isn't installed, or the source isn't a program in UTF-8.
    """
    content, path = read_source(source, "source code as a string, bytes or pathlib.Path")
    parser = _parser(language)
    data = _utf8(content, language, path)
    root = parser.parse(data)
    if root.root_node.has_error:
        node = _first_error(root.walk())
        what = f"a missing {node.type!r}" if node.is_missing else "a syntax error"
        raise _fault(what, data[: node.start_byte], language, path)
    return _flatten(root.walk(), data)


def _parser(language: str) -> Any:
    """Return tree-sitter's parser with the grammar of a language."""
    module = language.lower().replace("-", "_")
    if not _LANGUAGE.fullmatch(module):
        raise expected("language", "the name of a language in letters and digits", language)
    try:
        tree_sitter, grammar = import_module("tree_sitter"), import_module(f"tree_sitter_{module}")
    except ImportError as error:
        packages = f"pip install tree-sitter tree-sitter-{module.replace('_', '-')}"
        wanted = f'"python", or a language with a grammar for tree-sitter ({packages})'
        raise expected("language", wanted, Words(f"{language!r}: {error}")) from None
    make = getattr(grammar, "language", None) or getattr(grammar, f"language_{module}", None)
    if make is None:
        raise expected("language", f"a grammar with a function `language`, or `language_{module}`", grammar)
    try:
        return tree_sitter.Parser(tree_sitter.Language(make()))
    except ValueError as error:  # the grammar's version
        raise expected("language", "a grammar that tree-sitter can use", Words(f"{language!r}: {error}")) from None


def _utf8(content: str | bytes, language: str, path: str | None) -> bytes:
    """Return a program in UTF-8, without a byte order mark."""
    if isinstance(content, str):
        try:
            return content.removeprefix("\ufeff").encode()
        except UnicodeEncodeError as error:
            before = content[: error.start].encode()
            raise _fault("half of a surrogate pair", before, language, path) from None
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise _fault("bytes that are not utf-8", content[: error.start], language, path) from None
    return content.removeprefix("\ufeff".encode())


def _fault(what: str, before: bytes, language: str, path: str | None) -> GraphError:
    """Return the error for what stands behind some source."""
    line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode()) + 1
    if path is not None:
        return GraphError(f"{path}, line {line}, column {column}: {what}")
    return expected("source", f"source code in {language}", Words(f"{what} in line {line}, column {column}"))


def _walk(cursor: Any) -> Iterator[tuple[Any, str, int]]:
    """Yield the nodes in preorder, each with its field and its depth."""
    depth = 0
    while True:
        yield cursor.node, cursor.field_name or "", depth
        if cursor.goto_first_child():
            depth += 1
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return
            depth -= 1


def _first_error(cursor: Any) -> Any:
    root = cursor.node
    return next((node for node, _, _ in _walk(cursor) if node.is_error or node.is_missing), root)


def _flatten(cursor: Any, data: bytes) -> Syntax:
    syntax = Syntax()
    above = [-1]  # at each depth, the node that is a parent there
    for node, name, depth in _walk(cursor):
        del above[depth + 1 :]
        if not (node.is_named or name) or (node.is_extra and "comment" in node.type):
            above.append(above[depth])
            continue
        here = len(syntax.kinds)
        syntax.kinds.append(node.type)
        syntax.parents.append(above[depth])
        syntax.fields.append(name)
        is_token = node.is_named and node.child_count == 0
        token = data[node.start_byte : node.end_byte].decode() if is_token else ""
        syntax.tokens.append(token)
        syntax.names.append([token] if _IDENTIFIER.fullmatch(token) else [])
        syntax.lines.append((node.start_point[0] + 1, node.end_point[0] + 1))
        if token:
            syntax.order.append(here)
        above.append(here)
    return syntax
