"""The sentiment of phrases: sentences in every form, batches, files, attributions; and the model that is shipped."""

import json

import pytest
import torch
from torch_geometric.data import Data

import graphseq as gs
from graphseq import GraphError
from graphseq.convert import binarise, collapse_unary, read_trees, to_nltk, treebank_words
from graphseq.datasets import SST
from graphseq.errors import MissingData
from graphseq.nn import TreeClassifier
from graphseq.parsing import SentimentModel, read_sentence, scorer
from graphseq.parsing.result import Parse
from tests.parsing.test_shipped import make as make_parser

WORDS = ("a", "bad", "film", "good", "is", "it", "not", "the")
TREE = "(_ (_ It) (_ (_ is) (_ (_ not) (_ (_ a) (_ (_ bad) (_ film))))))"


def make(cell="nary-tree-lstm", bidirectional=False):
    torch.manual_seed(0)
    options = {"num_symbols": len(WORDS) + 1, "embedding_size": 6, "hidden_size": 5, "num_classes": 5}
    options |= {"cell": cell, "bidirectional": bidirectional}
    return SentimentModel(TreeClassifier(**options), WORDS, options, parser=make_parser(), about="of a test")


def test_the_scores_are_those_of_the_network():
    model = make()
    found = model.score(TREE)
    [tree] = read_trees(TREE)
    topology = gs.Topology.from_data(tree)
    symbols = torch.tensor([-1, 6, -1, 5, -1, 7, -1, 1, -1, 2, 3])
    wanted = model.model(symbols, topology).softmax(1).detach()
    torch.testing.assert_close(found.probabilities, wanted)
    assert found.label == int(wanted[0].argmax())
    torch.testing.assert_close(found.scores, wanted[0])
    assert [p.text for p in found.phrases[:3]] == ["It is not a bad film", "It", "is not a bad film"]
    assert [p.span for p in found.phrases[:3]] == [(0, 6), (0, 1), (1, 6)]
    for phrase, row in zip(found.phrases, wanted, strict=True):
        assert phrase.label == int(row.argmax())
        assert phrase.value == pytest.approx(float(row @ torch.arange(-2.0, 3)), abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_many_equal_one_by_one(batch_size):
    model = make()
    given = ["The film is good.", TREE, ["It", "is", "not"], "Bad", "(_ (_ a) (_ b) (_ c))"] * 3
    many = list(model.score_many(iter(given), batch_size=batch_size))
    for found, sentence in zip(many, given, strict=True):
        alone = model.score(sentence)
        assert found.parse.tokens == alone.parse.tokens
        assert torch.equal(found.parse.spans, alone.parse.spans)
        torch.testing.assert_close(found.probabilities, alone.probabilities)


def test_trees_of_other_forms():
    """Chains of one child are one node; more than two children are binarised to the right; labels are ignored."""
    model = make()
    wanted = model.score("(_ (_ it) (_ (_ is) (_ good)))")
    for text in ("(S (NP it) (VP is) (ADJP (JJ good)))", " (3 (2 it) (4 (2 is) (4 good)))\n"):
        found = model.score(text)
        assert found.parse.spans.tolist() == wanted.parse.spans.tolist()
        torch.testing.assert_close(found.probabilities, wanted.probabilities)


def test_labels_of_trees_are_ignored_whatever_they_are():
    model = make()
    [data] = read_trees("(S (NP (DT a) (JJ b) (NN c)) (VP (VB d)))")
    wanted = model.score(data)
    plain = collapse_unary(data)
    del plain.labels
    for given in (collapse_unary(data), binarise(data), "(S (NP (DT a) (@NP (J+J b) (NN c))) (VP+VB d))", plain):
        found = model.score(given)
        assert torch.equal(found.parse.spans, wanted.parse.spans) and torch.equal(found.scores, wanted.scores)


def test_trees_of_other_kinds():
    """A parse, PyG's Data and NLTK's trees; words without traces."""
    model = make()
    wanted = model.score(TREE)
    [data] = read_trees(TREE)
    for given in (wanted.parse, data, wanted.parse.to_data(), to_nltk(data)):
        assert torch.equal(model.score(given).probabilities, wanted.probabilities)
        [many] = model.score_many([given])
        assert torch.equal(many.probabilities, wanted.probabilities)
    assert model.attributions(wanted.parse) == model.attributions(TREE)
    traced = model.score("( (S (NP-SBJ (-NONE- *-1)) (VP (VBZ bores) (NP (PRP us)))) )")
    assert traced.parse.tokens == ["bores", "us"]


@pytest.mark.parametrize("text", ["(not good)", "(bad) film", "(I like it (a bit))", "(3 stars) fine", "(bad", ")("])
def test_brackets_in_a_text_are_words(text):
    model = make()
    assert model.score(text).parse.tokens == treebank_words(text)
    assert read_sentence(text) == treebank_words(text)


@pytest.mark.parametrize("label", [None, 0, 4])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_attributions_sum_to_the_difference_of_logits(label, bidirectional):
    model = make(bidirectional=bidirectional)
    with torch.no_grad():
        for p in model.model.parameters():
            p *= 2
    parts = model.attributions(TREE, label)
    assert [word for word, _ in parts] == ["It", "is", "not", "a", "bad", "film"]
    found = model.score(TREE)
    chosen = found.label if label is None else label
    topology, nodes = found.parse.topology, (model._symbols(found.parse) >= 0).nonzero()[:, 0]
    own = model.model.embedding(model._symbols(found.parse)[nodes])
    logits = [model.model.scores(x, topology, nodes, roots=True)[0, chosen] for x in (own, torch.zeros_like(own))]
    assert sum(part for _, part in parts) == pytest.approx(float((logits[0] - logits[1]).detach()), abs=1e-4)
    assert len({part for _, part in parts}) == 6


def test_saved_and_loaded(tmp_path):
    model = make(cell="nary-tree-gru")
    model.save(tmp_path / "s.safetensors")
    again = SentimentModel.load(tmp_path / "s.safetensors")
    assert again.about == "of a test"
    torch.testing.assert_close(again.score(TREE).probabilities, model.score(TREE).probabilities, atol=2e-3, rtol=0)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "s.safetensors"]
    make_parser().save(tmp_path / "p.safetensors")
    for name in ("p.safetensors", "none"):
        with pytest.raises(GraphError, match=r"`path`: expected a file that SentimentModel\.save wrote"):
            SentimentModel.load(tmp_path / name)
    with pytest.raises(GraphError, match="`words`: expected 8, as the model has, got 2"):
        SentimentModel(model.model, ("a", "b"), model.options)


@pytest.mark.parametrize(("sentence", "message"), [
    ("", "`sentence`: expected a text with at least one word"),
    ([], "`sentence`: expected at least one word"),
    (None, "`sentence`: expected a text or a list of words"),
    ("(_ a) (_ b)", "`sentence`: expected one bracketed tree"),
    ("(3 (2 not) (1 a tree)", "`sentence`: expected one bracketed tree .*, got line 1, column 17"),
    ("(_ (_ a)", "`sentence`: expected one bracketed tree .*, got line 1, column 9"),
    ("(-NONE- (-NONE- *))", "-NONE-"),
])  # fmt: skip
def test_what_is_no_sentence(sentence, message):
    with pytest.raises(GraphError, match=message):
        make().score(sentence)
    with pytest.raises(GraphError, match=message.replace("`sentence`", r"`sentences\[1\]`")):
        list(make().score_many(["a film", sentence]))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_errors_of_many_are_collected(batch_size):
    model, errors = make(), []
    given = ["", "(_ (_ a", "a film", "", "(_ (_ good) (_ film))", 7, ["good", "film"]]
    found = list(model.score_many(given, batch_size=batch_size, errors=errors))
    assert [each.parse.tokens for each in found] == [["a", "film"], ["good", "film"], ["good", "film"]]
    assert [str(error).split("`")[1] for error in errors] == [f"sentences[{i}]" for i in (0, 1, 3, 5)]
    trees = [Data(), Data(edge_index=torch.tensor([[1.0, 2.0], [0.0, 0.0]]), num_nodes=3, tokens=["a", "b"])]
    assert [len(list(model.score_many([*trees, "a"], errors=errors))), len(errors)] == [1, 6]
    assert [str(error).split("`")[1] for error in errors[4:]] == ["sentences[0]", "sentences[1]"]
    with pytest.raises(GraphError, match="`errors`: expected a list, or None"):
        model.score_many(given, errors=())
    for each, sentence in zip(found, [given[2], given[4], given[6]], strict=True):
        torch.testing.assert_close(each.scores, model.score(sentence).scores)


def test_shown():
    found = make().score(TREE)
    assert repr(found) == f"Sentiment({gs.datasets.SENTIMENTS[found.label]}: It is not a bad film)"
    lines = found.drawn().splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("┐ ") and lines[-1].endswith(" film")
    assert "\x1b[" in found.drawn(colours=True)
    assert "<svg" in found._repr_html_()
    assert found.page().count("<tr>") == 12
    told = found.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {"label", "sentiment", "value", "scores", "phrases", "parse"}
    assert "&lt;b&gt;" in make().score(["<b>", "film"]).page()


def test_the_model_that_is_shipped():
    """The file is what the code reads, and reaches its figure on 100 sentences."""
    model = scorer.sentiment_model()
    assert scorer.WEIGHTS.stat().st_size <= 6e6
    try:
        dev = SST("dev")
    except MissingData as error:
        pytest.skip(str(error))
    trees = [dev[i] for i in range(100)]
    found = model._scored([Parse(list(tree.tokens), tree.span) for tree in trees])
    right = sum(float((f.probabilities.argmax(1) == t.y).float().sum()) for f, t in zip(found, trees, strict=True))
    assert right / sum(tree.num_nodes for tree in trees) > 0.795
    assert gs.sentiment("A wonderful film .").label > 2 > gs.sentiment("A boring , stupid film .").label
