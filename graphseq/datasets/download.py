"""One file over HTTP: with its progress shown, gone on with where it broke off, whole or not at all."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import Any

from graphseq.errors import CorruptData, GraphError, expected

__all__ = ["BAD_ARCHIVE", "UNFINISHED", "download", "unpack"]

# What reading an archive can raise that is none, or cut, or encrypted, or packed in an unknown way.
BAD_ARCHIVE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

UNFINISHED = (".part", ".part.json")  # how the names of a file that is coming, and of the note beside it, end
_BLOCK = 1 << 16
_PAUSE = 0.5  # seconds before the second attempt; each further pause is twice as long
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses after which it is worth to try again


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
    part, note = (target.with_name(target.name + end) for end in UNFINISHED)
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
