"""``graphseq train``: the contract of its output, options, folders, mistakes, stopping and resuming."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphseq.recipes import all_recipes
from graphseq.train import Session

KARATE = ("train", "karate-gcn", "--epochs", "5")


def test_json_is_the_last_line_and_the_only_one(graphseq, tmp_path):
    done = graphseq(*KARATE, "--json", "--out", "run")
    assert done.out.count("\n") == 1
    assert done.last.keys() >= {"recipe", "metric", "mean", "std", "values", "seconds"}
    assert done.last["recipe"] == "karate-gcn" and done.last["metric"] == "accuracy"
    assert done.last["values"] == [done.last["mean"]] and done.last["std"] == 0
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert done.last["mean"] == result["value"] and "Training karate-gcn in run" in done.err


def test_in_words(graphseq):
    out = graphseq(*KARATE, "--out", "a run").out
    assert re.match(r"karate-gcn: test accuracy \d+\.\d %, in \d+ s\nFolder: a run\n", out)
    assert "predict 'a run' '0 8 33'" in out and "graphseq.load('a run')" in out


def test_several_seeds(graphseq, tmp_path):
    done = graphseq(*KARATE, "--seeds", 3, "--seed", 4, "--json", "--out", "run")
    assert len(done.last["values"]) == 3 and done.last["std"] >= 0
    assert sorted(path.name for path in (tmp_path / "run").glob("seed-*")) == ["seed-4", "seed-5", "seed-6"]
    alone = graphseq(*KARATE, "--seed", 5, "--json").last
    assert alone["values"] == done.last["values"][1:2]
    graphseq("predict", "run", "0 1")


def test_several_seeds_in_words(graphseq):
    assert re.match(r"karate-gcn, 2 runs: test accuracy \S+ ± \S+ %, in", graphseq(*KARATE, "--seeds", 2).out)


def test_a_new_folder_each_time(graphseq, tmp_path):
    found = [Path(graphseq(*KARATE, "--json").last["out"]) for _ in range(2)]
    assert found[0] != found[1] and all(folder.parent == Path("runs/karate-gcn") for folder in found)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}(-\d)?", found[0].name)


def test_a_folder_that_holds_a_run(graphseq, karate_run):
    before = {path: path.read_bytes() for path in karate_run.iterdir()}
    message = graphseq(*KARATE, "--out", karate_run, code=2).err
    assert f"`out`: expected a folder without a run, got {karate_run}, which holds a finished run" in message
    for way in ("another folder", "remove", "more epochs", "--resume", "predict", "evaluate"):
        assert way in message
    assert "Training" not in message and before == {path: path.read_bytes() for path in karate_run.iterdir()}


def test_a_file_for_a_folder(graphseq, tmp_path):
    (tmp_path / "file").write_text("")
    assert "`out`: expected a folder, got" in graphseq(*KARATE, "--out", "file", code=2).err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "`--set`: expected KEY=VALUE, such as epochs=20, got 'epochs'"),
        ("=3", "`--set`: expected KEY=VALUE"),
        ("epoch=3", "`epoch`: expected the name of an option, got 'epoch'; did you mean 'epochs'?"),
        ("hiden=3", "did you mean 'hidden'?"),
        ("epochs=many", "`epochs`: expected an integer of at least 1, got 'many'"),
        ("epochs=1.5", "`epochs`: expected an integer of at least 1, got '1.5'"),
        ("epochs=0", "`epochs`: expected an integer of at least 1, got '0'"),
        ("epochs=", "`epochs`: expected an integer of at least 1, got ''"),
        ("dropout=2", "`dropout`: expected a number from 0 to 1, got '2'"),
        ("lr=nan", "`lr`: expected a number of at least 0, got 'nan'"),
        ("optimizer=adamm", "`optimizer`: expected adam, adamw or sgd, got 'adamm'"),
    ],
)
def test_slips_in_settings(graphseq, tmp_path, setting, message):
    done = graphseq("train", "karate-gcn", "--set", setting, code=2)
    assert message in done.err and done.err.count("\n") == 1 and done.out == ""
    assert not list(tmp_path.iterdir())  # nothing is left behind


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("karate-gc",), "did you mean 'karate-gcn'?"),
        (("nowhere:Recipe",), "`recipe`: expected a module that is installed or in"),
        (("json:dumps",), "`recipe`: expected module:Recipe, where Recipe is a subclass"),
        (("karate-gcn", "--device", "gpu"), "`device`: expected auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        (("karate-gcn", "--precision", "8"), "`precision`: expected 32-true, 16-mixed or bf16-mixed"),
        (("karate-gcn", "--resume"), "`--resume`: expected an unfinished run, got none in runs/karate-gcn"),
        (("karate-gcn", "--cross-validate", "2", "--seeds", "2"), "`--seeds`: expected no --seeds together with --"),
        (("tu-gin",), "`dataset`: expected the name of a set of TUDataset, such as MUTAG (--dataset MUTAG), got ''"),
        (("karate-gcn", "--data-root", "nowhere"), "'nowhere' does not exist"),
        (("karate-gcn", "--epoch", "3"), "--epochs"),
        (("karate-gcn", "--hiden", "3"), "--hidden"),
        (("karate-gcn", "--epochs", "many"), "`epochs`: expected an integer of at least 1, got 'many'"),
        (("karate-gcn", "--dropout", "2"), "`dropout`: expected a number from 0 to 1, got '2'"),
        (("karate-gc", "--help"), "did you mean 'karate-gcn'?"),
        (("karate-gcn", "--device", "cuda:99"), "`device`: expected"),
    ],
)
def test_slips(graphseq, arguments, message):
    done = graphseq("train", *arguments, code=2)
    assert message in done.err and done.out == ""


def test_missing_data_are_reported_before_training_begins(graphseq, tmp_path, monkeypatch):
    for name in ("GRAPHSEQ_DATA", "GRAPHSEQ_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    done = graphseq("train", "mutag-gin", "--offline", code=2)
    assert "MUTAG" in done.err and "Training" not in done.err and not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_reported_before_the_data_are_read(graphseq, monkeypatch, tmp_path):
    monkeypatch.setattr("graphseq.recipes.gcn.karate", lambda **given: pytest.fail("the data were read"))
    (tmp_path / "file").write_text("")
    for place in ("file/run", *(["/proc/run"] if Path("/proc/self").exists() else [])):
        for command in (("train", "karate-gcn"), ("train", "digits-gru", "--cross-validate", "2")):
            message = graphseq(*command, "--out", place, code=2).err
            assert "`out`: expected a folder that can be written to, got" in message and "Training" not in message


def test_the_options_of_a_recipe_are_options(graphseq, tmp_path):
    graphseq("train", "karate-gcn", "--epochs", 3, "--hidden", 32, "--batch_size", 2, "--out", "run")
    graphseq("train", "--out", "same", "--set", "hidden=32", "--epochs", 3, "karate-gcn", "--batch-size", 2)
    options = [json.loads((tmp_path / name / "config.json").read_text())["options"] for name in ("run", "same")]
    assert options[0] == options[1] and options[0]["hidden"] == 32 and options[0]["batch_size"] == 2
    more = ("--hidden", 2, "--bidirectional", "--batch-size", 900, "--out", "two")
    graphseq("train", "digits-gru", "--epochs", 1, *more)
    assert json.loads((tmp_path / "two/config.json").read_text())["options"]["bidirectional"] is True


def test_help_lists_options_with_defaults_and_limits(graphseq):
    for name, recipe in all_recipes().items():
        out = " ".join(graphseq("train", name, "--help").out.split())
        for option in recipe.described():
            assert f"--{option.name.replace('_', '-')} " in out and option.help[1:].split(";")[0] in out, option.name
            assert option.limits in out
    out = " ".join(graphseq("train", "karate-gcn", "--help").out.split())
    assert "Hidden units. [default: 16; at least 1]" in out and "--optimizer adam|adamw|sgd" in out and "--seeds" in out
    out = graphseq("train", "--help").out
    assert all(f"  {name} " in out for name in all_recipes()) and "--seeds" in out and "--hidden" not in out
    assert "pairs of brackets" in graphseq("train", "examples.my_recipe:Brackets", "--help").out.lower()
    assert "--check / --no-check" in graphseq("train", "cora-gcn", "--help").out


def test_a_seed_out_of_range(graphseq, tmp_path):
    assert "--seed" in graphseq(*KARATE, "--seed", 2**31, "--out", "run", code=2).err
    assert not list(tmp_path.iterdir())


def test_torchrun_needs_a_folder(graphseq, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert "`--out`: expected a folder, the same for all of torchrun's processes" in graphseq(*KARATE, code=2).err


@pytest.fixture
def stops(monkeypatch):
    """Training gets Ctrl-C at the end of its fourth epoch, once."""
    end_epoch, count = Session.end_epoch, []

    def end(session):
        record = end_epoch(session)
        count.append(1)
        if len(count) == 4:
            signal.raise_signal(signal.SIGINT)
        return record

    monkeypatch.setattr(Session, "end_epoch", end)


def test_stopped_and_resumed_by_the_printed_command(graphseq, stops, tmp_path):
    settings = ("train", "karate-gcn", "--set", "epochs=12", "--hidden", "7")
    done = graphseq(*settings, "--seed", 3, "--out", "my run", code=130)
    assert done.out == "" and "stopped in epoch 5" in done.err
    command = done.err.splitlines()[-1].strip()
    words = shlex.split(command[command.index(" train ") :])
    assert sorted(words) == sorted([*settings, "--seed", "3", "--out", "my run", "--resume"])
    resumed = graphseq(*words, "--json")
    whole = graphseq(*settings, "--seed", 3, "--out", "whole", "--json")
    assert resumed.last["values"] == whole.last["values"]
    assert (tmp_path / "my run/metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_resume_without_a_folder_takes_the_newest_and_its_options(graphseq, stops, tmp_path):
    graphseq("train", "karate-gcn", "--set", "epochs=12", "--seed", 3, code=130)
    graphseq(*KARATE)  # a newer one, which is over
    done = graphseq("train", "karate-gcn", "--resume", "--json")
    config = json.loads((tmp_path / done.last["out"] / "config.json").read_text())
    assert config["seed"] == 3 and config["options"]["epochs"] == 12
    assert "an unfinished run" in graphseq("train", "karate-gcn", "--resume", code=2).err


def test_resume_several_seeds(graphseq, stops):
    graphseq("train", "karate-gcn", "--set", "epochs=3", "--seeds", 3, "--out", "run", code=130)
    message = graphseq("train", "karate-gcn", "--out", "run", "--resume", code=2).err
    assert "`--seeds`: expected the number of seeds of the run in run" in message
    done = graphseq("train", "karate-gcn", "--seeds", 3, "--out", "run", "--resume", "--json")
    whole = graphseq("train", "karate-gcn", "--set", "epochs=3", "--seeds", 3, "--json")
    assert done.last["values"] == whole.last["values"]


def test_resume_with_other_options(graphseq, stops):
    graphseq("train", "karate-gcn", "--set", "epochs=12", "--out", "run", code=130)
    again = ("train", "karate-gcn", "--out", "run", "--resume")
    other = graphseq(*again, "--set", "hidden=5", code=2)
    assert "`hidden`: expected 16, as in the run in run, got 5" in other.err
    assert "`seed`: expected 0, as in the run in run, got 1" in graphseq(*again, "--seed", 1, code=2).err
    message = graphseq("train", "digits-gru", *again[2:], code=2).err
    assert "`recipe`: expected 'karate-gcn', the recipe of the run in run" in message


def test_resume_in_a_folder_with_something_else(graphseq, tmp_path):
    (tmp_path / "config.json").write_text("[]")
    message = graphseq(*KARATE, "--out", tmp_path, "--resume", code=2).err
    assert message.endswith("config.json is not a run's configuration\n")


def test_resume_what_is_over_says_its_result(graphseq, karate_run):
    before = (karate_run / "result.json").read_text()
    done = graphseq("train", "karate-gcn", "--out", karate_run, "--resume", "--json")
    assert done.last["mean"] == json.loads(before)["value"] and (karate_run / "result.json").read_text() == before


def test_ctrl_c_in_a_process(tmp_path):
    command = [sys.executable, "-m", "graphseq", "train", "karate-gcn", "--set", "epochs=1000000", "--out", "run"]
    here = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": here}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    metrics, end = tmp_path / "run/metrics.jsonl", time.monotonic() + 60
    while time.monotonic() < end and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    assert err.rstrip().endswith("-m graphseq train karate-gcn --set epochs=1000000 --out run --resume")


def test_tensorboard(graphseq, tmp_path):
    pytest.importorskip("tensorboard")
    graphseq(*KARATE, "--tensorboard", "--save-every", 0, "--out", "run")
    assert list((tmp_path / "run/tensorboard").iterdir())


def test_a_recipe_of_ones_own(graphseq):
    name = "examples.my_recipe:Brackets"
    settings = ("--epochs", 1, "--count", 100, "--hidden", 4)
    out = graphseq("train", name, *settings, "--out", "run").out
    assert f"predict run '(()(()))' --recipe {name}" in out and f"graphseq.load('run', recipe='{name}')" in out
    assert f"`recipe`: expected '{name}'" in graphseq("predict", "run", "(())", code=2).err
    own = ("--recipe", name)
    assert graphseq("predict", "run", "(())", *own, "--json").last["predictions"][0]["input"] == "(())"
    assert "expected brackets" in graphseq("predict", "run", "[[", *own, code=2).err
    assert graphseq("evaluate", "run", *own, "--json").last["accuracy"] >= 0


DIGITS = ("train", "digits-gru", "--epochs", "1", "--hidden", "4", "--set", "batch_size=512")


def test_cross_validation(graphseq, tmp_path):
    done = graphseq(*DIGITS, "--cross-validate", 2, "--json", "--out", "run")
    assert done.last.keys() >= {"recipe", "metric", "mean", "std", "values", "seconds"}
    assert len(done.last["values"]) == 2
    assert json.loads((tmp_path / "run/cross.json").read_text())["fixed"] == ["batch_size", "epochs", "hidden"]
    again = graphseq("train", "digits-gru", "--resume", "--out", "run")  # what it began with needn't be said again
    assert again.out.startswith("digits-gru, 2 folds: test accuracy ") and "predict" not in again.out
    message = graphseq(*DIGITS, "--cross-validate", 2, "--out", "run", code=2).err
    assert "got run, which holds a finished cross-validation" in message and "predict" not in message
    assert "independent examples" in graphseq(*KARATE, "--cross-validate", 2, code=2).err
