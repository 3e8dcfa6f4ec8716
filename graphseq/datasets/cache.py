"""Processed data sets, kept in the cache folder as tensors and JSON, neither of which can run code.

An entry is a folder ``processed/<name>-<key>`` with ``arrays.safetensors``, ``meta.json`` and their checksums. The key
changes with the raw files, the options and the software. An entry that doesn't match its checksums is made again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from .files import read_sums, write_sums
from .roots import cache_folder, locked

__all__ = ["Stored", "cache_key", "cached"]

_ARRAYS, _META = "arrays.safetensors", "meta.json"
_MAKERS = ("graphseq", "torch_geometric", "rdkit")  # software that an entry depends on


class Stored(NamedTuple):
    """The content of an entry: tensors by name, and values that JSON can hold."""

    arrays: dict[str, Tensor]
    meta: dict[str, Any]


def cache_key(*inputs: object) -> str:
    """Return the key of these inputs, such as checksums and options, and of the current software.

    >>> cache_key({"a.txt": "0"}, 1) == cache_key({"a.txt": "0"}, 2)
    False
    """
    text = json.dumps([inputs, list(map(_version, _MAKERS)), _code()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _code() -> str:
    """Return a checksum of the loaders' code, which in a checkout changes while the version does not."""
    here, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted([*here.rglob("*.py"), *(here.parent / "convert").rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout on the path, or an optional package
        return "unknown"


def cached(name: str, key: str, build: Callable[[], Stored]) -> Stored:
    """Return the entry of this name and key; `build` makes it if it is missing or damaged.

    If two processes need it at once, the second waits. If the cache folder can't be written to, the entry is made
    each time, with a warning.
    """
    folder = cache_folder() / "processed" / f"{name}-{key}"
    if (found := _read(folder)) is not None:
        return found
    failure = None
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder.name))
        except OSError as error:
            failure = error
        if (found := _read(folder)) is None:
            found = build()
            try:
                if failure is not None:
                    raise failure
                _write(folder, found)
            except OSError as error:
                warnings.warn(f"{folder} can't be cached, so it is made each time: {error}", stacklevel=2)
    return found


def _read(folder: Path) -> Stored | None:
    """Return the entry, None if it is missing or doesn't match its checksums."""
    from safetensors.torch import load

    try:
        files = {name: (folder / name).read_bytes() for name in (_ARRAYS, _META)}
    except OSError:
        return None
    if read_sums(folder) != {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}:
        return None
    return Stored(load(files[_ARRAYS]), json.loads(files[_META]))


def _write(folder: Path, stored: Stored) -> None:
    """Write the entry under a temporary name and rename it."""
    from safetensors.torch import save

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        made = Path(scratch, folder.name)
        made.mkdir()
        (made / _ARRAYS).write_bytes(save({name: array.contiguous() for name, array in stored.arrays.items()}))
        (made / _META).write_text(json.dumps(stored.meta), encoding="utf-8")
        write_sums(made, (_ARRAYS, _META))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        made.rename(folder)
