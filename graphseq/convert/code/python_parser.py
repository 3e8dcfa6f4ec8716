"""Python source → :mod:`ast`, with errors that name the place whatever Python's parser says."""

from __future__ import annotations

import ast
import codecs
import io
import os
import tokenize
import warnings
from collections.abc import Sequence
from pathlib import Path

from ...errors import GraphError, Words, expected

__all__ = ["parse_python", "read_source"]

_ASCII = bytes(byte if byte < 128 else ord("?") for byte in range(256))
_TRIES = 4  # ends of a text that are tried until one is no syntax error
_TOO_DEEP = (RecursionError, MemoryError)  # what Python's parser raises


def parse_python(source: str | bytes | os.PathLike[str] | ast.AST) -> ast.AST:
    """Return the module that some source is, or the node that is given.

    Bytes and files are decoded as PEP 263 says, by their byte order mark or coding line, UTF-8 without one.

    Raises:
        GraphError: the source can't be decoded or parsed; the message names line and column.
    """
    if isinstance(source, ast.AST):
        return source
    content, path = read_source(source, "Python source as a string, bytes or pathlib.Path, or an ast node")
    text = content.removeprefix("\ufeff") if isinstance(content, str) else _decode(content, path)
    _check_characters(text, path)
    try:
        return _parse(text)
    except SyntaxError as error:
        raise _fault(error.msg, error.lineno or 1, error.offset or 1, path) from None
    except _TOO_DEEP:
        line, column = _deepest(text)
        raise _fault("nesting too deep for Python's parser", line, column, path) from None


def read_source(source: object, wanted: str) -> tuple[str | bytes, str | None]:
    """Return a program's text or bytes, and its path if it is one.

    Raises:
        GraphError: it is neither text nor bytes nor a file that can be read; `wanted` says what was expected.
    """
    if isinstance(source, (str, bytes)):
        return source, None
    if not isinstance(source, os.PathLike):
        raise expected("source", wanted, source)
    path = Path(source)
    try:
        return path.read_bytes(), str(path)
    except OSError as error:
        raise GraphError(f"{path}: cannot be read: {error.strerror}") from None


def _fault(what: str, line: int, column: int, path: str | None) -> GraphError:
    if path is not None:
        return GraphError(f"{path}, line {line}, column {column}: {what}")
    return expected("source", "Python source", Words(f"{what} in line {line}, column {column}"))


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about the source are not the caller's concern
        return ast.parse(text)


def _decode(content: bytes, path: str | None) -> str:
    mark = content[: 3 * content.startswith(codecs.BOM_UTF8)]
    declared = mark + content[len(mark) :].translate(_ASCII)  # what else isn't UTF-8 is found below, with its place
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(declared).readline)
    except SyntaxError as error:
        raise _fault(error.msg, 1, 1, path) from None
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "replace")
        raise _fault(f"bytes that are not {encoding}", *_place(before), path) from None


def _check_characters(text: str, path: str | None) -> None:
    """Refuse what Python's parser refuses without a place: null characters and halves of surrogate pairs."""
    if (at := text.find("\0")) >= 0:
        raise _fault("a null byte", *_place(text[:at]), path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _fault("half of a surrogate pair", *_place(text[: error.start]), path) from None


def _place(before: str) -> tuple[int, int]:
    """Return line and column of the character behind some text."""
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _deepest(text: str) -> tuple[int, int]:
    """Return line and column of a character with which the text before it becomes too deep to parse."""
    lines = [line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    line = _first_too_deep("", lines)
    return line, _first_too_deep("".join(lines[: line - 1]), lines[line - 1])


def _first_too_deep(before: str, parts: Sequence[str]) -> int:
    """Return a number n such that the first n parts, but not the first n - 1, are too deep, by bisection."""
    low, high = 0, len(parts)
    while high - low > 1:
        middle = (low + high) // 2
        for end in range(middle, min(middle + _TRIES, high)):
            too_deep = _is_too_deep(before + "".join(parts[:end]))
            if too_deep is not None:
                break
        if too_deep:
            high = end
        else:
            low = middle if too_deep is None else end
    return high


def _is_too_deep(text: str) -> bool | None:
    """Return whether Python's parser refuses the nesting of some text, None where it ends within a statement."""
    try:
        _parse(text)
    except _TOO_DEEP:
        return True
    except (SyntaxError, ValueError):
        return None
    return False
