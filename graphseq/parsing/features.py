"""Features of words for the parser: what is known of words that are rare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..convert import Vocabulary

__all__ = ["WordFeatures"]

_PREFIXES, _SUFFIXES = (1, 2, 3), (1, 2, 3, 4)
_KNOWN = 1 << 17  # words whose features are kept


@dataclass(frozen=True)
class WordFeatures:
    """Indices of words and of their affixes: prefixes of 1 to 3 letters, suffixes of 1 to 4, and a class by capitals,
    digits and signs.

    Args:
        words: the known words, in lower case; index 0 stands for all others.
        affixes: the known affixes and classes; index 0 stands for all others.

    >>> features = WordFeatures.build([["The", "cats", "sat"], ["the", "cat"]], min_words=2, min_affixes=2)
    >>> features.words, features.affixes[:4]
    (('the',), ('<c', '<ca', '<cat', '<t'))
    >>> words, affixes = features.encode(["the", "cater"])
    >>> words.tolist(), affixes.shape
    ([1, 0], torch.Size([2, 8]))
    """

    words: tuple[str, ...]
    affixes: tuple[str, ...]
    _words: Vocabulary = field(init=False, repr=False, compare=False)
    _affixes: Vocabulary = field(init=False, repr=False, compare=False)
    _known: dict[str, tuple[int, list[int]]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index both."""
        object.__setattr__(self, "_words", Vocabulary(tuple(self.words), lower=True))
        object.__setattr__(self, "_affixes", Vocabulary(tuple(self.affixes)))

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], *, min_words: int = 2, min_affixes: int = 3) -> WordFeatures:
        """Collect the words that occur at least `min_words` times, and the affixes that do so `min_affixes` times among
        the different words; a word of three letters has its last affix twice.
        """
        count = Counter(word for sentence in sentences for word in sentence)
        words = Vocabulary.build(count.elements(), min_count=min_words, lower=True).words
        affixes = Vocabulary.build((affix for word in count for affix in affixes_of(word)), min_count=min_affixes).words
        return cls(words, tuple(sorted(affixes)))

    def encode(self, tokens: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the index of each word, int64 `[n]`, and of its affixes, int64 `[n, 8]`."""
        known = self._known
        if len(known) > _KNOWN:
            known.clear()
        rows = []
        for token in tokens:
            if (row := known.get(token)) is None:
                row = known[token] = self._words[token], self._affixes.encode(affixes_of(token))
            rows.append(row)
        width = len(_PREFIXES) + len(_SUFFIXES) + 1
        words = torch.tensor([word for word, _ in rows], dtype=torch.int64)
        return words, torch.tensor([affixes for _, affixes in rows], dtype=torch.int64).view(len(rows), width)


def affixes_of(word: str) -> list[str]:
    """Return the affixes of a word and its class; a short word is its own affix.

    >>> affixes_of("Cats")
    ['<c', '<ca', '<cat', 's>', 'ts>', 'ats>', 'cats>', '=Aa']
    """
    low = word.lower()
    return [f"<{low[:n]}" for n in _PREFIXES] + [f"{low[-n:]}>" for n in _SUFFIXES] + [f"={_shape(word)}"]


def _shape(word: str) -> str:
    """Return a word's form, a letter for each of: a capital first, other capitals, small letters, digits, signs."""
    first = "A" if word[:1].isupper() else ""
    rest = "B" if any(c.isupper() for c in word[1:]) else ""
    small = "a" if any(c.islower() for c in word) else ""
    digit = "0" if any(c.isdigit() for c in word) else ""
    sign = "".join(sorted({c for c in word if not c.isalnum()}))[:2]
    return first + rest + small + digit + sign
