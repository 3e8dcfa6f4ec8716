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
