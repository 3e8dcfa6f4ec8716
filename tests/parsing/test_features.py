"""Words and affixes: what is known, what is rare."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.parsing import WordFeatures
from graphseq.parsing.features import affixes_of
from tests.strategies import examples


def test_counts():
    sentences = [["The", "cats", "sat"], ["the", "bats", "flew"], ["hats"]]
    features = WordFeatures.build(sentences, min_words=2, min_affixes=3)
    assert features.words == ("the",)  # The and the
    assert set(features.affixes) == {"s>", "ts>", "ats>", "=a", "the>"}  # of The and the twice each
    words, affixes = features.encode(["THE", "rats", "xyz"])
    assert words.tolist() == [1, 0, 0] and affixes.shape == (3, 8)
    known = [[features.affixes[k - 1] for k in row if k] for row in affixes.tolist()]
    assert known[1] == ["s>", "ts>", "ats>", "=a"] and known[2] == ["=a"]


@given(st.text(min_size=1, max_size=12))
@examples(100)
def test_any_word(word):
    assert len(affixes_of(word)) == 8 and affixes_of(word)[-1].startswith("=")


def test_nothing():
    words, affixes = WordFeatures((), ()).encode([])
    assert words.shape == (0,) and affixes.shape == (0, 8) and affixes.dtype == torch.int64
