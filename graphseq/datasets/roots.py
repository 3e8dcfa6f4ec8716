"""Where data sets are read from, and the cache folder, the only place that anything is written to.

Every loader looks for its files in the same data roots, in this order: its `root` argument, the environment
variable ``GRAPHSEQ_DATA``, the folder ``datasets`` of a checkout, and the cache folder. The first that holds
them all is read. The cache folder is ``GRAPHSEQ_CACHE``, else ``$XDG_CACHE_HOME/graphseq``, else
``~/.cache/graphseq``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.errors import GraphError, Words, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = [
    "build_once",
    "cache_folder",
    "cache_key",
    "data_roots",
    "download",
    "find_or_fetch",
    "process_once",
]

Root = str | os.PathLike[str] | None

_TIMEOUT = 30  # seconds without an answer from a server


def cache_folder() -> Path:
    """Return the cache folder, which need not exist yet."""
    own = os.environ.get("GRAPHSEQ_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser() / "graphseq"


def data_roots(root: Root = None) -> list[Path]:
    """Return the data roots in the order in which they are looked through.

    Raises:
        GraphError: `root` is not a folder.
    """
    roots = _handed_in(root)
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "datasets" / "README.md").is_file():
        roots.append(checkout / "datasets")
    return [*roots, cache_folder()]


def _handed_in(root: Root) -> list[Path]:
    roots = []
    if root is not None:
        if not isinstance(root, (str, os.PathLike)):
            raise expected("root", "a folder's path or None", root)
        roots.append(Path(root).expanduser())
        if not roots[0].is_dir():
            raise expected("root", "a folder that exists", os.fspath(root))
    if os.environ.get("GRAPHSEQ_DATA"):
        roots.append(Path(os.environ["GRAPHSEQ_DATA"]).expanduser())
    return roots


def find_or_fetch(
    folder: str,
    files: Sequence[str],
    root: Root,
    *,
    how: str,
    fetch: Callable[[Path], None] | None = None,
) -> Path:
    """Return the folder, in the first data root that holds it with all its files.

    Args:
        folder: its path below a data root.
        files: the names of the files that must be in it.
        root: the caller's own data root.
        how: a sentence for the error, saying how to get the files.
        fetch: downloads the files to the folder that it is given. It is called when no root holds them and
            none was handed in, as `root` or ``GRAPHSEQ_DATA``: whoever says where the data is works offline.

    Raises:
        GraphError: the files are nowhere; the message lists where they were looked for.
    """
    looked = []
    for candidate in data_roots(root):
        missing = [name for name in files if not (candidate / folder / name).is_file()]
        if not missing:
            return candidate / folder
        rest = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        looked.append(f"  {candidate / folder / missing[0]}{rest}")
    failure = ""
    if fetch is not None and not _handed_in(root):
        try:
            return build_once(cache_folder() / folder, fetch)
        except GraphError as error:
            failure = f"\n{error}"
    raise GraphError(f"{folder} is in no data root; looked for\n{chr(10).join(looked)}{failure}\n{how}")


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return `folder` of the cache, after `build` has filled it if it was not there.

    It is built under another name and then renamed, so that nobody ever sees it half made and two processes
    may build it at once.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as scratch:
            made = Path(scratch, folder.name)
            made.mkdir()
            build(made)
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was quicker
                    raise
    except OSError as error:
        cache = Words(f"{cache_folder()}: {error.strerror or error}")
        raise expected("GRAPHSEQ_CACHE", "a cache folder that can be written to", cache) from error
    return folder


def cache_key(paths: Sequence[Path]) -> str:
    """Return a name for what is made of these files: it changes with them and with the software's version."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode())
        digest.update(content)
    for package in ("graphseq", "torch_geometric"):
        digest.update(f"{package} {_version(package)} ".encode())
    return digest.hexdigest()[:16]


def process_once(
    name: str,
    paths: Sequence[Path],
    process: Callable[[str], Iterable[Data]],
    *,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Return a folder of the cache with what a data set of PyG makes of raw files.

    PyG wants raw and processed files side by side, and writes there, so it works on copies; and what it reads
    is what was checked.

    Args:
        name: the set's name, a folder's too.
        paths: the raw files, all in one folder.
        process: makes the data set below the folder that it is given, from the files in its ``<name>/raw``.
        check: raises a :class:`GraphError` for a copy that must not be read.
    """

    def build(into: Path) -> None:
        raw = into / name / "raw"
        raw.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old pickles, and PyG's way to read them
            try:
                for path in paths:
                    copy = shutil.copyfile(path, raw / path.name)
                    if check is not None:
                        check(copy)
                for graph in process(str(into)):
                    graph.validate(raise_on_error=True)  # PyG makes graphs of edges to nowhere too
            except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                raise GraphError(f"{paths[0].parent}: these files cannot be read: {error}") from error

    return build_once(cache_folder() / "processed" / f"{name}-{cache_key(paths)}", build)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout on the path, not installed
        return "unknown"


def download(url: str, folder: Path) -> Path:
    """Download a file into a folder, under the name that ends its address.

    Raises:
        GraphError: the server did not give it.
    """
    path = folder / url.rpartition("/")[2]
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            content = answer.read()
    except OSError as error:
        raise GraphError(f"{url} could not be downloaded: {error}") from None
    path.write_bytes(content)
    return path
