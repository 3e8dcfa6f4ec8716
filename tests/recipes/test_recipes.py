"""Every recipe trains, is opened again where the data are not, and predicts; what is stored says it all."""

from __future__ import annotations

import json
import math
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

import graphseq as gs
from graphseq import parsing
from graphseq.errors import GraphError
from graphseq.recipes import Job, Source, all_recipes, find_recipe, open_run, reference_results, train
from graphseq.train import Machine, Session, launch

DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))
NEEDS = {
    **{f"{d.lower()}-{kind}": f"planetoid/{d}" for d in ("Cora", "CiteSeer", "PubMed")
       for kind in ("gcn", "gat", "cheb", "appnp", "gcnii", "grand", "mlp")},
    "mutag-gin": "tudataset/MUTAG", "proteins-gin": "tudataset/PROTEINS", "tu-gin": "tudataset/MUTAG",
    "sst-treelstm": "sst", "sst-lstm": "sst",
}  # fmt: skip
SHORT = {
    "tu-gin": {"dataset": "MUTAG"},
    "stdlib-treelstm": {"max_nodes": 30, "hidden": 16},
    "sst-treelstm": {"embedding": 8, "hidden": 8, "limit": 60},
    "sst-lstm": {"embedding": 8, "hidden": 8, "limit": 300},
    "mutag-gin": {"epochs": 1},
    "proteins-gin": {"epochs": 1, "hidden": 4, "layers": 2},
    "cora-gcnii": {"layers": 4},
}
NAMES = (
    "karate-gcn", "cora-gcn", "cora-gat", "cora-cheb", "cora-appnp", "cora-gcnii", "cora-grand", "cora-mlp",
    "citeseer-gcn", "pubmed-gcn", "mutag-gin", "proteins-gin", "tu-gin", "sst-treelstm", "sst-lstm", "stdlib-treelstm",
    "digits-gru",
)  # fmt: skip
INPUTS = {
    **dict.fromkeys([name for name in NAMES if name.startswith("cora-")], "0 1 2707"),
    "mutag-gin": '{"edge_index": [[0, 1, 1, 2], [1, 0, 2, 1]], "x": [[1,0,0,0,0,0,0],[0,1,0,0,0,0,0],[1,0,0,0,0,0,0]]}',
}


def short(name: str):
    folder = NEEDS.get(name)
    if folder and not (DATA / folder).is_dir():
        pytest.skip(f"needs {folder} in the data root GRAPHSEQ_DATA")
    return find_recipe(name, **{"epochs": 2, **SHORT.get(name, {})})


def test_they_are_all_there() -> None:
    assert set(NAMES) <= set(all_recipes())
    assert set(reference_results()) <= set(all_recipes())


@pytest.mark.parametrize("name", sorted(all_recipes()))
def test_every_option_has_a_line(name: str) -> None:
    recipe = all_recipes()[name]
    for option in recipe.described():
        assert option.help and option.help[0].islower() and "\n" not in option.help, option.name
    assert recipe.summary and recipe.network and recipe.input
    for option, values in recipe.grid.items():
        for value in values:
            recipe.replace(**{option: value})


@pytest.mark.parametrize("name", NAMES)
def test_trains_and_is_opened_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = short(name)
    summary = train(recipe, tmp_path / "run")
    assert list(summary)[:6] == ["recipe", "metric", "mean", "std", "values", "seconds"]
    assert summary["recipe"] == name and 0 <= summary["mean"] <= 100 and summary["std"] == 0.0

    run = open_run(tmp_path / "run")
    split = "val" if recipe.reports == "val" else "test"
    assert run.evaluate(split)[recipe.metrics[0]] == pytest.approx(summary["mean"], abs=1e-3)
    assert run.recipe == recipe and run.name == name
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path / "nothing"))  # a trained model needs no data
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    model = gs.load(tmp_path / "run")
    assert isinstance(model, torch.nn.Module) and not model.training
    for (key, value), (other, same) in zip(model.state_dict().items(), run.model.state_dict().items(), strict=True):
        assert key == other and torch.equal(value, same.cpu())


@pytest.mark.parametrize("name", NAMES)
def test_predicts(name: str, tmp_path: Path) -> None:
    recipe = short(name)
    train(recipe, tmp_path / "run")
    run = open_run(tmp_path / "run")
    text = recipe.example or INPUTS.get(name) or graph(run.metadata["features"])
    found = run.predict(text)
    assert found and all(row["class"] in run.metadata["classes"] and 0 < row["probability"] <= 1 for row in found)
    (tmp_path / "input.txt").write_text(text)
    assert run.predict(str(tmp_path / "input.txt")) == found
    with pytest.raises(GraphError, match="`input`: expected"):
        run.predict("" if "sst" in name else "(((")
    with pytest.raises(GraphError, match=r"`input`: expected a text or a file that exists, got nowhere/to.json"):
        run.predict("nowhere/to.json")


@pytest.mark.parametrize(("name", "dataset"), [("citeseer-gcn", "CiteSeer"), ("pubmed-gcn", "PubMed")])
def test_other_citation_networks_need_only_their_files(name: str, dataset: str, tmp_path: Path) -> None:
    """On a made-up network, whose root stays as it was."""
    random = np.random.default_rng(0)
    count, labelled, classes = 600, 30, 3
    y = random.integers(0, classes, count)
    likely = 0.1 + 0.5 * (np.arange(12) % classes == y[:, None])
    x = scipy.sparse.csr_matrix((random.random((count, 12)) < likely).astype("f4"))
    same = {c: np.flatnonzero(y == c) for c in range(classes)}
    links = {v: random.choice(same[y[v]], 3).tolist() for v in range(count)}
    hot = np.eye(classes, dtype=np.int32)[y]
    files = {"x": x[:labelled], "tx": x[550:], "allx": x[:550], "y": hot[:labelled], "ty": hot[550:], "ally": hot[:550]}
    raw = tmp_path / f"root/planetoid/{dataset}/raw"
    raw.mkdir(parents=True)
    for part, content in (files | {"graph": links}).items():
        (raw / f"ind.{dataset.lower()}.{part}").write_bytes(pickle.dumps(content, protocol=4))
    (raw / f"ind.{dataset.lower()}.test.index").write_text("".join(f"{paper}\n" for paper in range(550, count)))
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "root").rglob("*"))
    recipe = find_recipe(name, epochs=60, check=False)
    summary = train(recipe, tmp_path / "run", job=Job(source=Source(tmp_path / "root", offline=True)))
    assert summary["mean"] > 80 and open_run(tmp_path / "run").metadata["classes"] == ["class 0", "class 1", "class 2"]
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "root").rglob("*"))


def graph(features: int) -> str:
    return json.dumps({"edge_index": [[0], [1]], "x": [[1.0] + [0.0] * (features - 1)] * 2})


@pytest.mark.parametrize("name", NAMES)
def test_no_parameter_is_unused(name: str) -> None:
    recipe = short(name)
    task, _ = recipe.task(Source(), 0)
    session = launch(Machine(device="cpu"), lambda fabric: Session(task, recipe, fabric, 0))
    seen = {}
    session.optimizer.zero_grad = lambda: seen.update({n: p.grad for n, p in task.model.named_parameters()})
    session.step(next(session.rest_of_epoch()))
    assert [name for name, grad in seen.items() if grad is None] == []


@pytest.mark.parametrize("name", ["karate-gcn", "cora-gcn", "mutag-gin", "sst-treelstm", "digits-gru"])
def test_mixed_precision(name: str, tmp_path: Path) -> None:
    recipe = short(name).replace(epochs=1)
    train(recipe, tmp_path, job=Job(machine=Machine(device="cpu", precision="bf16-mixed")))
    [record] = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert math.isfinite(record["loss"]) and all(p.dtype == torch.float32 for p in gs.load(tmp_path).parameters())


def test_training_is_one_short_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    summary = gs.recipes.train("karate-gcn", epochs=2, hidden=5)
    assert Path(summary["out"]).parent == Path("runs/karate-gcn")
    assert open_run("runs/karate-gcn").recipe == find_recipe("karate-gcn", epochs=2, hidden=5)
    assert train(find_recipe("karate-gcn", epochs=2), tmp_path / "own", hidden=5)["values"] == summary["values"]
    for wrong, message in (({"hiden": 5}, "did you mean 'hidden'"), ({"hidden": "5"}, "`hidden`: expected an integer")):
        with pytest.raises(GraphError, match=message):
            train("karate-gcn", **wrong)
    with pytest.raises(GraphError, match="`recipe`: expected the name of a recipe, got 3"):
        train(3)


def test_names_stay_with_recipes(tmp_path: Path) -> None:
    recipe = find_recipe("cora-gcn")
    assert recipe.name == recipe.replace(hidden=3).name == recipe.parse({"hidden": "3"}).name == "cora-gcn"
    assert pickle.loads(pickle.dumps(recipe.replace(hidden=3))).name == "cora-gcn"
    assert type(recipe)().name == "graphseq.recipes.gcn:PlanetoidGCN"


def test_classes_have_names(tmp_path: Path) -> None:
    train("karate-gcn", tmp_path, epochs=2)
    run = open_run(tmp_path)
    assert run.metadata["classes"] == ["Mr. Hi", "officer"] and run.predict("0")[0]["class"] in run.metadata["classes"]
    found = run.evaluate()
    assert [row["class"] for row in found["classes"]] == ["Mr. Hi", "officer"]
    assert sum(row["examples"] for row in found["classes"]) == 20


def test_same_seed_same_bits_and_other_seeds_others(tmp_path: Path) -> None:
    recipe = short("karate-gcn")
    for name in "ab":
        train(recipe, tmp_path / name, seeds=[3])
    train(recipe, tmp_path / "c", seeds=[4])
    for file in ("metrics.jsonl", "best.safetensors", "last.safetensors"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b != c


def test_several_seeds(tmp_path: Path) -> None:
    recipe = find_recipe("karate-gcn", epochs=30)
    summary = train(recipe, tmp_path, seeds=range(3))
    assert len(summary["values"]) == 3 and summary["mean"] == pytest.approx(sum(summary["values"]) / 3)
    runs = [json.loads((tmp_path / f"seed-{s}/result.json").read_text()) for s in range(3)]
    assert [run["value"] for run in runs] == summary["values"]
    best = max(runs, key=lambda run: run["val"]["accuracy"])
    assert open_run(tmp_path).path == tmp_path / f"seed-{best['seed']}"


def test_the_run_s_folder(tmp_path: Path) -> None:
    train(short("karate-gcn"), tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()} - {".lock"}
    assert names == {
        "config.json", "metadata.json", "environment.json", "metrics.jsonl", "result.json", "curves.png",
        "best.safetensors", "last.safetensors",
    }  # fmt: skip
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["seed"] == 0 and config["options"]["epochs"] == 2
    assert "torch" in json.loads((tmp_path / "run/environment.json").read_text())["versions"]
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG")


def test_resuming_finds_what_is_over_and_refuses_what_is_other(tmp_path: Path) -> None:
    recipe = short("karate-gcn")
    first = train(recipe, tmp_path)
    with pytest.raises(GraphError, match="`out`: expected a folder without a run"):
        train(recipe, tmp_path)
    again = train(recipe, tmp_path, job=Job(resume=True))
    assert again["values"] == first["values"]
    for other, seeds, message in (
        (find_recipe("karate-gcn", hidden=8, epochs=2), [0], "`hidden`: expected 16, as in the run in"),
        (recipe, [1], "`seed`: expected 0, as in the run in"),
        (find_recipe("karate-gcn", epochs=1), [0], "`epochs`: expected 2, as in the run in"),
    ):
        with pytest.raises(GraphError, match=message):
            train(other, tmp_path, seeds=seeds, job=Job(resume=True))
    longer = train(find_recipe("karate-gcn", epochs=5), tmp_path, job=Job(resume=True))
    straight = train(find_recipe("karate-gcn", epochs=5), tmp_path / "straight")
    assert longer["values"] == straight["values"]
    for file in ("metrics.jsonl", "best.safetensors", "last.safetensors"):
        assert (tmp_path / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()


def test_runs_are_not_mixed_in_one_folder(tmp_path: Path) -> None:
    recipe, resume = find_recipe("karate-gcn", epochs=2), Job(resume=True)
    several, single = tmp_path / "several", tmp_path / "single"
    train(recipe, several, seeds=[0, 1, 2])
    train(recipe, single)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out, seeds, job in (
        (several, [0], None), (several, [0], resume), (several, [0, 1], resume), (single, [0, 1], None),
        (single, [0, 1], resume), (several, [0, 1, 2], None),
    ):  # fmt: skip
        with pytest.raises(GraphError, match="`out`: expected a folder with"):
            train(recipe, out, seeds=seeds, job=job)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    more = train(recipe, several, seeds=range(4), job=resume)  # more seeds are more of the same
    assert len(more["values"]) == 4
    (single / "config.json").unlink()
    with pytest.raises(GraphError, match=r"`out`: expected a run with its config\.json"):
        train(recipe, single, job=resume)


def test_small_networks_train_on_one_thread(tmp_path: Path) -> None:
    def used(folder: Path) -> int:
        return json.loads((folder / "environment.json").read_text())["threads"]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train("karate-gcn", tmp_path / "small", epochs=1)
        train("karate-gcn", tmp_path / "chosen", epochs=1, job=Job(machine=Machine(threads=2)))
        train("karate-gcn", tmp_path / "large", epochs=1, hidden=200)
        assert [used(tmp_path / name) for name in ("small", "chosen", "large")] == [1, 2, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("seeds", [3, [], [1, 1], [2**31 - 1, 2**31], ["0"], [-1]])
def test_wrong_seeds_are_told_first(seeds: object, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"`seeds?`: expected"):
        train(find_recipe("karate-gcn"), tmp_path / "x", seeds=seeds)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"edge_index": [[0, 1], [1, 0], [2, 3]], "x": []}', "two lists of nodes, .*3 pairs are \"edges\""),
        ('{"edge_index": [[0.5, 1], [1, 0]], "x": [[1], [2]]}', "edge_index as two lists of nodes, whole numbers"),
        ('{"edge_index": [[0], [1]], "x": [1, 2]}', r"x as one list of 34 numbers .*\[2, 1\]"),
        ('{"edge_index": [[0], [1]], "x": [[[1]]]}', "x as one list of numbers for each"),
        ('{"edge_index": [[0], [1]], "x": [[1%s], [2%s]], "edge_weight": [2]}' % ((", 0" * 33,) * 2), "no weights"),
        ("[]", "node numbers"),
        ('{"edge_index": [[0], [0]], "x": [[NaN%s]]}' % (", 0" * 33), "not a finite number"),
        ('{"edge_index": [[0], [5]], "x": [[1%s]]}' % (", 0" * 33), "edges between the nodes 0 to 0, got node 5"),
        ('{"edge_index": [[0], [1, 2]], "x": []}', "edge_index as two lists of nodes"),
        ('{"x": []}', 'a graph with "edge_index"'),
        ("{" + "[" * 200_000, "input, column 2: not JSON"),
        ("0 8 99", "node numbers from 0 to 33, or a graph as JSON, got '99'"),
    ],
)
def test_graphs_of_the_wrong_shape(text: str, message: str, tmp_path: Path) -> None:
    train(find_recipe("karate-gcn", epochs=1), tmp_path)
    with pytest.raises(GraphError, match=message):
        open_run(tmp_path).predict(text)


def test_no_socket_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = short("cora-gcn")

    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert train(recipe, tmp_path, job=Job(source=Source(DATA, offline=True)))["values"]


def test_missing_data_are_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(GraphError, match=r"ind\.citeseer\.x"):
        job = Job(source=Source(tmp_path / "root", offline=True))
        train(find_recipe("citeseer-gcn"), tmp_path / "run", job=job)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cora-gnc", "`recipe`: expected the name of a recipe, got 'cora-gnc'; did you mean 'cora-gcn'?"),
        ("no.such.module:X", "`recipe`: expected a module that is installed or in"),
        ("json:dumps", "subclass of graphseq.recipes.Recipe"),
        ("json:loadz", "`recipe`: expected a name in json (did you mean load or loads?), got 'loadz'"),
        (":X", "`recipe`: expected module:name"),
        ("..x:X", "`recipe`: expected module:name"),
    ],
)
def test_no_such_recipe(name: str, message: str) -> None:
    with pytest.raises(GraphError) as caught:
        find_recipe(name)
    assert message in str(caught.value)


def test_a_recipe_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_mine.py").write_text(
        "from graphseq.recipes.gcn import KarateGCN\nclass Mine(KarateGCN):\n    '''Mine.'''\n    hidden: int = 5\n"
    )
    monkeypatch.chdir(tmp_path)
    name = "mine_of_mine:Mine"
    train(find_recipe(name, epochs=2), tmp_path / "run")
    assert open_run(tmp_path / "run", recipe=name).model.convs[0].out_channels == 5
    with pytest.raises(GraphError, match="`recipe`: expected 'mine_of_mine:Mine', the recipe of this run, named"):
        gs.load(tmp_path / "run")  # a file alone does not get a module imported


def test_runs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"`run`: expected the folder of a run, got .*which has no config\.json"):
        gs.load(tmp_path)
    train(short("karate-gcn"), tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    for change, message in (
        ({"recipe": "gone"}, "`recipe`: expected the name of a recipe, got 'gone'"),
        ({"options": {"speed": 3}}, "`speed`: expected the name of an option.*another version of graphseq"),
        ({"options": {"hidden": 3}}, "`run`: expected weights of karate-gcn"),
        ({"options": {"hidden": "many"}}, "`hidden`: expected an integer of at least 1, got 'many'"),
    ):
        (tmp_path / "run/config.json").write_text(json.dumps(config | change))
        with pytest.raises(GraphError, match=message):
            gs.load(tmp_path / "run")
    (tmp_path / "run/config.json").write_text("[]")
    with pytest.raises(GraphError, match="is not a run's configuration"):
        gs.load(tmp_path / "run")


def test_a_sentence_is_read_as_a_tree(tmp_path: Path) -> None:
    recipe = short("sst-treelstm")
    train(recipe, tmp_path)
    run = open_run(tmp_path)
    plain = run.predict("not bad, really")
    drawn = run.predict(parsing.parse("not bad, really").bracketed())
    assert plain == drawn and plain[0]["input"] == "not bad , really" and len(plain) == 7
    for text in ("(_ (_ a) (_ b) (_ c))", "(_ a) (_ b)", "(_ (_ a)"):
        with pytest.raises(GraphError):
            run.predict(text)
