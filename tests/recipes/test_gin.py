"""GIN on sets of one's own: attributes standardised by the training graphs, and what can't be trained on is told."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphseq.errors import GraphError
from graphseq.recipes import Job, Recipe, Source, cross, find_recipe, open_run, train
from graphseq.recipes.folds import parts
from graphseq.recipes.gin import GraphGIN

OFFSET = (20.0, -3.0)  # where each class's first attribute lies


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty paths of three nodes, labelled 3 and 7, with a telling wide attribute and a constant one."""
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    draw, lines = random.Random(0), {"A": [], "graph_indicator": [], "graph_labels": [], "node_attributes": []}
    for graph in range(40):
        first, kind = 3 * graph + 1, graph % 2
        for u, v in ((first, first + 1), (first + 1, first + 2)):
            lines["A"] += [f"{u}, {v}", f"{v}, {u}"]
        lines["graph_indicator"] += [str(graph + 1)] * 3
        lines["graph_labels"].append("37"[kind])
        lines["node_attributes"] += [f"{1000 * (OFFSET[kind] + draw.gauss(0, 4)):.3f}, 5" for _ in range(3)]
    raw = tmp_path / "root/tudataset/OWN/raw"
    raw.mkdir(parents=True)
    for part, content in lines.items():
        (raw / f"OWN_{part}.txt").write_text("\n".join(content) + "\n")
    return tmp_path / "root"


def own(**options: object) -> Recipe:
    given = {"dataset": "OWN", "check": False, "epochs": 20, "hidden": 8, "layers": 2, **options}
    return find_recipe("tu-gin", **given)


def source(root: Path) -> Source:
    return Source(root, offline=True)


def test_attributes_are_standardised_by_the_training_graphs_alone(root: Path) -> None:
    recipe = own()
    data = recipe.load_data(source(root), 0)
    task, metadata = recipe.task(source(root), 0)
    part = parts(recipe.labels(data), 10, 0)[0][0]
    raw = torch.cat([data.graphs[i].x[:, :1] for i in part.tolist()])
    assert metadata["mean"] == pytest.approx([float(raw.mean()), 5])
    assert metadata["std"] == pytest.approx([float(raw.std(correction=0)), 1])
    x = task.train.collate(torch.arange(len(part))).inputs[0]
    assert x[:, 0].mean().abs() < 1e-5 and abs(float(x[:, 0].std(correction=0)) - 1) < 1e-5 and not x[:, 1].any()
    x = task.test.collate(torch.arange(1)).inputs[0]
    assert 0.1 < float(x[:, 0].abs().mean()) < 5  # by the same numbers


def test_learns_what_raw_attributes_hide_and_reads_them_raw(root: Path, tmp_path: Path) -> None:
    summary = train(own(), tmp_path / "run", job=Job(source=source(root)))
    assert summary["mean"] == 100
    run = open_run(tmp_path / "run")
    assert run.metadata["classes"] == ["class 3", "class 7"]
    assert run.evaluate("test", source=source(root))["accuracy"] == 100
    for kind, offset in enumerate(OFFSET):
        x = [[1000 * offset, 5.0]] * 3
        text = json.dumps({"x": x, "edge_index": [[0, 1, 1, 2], [1, 0, 2, 1]]})
        assert run.predict(text)[0]["class"] == run.metadata["classes"][kind]


def test_each_fold_measures_its_own_training_part(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    measure = GraphGIN.measure

    def spy(self, data, metadata, train):
        seen.append(set(train.tolist()))
        return measure(self, data, metadata, train)

    monkeypatch.setattr(GraphGIN, "measure", spy)
    job = Job(source=source(root))
    cross.cross_validate(own(epochs=1), tmp_path / "run", folds=2, fixed=("hidden", "dropout"), job=job)
    assert [len(train) for train in seen] == [18] * 6  # three runs in each fold, two of its twenty graphs held out
    assert not set.union(*seen[:3]) & set.union(*seen[3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graph_labels": None}, "a set with a class for each graph, got OWN, which has no OWN_graph_labels.txt"),
        (
            {"graph_labels": None, "graph_attributes": "0.5\n" * 40},
            "which has no OWN_graph_labels.txt, only the targets of a regression in graph_attributes",
        ),
        ({"graph_labels": "0, 1\n" * 40}, "expected a set with a class for each graph, got OWN, with 2 labels"),
        ({"node_attributes": "0, 1\n" * 119 + "nan, 1\n"}, "expected finite attributes, got others in graph 40"),
    ],
)
def test_what_cannot_be_trained_on(root: Path, change: dict[str, str | None], message: str) -> None:
    for part, text in change.items():
        path = root / f"tudataset/OWN/raw/OWN_{part}.txt"
        path.unlink() if text is None else path.write_text(text)
    with pytest.raises(GraphError) as caught:
        own().task(source(root), 0)
    assert str(caught.value).startswith("`dataset`: ") and message in str(caught.value)


def test_without_its_attributes_the_set_has_degrees(root: Path) -> None:
    task, metadata = own(use_node_attr=False, max_degree=4).task(source(root), 0)
    assert metadata["features"] == 5 and "mean" not in metadata
    x = task.train.collate(torch.arange(1)).inputs[0]
    assert x.tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]


def test_the_recipe_of_the_reference_result_has_the_features_that_it_was_measured_with(data_root: Path) -> None:
    recipe = find_recipe("proteins-gin")
    data = recipe.load_data(Source(data_root), 0)
    assert recipe.metadata(data)["features"] == 3 and recipe.measure(data, {}, torch.arange(9)) == {}


def test_the_command_line_tells_what_is_odd_about_a_set_in_a_line_each(root: Path, tmp_path: Path) -> None:
    edges = root / "tudataset/OWN/raw/OWN_A.txt"
    edges.write_text("".join(edges.read_text().splitlines(keepends=True)[1:]))
    words = ["--dataset", "OWN", "--epochs", "1", "--hidden", "4", "--layers", "1", "--batch-size", "99"]
    command = [sys.executable, "-m", "graphseq", "train", "tu-gin", "--data-root", str(root), "--out", "run", *words]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert done.returncode == 0 and len(told) == 2, done
    assert told[0].startswith("Warning: tudataset/OWN/raw: no checksum is recorded of OWN_A.txt (and 3 more), so a")
    assert "; --no-check if they are your own" in told[0]
    assert told[1].startswith("Warning: OWN: 1 of 159 edges are in one direction only")
