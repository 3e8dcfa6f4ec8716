"""``graphseq doctor`` prints what the checks find, and its exit code says whether something failed."""

import re
import sys

import pytest

from graphseq.datasets import SetStatus
from graphseq.doctor import Finding

SOUND = """
import torch
class Model(torch.nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.lin = torch.nn.Linear(in_channels, out_channels)
    def forward(self, x, edge_index):
        return self.lin(x)BAD
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(name, bad=""):
        (tmp_path / f"{name}.py").write_text(SOUND.replace("BAD", bad))
        return f"{name}:Model"

    return write


def test_the_installation(graphseq, monkeypatch):
    finding = Finding("gradients", "passed", "they agree")
    monkeypatch.setattr("graphseq.doctor.self_test", lambda: [finding])
    done = graphseq("doctor")
    for word in ("versions", "torch", "devices", "cpu", "data sets", "karate", "built in", "gradients", "they agree"):
        assert word in done.out
    assert done.out.endswith("Nothing failed.\n")
    content = graphseq("doctor", "--json").last
    assert content.keys() == {"versions", "devices", "data", "findings", "failed"} and content["failed"] == 0
    [content] = content["findings"]
    assert content == {"check": "gradients", "state": "passed", "message": "they agree", "advice": "", "cause": ""}


def test_something_failed(graphseq, monkeypatch):
    findings = [
        Finding("GRU", "failed", "they differ by 0.3", "Reinstall.", "torch is damaged"),
        Finding("disk", "warning", "it is slow", "Buy another."),
    ]
    monkeypatch.setattr("graphseq.doctor.self_test", lambda: findings)
    altered = SetStatus("sst", None, "altered", "train.txt")
    monkeypatch.setattr("graphseq.cli.doctor.status", lambda root: [altered])
    done = graphseq("doctor", code=1)
    assert "FAILED" in done.out and "GRU: torch is damaged.\n  Evidence: they differ by 0.3.\n  Reinstall." in done.out
    assert "disk: it is slow.\n  Buy another." in done.out and "ALTERED" in done.out
    assert done.out.endswith("Failed: 1 check and 1 data set.\n")
    assert graphseq("doctor", "--json", code=1).last["failed"] == 2


def test_a_sound_model(graphseq, module):
    target = module("sound_model")
    assert graphseq("doctor", target).out.endswith("Nothing failed.\n")
    assert graphseq("doctor", target, "--json").last["model"] == target


def test_a_call_is_given_by_name(graphseq, module, tmp_path):
    target = module("called_model")
    with (tmp_path / "called_model.py").open("a") as file:
        file.write("def call(model, graphs):\n    return model(graphs.x, None).cumsum(0)\n")
    out = graphseq("doctor", target, "--call", "called_model:call", code=1).out
    assert "call reads x [N, 6]; gives one row per node" in out and "\nnode order: " in out
    assert "did you mean call" in graphseq("doctor", target, "--call", "called_model:cal", code=2).err


def test_a_model_that_leaks_between_graphs(graphseq, module):
    out = graphseq("doctor", module("leaking_model", ".cumsum(0)"), code=1).out
    assert "FAILED" in out and "\nnode order: " in out


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nothing", "nothing"),
        ("nowhere:Model", "nowhere"),
        ("graphseq.nn:NodeClasifier", "NodeClassifier"),
        ("json:dumps", "dumps"),
        ("leaving:Model", "`model`: expected arguments that a model can be made with"),
    ],
)
def test_slips(graphseq, tmp_path, monkeypatch, target, message):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "leaving.py").write_text("def Model():\n    raise SystemExit\n")
    done = graphseq("doctor", target, code=2)
    assert done.err.startswith("Error: ") and message in done.err


def test_a_data_root_that_is_none(graphseq):
    told = graphseq("doctor", "--data-root", "nowhere", code=2).err
    assert re.search("'--data-root': dir(ectory)? 'nowhere' does not exist", told, re.IGNORECASE)
