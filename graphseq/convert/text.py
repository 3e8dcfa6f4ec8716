"""Texts that converters read: a string itself, or a file in UTF-8."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import GraphError, expected

__all__ = ["foreign_byte", "read_text"]

_ESCAPED = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, as "surrogateescape" decodes it


def read_text(source: str | os.PathLike[str], *, lenient: bool = False) -> tuple[str, str]:
    """Return a text, without a byte order mark, and its name in messages.

    Args:
        source: the text itself, or the path of a file.
        lenient: whether bytes that are not UTF-8 are kept, for :func:`foreign_byte` to find.

    Raises:
        GraphError: there is no such file, or it is not UTF-8; the message names line and column.
    """
    if isinstance(source, str):
        return source, "text"
    if not isinstance(source, os.PathLike):
        raise expected("source", "a text or a pathlib.Path", source)
    path = Path(source)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GraphError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8", "surrogateescape" if lenient else "strict")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode()) + 1
        raise GraphError(f"{path}, line {line}, column {column}: not UTF-8: {error.reason}") from None
    return text.removeprefix("\ufeff"), str(path)


def foreign_byte(line: str) -> int | None:
    """Return the column of a line's first byte that is not UTF-8, or None."""
    found = _ESCAPED.search(line)
    return None if found is None else found.start() + 1
