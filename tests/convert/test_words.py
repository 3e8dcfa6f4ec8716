"""Words by the treebank's conventions, against the treebanks' own and NLTK's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.convert import treebank_words
from graphseq.datasets import SST, treebank
from graphseq.errors import MissingData
from tests.strategies import examples

CASES = {
    "“I can’t,” she said — ‘really?’": "`` I ca n't , '' she said -- ` really ? '",
    "Wow!!! 😀👍🏽 great😀film": "Wow !!! 😀 👍🏽 great 😀 film",
    "See https://a.b/c?d=e. OK :-)": "See https://a.b/c?d=e . OK :-)",
    "Mail x@y.com, #tag, @me!": "Mail x@y.com , #tag , @me !",
    "the boys' toys; it's 3:30": "the boys ' toys ; it 's 3:30",
    "10,000, $3.88, 50% of R&D": "10,000 , $ 3.88 , 50 % of R&D",
    "He lives in the U.S. Mr. X didn't.": "He lives in the U.S. Mr. X did n't .",
    "I'd've gone, but cannot.": "I 'd 've gone , but can not .",
    "a (b) [c] {d}": "a -LRB- b -RRB- -LSB- c -RSB- -LCB- d -RCB-",
    "and/or ***": "and\\/or \\*\\*\\*",
    '"Hello," he said. "(Yes)"': "`` Hello , '' he said . `` -LRB- Yes -RRB- ''",
    "rock 'n' roll of the '80s": "rock 'n' roll of the '80s",
    "...well... no--yes…": "... well ... no -- yes ...",
    "No. 5 is no.": "No. 5 is no .",
    "C'mon, O'Neill’s d’etre": "C'mon , O'Neill 's d'etre",
    "line\none\ttwo\x00three\u3000four": "line one two three four",
    "co-writer well-made": "co-writer well-made",
    "": "",
    " \n\t ": "",
    "'": "'",
}


@pytest.mark.parametrize("text", CASES)
def test_cases(text):
    assert treebank_words(text) == CASES[text].split()


@given(st.text(max_size=40))
@examples(200)
def test_any_text(text):
    words = treebank_words(text)
    assert all(words) and not any(set(" \t\n\r\x00") & set(word) for word in words)
    assert len("".join(words)) >= len("".join(c for c in text if c.isalnum()))  # nothing is lost


def agreement(sentences):
    return sum(treebank_words(" ".join(words)) == words for words in sentences) / len(sentences)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_the_treebank_of_sentiment(split):
    try:
        trees = SST(split, offline=True).trees
    except MissingData as error:
        pytest.skip(str(error))
    assert agreement([tree.tokens for tree in trees]) > 0.997


def test_better_than_nltk():
    try:
        sentences = [tree.tokens for tree in SST("train", offline=True).trees[:2000]]
    except MissingData as error:
        pytest.skip(str(error))
    tokenizer = pytest.importorskip("nltk.tokenize.treebank").TreebankWordTokenizer()
    split = lambda words: tokenizer.tokenize(" ".join(words).replace("\\", ""))  # noqa: E731
    plain = [[word.replace("\\", "") for word in words] for words in sentences]
    assert agreement(sentences) > sum(split(words) == words for words in plain) / len(plain)


def test_the_newspaper():
    try:
        trees = treebank(offline=True)
    except MissingData as error:
        pytest.skip(str(error))
    sentences = []
    for i in range(500):
        tree = trees[i]
        leaves = sorted(set(range(tree.num_nodes)) - set(tree.edge_index[1].tolist()))
        pairs = zip(leaves, tree.tokens, strict=True)
        sentences.append([word for node, word in pairs if tree.labels[node] != "-NONE-"])
    assert agreement(sentences) > 0.9


def test_marks_of_direction_separate():
    assert treebank_words("\u200fشكرا\u200e good\u202c") == ["شكرا", "good"]
