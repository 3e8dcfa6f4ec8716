"""The package is a house: modules import only from lower floors, without cycles, and load nothing heavy.

The checker works on any tree of files, so that small trees with one fault each show that it finds them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "graphseq"

# Room → floor; a room is a file, or a folder with all that is in it. Rooms on one floor do not know each
# other; files in one room may. A package that holds rooms (`graphseq`, `graphseq.nn`) stands as high as the
# highest thing that it re-exports.
FLOORS = {
    "errors": 0,
    "ops": 1,
    "topology": 2,
    "messages": 2,
    "cell": 3,
    "spectral": 3,
    "convert": 3,
    "fused": 4,
    "walk": 4,
    "lowering": 5,
    "core": 6,
    "schedule": 7,
    "nn.cells": 7,
    "nn.pool": 7,
    "nn.attention": 7,
    "datasets": 7,
    "fixed_point": 8,
    "nn.lowerings": 8,
    "nn.recurrent": 8,
    "nn.convs": 8,
    "nn.blocks": 9,
    "nn.deep": 9,
    "nn.models": 10,
    "plot": 10,
    "train": 11,
    "doctor": 11,
    "parsing": 11,
    "recipes": 12,
    "cli": 13,
    "__main__": 14,
}

HEAVY = {
    "torch_geometric", "numba", "nltk", "rdkit", "matplotlib", "sklearn", "networkx", "scipy", "triton",
}  # fmt: skip
# These decorate kernels, so they stand at the top of `ops/kernels/`, whose files are imported in functions only.
COMPILERS = {"numba", "triton"}


@dataclass
class Module:
    """A file of the package and what it imports: first-party modules and top-level packages of others."""

    name: str  # dotted, without the package's own name; "" for the package itself
    is_package: bool
    tree: ast.Module
    imports: dict[str, int] = field(default_factory=dict)  # first-party module → line
    eager: dict[str, int] = field(default_factory=dict)  # of those, what runs when this module is imported
    foreign: dict[str, int] = field(default_factory=dict)  # third-party package, imported when this module is

    def at(self, line: int) -> str:
        return f"{self.name.replace('.', '/') or '.'}{'/__init__' * self.is_package}.py:{line}"


def read(root: Path) -> dict[str, Module]:
    """Parse every module under `root`, a package's folder, and find its imports."""
    modules = {}
    for file in sorted(root.rglob("*.py")):
        parts = list(file.relative_to(root).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = Module(name, is_package, ast.parse(file.read_text(encoding="utf-8"), str(file)))
    for module in modules.values():
        eager = {id(node) for node in _eager(module.tree.body)}
        for node in ast.walk(module.tree):
            for target in _targets(node, module, root.name):
                first_party = target == root.name or target.startswith(root.name + ".")
                if first_party:
                    inner = target.removeprefix(root.name).removeprefix(".")
                    while inner and inner not in modules:  # a name in a module, not a module
                        inner = inner.rpartition(".")[0]
                    module.imports.setdefault(inner, node.lineno)
                    if id(node) in eager:
                        module.eager.setdefault(inner, node.lineno)
                elif id(node) in eager:
                    module.foreign.setdefault(target.partition(".")[0], node.lineno)
    return modules


def _eager(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the import statements that run with the module: not those in functions or for type checkers."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from _eager(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from _eager(getattr(node, part, []))
            for part in ("handlers", "cases"):
                for inner in getattr(node, part, []):
                    yield from _eager(inner.body)


def _targets(node: ast.AST, module: Module, package: str) -> Iterator[str]:
    """Yield the absolute dotted names that an import statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = node.module or ""
        if node.level:
            here = [package, *filter(None, module.name.split("."))]
            up = node.level - module.is_package  # a package's own folder is itself, a file's is one up
            source = ".".join([*here[: len(here) - up], *filter(None, [node.module])])
        yield from (f"{source}.{alias.name}" if alias.name != "*" else source for alias in node.names)


def room_of(name: str, floors: dict[str, int]) -> str | None:
    """Return the room that holds the module, or None for one outside all rooms."""
    while name:
        if name in floors:
            return name
        name = name.rpartition(".")[0]
    return None


def faults(root: Path, floors: dict[str, int] = FLOORS) -> list[str]:
    """Return every breach of the rules in the package at `root`, one sentence each."""
    modules = read(root)
    found: list[str] = []

    def place(name: str, seen: frozenset[str] = frozenset()) -> tuple[str, int]:
        """Return a module's room and floor; a package above rooms is a room of its own."""
        room = room_of(name, floors)
        if room is not None:
            return room, floors[room]
        inner = [place(i, seen | {name})[1] for i in modules[name].imports if i not in seen | {name}]
        return name, max(inner, default=0)

    for module in modules.values():
        holds_rooms = any(_is_inside(room, module.name) for room in floors)
        if room_of(module.name, floors) is None and not (module.is_package and holds_rooms):
            found.append(f"{module.at(1)}: is in no room; give it a floor in FLOORS")
            continue
        if module.is_package:
            found += _more_than_reexports(module)
            for target, line in module.imports.items():
                if not _is_inside(target, module.name):
                    found.append(f"{module.at(line)}: re-exports {target or root.name}, from outside")
        room, floor = place(module.name)
        for target, line in module.imports.items():
            other, level = place(target)
            if other != room and level >= floor and room in floors:
                above = f"{other or root.name} on floor {level}"
                found.append(f"{module.at(line)}: {room} on floor {floor} imports {above}")
        kernels = _compilers(module)
        for package, line in module.foreign.items():
            if package in HEAVY and package not in kernels:
                found.append(f"{module.at(line)}: imports {package} at its top; do so in the function")
        for target, line in module.eager.items():
            if _is_inside(target, "ops.kernels") and not _is_inside(module.name, "ops.kernels"):
                found.append(f"{module.at(line)}: imports {target}, a file of kernels, outside a function")
    found += [f"cycle: {' → '.join(name or root.name for name in cycle)}" for cycle in _cycles(modules)]
    return found


def _is_inside(name: str, package: str) -> bool:
    """Say whether the module is the package or in it; everything is inside the root, ""."""
    return not package or name == package or name.startswith(package + ".")


def _compilers(module: Module) -> set[str]:
    """Return the kernel compilers that the module may, and does, import at its top."""
    return COMPILERS & module.foreign.keys() if _is_inside(module.name, "ops.kernels") else set()


def _more_than_reexports(module: Module) -> Iterator[str]:
    for index, node in enumerate(module.tree.body):
        docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names = [ast.unparse(t) for t in node.targets] if isinstance(node, ast.Assign) else []
        imports = isinstance(node, ast.Import | ast.ImportFrom)
        lazy = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
        if not (docstring or imports or lazy or typing or names in (["__all__"], ["__version__"])):
            yield f"{module.at(node.lineno)}: does more than re-export"


def _cycles(modules: dict[str, Module]) -> Iterator[list[str]]:
    """Yield a cycle of imports for each back edge of a depth-first search."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> Iterator[list[str]]:
        if name in path:
            yield [*path[path.index(name) :], name]
        elif name not in done:
            for target in modules[name].imports:
                yield from visit(target, [*path, name])
            done.add(name)

    for name in modules:
        yield from visit(name, [])


def test_the_package_keeps_the_floors() -> None:
    assert not (found := faults(PACKAGE)), "\n" + "\n".join(found)


GOOD = {
    "__init__.py": '"""House."""\nfrom house.core import step\nfrom house import nn\n__all__ = ["nn"]\n',
    "errors.py": "class GraphError(ValueError): ...\n",
    "ops/__init__.py": "from house.ops.segment import reduce\n",
    "ops/segment.py": "import torch\ndef reduce(): from house.ops.kernels import segment\n",
    "ops/kernels/segment.py": "import numba\nfrom house.errors import GraphError\n",
    "topology.py": "import typing\nif typing.TYPE_CHECKING: import networkx\nfrom house import ops\n",
    "core.py": "from .topology import Topology\ndef f():\n    import scipy\n",
    "nn/__init__.py": "from house.nn.cells import GRUCell\nfrom house.nn.models import Tree\n",
    "nn/cells/__init__.py": "from .gru import GRUCell\n",
    "nn/cells/base.py": "from ...errors import GraphError\n",
    "nn/cells/gru.py": "from house.nn.cells.base import Cell\nfrom house.core import step\n",
    "nn/models/__init__.py": "from house.nn.models.tree import Tree\n",
    "nn/models/tree.py": "from house.nn.cells import GRUCell\n",
    "train/__init__.py": "",
    "train/loop.py": "from house import nn\n",
    "cli.py": "import house\nfrom house import nn, train\n",
}


def _build(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        file = folder / "house" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder / "house"


def test_a_sound_house_has_no_faults(tmp_path: Path) -> None:
    assert faults(_build(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("topology.py", "from house.core import step\n", "topology on floor 2 imports core on floor 6"),
        ("topology.py", "def f():\n    import house.nn.cells.gru\n", "floor 2 imports nn.cells on floor 7"),
        ("topology.py", "from . import core\n", "topology on floor 2 imports core on floor 6"),
        ("spectral.py", "from house import core\n", "spectral on floor 3 imports core on floor 6"),
        ("nn/pool/sort.py", "from ..cells.gru import X\n", "nn.pool on floor 7 imports nn.cells on floor 7"),
        ("nn/pool/sort.py", "from house.nn import GRUCell\n", "nn.pool on floor 7 imports nn on floor 10"),
        ("errors.py", "from house.ops import *\n", "errors on floor 0 imports ops on floor 1"),
        ("core.py", "import house\n", "core on floor 6 imports house on floor 10"),
        ("attic.py", "", "attic.py:1: is in no room"),
        ("nn/helpers.py", "", "nn/helpers.py:1: is in no room"),
        ("nn/cells/base.py", "from house.nn.cells.gru import X\n", "nn.cells.gru → nn.cells.base → nn.c"),
        ("nn/cells/base.py", "from house.nn.cells import X\n", "nn.cells → nn.cells.gru → nn.cells.base"),
        ("nn/cells/__init__.py", "from .gru import X\nSIZE = 3\n", "nn/cells/__init__.py:2: does more"),
        ("train/__init__.py", "def fit(): ...\n", "train/__init__.py:1: does more"),
        ("train/__init__.py", "from house.nn import GRUCell\n", "train/__init__.py:1: re-exports nn"),
        ("core.py", "import torch_geometric.nn\n", "core.py:1: imports torch_geometric at its top"),
        ("core.py", "try:\n    from scipy import sparse\nfinally:\n    pass\n", "core.py:2: imports scipy"),
        ("core.py", "class A:\n    import networkx\n", "core.py:2: imports networkx at its top"),
        ("ops/segment.py", "import numba\n", "ops/segment.py:1: imports numba at its top"),
        ("ops/kernels/segment.py", "import numba, scipy\n", "ops/kernels/segment.py:1: imports scipy"),
        ("ops/segment.py", "from house.ops.kernels import segment\n", "imports ops.kernels.segment, a file of"),
        ("nn/cells/_fast.py", "import numba\n", "nn/cells/_fast.py:1: imports numba at its top"),
    ],
)  # fmt: skip
def test_each_fault_is_found(tmp_path: Path, path: str, text: str, fault: str) -> None:
    found = faults(_build(tmp_path, GOOD | {path: text}))
    assert any(fault in sentence for sentence in found), found
