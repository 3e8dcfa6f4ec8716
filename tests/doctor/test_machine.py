"""Versions, devices, and the self-test, which must fail where something is wrong."""

import platform

import pytest
import torch

from graphseq import doctor
from graphseq.doctor import machine

NAMES = ["GRU", "Tree-LSTM", "GCNConv", "gradients", "cache folder"]


def test_versions(monkeypatch):
    found = doctor.versions()
    assert found["python"] == platform.python_version()
    assert torch.__version__.startswith(found["torch"].partition("+")[0])
    expected = {"graphseq", "torch-geometric", "numpy", "scipy", "numba", "triton", "safetensors", "torchmetrics"}
    assert expected <= set(found)
    monkeypatch.setattr(machine, "_PACKAGES", ("no-such-package-of-doctor",))
    assert doctor.versions()["no-such-package-of-doctor"] == "not installed"


def test_devices():
    found = doctor.devices()
    assert found[0].name == "cpu"
    assert f"{torch.get_num_threads()} threads" in found[0].description
    assert len(found) >= 1 + torch.cuda.device_count()
    for device in found:
        torch.zeros(1, device=device.name)


def test_the_self_test_passes(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    state = torch.get_rng_state()
    found = doctor.self_test()
    assert [f.check for f in found] == NAMES
    assert {f.state for f in found} == {"passed"}
    assert list((tmp_path / "cache").iterdir()) == []
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("name", "what"), [("GRU", "GRU"), ("Recurrent", "Tree-LSTM"), ("GCNConv", "GCNConv")])
def test_wrong_numbers_are_found(monkeypatch, name, what):
    sound = getattr(machine, name)

    class Wrong(sound):
        def forward(self, *args, **options):
            result = super().forward(*args, **options)
            if getattr(self, "called", False):
                return result
            self.called = True
            return result * 1.01 if isinstance(result, torch.Tensor) else tuple(t * 1.01 for t in result)

    monkeypatch.setattr(machine, name, Wrong)
    [finding] = [f for f in doctor.self_test() if f.check == what]
    assert finding.state == "failed"
    assert "differ by 0.01" in finding.message
    assert finding.advice


def test_wrong_gradients_are_found(monkeypatch):
    class Wrong(machine.GRU):
        def forward(self, x, **options):
            return super().forward(x.detach() * 0.5 + x * 0.5 if x.requires_grad else x, **options)

    monkeypatch.setattr(machine, "GRU", Wrong)
    [finding] = [f for f in doctor.self_test() if f.check == "gradients"]
    assert finding.state == "failed"


def test_what_raises_is_a_finding(monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("illegal instruction")

    monkeypatch.setattr(machine, "GCNConv", broken)
    [finding] = [f for f in doctor.self_test() if f.check == "GCNConv"]
    assert (finding.state, finding.message) == ("failed", "it raises RuntimeError: illegal instruction")


def test_a_cache_that_is_no_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "file" / "cache"))
    finding = doctor.self_test()[-1]
    assert finding.state == "failed"
    assert "GRAPHSEQ_CACHE" in finding.advice
