"""Where the files of data sets are: the data roots, and the cache folder, the only place ever written to.

Every loader looks for its files in the same data roots, in this order: its `root` argument, the environment
variable ``GRAPHSEQ_DATA``, the folder ``datasets`` of a checkout, and the cache folder. The first that holds
them all is read. The cache folder is ``GRAPHSEQ_CACHE``, else ``$XDG_CACHE_HOME/graphseq``, else
``~/.cache/graphseq``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from graphseq.errors import expected

__all__ = ["Root", "cache_folder", "data_roots", "find", "handed_in", "is_offline", "missing"]

Root = str | os.PathLike[str] | None


def cache_folder() -> Path:
    """Return the cache folder, which need not exist yet.

    >>> cache_folder().is_absolute() or "GRAPHSEQ_CACHE" in os.environ
    True
    """
    own = os.environ.get("GRAPHSEQ_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(shared).expanduser() / "graphseq"


def data_roots(root: Root = None) -> list[Path]:
    """Return the data roots in the order in which they are looked through.

    Args:
        root: the caller's own, the first of them.

    Raises:
        GraphError: `root` is not a folder.

    >>> data_roots()[-1] == cache_folder()
    True
    """
    roots = handed_in(root)
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "datasets" / "README.md").is_file():
        roots.append(checkout / "datasets")
    return [*roots, cache_folder()]


def handed_in(root: Root) -> list[Path]:
    """Return the data roots that the caller named, as an argument or in the environment.

    Raises:
        GraphError: `root` is not a folder.
    """
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


def is_offline(offline: bool = False) -> bool:
    """Say whether nothing may be downloaded: by the argument, or by ``GRAPHSEQ_OFFLINE`` other than 0."""
    return offline or os.environ.get("GRAPHSEQ_OFFLINE", "").lower() not in ("", "0", "false", "no")


def missing(folder: Path, files: Sequence[str]) -> list[str]:
    """Return those of the files that are not in the folder."""
    return [name for name in files if not (folder / name).is_file()]


def find(folder: str, files: Sequence[str], root: Root = None) -> Path | None:
    """Return the folder in the first data root that holds it with all its files, None where there is none.

    Args:
        folder: its path below a data root.
        files: the names of the files that must be in it.
        root: the caller's own data root.
    """
    return next((top / folder for top in data_roots(root) if not missing(top / folder, files)), None)
