"""How files get here: downloads that show their progress, resume, and land whole or not at all.

Files come into a folder beside the one where they belong, each as ``<name>.part`` until it is whole; when all
are there and are what is recorded of them, that folder gets its name. A lock keeps a second process waiting,
which then finds what the first one laid.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphseq.datasets.checksums import checksum, compare, write_sums
from graphseq.datasets.roots import Root, cache_folder, data_roots, find, handed_in, is_offline, missing
from graphseq.errors import CorruptData, GraphError, MissingData, Words, expected

__all__ = ["BAD_ARCHIVE", "download", "find_or_fetch", "locked", "unpack"]

# What reading an archive can raise that is none, or cut, or encrypted, or packed in an unknown way.
BAD_ARCHIVE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

_UNFINISHED = (".part", ".part.json")
_BLOCK = 1 << 16
_PAUSE = 0.5  # seconds before the second attempt; each further pause is twice as long
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses after which it is worth to try again


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
            names = sorted(path.name for path in coming.iterdir() if not path.name.endswith(_UNFINISHED))
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


def download(url: str, folder: Path, *, timeout: float | None = None, retries: int = 3) -> Path:
    """Download a file into a folder, under the name that ends its address, and return its path.

    A file that is there is not downloaded again. What an earlier attempt left, as ``<name>.part``, is gone on with
    if the server still has the same file and can send parts of it; else it is downloaded from its beginning.

    Args:
        url: the file's address.
        folder: where to lay it.
        timeout: the seconds to wait for a server that says nothing; by default ``GRAPHSEQ_TIMEOUT``, else 30.
        retries: how often to try again after a failure that may pass.

    Raises:
        CorruptData: it came shorter than the server said, each time.
        GraphError: the server did not give it.
    """
    target = folder / url.rpartition("/")[2]
    if target.is_file():
        return target
    wait = _timeout() if timeout is None else timeout
    attempt = 0
    while True:
        try:
            return _attempt(url, target, wait)
        except CorruptData:
            if attempt == retries:
                raise
        except (OSError, http.client.HTTPException) as error:
            lasting = isinstance(error, urllib.error.HTTPError) and error.code not in _PASSING
            if attempt == retries or lasting:
                reason = str(error) or type(error).__name__
                raise GraphError(f"{url} could not be downloaded: {reason}") from None
        time.sleep(_PAUSE * 2**attempt)
        attempt += 1


def unpack(archive: Path, into: Path) -> None:
    """Lay what is in an archive in a folder, and remove the archive: a .gz file, or the text files of a .zip, flat.

    Raises:
        GraphError: it is not a sound archive.
    """
    try:
        if archive.suffix == ".gz":
            (into / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
        else:
            with zipfile.ZipFile(archive) as packed:
                for member in packed.namelist():
                    if member.endswith(".txt"):
                        (into / Path(member).name).write_bytes(packed.read(member))
    except BAD_ARCHIVE as error:
        raise GraphError(f"{archive.name} from the server is not a sound archive: {error}") from None
    finally:
        archive.unlink()


def _timeout() -> float:
    named = os.environ.get("GRAPHSEQ_TIMEOUT", "30")
    try:
        seconds = float(named)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise expected("GRAPHSEQ_TIMEOUT", "a number of seconds above 0", named)
    return seconds


def _attempt(url: str, target: Path, timeout: float) -> Path:
    """Ask the server once; leaves ``<name>.part`` behind, and which version it is of, if it ends early."""
    part, note = (target.with_name(target.name + end) for end in _UNFINISHED)
    headers = {"User-Agent": "graphseq"}
    version = _version(note, url)
    have = part.stat().st_size if version is not None and part.is_file() else 0
    if version is not None and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the whole, or longer: begin anew
            part.unlink(missing_ok=True)
            return _attempt(url, target, timeout)
        raise
    with answer:
        if not (answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")):
            have = 0
            note.write_text(json.dumps({"url": url, "version": _said_version(answer.headers)}), encoding="utf-8")
        length = answer.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        with part.open("ab" if have else "wb") as file:
            _copy(answer, file, have, total, target.name)
            came = file.tell()
    if total is not None and came != total:
        raise CorruptData(f"{url} was cut: expected {total} bytes, got {came}")
    os.replace(part, target)
    note.unlink(missing_ok=True)
    return target


def _copy(answer: Any, file: Any, have: int, total: int | None, name: str) -> None:
    from tqdm import tqdm

    bar = tqdm(desc=name, initial=have, total=total, unit="B", unit_scale=True, leave=False, disable=None)
    with bar:
        while block := answer.read(_BLOCK):
            file.write(block)
            bar.update(len(block))


def _said_version(headers: Any) -> str | None:
    """Return what tells this version of a file from others: a strong ETag, else the date of its last change."""
    tag = headers.get("ETag", "")
    said = tag if tag.startswith('"') else headers.get("Last-Modified")
    return None if said is None else str(said)


def _version(note: Path, url: str) -> str | None:
    """Return which version the part beside this note is of, None where it cannot be gone on with."""
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        return str(said["version"]) if said["url"] == url and said["version"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
