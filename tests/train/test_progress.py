"""Standard error has the progress, if asked for, and no warning that a user can't act on; standard output has none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphseq.train import Training, fit, progress
from tests.train import jobs


def test_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    fit(jobs.task(), Training(epochs=3))
    assert capsys.readouterr() == ("", "")


def test_few_lines_of_many_quick_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    fit(jobs.task(), Training(epochs=100), verbose=True, name="karate")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and 2 <= len(lines) <= 10
    pattern = r"karate: epoch {}/100, loss \d\.\d+, val_accuracy \d+\.\d %, \d\d:\d\d left"
    assert re.fullmatch(pattern.format(1), lines[0]) and re.fullmatch(pattern.format(100), lines[-1])
    assert lines[-1].endswith(", 00:00 left")


def test_a_line_for_each_slow_epoch_and_within_a_slower_one(capsys, monkeypatch) -> None:
    monkeypatch.setattr(progress, "_EPOCHS", 0.0)
    monkeypatch.setattr(progress, "_STEPS", 0.0)
    task = jobs.task()
    task.val = None
    fit(task, Training(epochs=3, batch_size=45), verbose=True)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(r", loss.*|, \d\d:.*", "", line) for line in lines] == [
        f"training: epoch {epoch}/3{rest}" for epoch in (1, 2, 3) for rest in (", step 1/2", ", step 2/2", "")
    ]


def test_a_bar_on_a_terminal(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(jobs.task(), Training(epochs=3), verbose=True, name="bar")
    err = capsys.readouterr().err
    assert "bar: 100%" in err and "3/3" in err and "val_accuracy" in err


DEPRECATED = """
import sys, warnings, torch
script = torch.jit.script
def deprecated(*args, **kwargs):  # as PyTorch 2.14 has it; PyG calls it when imported
    warnings.warn("`torch.jit.script` is deprecated. Please switch to `torch.compile`", FutureWarning)
    return script(*args, **kwargs)
torch.jit.script = deprecated
from graphseq.cli import main
main(sys.argv[1:])
"""


def test_the_command_line_s_streams(tmp_path: Path) -> None:
    def graphseq(*words: str) -> tuple[list[str], list[str]]:
        command = [sys.executable, "-c", DEPRECATED, "train", "karate-gcn", "--epochs", "3", "--json", *words]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr.splitlines()

    out, err = graphseq("--out", "loud")
    assert len(out) == 1 and json.loads(out[0])["recipe"] == "karate-gcn"
    assert [line.split(",")[0] for line in err] == ["Training karate-gcn in loud", *["karate-gcn"] * (len(err) - 1)]
    assert "seed 0: epoch 1/3" in err[1] and "seed 0: epoch 3/3" in err[-1]
    out, err = graphseq("--out", "quiet", "--quiet")
    assert len(out) == 1 and err == ["Training karate-gcn in quiet"]
