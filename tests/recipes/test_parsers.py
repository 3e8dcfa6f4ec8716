"""The recipes of parsers, on few sentences: training, evaluation, export."""

import os
from pathlib import Path

import pytest
import torch

from graphseq import GraphError
from graphseq.parsing import Parser, matched, unlabelled_tree
from graphseq.recipes import Source, find_recipe, open_run, train
from graphseq.recipes.parsers import export_parser, parser_of

DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))
SMALL = {"epochs": 3, "limit": 80, "hidden": 16, "span": 16, "embedding": 8, "affix": 8, "average": 0.0, "lr": 1e-2}
FILES = {"sst-parser": "sst/dev.txt", "treebank-parser": "nltk_data/corpora/treebank.zip"}


def short(name, **options):
    if not (DATA / FILES[name]).is_file():
        pytest.skip(f"needs {FILES[name]} in the data root GRAPHSEQ_DATA")
    return find_recipe(name, **SMALL, **options)


@pytest.mark.parametrize("options", [{}, {"objective": "margin", "by_marginals": False}, {"members": 2}])
@pytest.mark.parametrize("name", FILES)
def test_trains_and_is_exported(name, options, tmp_path):
    recipe = short(name, **options)
    summary = train(recipe, tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.evaluate()["bracket_f1"] == pytest.approx(summary["mean"], abs=1e-3)
    assert summary["split"] == ("dev" if name == "sst-parser" else "test") and summary["metric"] == "bracket_f1"
    parser = export_parser(tmp_path / "run", tmp_path / "p.safetensors", about="few sentences")
    again = Parser.load(tmp_path / "p.safetensors")
    assert again.about == "few sentences" and again.labels == parser.labels
    assert len(again.labels) == 1 if name == "sst-parser" else "S" in again.labels and "" in again.labels
    assert again.parse("It works .").tokens == ["It", "works", "."]
    with pytest.raises(GraphError, match=r"expected a file that Parser\.save wrote; .* got .*, a folder"):
        Parser.load(tmp_path / "run")
    assert parser_of(tmp_path / "run").parse("It works .").spans.tolist() == parser.parse("It works .").spans.tolist()


@pytest.mark.parametrize("by_marginals", [True, False])
def test_the_figure_is_that_of_the_parser(by_marginals, tmp_path):
    recipe = short("sst-parser", by_marginals=by_marginals)
    value = train(recipe, tmp_path / "run")["mean"]
    parser = parser_of(tmp_path / "run")
    _, dev, _ = recipe.load_data(Source(), 0)
    counts = []
    for tree, parse in zip(dev, parser.parse_many([tree.tokens for tree in dev]), strict=True):
        counts.append(matched(tree.brackets(), tree.brackets([(i, j, "") for i, j in parse.spans.tolist()])))
    right, found, true = torch.tensor(counts).sum(0).tolist()
    assert value == pytest.approx(200 * right / (found + true), abs=0.01) and len(dev) == 80


def test_a_tuning_part_is_of_the_training_part():
    recipe = short("sst-parser", tuning=0.1).replace(limit=0)
    train_part, tuning, test = recipe.load_data(Source(), 0)
    assert (len(train_part), len(tuning), test) == (7690, 854, None)
    published = {tuple(unlabelled_tree(tree).tokens) for tree in _dev()}
    assert sum(tuple(tree.tokens) in published for tree in tuning) < 5


def _dev():
    from graphseq.datasets import SST

    return SST("dev").trees


def test_no_sentence_of_the_treebank_is_in_two_parts():
    parts = short("treebank-parser").replace(limit=0).load_data(Source(), 0)
    train_part, val, test = ({tuple(tree.tokens) for tree in part} for part in parts)
    assert not train_part & (val | test) and not val & test and (len(parts[1]), len(parts[2])) == (389, 391)


def test_the_validation_part_is_trained_on_as_well(tmp_path):
    recipe = short("treebank-parser", with_val=True).replace(limit=0)
    train_part, val, test = recipe.load_data(Source(), 0)
    before, held, same = short("treebank-parser").replace(limit=0).load_data(Source(), 0)
    tokens = {tuple(tree.tokens) for tree in train_part}
    assert val is None and [t.tokens for t in test] == [t.tokens for t in same]
    assert tokens >= {tuple(tree.tokens) for tree in before} and not tokens & {tuple(tree.tokens) for tree in test}
    assert sum(tuple(tree.tokens) in tokens for tree in held) > 380
    summary = train(recipe.replace(limit=30, epochs=1), tmp_path / "run")
    assert summary["split"] == "test" and open_run(tmp_path / "run").evaluate()["bracket_f1"] >= 0


def test_tags_are_learnt_and_given(tmp_path):
    larger = {"limit": 200, "epochs": 8, "hidden": 32, "span": 48, "embedding": 24, "affix": 24}
    recipe = short("treebank-parser").replace(dropout=0.0, unknown=0.0, **larger)
    value = train(recipe, tmp_path / "run")["mean"]
    parser = parser_of(tmp_path / "run")
    test = recipe.replace(tags=False).load_data(Source(), 0)[2]
    counts, tags = [], []
    for tree, parse in zip(test, parser.parse_many([tree.tokens for tree in test]), strict=True):
        nodes = [(i, j, label) for (i, j), label in zip(parse.spans.tolist(), parse.labels, strict=True)]
        counts.append(matched(tree.brackets(), tree.brackets(nodes)))
        tags += [a == b for a, b in zip(tree.tags, parse.tags, strict=True)]
    right, found, true = torch.tensor(counts).sum(0).tolist()
    assert value == pytest.approx(200 * right / (found + true), abs=0.01)
    assert open_run(tmp_path / "run").evaluate(split="train")["bracket_f1"] > value > 40
    assert value > 40 and sum(tags) > 0.4 * len(tags)


@pytest.mark.parametrize("name", FILES)
def test_two_treebanks(name, tmp_path):
    other = {"sst-parser": "treebank-parser", "treebank-parser": "sst-parser"}[name]
    alone, both = short(name), short(name, **{"treebank" if name == "sst-parser" else "sst": True})
    more = short(other).replace(limit=0).load_data(Source(), 0)[0]
    train_part, *held = both.load_data(Source(), 0)
    assert len(train_part) == 160 and [[t.tokens for t in part or []] for part in held] == [
        [t.tokens for t in part or []] for part in alone.load_data(Source(), 0)[1:]
    ]
    assert [tree.tokens for tree in train_part[80:90]] == [tree.tokens for tree in more[:10]]
    assert not any(label for tree in train_part[80:] for *_, label in tree.nodes)
    assert train(both, tmp_path / "run")["mean"] >= 10 * (name == "sst-parser")
    labels = open_run(tmp_path / "run").metadata["labels"]
    assert labels == alone.metadata(alone.load_data(Source(), 0))["labels"]


def test_another_run(tmp_path):
    train("karate-gcn", tmp_path / "run", epochs=1)
    with pytest.raises(GraphError, match="`run`: expected a run of a parser"):
        export_parser(tmp_path / "run", tmp_path / "p")
