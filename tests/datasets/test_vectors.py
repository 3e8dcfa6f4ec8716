"""Word vectors from text files: forms of words, headers, what is no such file."""

import gzip

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq import GraphError
from graphseq.datasets import word_vectors


def written(folder, text, name="vectors.txt"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_only_wanted_words_are_read(tmp_path):
    path = written(tmp_path, "good 1 2\nother nonsense\nbad -1 2.5e-1\n")
    vectors, found = word_vectors(path, ["bad", "missing", "good"], 2)
    assert vectors.tolist() == [[-1, 0.25], [0, 0], [1, 2]] and found.tolist() == [True, False, True]


def test_word2vec_has_a_header_and_trailing_spaces(tmp_path):
    path = written(tmp_path, "2 3\ngood 1 2 3 \n2 4 5 6 \n")
    vectors, found = word_vectors(path, ["2", "good"], 3)
    assert vectors.tolist() == [[4, 5, 6], [1, 2, 3]] and found.all()


def test_the_exact_form_is_preferred_wherever_it_stands(tmp_path):
    lines = ["the 1", "The 2", "( 3", "-LRB- 4", "/ 5", "and/or 6", "film 7"]
    for order in (lines, lines[::-1]):
        path = written(tmp_path, "\n".join(order))
        vectors, found = word_vectors(path, ["The", "-LRB-", "-lrb-", "and\\/or", "Film"], 1)
        assert vectors[:, 0].tolist() == [2, 4, 3, 6, 7] and found.all()


def test_a_word_twice_gets_both_rows(tmp_path):
    path = written(tmp_path, "a 1 2\n")
    assert word_vectors(path, ["a", "a", "A"], 2)[0].tolist() == [[1, 2]] * 3


def test_words_with_spaces_are_others_than_what_they_begin_with(tmp_path):
    path = written(tmp_path, "at name@domain.com 1 2\n. . . 3 4\nat 5 6\n. 7 8\n")
    vectors, found = word_vectors(path, ["at", ".", "name@domain.com"], 2)
    assert vectors.tolist() == [[5, 6], [7, 8], [0, 0]] and found.tolist() == [True, True, False]


def test_a_byte_order_mark_is_not_in_the_first_word(tmp_path):
    assert word_vectors(written(tmp_path, "\ufeffa 1\n"), ["a"], 1)[0].tolist() == [[1]]


def test_compressed(tmp_path):
    path = written(tmp_path, gzip.compress(b"a 1\n"), "v.txt.gz")
    assert word_vectors(path, ["a"], 1)[0].tolist() == [[1]]
    with pytest.raises(GraphError, match="cannot be read"):
        word_vectors(written(tmp_path, b"a 1\n", "w.txt.gz"), ["a"], 1)
    with pytest.raises(GraphError, match="cannot be read"):
        word_vectors(written(tmp_path, gzip.compress(b"a 1\n" * 99)[:-9], "x.txt.gz"), ["a"], 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b 1 2\na 1 2 3\n", "expected 2 numbers after each word, the size of an embedding, got 3 in .*line 2"),
        ("a 1 x\n", "could not convert .* in .*line 1"),
        ("a 1 nan\n", "expected finite numbers"),
        ("a 1 1e39\n", "expected finite numbers of float32"),
        (b"\x00\x01binary", "expected a text file of word vectors"),
        ("a" * 70_000, "expected a text file of word vectors"),
    ],
)
def test_what_is_no_such_file(tmp_path, text, message):
    with pytest.raises(GraphError, match=message):
        word_vectors(written(tmp_path, text), ["a"], 2)


def test_no_file(tmp_path):
    with pytest.raises(GraphError, match=r"none\.txt: cannot be read: No such file"):
        word_vectors(tmp_path / "none.txt", ["a"], 2)


@given(st.dictionaries(st.text("abcé(/,.", min_size=1), st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3)))
def test_what_is_written_is_read(tmp_path_factory, rows):
    text = "".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in rows.items())
    vectors, found = word_vectors(written(tmp_path_factory.mktemp("v"), text), list(rows), 3)
    assert found.all() and torch.equal(vectors, torch.tensor(list(rows.values())).view(-1, 3))
