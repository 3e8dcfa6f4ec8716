"""How the files of a set are found, or get here: whole and sound, or not at all.

Files come into a folder beside the one where they belong; when all are there and are what is recorded of them, that
folder gets its name. A lock keeps a second process waiting, which then finds what the first one laid.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from graphseq.datasets.checksums import checksum, compare, write_sums
from graphseq.datasets.download import UNFINISHED
from graphseq.datasets.roots import Root, cache_folder, data_roots, find, handed_in, is_offline, missing
from graphseq.errors import CorruptData, GraphError, MissingData, Words, expected

__all__ = ["find_or_fetch", "locked"]


def find_or_fetch(
    folder: str,
    files: Sequence[str],
    root: Root,
    *,
    how: str,
    fetch: Callable[[Path], None] | None = None,
    offline: bool = False,
) -> Path:
    """Return the folder, in the first data root that holds it with all its files.

    Args:
        folder: its path below a data root.
        files: the names of the files that must be in it.
        root: the caller's own data root.
        how: a sentence for the error, saying how to get the files.
        fetch: lays the files in the folder that it is given. It is called when no root holds them and none was
            handed in, as `root` or ``GRAPHSEQ_DATA``: whoever says where the data is gets no download.
        offline: whether nothing may be downloaded, as with ``GRAPHSEQ_OFFLINE=1``.

    Raises:
        MissingData: the files are nowhere; the message lists where they were looked for.
        CorruptData: what came is cut, or not what is recorded.
    """
    found = find(folder, files, root)
    if found is not None:
        return found
    if fetch is None:
        why = ""
    elif handed_in(root):
        why = "Nothing was downloaded, since a data root was handed in.\n"
    elif is_offline(offline):
        why = "Nothing was downloaded: offline.\n"
    else:
        try:
            return _fetch_once(folder, files, fetch)
        except CorruptData:
            raise
        except GraphError as error:
            why = f"{error}\n"
    looked = []
    for top in data_roots(root):
        lost = missing(top / folder, files)
        looked.append(f"  {top / folder / ', '.join(lost)}")
    raise MissingData(f"{folder} is in no data root; looked for\n{chr(10).join(looked)}\n{why}{how}")


def _fetch_once(folder: str, files: Sequence[str], fetch: Callable[[Path], None]) -> Path:
    """Return the folder in the cache, after `fetch` has filled it, if nobody else did in the meantime."""
    home = cache_folder() / folder
    coming = home.with_name(f".{home.name}.coming")  # it outlives a failure, so that downloads resume
    try:
        with locked(folder):
            if not missing(home, files):
                return home
            coming.mkdir(parents=True, exist_ok=True)
            fetch(coming)
            names = sorted(path.name for path in coming.iterdir() if not path.name.endswith(UNFINISHED))
            if lost := missing(coming, files):
                raise GraphError(f"{', '.join(lost)} was not in what was downloaded")
            _refuse_altered(folder, coming, names)
            if home.is_dir():  # somebody laid a part of the files there: the others join them
                names = missing(home, names)
                for name in names:
                    os.replace(coming / name, home / name)
                write_sums(home, names)
                shutil.rmtree(coming)
            else:
                write_sums(coming, names)
                coming.rename(home)
    except OSError as error:
        cache = Words(f"{cache_folder()}: {error.strerror or error}")
        raise expected("GRAPHSEQ_CACHE", "a cache folder that can be written to", cache) from error
    return home


def _refuse_altered(folder: str, coming: Path, names: Sequence[str]) -> None:
    """Raise an error, and forget the files, if one that came is not what is recorded of it."""
    came = {coming / name: checksum(coming / name) for name in names}
    wrong = compare(folder, came)
    if wrong:
        shutil.rmtree(coming)
        path, want = wrong[0]
        raise CorruptData(f"{folder}/{path.name} as it was downloaded: expected {want}, got {came[path]}")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other processes and threads out of the same block for the same name; they wait."""
    from filelock import FileLock

    folder = cache_folder() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name.replace('/', '-')}.lock"):
        yield
