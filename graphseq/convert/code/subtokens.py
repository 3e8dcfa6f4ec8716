"""Identifiers of programs, split into the words that they are made of."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ...errors import expected

__all__ = ["split_identifier"]

_WORD = re.compile("U+(?!l)|U?l+|d+")  # over a string of classes: upper case, other letters, digits, separators


def split_identifier(name: str) -> list[str]:
    """Split an identifier at underscores, at changes of case and at digits, and lower-case its parts.

    Whatever is no letter, mark or digit separates parts and is left out; letters without case count as lower-case ones.

    Raises:
        GraphError: the name is not a string.

    >>> split_identifier("parseHTTPResponse2"), split_identifier("__max_size"), split_identifier("os.path")
    (['parse', 'http', 'response', '2'], ['max', 'size'], ['os', 'path'])
    """
    if not isinstance(name, str):
        raise expected("name", "a string", name)
    return list(_split(name))


@lru_cache(maxsize=1 << 16)
def _split(name: str) -> tuple[str, ...]:
    classes = "".join(map(_kind, name))
    return tuple(name[found.start() : found.end()].lower() for found in _WORD.finditer(classes))


def _kind(letter: str) -> str:
    if letter.isupper():
        return "U"
    if letter.isalpha() or unicodedata.category(letter)[0] == "M":
        return "l"
    return "d" if letter.isnumeric() else "_"
