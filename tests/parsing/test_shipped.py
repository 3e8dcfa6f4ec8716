"""Parsers: sentences in every form, batches, files; and the one that comes with graphseq."""

import json

import pytest
import torch
from safetensors import safe_open

from graphseq import GraphError, parsing
from graphseq.convert import read_trees
from graphseq.datasets import SST
from graphseq.errors import MissingData
from graphseq.nn import SpanParser
from graphseq.parsing import Parser, WordFeatures, matched, shipped, unlabelled_tree

SENTENCES = ["It works .", "The film is not bad , but it is long .", "Fine", "We saw the cat and the dog"]


def make(labels=("",), seed=0):
    torch.manual_seed(seed)
    features = WordFeatures.build([line.split() for line in SENTENCES], min_words=1, min_affixes=1)
    sizes = {"embedding_size": 6, "affix_size": 6, "hidden_size": 6, "span_size": 6}
    model = SpanParser(len(features.words) + 1, len(features.affixes) + 1, len(labels), **sizes)
    return Parser(model, features, labels)


def same(a, b):
    return a.tokens == b.tokens and torch.equal(a.spans, b.spans) and list(a.labels) == list(b.labels)


@pytest.mark.parametrize("labels", [("",), ("", "NP", "S+VP")])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_many_equal_one_by_one(labels, batch_size):
    parser = make(labels)
    many = list(parser.parse_many((s for s in SENTENCES * 3), batch_size=batch_size))
    alone = [parser.parse(s) for s in SENTENCES * 3]
    assert len(many) == 12 and all(map(same, many, alone))
    for parse in alone:
        n = len(parse.tokens)
        assert parse.spans.dtype == torch.int64 and parse.spans.shape == (2 * n - 1, 2)
        assert parse.spans[0].tolist() == [0, n] and parse.topology.num_nodes == 2 * n - 1
        assert read_trees(parse.bracketed())[0].tokens == parse.tokens


def test_it_streams():
    read = []

    def sentences():
        for i in range(100):
            read.append(i)
            yield "It works ."

    found = make().parse_many(sentences(), batch_size=2)
    next(found)
    assert len(read) == 16


def test_words_that_are_given_stay():
    parser = make()
    assert parser.parse(["It's", "fine."]).tokens == ["It's", "fine."]
    assert parser.parse("It's fine.").tokens == ["It", "'s", "fine", "."]
    assert parser.parse(["2\xa01\\/2", "x"]).tokens == ["2\xa01\\/2", "x"]
    assert parser.parse("x").spans.tolist() == [[0, 1]]


@pytest.mark.parametrize("n", [256, 257, 700, 2000])
def test_long_sentences(n):
    words = [("." if i % 50 == 49 else "it") for i in range(n)]
    parse = make().parse(words)
    assert parse.spans.shape == (2 * n - 1, 2) and parse.parents.count(-1) == 1
    assert read_trees(parse.bracketed())[0].num_nodes == 2 * n - 1
    if n > 256:
        ends = [end for start, end in parse.spans.tolist() if start == 0 and end < n]
        assert max(ends) % 50 == 0  # the first part ends with a period


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "`sentence`: expected a text with at least one word"),
        (" \n\t", "`sentence`: expected a text with at least one word"),
        ([], "`sentence`: expected at least one word"),
        (["a", ""], r"`sentence\[1\]`: expected a word without spaces"),
        (["a b"], r"`sentence\[0\]`: expected a word without spaces"),
        (["a", 3], r"`sentence\[1\]`: expected a word without spaces, got 3"),
        (b"abc", "`sentence`: expected a text or a list of words"),
        (7, "`sentence`: expected a text or a list of words, got 7"),
    ],
)
def test_errors(sentence, message):
    with pytest.raises(GraphError, match=message):
        make().parse(sentence)


def test_errors_of_many():
    parser = make()
    with pytest.raises(GraphError, match=r"`sentences\[2\]`: expected a text with at least one word"):
        list(parser.parse_many(["a", "b", ""]))
    with pytest.raises(GraphError, match="`batch_size`: expected an integer of at least 1, got 0"):
        parser.parse_many(["a"], batch_size=0)
    with pytest.raises(GraphError, match="`sentences`: expected an iterable of sentences"):
        parser.parse_many("a text")


@pytest.mark.parametrize("batch_size", [1, 2])
def test_errors_of_many_are_collected(batch_size):
    parser, errors = make(), []
    given = ["", "It works.", ["a", ""], 7, *["Fine"] * 20, b"x"]
    found = list(parser.parse_many(given, batch_size=batch_size, errors=errors))
    assert [parse.tokens for parse in found] == [["It", "works", "."], *[["Fine"]] * 20]
    places = ["sentences[0]", "sentences[2][1]", "sentences[3]", "sentences[24]"]
    for error, place in zip(errors, places, strict=True):
        assert str(error).startswith(f"`{place}`: expected")
    assert list(parser.parse_many([""], errors=errors)) == [] and len(errors) == 5


def test_tags(tmp_path):
    plain = make(("", "NP", "NP+NN", "DT", "VP"))
    tagged = Parser(plain.model, plain.features, plain.labels, tags=["NN", "DT"])
    tagged.save(tmp_path / "p")
    for parser in (tagged, Parser.load(tmp_path / "p")):
        for parse in (*parser.parse_many(SENTENCES), parser.parse(["cat"] * 300)):
            assert len(parse.tags) == len(parse.tokens) and set(parse.tags) <= {"NN", "DT"}
            for label, (start, end) in zip(parse.labels, parse.spans.tolist(), strict=True):
                if end - start == 1:
                    assert (label == "NP") == (parse.tags[start] == "NN")
                assert label in ("", "NP") if end - start == 1 else label in ("", "NP", "VP")
            assert read_trees(parse.bracketed())[0].tokens == parse.tokens
    assert all(not parse.tags for parse in plain.parse_many(SENTENCES))


def test_files(tmp_path):
    parser, path = make(("", "NP", "S")), tmp_path / "p.safetensors"
    parser.about = "a test"
    parser.save(path)
    again = Parser.load(path)
    assert again.about == "a test" and again.labels == ["", "NP", "S"] and again.features == parser.features
    for name, value in parser.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value.half().float())
    for broken, message in (("", "expected a file that Parser"), ("{}", "expected a file")):
        (tmp_path / "bad").write_text(broken)
        with pytest.raises(GraphError, match=message):
            Parser.load(tmp_path / "bad")
    with pytest.raises(GraphError, match="`path`: expected a file that Parser"):
        Parser.load(tmp_path / "none")
    with pytest.raises(GraphError, match="`model`: expected one of"):
        Parser(parser.model, WordFeatures((), ()), parser.labels)


def test_the_shipped_file():
    path = shipped.WEIGHTS
    assert path.stat().st_size <= 6_200_000 and (path.parent / "README.md").is_file()
    with safe_open(path, framework="pt") as file:
        meta = json.loads(file.metadata()["graphseq.parser"])
        names = set(file.keys())
        total = sum(file.get_tensor(name).numel() for name in names)
        assert {file.get_tensor(name).dtype for name in names} == {torch.float16}
    assert 2 * total <= 6_000_000
    parser = parsing.parser()
    assert parser is parsing.parser() and parser.model.options == meta["options"]
    assert set(parser.model.state_dict()) == names
    parse = parsing.parse("It isn't a bad film at all.")
    assert parse.tokens == ["It", "is", "n't", "a", "bad", "film", "at", "all", "."]
    assert [same(parse, other) for other in parsing.parse_many([parse.tokens])] == [True]


@pytest.mark.parametrize(
    "text",
    ["...", "😀", "שלום עולם", "好看。", "a\x00b", "'", "((((", "ALL CAPITALS !!!", "x" * 5000, "e\u0301 \u202eabc"],
)
def test_any_text_has_a_tree(text):
    parse = parsing.parse(text)
    assert len(parse.spans) == 2 * len(parse.tokens) - 1
    assert len(read_trees(parse.bracketed())[0].tokens) == len(parse.tokens)


def test_the_shipped_parser_reaches_its_figure():
    try:
        trees = SST("dev", offline=True).trees[:100]
    except MissingData as error:
        pytest.skip(str(error))
    right = found = true = 0
    gold = [unlabelled_tree(tree) for tree in trees]
    for tree, parse in zip(gold, parsing.parse_many([tree.tokens for tree in gold]), strict=True):
        nodes = [(i, j, "") for i, j in parse.spans.tolist()]
        a, b, c = matched(tree.brackets(), tree.brackets(nodes))
        right, found, true = right + a, found + b, true + c
    assert 200 * right / (found + true) >= 77.0
