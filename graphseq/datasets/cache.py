"""What is made of raw files, kept in the cache folder as tensors and JSON, neither of which can run code.

An entry is a folder ``processed/<name>-<key>`` with ``arrays.safetensors``, ``facts.json`` and both their
checksums. The key changes with the raw files, the options and the software. An entry that is not what its
checksums say is made anew.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from torch import Tensor

from graphseq.datasets.checksums import read_sums, write_sums
from graphseq.datasets.fetch import locked
from graphseq.datasets.roots import cache_folder

__all__ = ["Stored", "cache_key", "cached", "version"]

_ARRAYS, _FACTS = "arrays.safetensors", "facts.json"


@dataclass(frozen=True)
class Stored:
    """What an entry holds: tensors by name, and what JSON can say by name."""

    arrays: dict[str, Tensor]
    facts: dict[str, Any]


def cache_key(sums: Mapping[str, str], options: Mapping[str, object] | None = None) -> str:
    """Return the key of what is made of files with these checksums, under these options.

    >>> cache_key({"a.txt": "0"}, {"seed": 1}) == cache_key({"a.txt": "0"}, {"seed": 2})
    False
    """
    said = json.dumps([version("graphseq"), _code(), dict(sums), dict(options or {})], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@functools.cache
def _code() -> str:
    """Return a checksum of the loaders' own code, which in a checkout changes while the version does not."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), *(here.parent / "convert").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout on the path, not installed
        return "unknown"


def cached(name: str, key: str, build: Callable[[], Stored]) -> Stored:
    """Return the entry for this name and key, after `build` has made it if it was not there or is not sound.

    Of two processes that want it at once the second waits. Where the cache folder cannot be written to, the entry
    is made each time, with a warning.
    """
    folder = cache_folder() / "processed" / f"{name}-{key}"
    found = _read(folder)
    if found is not None:
        return found
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder.name))
            found = _read(folder)
        except OSError as error:
            warnings.warn(f"{folder} cannot be kept, so it is made each time: {error}", stacklevel=2)
            return build()
        if found is None:
            found = build()
            try:
                _write(folder, found)
            except OSError as error:
                warnings.warn(f"{folder} cannot be kept, so it is made each time: {error}", stacklevel=2)
    return found


def _read(folder: Path) -> Stored | None:
    """Return the entry, None where there is none or a file is not what it was written as."""
    from safetensors.torch import load

    try:
        files = {name: (folder / name).read_bytes() for name in (_ARRAYS, _FACTS)}
        if read_sums(folder) == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}:
            return Stored(load(files[_ARRAYS]), json.loads(files[_FACTS]))
    except OSError:
        pass
    return None


def _write(folder: Path, stored: Stored) -> None:
    """Write the entry beside its place and move it there, so that nobody ever sees a half of it."""
    from safetensors.torch import save

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        made = Path(scratch, folder.name)
        made.mkdir()
        (made / _ARRAYS).write_bytes(save({name: array.contiguous() for name, array in stored.arrays.items()}))
        (made / _FACTS).write_text(json.dumps(stored.facts), encoding="utf-8")
        write_sums(made, (_ARRAYS, _FACTS))
        if folder.exists():  # what is not sound
            shutil.rmtree(folder)
        made.rename(folder)
