"""The command line in this process, and runs that are trained once."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from graphseq.cli import app


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def last(self) -> Any:
        """The last line on standard output, which must be JSON."""
        return json.loads(self.out.splitlines()[-1])


@contextmanager
def one_thread():
    """Networks are small here, and two threads wait for each other where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def call(*arguments: object, stdin: str | bytes | None = None, code: int | None = 0) -> Done:
    """Run a command and see that it ends with this code, without a traceback."""
    with one_thread():
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, prog_name="graphseq")
    done = Done(result.exit_code, result.stdout, result.stderr)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in done.out + done.err
    assert code is None or done.code == code, done
    return done


@pytest.fixture
def graphseq():
    return call


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Commands write below the current folder, which is empty, and speak alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    with one_thread():
        yield


@pytest.fixture(scope="session")
def karate_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("karate") / "run"
    call("train", "karate-gcn", "--out", folder, "--epochs", 30)
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "run"
    call("train", "digits-gru", "--out", folder, "--epochs", 3, "--batch-size", 256)
    return folder
