"""Texts into words."""

from __future__ import annotations

import re

__all__ = ["tokenize"]

_SIGNS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # Chinese and Japanese, without spaces: each character is a word
_WORD = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+(?:['’-][^\W{_SIGNS}]+)*|[^\w\s]")


def tokenize(text: str) -> list[str]:
    """Return the words and punctuation marks of a text.

    >>> tokenize("It's (not) well-made.")
    ["It's", '(', 'not', ')', 'well-made', '.']
    """
    return _WORD.findall(text)
