"""The recipes on the Stanford Sentiment Treebank: each trains, on sentences or phrases, with vectors of a file."""

import os
from pathlib import Path

import pytest
import torch

from graphseq import GraphError
from graphseq.recipes import Source, find_recipe, open_run, train

DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))
TREES = ("sst-treelstm", "sst-recursive", "sst-rntn", "sst-treegru", "sst-bitreelstm")
SMALL = {"epochs": 1, "limit": 40, "embedding": 8, "hidden": 8}

pytestmark = pytest.mark.skipif(not (DATA / "sst").is_dir(), reason="needs sst in the data root GRAPHSEQ_DATA")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        *((name, "fine") for name in (*TREES, "sst-lstm", "sst-latent")),
        ("sst-treelstm", "binary"),
        ("sst-lstm", "binary"),
    ],
)
def test_trains_and_predicts(name, labels, tmp_path):
    summary = train(name, tmp_path / "run", labels_of=labels, **SMALL)
    run = open_run(tmp_path / "run")
    assert run.evaluate()["accuracy"] == pytest.approx(summary["mean"], abs=1e-3)
    found = run.predict("It is not bad at all .")
    assert {row["class"] for row in found} <= set(run.metadata["classes"]) and len(run.metadata["classes"]) in (2, 5)


@pytest.mark.parametrize("name", ["sst-treelstm", "sst-lstm"])
def test_phrases_are_evaluated(name, tmp_path):
    train(name, tmp_path / "run", evaluated="phrases", **SMALL)
    run = open_run(tmp_path / "run")
    _, dev, _ = run.recipe.load_data(Source(), 0)
    split = run.recipe.splits((dev, dev, None), run.metadata, 0).val
    count = sum(len(tree.y) for tree in dev.trees[:40])
    scores = torch.cat([run._scores(split.batch(part)) for part in torch.arange(split.size).split(7)])
    assert len(scores) == count
    y = torch.cat([tree.y for tree in dev.trees])[:count]
    assert run.evaluate()["accuracy"] == pytest.approx(100 * float((scores.argmax(1) == y).float().mean()))


def test_a_tuning_part_is_of_the_training_part(tmp_path):
    recipe = find_recipe("sst-bitreelstm", tuning=0.1, **SMALL | {"limit": 0})
    data = recipe.load_data(Source(), 0)
    parts = recipe.splits(data, recipe.metadata(data), 0)
    assert (parts.train.size, parts.val.size, parts.test) == (7690, 854, None)
    roots = parts.val.batch(torch.arange(854)).target
    published = find_recipe("sst-bitreelstm", **SMALL | {"limit": 0}).splits(data, recipe.metadata(data), 0).val
    assert published.size == 1101 and not torch.equal(roots, published.batch(torch.arange(854)).target)
    train(recipe.replace(limit=40), tmp_path / "run")
    assert open_run(tmp_path / "run").evaluate()["accuracy"] >= 0


def test_known_words_begin_with_their_vectors(tmp_path):
    file = tmp_path / "v.txt"
    file.write_text("film 1 2 3 4\nnever-seen-word 0 0 0 0\n")
    recipe = find_recipe("sst-treelstm", **SMALL | {"embedding": 4}, vectors=str(file))
    task, metadata = recipe.task(Source(), 0)
    plain, _ = recipe.replace(vectors="").task(Source(), 0)
    at = metadata["words"].index("film") + 1
    mine, other = task.model.embedding.weight, plain.model.embedding.weight
    assert mine[at].tolist() == [1, 2, 3, 4]
    rest = torch.arange(len(mine)) != at
    assert torch.equal(mine[rest], other[rest])
    with pytest.raises(GraphError, match="expected 5 numbers after each word, the size of an embedding, got 4"):
        recipe.replace(embedding=5).task(Source(), 0)
    file.write_text("never-seen-word 0 0 0 0\n")
    with pytest.raises(GraphError, match="vectors of some of the words"):
        recipe.task(Source(), 0)
