"""`import graphseq` after `import torch` loads nothing heavy: told by what is loaded, not by a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {
    "IPython", "filelock", "lightning_fabric", "matplotlib", "networkx", "nltk", "numba", "pandas", "pydantic", "rdkit",
    "rich", "safetensors", "scipy", "sklearn", "sympy", "tensorboard", "torchmetrics", "typer",
    "torch._dynamo", "torch._inductor", "torch_geometric", "triton",
}  # fmt: skip

SCRIPT = """
import sys
import torch
before = set(sys.modules)
import graphseq
print(*sorted(set(sys.modules) - before), sep="\\n")
"""


def test_importing_the_package_loads_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=Path(__file__).parents[1], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    loaded = result.stdout.split()
    assert "graphseq" in loaded
    heavy = {name for name in loaded if any(name == h or name.startswith(h + ".") for h in HEAVY)}
    assert not heavy, f"import graphseq loads {', '.join(sorted(heavy))}"


LAZY = """
import sys
import graphseq
assert "graphseq.train" not in sys.modules and {"load", "recipes", "train", "nn"} <= set(dir(graphseq))
assert graphseq.train.Training and graphseq.recipes.find_recipe("karate-gcn") and graphseq.load
from graphseq import load, recipes, train
assert all(getattr(graphseq, name) is not None for name in graphseq.__all__)
try:
    graphseq.nothing
except AttributeError as error:
    print(error)
"""


def test_train_and_recipes_are_loaded_when_used() -> None:
    result = subprocess.run([sys.executable, "-c", LAZY], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "module 'graphseq' has no attribute 'nothing'\n"
