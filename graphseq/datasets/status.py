"""Which data sets are available, and whether their files are the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from .files import RECORDED, examine
from .planetoid import PLANETOID, planetoid_files
from .roots import Root, data_roots, find

__all__ = ["SetStatus", "status"]

_BUILT_IN = {"karate": "networkx", "digits": "sklearn", "stdlib_functions": None}


@dataclass(frozen=True)
class SetStatus:
    """Status of a data set.

    Attributes:
        name: ``"planetoid/Cora"``, ``"sst"``, …
        folder: of its files, None for a set that is built in or missing.
        state: ``"built in"``; ``"sound"``, all files match their recorded checksums; ``"found, not checked"``, some
            have none; ``"altered"``, a file doesn't match; ``"missing"``.
        note: further information, or nothing.
    """

    name: str
    folder: Path | None
    state: Literal["built in", "sound", "found, not checked", "altered", "missing"]
    note: str = ""


def status(root: Root = None) -> list[SetStatus]:
    """Return the status of each data set, those with recorded checksums and those found in a data root.

    Nothing is downloaded, and a damaged set raises no error.

    Args:
        root: a data root, searched first.

    Raises:
        GraphError: `root` is not a folder.

    >>> [each.state for each in status() if each.name == "stdlib_functions"]
    ['built in']
    """
    return [*map(_built_in, _BUILT_IN), *(_look(*each, root) for each in _sets(root))]


def _built_in(name: str) -> SetStatus:
    package = _BUILT_IN[name]
    if package is None or find_spec(package) is not None:
        return SetStatus(name, None, "built in", f"comes with {package or 'Python'}")
    return SetStatus(name, None, "missing", f"needs {package}, which is not installed")


def _sets(root: Root) -> Iterator[tuple[str, str, Sequence[str], Sequence[str]]]:
    """Yield name, folder, required and optional files of each set that is recorded or found."""
    yield "sst", "sst", ["train.txt", "dev.txt"], ["test.txt"]
    for name in PLANETOID:
        yield f"planetoid/{name}", f"planetoid/{name}/raw", planetoid_files(name), []
    for name in _names(root, "tudataset/*/raw/*_A.txt", "_A.txt"):
        folder = f"tudataset/{name}/raw"
        files = dict.fromkeys([f"{name}_A.txt", f"{name}_graph_indicator.txt", *RECORDED.get(folder, ())])
        yield f"tudataset/{name}", folder, list(files), []
    yield "treebank", "nltk_data/corpora", ["treebank.zip"], []
    for name in _names(root, "molecules/*.csv", ".csv"):
        yield f"molecules/{name}", "molecules", [f"{name}.csv"], []


def _names(root: Root, pattern: str, ending: str) -> list[str]:
    """Return the names of the sets whose files are recorded or found."""
    recorded = [Path(folder, file) for folder, files in RECORDED.items() for file in files]
    found = [path for top in data_roots(root) for path in top.glob(pattern)]
    return sorted({path.name.removesuffix(ending) for path in [*recorded, *found] if path.match(pattern)})


def _look(name: str, folder: str, required: Sequence[str], optional: Sequence[str], root: Root) -> SetStatus:
    try:
        home = find(folder, required, root)
        if home is None:
            return SetStatus(name, None, "missing", f"needs {folder}/{required[0]}{' …' if len(required) > 1 else ''}")
        absent = [file for file in optional if not (home / file).is_file()]
        found = examine(folder, [home / file for file in (*required, *optional) if file not in absent])
    except OSError as error:
        return SetStatus(name, None, "missing", str(error))
    if found.wrong:
        return SetStatus(name, home, "altered", ", ".join(path.name for path, *_ in found.wrong))
    notes = [f"no {file}" for file in absent] + [f"no checksum is recorded of {file}" for file in found.unknown]
    return SetStatus(name, home, "found, not checked" if found.unknown else "sound", "; ".join(notes))
