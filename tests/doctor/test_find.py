"""Finding a model by name."""

import sys
import types

import pytest

from graphseq import GraphError, doctor

GOOD = """
import torch
from helper_of_doctor import WIDTH


class MyModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(WIDTH, 2)

    def forward(self, x, edge_index):
        return self.linear(x)


class Zoo:
    make = MyModel
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)
    (tmp_path / "helper_of_doctor.py").write_text("WIDTH = 4\n")
    (tmp_path / "models_of_doctor.py").write_text(GOOD)
    (tmp_path / "package_of_doctor").mkdir()
    (tmp_path / "package_of_doctor" / "__init__.py").write_text("")
    (tmp_path / "package_of_doctor" / "inner.py").write_text("from models_of_doctor import MyModel\n")
    yield tmp_path
    for name in set(sys.modules) - before:
        if "of_doctor" in name:
            del sys.modules[name]


@pytest.mark.parametrize(
    "target",
    ["models_of_doctor:MyModel", "models_of_doctor.py:MyModel", "models_of_doctor:Zoo.make",
     "package_of_doctor.inner:MyModel", "./package_of_doctor/inner.py:MyModel"],
)  # fmt: skip
def test_modules_of_the_current_folder_are_found(folder, target):
    assert doctor.find(target).__name__ == "MyModel"
    findings = doctor.check(target)
    [call] = [finding for finding in findings if finding.check == "call"]
    assert call.message.startswith("model(x [N, 4], edge_index)")


def test_installed_modules_are_found():
    assert isinstance(doctor.find("torch:nn"), types.ModuleType)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("models_of_doctor", "module:name, such as my_module:MyModel"),
        ("models_of_doctor:", "module:name"),
        (":MyModel", "module:name"),
        ("a b:MyModel", "module:name"),
        (3, "module:name"),
        ("model_of_doctor:MyModel", r"did you mean .*models_of_doctor"),
        ("models_of_doctor:MyModle", r"a name in models_of_doctor \(did you mean MyModel"),
        ("models_of_doctor:Zoo.made", r"a name in Zoo \(did you mean make"),
        ("models_of_doctor.inner:X", "a module that is installed or in"),
    ],
)
def test_errors(folder, target, message):
    with pytest.raises(GraphError, match=message):
        doctor.find(target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", r"failed with ZeroDivisionError: division by zero \(line 2 of .*broken_of_doctor.py\)"),
        ("import no_such_thing_of_doctor\n", "ModuleNotFoundError: No module named 'no_such_thing_of_doctor'"),
        ("x = 1\ndef f(:\n", r"SyntaxError: invalid syntax \(broken_of_doctor.py, line 2\)$"),
        ("import graphseq\ngraphseq.Topology.tree([7])\n", r"\(line 2 of .*broken_of_doctor.py\)$"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_errors_of_the_module_itself_are_shown(folder, text, message):
    (folder / "broken_of_doctor.py").write_text(text)
    with pytest.raises(GraphError, match=message) as caught:
        doctor.find("broken_of_doctor:MyModel")
    assert caught.value.__cause__ is not None
