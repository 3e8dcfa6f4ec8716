"""Which data sets are here, and whether their files are the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from graphseq.datasets.checksums import RECORDED, checksum, compare, read_sums
from graphseq.datasets.planetoid import PLANETOID, planetoid_files
from graphseq.datasets.roots import Root, cache_folder, data_roots, find

__all__ = ["SetStatus", "status"]

State = Literal["built in", "sound", "found, not checked", "altered", "missing"]
_BUILT_IN = (("karate", "networkx"), ("digits", "sklearn"), ("stdlib_functions", None))


@dataclass(frozen=True)
class SetStatus:
    """Where a data set is and whether it is as published.

    Attributes:
        name: ``"planetoid/Cora"``, ``"sst"``, …
        folder: where its files are, None for a set that is built in or missing.
        state: ``"built in"``; ``"sound"``, all files are what is recorded of them; ``"found, not checked"``, nothing
            is recorded of some; ``"altered"``, a file is not what is recorded; ``"missing"``.
        note: what else there is to say, or nothing.
    """

    name: str
    folder: Path | None
    state: State
    note: str = ""


def status(root: Root = None) -> list[SetStatus]:
    """Return how it stands with each data set: those with recorded checksums, and those found in a data root.

    Nothing is downloaded, and no set that is bad raises an error.

    Args:
        root: a data root, looked through before all others.

    Raises:
        GraphError: `root` is not a folder.

    >>> [each.state for each in status() if each.name == "stdlib_functions"]
    ['built in']
    """
    return [*map(_built_in, *zip(*_BUILT_IN, strict=True)), *(_look(*each, root) for each in _sets(root))]


def _built_in(name: str, package: str | None) -> SetStatus:
    if package is None or find_spec(package) is not None:
        return SetStatus(name, None, "built in", f"comes with {package or 'Python'}")
    return SetStatus(name, None, "missing", f"needs {package}, which is not installed")


def _sets(root: Root) -> Iterator[tuple[str, str, Sequence[str], Sequence[str]]]:
    """Yield name, folder, files that must be there and files that may be, of each set that is known or found."""
    yield "sst", "sst", ["train.txt", "dev.txt"], ["test.txt"]
    for name in PLANETOID:
        yield f"planetoid/{name}", f"planetoid/{name}/raw", planetoid_files(name), []
    for name in _names(root, "tudataset/*/raw/*_A.txt", "_A.txt"):
        folder = f"tudataset/{name}/raw"
        needed = [f"{name}_A.txt", f"{name}_graph_indicator.txt"]
        yield f"tudataset/{name}", folder, [*needed, *(set(RECORDED.get(folder, ())) - set(needed))], []
    yield "treebank", "nltk_data/corpora", ["treebank.zip"], []
    for name in _names(root, "molecules/*.csv", ".csv"):
        yield f"molecules/{name}", "molecules", [f"{name}.csv"], []


def _names(root: Root, pattern: str, ending: str) -> list[str]:
    """Return the names of the sets whose files are recorded or found."""
    recorded = [Path(folder, file) for folder, files in RECORDED.items() for file in files]
    found = {path.name for path in recorded if path.match(pattern)}
    for top in data_roots(root):
        found |= {path.name for path in top.glob(pattern)}
    return sorted(name.removesuffix(ending) for name in found)


def _look(name: str, folder: str, needed: Sequence[str], further: Sequence[str], root: Root) -> SetStatus:
    try:
        home = find(folder, needed, root)
        if home is None:
            return SetStatus(name, None, "missing", f"needs {folder}/{needed[0]}{' …' if len(needed) > 1 else ''}")
        there = [file for file in (*needed, *further) if (home / file).is_file()]
        wrong = compare(folder, {home / file: checksum(home / file) for file in there})
        if wrong:
            return SetStatus(name, home, "altered", ", ".join(path.name for path, _ in wrong))
        absent = [file for file in further if file not in there]
        known = {*RECORDED.get(folder, ()), *(read_sums(home) if cache_folder() in home.parents else ())}
        unknown = [file for file in there if file not in known]
    except OSError as error:
        return SetStatus(name, None, "missing", str(error))
    notes = [f"no {file}" for file in absent] + [f"nothing is recorded of {file}" for file in unknown]
    return SetStatus(name, home, "found, not checked" if unknown else "sound", "; ".join(notes))
