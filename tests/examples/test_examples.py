"""The examples run, with few epochs; what they show is true."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphseq.datasets import SENTIMENTS

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "__init__")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Examples write below the current folder; one thread, since their networks are small."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def example(name):
    return importlib.import_module(f"examples.{name}")


def test_all_are_tested():
    assert NAMES == ["cora", "expressions", "karate", "my_recipe", "one_cell", "sst"]
    assert all(f"def test_{name}" in Path(__file__).read_text(encoding="utf-8") for name in NAMES)


def test_karate(tmp_path):
    picture = tmp_path / "club.png"
    assert example("karate").main(picture=str(picture)) > 80
    assert picture.stat().st_size > 5000
    assert example("karate").main(5, seed=1) == example("karate").main(5, seed=1)


def test_expressions(capsys):
    assert example("expressions").main(epochs=4) > 60
    assert "at depth 8" in capsys.readouterr().out


def test_my_recipe():
    assert example("my_recipe").main(epochs=2).startswith("depth ")
    brackets = example("my_recipe")
    assert [brackets.depth(text) for text in ("", "()", "(())()", "(()(()))")] == [0, 1, 2, 3]


def test_one_cell(capsys):
    example("one_cell").main()
    out = capsys.readouterr().out
    assert "got the cycle 0 → 1 → 2 → 3 → 4 → 0" in out and "differs by" in out


def test_cora(data_root, capsys):
    assert 0 < example("cora").main(epochs=2) < 100
    assert example("cora").main(epochs=2)  # again: shown again
    assert capsys.readouterr().out.count("Cora: test accuracy") == 2


def test_sst(data_root, tmp_path):
    picture = tmp_path / "phrases.png"
    found = example("sst").main(epochs=1, hidden=4, picture=str(picture))
    assert len(found) == 15 and set(found) <= set(SENTIMENTS) and picture.stat().st_size > 5000


def test_a_script_runs_from_anywhere(tmp_path):
    command = [sys.executable, str(ROOT / "examples/karate.py"), "--epochs", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The sides of two leaders") and done.stderr.startswith("karate: epoch 1/1, loss")


@pytest.mark.parametrize("name", NAMES)
def test_what_an_example_says_of_itself(name):
    text = (ROOT / f"examples/{name}.py").read_text(encoding="utf-8")
    assert f"python examples/{name}.py" in text.split('"""')[1]
