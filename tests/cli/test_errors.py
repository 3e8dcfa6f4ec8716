"""What goes wrong is told in one message, whatever it is; a fault of ours keeps its traceback."""

import pytest
import torch


def failing(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PermissionError(13, "Permission denied", "runs/x"), 2, "Error: runs/x: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "Error: [Errno 28] No space left on device\n"),
        (torch.OutOfMemoryError("out of memory\nmore"), 2, "Error: the device's memory is full; try --set batch_size"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
    ],
    ids=["permission", "disk", "memory", "interrupt"],
)
def test_of_the_machine(graphseq, monkeypatch, error, code, message):
    monkeypatch.setattr("graphseq.cli.runs.open_run", failing(error))
    done = graphseq("predict", "run", "x", code=code)
    assert done.err.startswith(message) and done.out == ""


def test_ctrl_c_before_the_first_step_says_how_to_go_on(graphseq, monkeypatch):
    monkeypatch.setattr("graphseq.cli.train.train_recipe", failing(KeyboardInterrupt()))
    done = graphseq("train", "karate-gcn", "--out", "run", code=130)
    assert "stopped. To go on:" in done.err and done.err.endswith(" train karate-gcn --out run --resume\n")


def test_ctrl_c_in_a_demo(graphseq, monkeypatch):
    monkeypatch.setattr("graphseq.cli.demo.train", failing(KeyboardInterrupt()))
    done = graphseq("demo", "--quick", "--out", "my demo", code=130)
    assert done.err.endswith(" demo --out 'my demo' --quick\n")


def test_one_of_several_processes_says_which_it_is(graphseq, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert graphseq("train", "zzz", code=2).err.startswith("Error in process 1: `recipe`")
    assert graphseq("recipes").out == ""


def test_a_fault_of_ours_is_not_hidden(graphseq, monkeypatch):
    monkeypatch.setattr("graphseq.cli.runs.open_run", failing(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        graphseq("predict", "run", "x")


def test_how_this_program_is_called(monkeypatch, tmp_path):
    from graphseq.cli.show import program

    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "graphseq").write_text("#!/bin/sh\n")
    (folder / "graphseq").chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(folder / "graphseq"), "demo"])
    monkeypatch.setenv("PATH", "")
    assert program() == "bin/graphseq"  # below the current folder
    monkeypatch.chdir(folder)
    assert program() == "./graphseq"
    monkeypatch.setenv("PATH", str(folder))
    assert program() == "graphseq"
    monkeypatch.setattr("sys.argv", ["-m", "demo"])
    assert program().endswith(" -m graphseq")
