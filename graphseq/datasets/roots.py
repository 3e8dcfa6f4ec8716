"""Data roots, where the files of data sets are searched for, and the cache folder, the only place written to.

A loader searches its `root`, ``$GRAPHSEQ_DATA``, the folder ``datasets`` of a checkout and the cache folder, in this
order, and reads the first that has all files. The cache folder is ``$GRAPHSEQ_CACHE``, else
``$XDG_CACHE_HOME/graphseq``, else ``~/.cache/graphseq``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import expected

__all__ = ["Root", "cache_folder", "data_roots", "find", "is_offline", "locked", "missing", "named_roots"]

Root = str | os.PathLike[str] | None


def cache_folder() -> Path:
    """Return the cache folder, which need not exist yet.

    >>> cache_folder().is_absolute() or "GRAPHSEQ_CACHE" in os.environ
    True
    """
    own, shared = os.environ.get("GRAPHSEQ_CACHE"), os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(own or f"{shared}/graphseq").expanduser()


def named_roots(root: Root = None) -> list[Path]:
    """Return the data roots that the user named, as an argument or in ``$GRAPHSEQ_DATA``.

    Raises:
        GraphError: `root` is not a folder.
    """
    if root is not None and not isinstance(root, str | os.PathLike):
        raise expected("root", "a folder's path or None", root)
    if root is not None and not Path(root).expanduser().is_dir():
        raise expected("root", "a folder that exists", os.fspath(root))
    named = (root, os.environ.get("GRAPHSEQ_DATA") or None)
    return [Path(each).expanduser() for each in named if each is not None]


def data_roots(root: Root = None) -> list[Path]:
    """Return all data roots in the order in which they are searched, `root` first.

    Raises:
        GraphError: `root` is not a folder.

    >>> data_roots()[-1] == cache_folder()
    True
    """
    checkout = Path(__file__).parents[2]
    is_one = (checkout / "pyproject.toml").is_file() and (checkout / "datasets" / "README.md").is_file()
    return [*named_roots(root), *([checkout / "datasets"] if is_one else []), cache_folder()]


def is_offline(offline: bool = False) -> bool:
    """Return whether downloads are forbidden, by the argument or by ``$GRAPHSEQ_OFFLINE``."""
    return offline or os.environ.get("GRAPHSEQ_OFFLINE", "").lower() not in ("", "0", "false", "no")


def missing(folder: Path, files: Sequence[str]) -> list[str]:
    """Return those of the files that are not in the folder."""
    return [name for name in files if not (folder / name).is_file()]


def find(folder: str, files: Sequence[str], root: Root = None) -> Path | None:
    """Return a data root's `folder` that has all `files`, None where there is none."""
    return next((top / folder for top in data_roots(root) if not missing(top / folder, files)), None)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of this name in the cache folder; other processes and threads wait for it."""
    from filelock import FileLock

    folder = cache_folder() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name.replace('/', '-')}.lock"):
        yield
