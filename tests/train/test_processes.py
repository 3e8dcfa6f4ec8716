"""Two processes do what one does: gradients of the joined batch, metrics of the whole split, one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("pair")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.train.pair", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"folder": folder}


def close(a, b, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(torch.tensor(a), torch.tensor(b), rtol=tolerance, atol=tolerance)


def test_gradients_equal_those_of_the_joined_batch(found: dict) -> None:
    close(found["1"]["gradient"], found["2"]["gradient"], 1e-6)
    assert max(map(abs, found["1"]["gradient"])) > 1e-3


@pytest.mark.parametrize("kind", ["train", "uneven"])
def test_training_ends_with_the_same_weights(found: dict, kind: str) -> None:
    one, two = found["1"][kind], found["2"][kind]
    close(one["weights"], two["weights"], 1e-3)
    for a, b in zip(one["records"], two["records"], strict=True):
        assert a.keys() == b.keys()
        close(list(a.values()), list(b.values()), 1e-3)


def test_metrics_of_uneven_shares(found: dict) -> None:
    for size in ("1", "2", "7"):
        (count, targets, one), (other_count, other_targets, other) = (
            found[processes]["gathered"][size] for processes in ("1", "2")
        )
        assert count == other_count == int(size) and targets == other_targets
        close(list(one.values()), list(other.values()))


def test_what_is_reported_is_of_the_model_that_is_left(found: dict) -> None:
    for processes in ("1", "2"):
        for reported, left in found[processes]["statistics"]:
            close(reported, left)


def test_two_processes_give_the_same_bits_twice(found: dict) -> None:
    assert found["2"]["again"] == found["2"]["train"] == found["2"]["workers"]


def test_one_folder(found: dict) -> None:
    one, two = ({path.name for path in (found["folder"] / f"run-{p}").iterdir()} for p in (1, 2))
    assert one == two


def test_an_error_comes_out_as_itself(found: dict) -> None:
    assert found["error"] == "`dataset`: expected another"
