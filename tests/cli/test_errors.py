"""What goes wrong is told in one message, whatever it is; a fault of ours keeps its traceback."""

import pytest
import torch

from graphseq import GraphError


def failing(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (PermissionError(13, "Permission denied", "runs/x"), 2, "Error: runs/x: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "Error: [Errno 28] No space left on device\n"),
        (torch.OutOfMemoryError("out of memory\nmore"), 2, "Error: the device's memory is full; try a smaller"),
        (MemoryError(), 2, "Error: not enough memory\n"),
        (MemoryError("Unable to allocate 7 PiB\nmore"), 2, "Error: not enough memory: Unable to allocate 7 PiB\n"),
        (
            RuntimeError("[enforce fail] err == 0. DefaultCPUAllocator: can't allocate memory: you tried 9.\nmore"),
            2,
            "Error: not enough memory: can't allocate memory: you tried 9.\n",
        ),
        (RuntimeError("Storage size calculation overflowed with sizes=[9, 9]"), 2, "Error: not enough memory: Storage"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
    ],
    ids=["permission", "disk", "device", "memory", "array", "tensor", "sizes", "interrupt"],
)
def test_of_the_machine(graphseq, monkeypatch, error, code, message):
    monkeypatch.setattr("graphseq.cli.runs.open_run", failing(error))
    done = graphseq("predict", "run", "x", code=code)
    assert done.err.startswith(message) and done.out == ""


def test_data_that_are_not_the_published_ones(graphseq, monkeypatch):
    error = GraphError("train.txt was altered; check=False reads it all the same")
    monkeypatch.setattr("graphseq.cli.train.train_recipe", failing(error))
    done = graphseq("train", "cora-gcn", "--out", "run", code=2)
    assert done.err.endswith(f"Error: {error}\nOn the command line that is --no-check.\n")
    monkeypatch.setattr("graphseq.cli.runs.open_run", failing(error))
    assert graphseq("evaluate", "run", code=2).err == f"Error: {error}\n"  # which has no --no-check


@pytest.mark.parametrize("command", [("train", "karate-gcn"), ("demo", "--quick")], ids=["train", "demo"])
@pytest.mark.parametrize("text", ["", " "])
def test_out_without_a_name(graphseq, tmp_path, command, text):
    done = graphseq(*command, "--out", text, code=2)
    assert done.err == f"Error: `--out`: expected a folder's name, got {text!r}\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_the_first_step_says_how_to_go_on(graphseq, monkeypatch):
    monkeypatch.setattr("graphseq.cli.train.train_recipe", failing(KeyboardInterrupt()))
    done = graphseq("train", "karate-gcn", "--out", "run", code=130)
    assert "stopped. To resume:" in done.err and done.err.endswith(" train karate-gcn --out run --resume\n")


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
