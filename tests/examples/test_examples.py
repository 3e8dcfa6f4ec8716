"""The examples run, with few epochs, and the command that runs them all loses no table to one that fails."""

import importlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.__main__ import COLUMNS, EXAMPLES, LOADERS, main, table
from graphseq import GraphError

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))
SHORT = {
    "karate": {"epochs": 3},
    "one_cell": {},
    "digits": {"epochs": 1},
    "stdlib": {"epochs": 1},
    "cora": {"epochs": 3},
    "mutag": {"epochs": 2, "fold": 9},
    "sst": {"epochs": 1, "limit": 50},
}
FOLDERS = {"cora": "planetoid/Cora", "mutag": "tudataset/MUTAG", "sst": "sst"}


def run(name):
    return importlib.import_module(f"examples.{name}").main(**SHORT[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_runs(name, capsys):
    folder = FOLDERS.get(name)
    if folder and not (DATA / folder).is_dir():
        pytest.skip(f"needs {folder} in the data root GRAPHSEQ_DATA")
    row = run(name)
    assert set(row) | {"example", "seconds"} == set(COLUMNS)
    for part in ("validation", "test"):
        assert row[part] is None or 0 <= row[part] <= 1
    assert capsys.readouterr().out


def test_one_seed_one_result():
    assert run("karate") == run("karate")


def test_a_script_runs_from_anywhere(tmp_path):
    command = [sys.executable, str(ROOT / "examples/karate.py"), "--epochs", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("karate: validation") and done.stderr == ""  # no bar off a terminal


def test_table():
    rows = [
        {"example": "a", "model": "GCN", "metric": "accuracy", "validation": 0.5, "test": 0.25, "seconds": 61.4},
        {"example": "longer", "model": "failed", "seconds": 0.2},
    ]
    assert table(rows).splitlines() == [
        "example  model   metric    validation  test   seconds",
        "a        GCN     accuracy  50.0%       25.0%  61",
        "longer   failed  -         -           -      0",
    ]


def test_one_that_fails_leaves_the_others(monkeypatch, capsys):
    def fail():
        raise RuntimeError("broken")

    monkeypatch.setattr("examples.one_cell.main", fail)
    monkeypatch.setattr("examples.karate.main", lambda: {"model": "M", "metric": "m", "validation": 1.0, "test": 1.0})
    assert main(["one_cell", "karate"]) == 1
    out, err = capsys.readouterr()
    assert "RuntimeError: broken" in err and "Failed: one_cell" in err
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["one_cell", "failed"], ["karate", "M"]]


def test_absent_data_are_named_and_no_failure(monkeypatch, capsys):
    def absent():
        raise GraphError("sst is in no data root. To get it, lay it there.")

    monkeypatch.setitem(LOADERS, "sst", absent)
    assert main(["sst", "one_cell"]) == 0
    out = capsys.readouterr().out
    assert "Left out: sst. sst is in no data root. To get it, lay it there." in out
    assert "one_cell  GRU cell" in out


def test_a_data_root_without_the_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path))  # no download where a root is handed in
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    if (ROOT / "datasets/planetoid/Cora").exists():
        pytest.skip("the checkout has the data")
    assert main(["cora"]) == 0
    out = capsys.readouterr().out
    assert "Left out: cora." in out and "https://" in out


def test_an_unknown_name(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "'nothing' is not one of karate" in capsys.readouterr().err


def test_chance_is_beaten():
    row = importlib.import_module("examples.karate").main(epochs=60)
    assert row["test"] > 0.5 and not math.isnan(row["validation"])
