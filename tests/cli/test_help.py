"""Help is complete and quick, and what is typed wrongly is told."""

import subprocess
import sys

import pytest
import typer

import graphseq as gs
from graphseq.cli import app

GROUP = typer.main.get_command(app)
COMMANDS = {name: GROUP.commands[name] for name in GROUP.list_commands(None)}

START = """
import sys
from graphseq.cli import main
try:
    main(["--help"])
finally:
    print(*sys.modules, file=sys.stderr)
"""


def test_the_commands():
    assert list(COMMANDS) == ["demo", "recipes", "train", "predict", "evaluate", "parse", "sentiment", "doctor"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_parameter_has_help(name, graphseq):
    command = COMMANDS[name]
    assert command.help and command.help[0].isupper()
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"
        assert parameter.help.strip()[0].isalnum() and parameter.help.strip()[-1] in ".…]", f"{name} {parameter.name}"
    out = graphseq(name, "--help").out
    for parameter in command.params:
        shown = parameter.opts[0] if parameter.opts[0].startswith("-") else (parameter.metavar or parameter.name)
        assert shown.strip("[]") in out


def test_a_command_imports_no_other(graphseq):
    made = subprocess.run(
        [sys.executable, "-c", START.replace('"--help"', '"parse", "It works."')],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = made.stderr.split()
    assert "graphseq.parsing" in loaded and not {"graphseq.train", "graphseq.recipes", "torch_geometric"} & set(loaded)


def test_alone_it_prints_help(graphseq):
    out = graphseq().out
    assert out.startswith("Usage: graphseq") and all(name in out for name in COMMANDS)
    assert graphseq("--help").out == graphseq("-h").out == out


def test_version(graphseq):
    assert graphseq("--version").out == f"graphseq {gs.__version__}\n"


def test_slips_in_commands_and_options(graphseq):
    assert "Did you mean 'train'?" in graphseq("trian", code=2).err
    assert "--seeds" in graphseq("train", "karate-gcn", "--seed-s", "3", code=2).err
    assert "RECIPE" in graphseq("train", code=2).err
    assert "--seeds" in graphseq("train", "karate-gcn", "--seeds", "0", code=2).err
    assert "int" in graphseq("train", "karate-gcn", "--seeds", "many", code=2).err


def test_a_process_starts_with_little():
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("Usage: graphseq")
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    heavy = {"torch_geometric", "lightning_fabric", "torchmetrics", "sklearn", "scipy", "matplotlib", "numba"}
    assert not loaded & heavy


def test_as_a_module_with_a_wrong_name():
    done = subprocess.run([sys.executable, "-m", "graphseq", "train", "zzz"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("Error: `recipe`: expected the name of a recipe, got 'zzz'; there are ")
