"""A run that is interrupted, however and whenever, is resumed to the very bits of one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphseq.errors import GraphError
from graphseq.train import RunFolder, Training, fit, read_tensors
from tests.train import jobs

ROOT = Path(__file__).parents[2]
SETTINGS = Training(epochs=4, batch_size=16)


@pytest.mark.slow
def test_twenty_kills_two_signals_and_four_full_disks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.train.kill", str(tmp_path), "20"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["differed"] == []
    kills, signals, full = found["ended"][:-6], found["ended"][-6:-4], found["ended"][-4:]
    assert kills.count(-signal.SIGKILL) >= 20 // 2  # most were hit before they were through
    assert signals == [3, 3] and full == [4, 4, 4, 4]
    assert len(found["errors"]) == 4 and all("cannot be written: File too large" in e for e in found["errors"])


def run(folder: Path, settings: Training = SETTINGS, *, seed: int = 0, resume: bool = True, task=None):
    return fit(task or jobs.task(), settings, seed=seed, folder=RunFolder(folder), resume=resume)


def test_more_epochs_go_on_where_it_ended(tmp_path: Path) -> None:
    run(tmp_path / "a", Training(epochs=2, batch_size=16))
    longer = run(tmp_path / "a")
    assert longer.records == run(tmp_path / "b").records and longer.epochs == 4
    assert (tmp_path / "a/best.safetensors").read_bytes() == (tmp_path / "b/best.safetensors").read_bytes()


def test_over_is_over(tmp_path: Path) -> None:
    first = run(tmp_path)
    again = run(tmp_path)
    assert again == first


def test_nothing_is_written_over(tmp_path: Path) -> None:
    run(tmp_path, resume=False)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(GraphError, match=r"`folder`: expected one without a run, got .*; resume=True resumes"):
        run(tmp_path, resume=False)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_folder_is_needed_to_resume() -> None:
    with pytest.raises(GraphError, match="`folder`: expected the folder of the run to resume, got None"):
        fit(jobs.task(), SETTINGS, resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "`seed`: expected 0, with which the run began, got 1"),
        ({"settings": Training(epochs=4, batch_size=16, lr=0.5)}, "`lr`: expected 0.01, with which the run began"),
        ({"settings": Training(epochs=3, batch_size=16)}, "`epochs`: expected 4, with which the run began, got 3"),
        ({"task": jobs.Task(torch.nn.Linear(6, 3), jobs.split(9, 1))}, "`resume`: expected a checkpoint of this model"),
    ],
)
def test_another_run(tmp_path: Path, change: dict, message: str) -> None:
    run(tmp_path)
    with pytest.raises(GraphError, match=message):
        run(tmp_path, **change)


def test_damaged_checkpoints_are_named(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / "last.safetensors"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-300] ^= 1
    for content in (b"", whole[:100], whole[:-1], b"\x80\x04N." * 100, bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(GraphError, match=r"last\.safetensors is damaged or not a file of graphseq"):
            run(tmp_path)


def test_a_half_line_of_metrics_is_cut_off(tmp_path: Path) -> None:
    first = run(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5, "lo')
    assert run(tmp_path).records == first.records
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize("left", [None, 0, 3])
def test_lost_metrics_are_told(tmp_path: Path, left: int | None) -> None:
    run(tmp_path)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.unlink() if left is None else path.write_text("".join(lines[:left]) + '{"half')
    message = r"metrics\.jsonl with the 4 lines that the checkpoint knows, got [03] of them"
    with pytest.raises(GraphError, match=message):
        run(tmp_path)


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.lock(), pytest.raises(GraphError, match="another process is training in this folder"):
        RunFolder(tmp_path).lock()
    RunFolder(tmp_path).lock().release()


def test_a_checkpoint_holds_no_code(tmp_path: Path) -> None:
    run(tmp_path)
    tensors, meta = read_tensors(tmp_path / "last.safetensors")
    assert {"epoch", "seed", "best_epoch", "lines"} <= meta.keys()
    assert {"model", "optimizer", "random", "losses"} == {name.partition("/")[0] for name in tensors}
    assert {path.suffix for path in tmp_path.iterdir()} <= {".safetensors", ".json", ".jsonl", ""}
