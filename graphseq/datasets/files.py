"""The files of data sets: found in a data root or downloaded, complete, and compared with their checksums.

``recorded.json`` has the SHA-256 and size of published files. For other files, the checksum of the first download
is recorded in ``SHA256SUMS`` beside it, in the cache folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import CorruptData, DataWarning, GraphError, MissingData, Words, expected
from .download import UNFINISHED, download, unpack
from .roots import Root, cache_folder, data_roots, find, is_offline, locked, missing, named_roots

__all__ = ["RECORDED", "SUMS", "Checksum", "checksum", "examine", "find_or_fetch", "read_sums", "verify", "write_sums"]

SUMS = "SHA256SUMS"  # in the format of sha256sum
RECORDED: Mapping[str, Mapping[str, tuple[str, int]]] = json.loads(
    Path(__file__).with_name("recorded.json").read_text(encoding="utf-8")
)  # folder below a data root → file → SHA-256 and size; the cards in `datasets/` show the same


class Checksum(NamedTuple):
    """SHA-256 of a file's content and, where it is known, its size in bytes."""

    sha256: str
    size: int | None = None

    def __str__(self) -> str:
        """Return both as text."""
        return f"SHA-256 {self.sha256}" if self.size is None else f"{self.size} bytes of SHA-256 {self.sha256}"


class Examined(NamedTuple):
    """Files compared with their checksums."""

    sums: dict[str, str]  # SHA-256 by file name
    wrong: list[tuple[Path, Checksum, Checksum]]  # files that differ, their expected and their actual checksum
    unknown: list[str]  # names of files without a recorded checksum


def checksum(path: Path) -> Checksum:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return Checksum(hashlib.file_digest(file, "sha256").hexdigest(), file.tell())


def read_sums(folder: Path) -> dict[str, str]:
    """Return SHA-256 by file name from a folder's ``SHA256SUMS``; nothing where it is missing or malformed."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if len(digest) == 64 and name}


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Add files of a folder to its ``SHA256SUMS``."""
    sums = read_sums(folder) | {name: checksum(folder / name).sha256 for name in names}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / SUMS).write_text(text, encoding="utf-8")


def examine(folder: str, paths: Iterable[Path]) -> Examined:
    """Compare files with the checksums recorded for `folder`, below a data root, or for their first download."""
    found = Examined({}, [], [])
    for path in paths:
        came = checksum(path)
        found.sums[path.name] = came.sha256
        first = read_sums(path.parent) if cache_folder() in path.parents else {}
        if path.name in (known := RECORDED.get(folder, {})):
            want = Checksum(*known[path.name])
        elif path.name in first:
            want = Checksum(first[path.name])
        else:
            found.unknown.append(path.name)
            continue
        if want.sha256 != came.sha256:
            found.wrong.append((path, want, came))
    return found


def verify(folder: str, paths: Iterable[Path], *, check: bool = True) -> dict[str, str]:
    """Return SHA-256 by file name; with `check`, compare it with the recorded one first.

    A :class:`graphseq.errors.DataWarning` names files without a recorded checksum.

    Raises:
        CorruptData: a file does not match its recorded checksum.
    """
    found = examine(folder, paths)
    if check and found.wrong:
        path, want, came = found.wrong[0]
        what = "truncated" if want.size is not None and (came.size or 0) < want.size else "altered"
        hint = "; delete it to download it again" if cache_folder() in path.parents else ""
        raise CorruptData(
            f"{path}{_more(found.wrong, ' of its folder')} was {what}: expected {want}, got {came}; "
            f"check=False reads it anyway{hint}"
        )
    if check and found.unknown:
        text = f"{folder}: no checksum is recorded of {found.unknown[0]}{_more(found.unknown)}, so a damaged file would"
        warnings.warn(f"{text} go unnoticed; check=False if they are your own", DataWarning, stacklevel=3)
    return found.sums


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _more(items: Sequence[object], what: str = "") -> str:
    return f" (and {len(items) - 1} more{what})" if len(items) > 1 else ""


def find_or_fetch(
    folder: str, files: Sequence[str], urls: Sequence[str], root: Root = None, *, offline: bool = False
) -> Path:
    """Return the folder in the first data root that has it with all its files, else download it.

    Args:
        folder: path below a data root.
        files: names of the files that it must have.
        urls: where the files are published; archives that are not among `files` are unpacked. They are downloaded
            only where no data root is named, as `root` or ``$GRAPHSEQ_DATA``.
        root: the caller's data root.
        offline: whether downloads are forbidden, as with ``GRAPHSEQ_OFFLINE=1``.

    Raises:
        MissingData: the files are in no data root; the message lists the places that were searched.
        CorruptData: a download is truncated, or does not match its recorded checksum.
    """
    if (found := find(folder, files, root)) is not None:
        return found
    if named_roots(root):
        why = "Nothing was downloaded, since a data root is named."
    elif is_offline(offline):
        why = "Nothing was downloaded: offline."
    else:
        try:
            return _fetch(folder, files, urls)
        except CorruptData:
            raise
        except GraphError as error:
            why = str(error)
    looked = [f"  {top / folder / _few(missing(top / folder, files))}{_absent(top)}" for top in data_roots(root)]
    unpacked = ", unpacked," if _is_packed(urls[0], files) else ""
    raise MissingData("\n".join([
        f"{folder} is in no data root; looked for", *looked, why,
        f"Put {urls[0]}{_more(urls)}{unpacked} into the folder {folder} of a data root, and name that root:",
        "GRAPHSEQ_DATA=DIR in the environment, --data-root DIR on the command line, root= in Python.",
    ]))  # fmt: skip


def _is_packed(url: str, files: Sequence[str]) -> bool:
    return url.endswith((".zip", ".gz")) and url.rpartition("/")[2] not in files


def _absent(top: Path) -> str:
    return "" if top.is_dir() or top not in named_roots() else f"  (GRAPHSEQ_DATA: there is no folder {top})"


def _fetch(folder: str, files: Sequence[str], urls: Sequence[str]) -> Path:
    """Download into a folder that gets its final name when all files are complete and match their checksums."""
    home = cache_folder() / folder
    coming = home.with_name(f".{home.name}.coming")  # outlives a failure, so that downloads are resumed
    try:
        with locked(folder):  # a second process waits, and finds what the first one downloaded
            if not missing(home, files):
                return home
            coming.mkdir(parents=True, exist_ok=True)
            for url in urls:
                path = download(url, coming)
                if _is_packed(url, files):
                    unpack(path, coming)
            names = sorted(path.name for path in coming.iterdir() if not path.name.endswith(UNFINISHED))
            if lost := missing(coming, files):
                raise GraphError(f"{', '.join(lost)} was not in what was downloaded")
            if wrong := examine(folder, [coming / name for name in names]).wrong:
                shutil.rmtree(coming)
                path, want, came = wrong[0]
                raise CorruptData(f"{folder}/{path.name} as it was downloaded: expected {want}, got {came}")
            if home.is_dir():  # it has some of the files: the others join them
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
