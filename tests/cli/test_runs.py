"""What has been trained is predicted with, judged again and loaded."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import graphseq as gs
from graphseq import parsing
from graphseq.datasets import digits, karate
from graphseq.recipes import Predictions, find_recipe
from graphseq.recipes.gcn import KarateGCN


def test_predict_nodes(graphseq, karate_run):
    found = graphseq("predict", karate_run, "0 33", "--json").last
    assert found["recipe"] == "karate-gcn" and [each["input"] for each in found["predictions"]] == ["node 0", "node 33"]
    club = karate(seed=0)
    model = gs.load(karate_run)
    chance, best = model(club.x, club.edge_index).detach().softmax(1).max(1)
    for each, node in zip(found["predictions"], (0, 33), strict=True):
        assert each["class"] == ["Mr. Hi", "officer"][int(best[node])]
        assert each["probability"] == pytest.approx(float(chance[node]), abs=1e-5)
    lines = graphseq("predict", karate_run, "0 33").out.splitlines()
    assert lines[0].split()[:2] == ["node", "0"] and lines[0].endswith("%")


def test_predict_a_graph_from_a_file_and_from_standard_input(graphseq, karate_run, tmp_path):
    graph = {"edge_index": [[0, 1], [1, 0]], "x": torch.eye(34)[:2].tolist()}
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    found = graphseq("predict", karate_run, "graph.json", "--json").last["predictions"]
    assert found == graphseq("predict", karate_run, "-", "--json", stdin=json.dumps(graph)).last["predictions"]
    assert len(found) == 2


def test_predict_a_digit(graphseq, digits_run):
    data = digits(seed=0)
    text = " ".join(str(int(value)) for value in (data.x[0, :, 0] * 16).tolist())
    found = graphseq("predict", digits_run, text, "--json").last["predictions"]
    assert found[0]["class"] == str(int(gs.load(digits_run)(data.x[:1]).argmax()))
    assert found == graphseq("predict", digits_run, "-", "--json", stdin=text).last["predictions"]
    example = graphseq("predict", digits_run, find_recipe("digits-gru").example).out
    assert example.startswith("digit  ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("34", "`input`: expected node numbers from 0 to 33, or a graph as JSON, got '34'"),
        ("", "`input`: expected node numbers"),
        (" ", ", got nothing\n"),
        ("nobody", "`input`: expected node numbers"),
        ("{", "input, column 2: not JSON"),
        ('{"edge_index": [[0], [1]]}', "`input`: expected a graph with x as one list of 34 numbers for each node"),
        ('{"edge_index": [[0], [0]], "x": [[1]]}', "`input`: expected x as one list of 34 numbers for each node"),
        ("missing.json", "`input`: expected a text or a file that exists, got missing.json"),
    ],
)
def test_slips_in_input(graphseq, karate_run, text, message):
    done = graphseq("predict", karate_run, text, code=2)
    assert message in done.err and done.out == ""


def test_slips_in_standard_input(graphseq, karate_run):
    assert "on standard input, got nothing" in graphseq("predict", karate_run, "-", stdin="", code=2).err
    assert "not UTF-8" in graphseq("predict", karate_run, "-", stdin=b"\xff\xfe", code=2).err


def test_standard_input_is_read_as_files_are(karate_run):
    """In a process of its own: what a locale makes of bytes, and a standard input that is closed."""
    program = f"{shlex.quote(sys.executable)} -m graphseq predict {shlex.quote(str(karate_run))} -"
    environment = os.environ | {"LC_ALL": "C", "PYTHONPATH": str(Path(gs.__file__).parents[1])}

    def shell(line):
        done = subprocess.run(["sh", "-c", line], capture_output=True, env=environment)
        assert b"Traceback" not in done.stderr
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    code, _, message = shell(f"printf '\\377' | {program}")
    assert code == 2 and message == "Error: `input`: expected a text on standard input, got what is not UTF-8\n"
    code, _, message = shell(f"{program} <&-")
    assert code == 2 and message == "Error: `input`: expected a text on standard input, got none: it is closed\n"


def test_standard_input_with_a_mark_before_the_text(graphseq, karate_run):
    plain = graphseq("predict", karate_run, "-", "--json", stdin=b"0 33\n").last
    assert graphseq("predict", karate_run, "-", "--json", stdin=b"\xef\xbb\xbf0 33\r\n").last == plain


def test_many_predictions_of_long_inputs(graphseq, karate_run, monkeypatch):
    lines = graphseq("predict", karate_run, " ".join(["0"] * 1300)).out.splitlines()
    assert len(lines) == 201 and lines[-1] == "and 1,100 more; --json prints all, --out FILE writes them"
    assert len(graphseq("predict", karate_run, " ".join(["0"] * 200)).out.splitlines()) == 200
    phrase = "word " * 5000
    for found in ({"input": phrase, "class": "good", "probability": 0.5}, {"input": phrase, "value": [1.0, 2.0]}):
        monkeypatch.setattr("graphseq.recipes.Run.predict", lambda *given, found=found: Predictions([found]))
        assert len(graphseq("predict", karate_run, "0").out.partition("…")[0]) == 59
        assert graphseq("predict", karate_run, "0", "--json").last["predictions"] == [found]


def test_evaluate(graphseq, karate_run):
    result = json.loads((karate_run / "result.json").read_text())
    found = graphseq("evaluate", karate_run, "--json").last
    assert found["accuracy"] == pytest.approx(result["value"], abs=1e-3) and found["split"] == "test"
    assert found["loss"] == pytest.approx(result["test"]["loss"], abs=1e-6)
    dev = graphseq("evaluate", karate_run, "--split", "dev", "--json").last
    val = graphseq("evaluate", karate_run, "--split", "val", "--json", "--device", "cpu").last
    assert dev["loss"] == val["loss"] == pytest.approx(result["val"]["loss"], abs=1e-6)
    lines = [line.split()[:2] for line in graphseq("evaluate", karate_run, "--split", "train").out.splitlines()]
    assert lines[:2] == [["train", "loss"], ["train", "accuracy"]] and lines[3] == ["class", "examples"]


def test_evaluate_digits(graphseq, digits_run):
    result = json.loads((digits_run / "result.json").read_text())
    assert graphseq("evaluate", digits_run, "--json").last["accuracy"] == pytest.approx(result["value"], abs=1e-3)


def test_slips_in_runs(graphseq, karate_run, tmp_path):
    assert "expected train, val or test, got 'tets'" in graphseq("evaluate", karate_run, "--split", "tets", code=2).err
    assert "`run`: expected the folder of a run, got nowhere" in graphseq("predict", "nowhere", "0", code=2).err
    assert "`device`: expected" in graphseq("evaluate", karate_run, "--device", "gpu", code=2).err
    (tmp_path / "config.json").write_text("{")
    assert "config.json cannot be read" in graphseq("evaluate", tmp_path, code=2).err


@pytest.mark.parametrize("command", [("predict", "0"), ("evaluate",)], ids=["predict", "evaluate"])
def test_folders_without_one_network(graphseq, karate_run, tmp_path, command):
    name, *rest = command
    shutil.copytree(karate_run, tmp_path / "seeds" / "seed-0")
    done = graphseq(name, "seeds", *rest, code=2)
    assert "got seeds, with several seeds, not all of which are finished; `graphseq train karate-gcn" in done.err
    (tmp_path / "cross").mkdir()
    (tmp_path / "cross" / "cross.json").write_text("{}")
    done = graphseq(name, "cross", *rest, code=2)
    assert done.err.endswith("got cross, a cross-validation, which keeps no network to predict with\n")
    done = graphseq(name, karate_run / "config.json", *rest, code=2)
    assert f"`run`: expected the folder of a run, got {karate_run / 'config.json'}, a file; its folder is" in done.err
    assert "which does not exist" in graphseq(name, "nowhere", *rest, code=2).err


def test_the_newest_finished_run_of_a_recipe(graphseq, karate_run, tmp_path):
    home = tmp_path / "runs/karate-gcn"
    for name in ("2026-01-02-030405", "2026-01-02-030405-2", "2026-01-03-000000", "mine"):
        shutil.copytree(karate_run, home / name)
    (home / "2026-01-03-000000/result.json").unlink()
    done = graphseq("predict", home, "0 1", "--json")
    assert done.last["run"] == str(home / "2026-01-02-030405-2") and "Run: " in done.err
    assert graphseq("evaluate", home, "--json").last["run"] == done.last["run"]


def test_classes_by_name(graphseq, karate_run):
    classes = graphseq("evaluate", karate_run, "--json").last["classes"]
    assert [row["class"] for row in classes] == ["Mr. Hi", "officer"]
    accuracy = graphseq("evaluate", karate_run, "--json").last["accuracy"]
    right = sum(row["examples"] * row["correct"] for row in classes) / sum(row["examples"] for row in classes)
    assert right == pytest.approx(accuracy, abs=1e-3)


def test_sentences_are_parsed(graphseq, tmp_path):
    (tmp_path / "root/sst").mkdir(parents=True)
    for split in ("train", "dev"):
        (tmp_path / f"root/sst/{split}.txt").write_text("(3 (2 It) (3 (3 works) (2 .)))\n(1 (2 It) (1 fails))\n")
    graphseq("train", "sst-treelstm", "--data-root", "root", "--no-check", "--epochs", 1, "--hidden", 4, "--out", "run")
    done = graphseq("predict", "run", "It works.")
    lines = done.out.splitlines()
    assert lines[0].startswith("It works .")
    assert "Note: the tree is that of `graphseq parse`" in lines[-1]
    found = graphseq("predict", "run", "It's (not) bad.", "--json").last
    wanted = parsing.parse("It's (not) bad.")
    spans = [" ".join(wanted.tokens[a:b]) for a, b in wanted.spans.tolist()]
    assert [row["input"] for row in found["predictions"]] == spans
    assert "note" not in graphseq("predict", "run", "(_ (_ It) (_ works))", "--json").last
    assert graphseq("evaluate", "run", "--data-root", "root", "--json").last["split"] == "dev"
    found = graphseq("evaluate", "run", "--data-root", "root", "--set", "evaluated=phrases", "--json").last
    assert sum(row["examples"] for row in found["classes"]) == 8
    error = graphseq("evaluate", "run", "--set", "hidden=3", code=2).err
    assert "expected the name of a column, such as label_column=y or evaluated, got hidden" in error


def test_the_test_part_is_evaluated_where_it_is(graphseq, tmp_path):
    (tmp_path / "root/sst").mkdir(parents=True)
    command = ("train", "sst-treelstm", "--data-root", "root", "--no-check", "--epochs", 1, "--hidden", 4)
    for split in ("train", "dev", "test"):
        if split == "test":
            assert "test" not in graphseq(*command, "--json").last
        (tmp_path / f"root/sst/{split}.txt").write_text("(3 (2 It) (3 (3 works) (2 .)))\n(1 (2 It) (1 fails))\n")
    found = graphseq(*command, "--json", "--seeds", 2).last
    assert found["split"] == "dev" and found["test"]["values"] == found["values"]  # of the same trees
    out = graphseq(*command, "--out", "run").out
    assert f"Test part, evaluated once: test accuracy {found['test']['values'][0]:.1f}" in out
    assert graphseq("evaluate", "run", "--data-root", "root", "--split", "test", "--json").last["split"] == "test"


def test_a_split_that_the_data_lack(graphseq, karate_run, monkeypatch):
    whole = KarateGCN.task

    def task(self, source, seed):
        made, metadata = whole(self, source, seed)
        made.test = None
        return made, metadata

    monkeypatch.setattr(KarateGCN, "task", task)
    error = graphseq("evaluate", karate_run, "--split", "test", code=2).err
    assert error == "Error: `split`: expected train or val, the splits of the run's data, got 'test'\n"


def test_a_damaged_run(graphseq, karate_run, tmp_path):
    for path in karate_run.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = (tmp_path / "best.safetensors").read_bytes()
    (tmp_path / "best.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "damaged" in graphseq("predict", tmp_path, "0", code=2).err
    os.remove(tmp_path / "best.safetensors")
    assert "has no best.safetensors" in graphseq("predict", tmp_path, "0", code=2).err


def test_load(karate_run):
    model = gs.load(karate_run)
    assert isinstance(model, torch.nn.Module) and not model.training


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_predictions_are_drawn(graphseq, karate_run, tmp_path, ending, start):
    file = tmp_path / f"club.{ending}"
    file.write_bytes(b"old")
    plain = graphseq("predict", karate_run, "0 33").out
    assert graphseq("predict", karate_run, "0 33", "--plot", file).out == plain
    assert file.read_bytes().startswith(start) and [path.name for path in tmp_path.iterdir()] == [file.name]


def test_what_is_drawn(graphseq, karate_run, monkeypatch):
    drawn = []

    def keep(*given, **options):
        drawn.append(options)

    monkeypatch.setattr("graphseq.plot.graph", keep)
    graphseq("predict", karate_run, "0 33", "--plot", "a.png")
    graphseq("predict", karate_run, " ".join(map(str, range(34))), "--plot", "a.png")
    club = karate(seed=0)
    for options in drawn:
        assert torch.equal(options["colours"], gs.load(karate_run)(club.x, club.edge_index).argmax(1))
    assert drawn[0]["marks"]["in the input"].nonzero().flatten().tolist() == [0, 33] and drawn[1]["marks"] is None


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("club.gif", "`--plot`: expected a file name that ends in .png, .svg or .pdf, got 'club.gif'"),
        ("nowhere/club.png", "`--plot`: expected a file in a folder that exists"),
    ],
)
def test_slips_in_the_picture_come_before_any_work(graphseq, file, message):
    assert message in graphseq("predict", "no-run", "0", "--plot", file, code=2).err


def test_a_prediction_without_a_structure(graphseq, digits_run, tmp_path):
    done = graphseq("predict", digits_run, find_recipe("digits-gru").example, "--plot", "a.png", code=2)
    assert done.err == "Error: `--plot`: expected a run of a recipe on trees or graphs, got one of digits-gru\n"
    assert not list(tmp_path.iterdir())
