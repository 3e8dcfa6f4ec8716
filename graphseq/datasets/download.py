"""One file over HTTP: complete or not at all, resumed where an earlier attempt broke off, with a progress bar."""

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

from ..errors import CorruptData, GraphError, expected

__all__ = ["BAD_ARCHIVE", "UNFINISHED", "download", "unpack"]

# Raised for an archive that is invalid, truncated, encrypted, or compressed in an unknown way.
BAD_ARCHIVE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
UNFINISHED = (".part", ".part.json")  # suffixes of an incomplete file, and of the record of its version

_BLOCK = 1 << 16
_PAUSE = 0.5  # seconds before the second attempt; each further pause is twice as long
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another attempt


def download(url: str, folder: Path, *, timeout: float | None = None, retries: int = 3) -> Path:
    """Download a file into a folder, unless it is there, and return its path.

    An incomplete ``<name>.part`` is resumed if the server still has the same version and can send the rest.

    Args:
        url: its end is the file's name.
        folder: where the file goes.
        timeout: seconds to wait for a silent server; by default ``$GRAPHSEQ_TIMEOUT``, else 30.
        retries: further attempts after a failure that may be transient.

    Raises:
        CorruptData: it was shorter than the server announced, at each attempt.
        GraphError: the download failed.
    """
    target = folder / url.rpartition("/")[2]
    wait = _timeout() if timeout is None else timeout
    failure = GraphError(f"{url} could not be downloaded")
    for attempt in range(0 if target.is_file() else retries + 1):
        time.sleep(_PAUSE * 2 ** (attempt - 1) if attempt else 0)
        try:
            _attempt(url, target, wait)
            break
        except CorruptData as error:
            failure = error
        except (OSError, http.client.HTTPException) as error:
            failure = GraphError(f"{url} could not be downloaded: {str(error) or type(error).__name__}")
            if isinstance(error, urllib.error.HTTPError) and error.code not in _TRANSIENT:
                raise failure from None
    if not target.is_file():
        raise failure
    return target


def unpack(archive: Path, into: Path) -> None:
    """Write the content of a .gz file, or the text files of a .zip without their folders, and remove the archive.

    Raises:
        GraphError: the archive is damaged.
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
        raise GraphError(f"{archive.name} from the server is not a valid archive: {error}") from None
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


def _attempt(url: str, target: Path, timeout: float) -> None:
    """Request the file, or the rest of it, once."""
    from tqdm import tqdm

    part, note = (target.with_name(target.name + suffix) for suffix in UNFINISHED)
    version = _version(note, url)
    have = part.stat().st_size if version and part.is_file() else 0
    headers = {"User-Agent": "graphseq"} | ({"Range": f"bytes={have}-", "If-Range": version or ""} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        part.unlink()  # it is as long as the file, or longer
        _attempt(url, target, timeout)
        return
    with answer:
        if not (answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")):
            have = 0
            note.write_text(json.dumps({"url": url, "version": _announced(answer.headers)}), encoding="utf-8")
        length = answer.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        bar = tqdm(desc=target.name, initial=have, total=total, unit="B", unit_scale=True, leave=False, disable=None)
        with part.open("ab" if have else "wb") as file, bar:
            while block := answer.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
            came = file.tell()
    if total is not None and came != total:
        raise CorruptData(f"{url} was truncated: expected {total} bytes, got {came}")
    os.replace(part, target)
    note.unlink(missing_ok=True)


def _announced(headers: Any) -> str | None:
    """Return an identifier of this version of a file: a strong ETag, else the date of its last change."""
    tag = headers.get("ETag", "")
    found: str | None = tag if tag.startswith('"') else headers.get("Last-Modified")
    return found


def _version(note: Path, url: str) -> str | None:
    """Return which version the incomplete file is of, None if it can't be resumed."""
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        return str(content["version"]) if content["url"] == url and content["version"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
