"""Files written atomically: tensors as safetensors, everything else as JSON. Nothing here can run code."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import GraphError, Words, expected

__all__ = ["check_writable", "read_json", "read_tensors", "write_bytes", "write_json", "write_tensors"]

_META, _SUM = "graphseq", "crc32"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it to disk and rename it.

    What a link points to is replaced, not the link; a device or a pipe is written to.

    Raises:
        GraphError: it cannot be written, for example on a full disk; an existing file is left unchanged.
    """
    temporary = None
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                stream.write(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}-", dir=path.parent, delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise GraphError(f"{path} cannot be written: {error.strerror or error}") from error


def check_writable(path: Path, argument: str) -> None:
    """Check where a file is to be written, before any work is done; its folder is made.

    Raises:
        GraphError: it is a folder, or its folder can't be made or written to.
    """
    if path.is_dir():
        raise expected(argument, "a file to write", Words(f"{path}, a folder"))
    folder = Path(os.path.realpath(path)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise expected(argument, "a file that can be written", Words(f"{path}: {error.strerror or error}")) from None
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise expected(argument, "a file that can be written", Words(f"{path}, in a folder that can't be written to"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON, atomically; numbers come back bit for bit."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        GraphError: there is no such file, or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise expected("run", "the folder of a run", Words(f"{path.parent}, which has no {path.name}")) from None
    except (OSError, ValueError) as error:
        raise GraphError(f"{path} cannot be read: {error}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors, and metadata as JSON in the file's header, atomically."""
    from safetensors.torch import save

    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        apart[name] = tensor.clone() if tensor.data_ptr() in seen else tensor  # tied weights are written twice
        seen.add(tensor.data_ptr())
    content = json.dumps(dict(meta) | {_SUM: _checksum(apart)})
    write_bytes(path, save(apart, metadata={_META: content}))


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """Return a checksum."""
    found = 0
    for name in sorted(tensors):
        found = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_tensors` wrote, onto the CPU.

    Raises:
        GraphError: there is no such file, or it is damaged, or not of graphseq.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise expected("run", "the folder of a run", Words(f"{path.parent}, which has no {path.name}"))
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})[_META])
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, KeyError, ValueError, OSError, RuntimeError) as error:
        raise GraphError(f"{path} is damaged or not a file of graphseq: {error}") from None
    if meta.pop(_SUM, None) != _checksum(tensors):
        raise GraphError(f"{path} is damaged or not a file of graphseq: its checksum differs")
    return tensors, meta
