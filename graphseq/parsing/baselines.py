"""Trees without a trained parser, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import expected
from .result import Parse

__all__ = ["left_branching", "right_branching"]

_FINAL = frozenset({".", "!", "?", ";", ":", "...", "''", "'", "-RRB-"})


def right_branching(tokens: Sequence[str], *, punctuation: bool = True) -> Parse:
    """Return the tree in which each word is joined to all that follow it.

    Args:
        tokens: the words.
        punctuation: whether marks at the end are attached to the root, and the rest branches to the right.

    Raises:
        GraphError: there are no words.

    >>> right_branching(["It", "works", "well", "."])
    Parse((_ (_ (_ It) (_ (_ works) (_ well))) (_ .)))
    >>> right_branching(["It", "works", "."], punctuation=False)
    Parse((_ (_ It) (_ (_ works) (_ .))))
    """
    words = _words(tokens)
    inner = len(words)
    while punctuation and inner > 1 and words[inner - 1] in _FINAL:
        inner -= 1
    rows = [[0, end] for end in range(len(words), inner, -1)]
    for i in range(inner - 1):
        rows += [[i, inner], [i, i + 1]]
    rows += [[inner - 1, inner], *([i, i + 1] for i in range(inner, len(words)))]
    return Parse(words, torch.tensor(rows))


def left_branching(tokens: Sequence[str]) -> Parse:
    """Return the tree in which each word is joined to all that precede it.

    Raises:
        GraphError: there are no words.

    >>> left_branching(["It", "works", "."])
    Parse((_ (_ (_ It) (_ works)) (_ .)))
    """
    words = _words(tokens)
    rows = [[0, end] for end in range(len(words), 0, -1)] + [[i, i + 1] for i in range(1, len(words))]
    return Parse(words, torch.tensor(rows))


def _words(tokens: Sequence[str]) -> list[str]:
    if isinstance(tokens, str) or not tokens:
        raise expected("tokens", "a list of at least one word", tokens)
    return list(tokens)
