"""The folder of a run: its options, its environment, its metrics and its result.

    config.json          recipe, options, seed            environment.json     versions, device
    metrics.jsonl        one line per epoch                curves.png           the same as a plot
    last.safetensors     the last checkpoint              best.safetensors     the weights of the best epoch
    result.json          when the run is finished

Every file except the metrics is written under a temporary name and renamed, so it is never incomplete. The metrics are
appended to; the lines that an interrupted run wrote after its last checkpoint are removed when it is resumed.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import GraphError, Words, expected
from .files import read_json, read_tensors, write_tensors

if TYPE_CHECKING:
    from filelock import FileLock

    from .session import Session

__all__ = ["Log", "RunFolder", "environment"]

_PACKAGES = ("graphseq", "torch", "torch-geometric", "numpy", "lightning-fabric", "safetensors", "torchmetrics")


class RunFolder:
    """Reads and writes a run's files.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        if self.path.exists() and not self.path.is_dir():
            raise expected("out", "a folder", Words(f"{self.path}, a file"))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def has_checkpoint(self) -> bool:
        """Return whether there is a checkpoint to resume from."""
        return (self / "last.safetensors").is_file() and (self / "best.safetensors").is_file()

    @property
    def result(self) -> dict[str, Any] | None:
        """Return the result of the run, or None if it is not finished."""
        return read_json(self / "result.json") if (self / "result.json").is_file() else None

    def check(self) -> None:
        """Check that the folder exists or can be made, and can be written to.

        Raises:
            GraphError: it is a file, or inside one, or not writable.
        """
        there = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        try:
            with tempfile.TemporaryDirectory(prefix=".graphseq-", dir=there):
                pass
        except OSError as error:
            got = Words(f"{self.path}; in {there}: {error.strerror or error}")
            raise expected("out", "a folder that can be written to", got) from None

    def lock(self) -> FileLock:
        """Return a lock that one process at a time can hold; it is released when that process ends, however it ends.

        Raises:
            GraphError: another process trains here.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise GraphError(f"{self.path}: another process is training in this folder") from None
        except OSError as error:
            raise expected("out", "a folder that can be written to", Words(f"{self.path}: {error}")) from None
        return lock

    def save(self, session: Session, *, lines: int) -> None:
        """Write a checkpoint. Every process must call it; the first one writes.

        The best weights are written first: if the process is killed between the two, they may be of a later epoch
        than the checkpoint, and the resumed training finds the same ones again.
        """
        tensors, meta = session.state()
        if session.fabric.global_rank:
            return
        best = {"epoch": session.best_epoch, "value": session.best_value}
        write_tensors(self / "best.safetensors", session.best, best)
        write_tensors(self / "last.safetensors", tensors, meta | {"lines": lines})

    def load(self, session: Session) -> int:
        """Restore a session from the checkpoint and return how many lines of metrics belong to it."""
        tensors, meta = read_tensors(self / "last.safetensors")
        best, _ = read_tensors(self / "best.safetensors")
        try:
            session.restore(tensors, meta, best)
            return int(meta["lines"])
        except KeyError as error:
            raise GraphError(f"{self / 'last.safetensors'} lacks {error}") from None

    def records(self) -> list[dict[str, float]]:
        """Return the metrics, one record per epoch."""
        try:
            lines = (self / "metrics.jsonl").read_text(encoding="ascii").splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise GraphError(f"{self / 'metrics.jsonl'} is damaged: {error}") from None


class Log:
    """Records of epochs: kept in memory, written as JSON lines and, optionally, for TensorBoard.

    Args:
        folder: where to write; None to only keep them.
        lines: the number of existing lines to keep.
        tensorboard: whether to write TensorBoard logs as well.
    """

    def __init__(self, folder: RunFolder | None, *, lines: int = 0, tensorboard: bool = False) -> None:
        self.records = folder.records()[:lines] if folder is not None and lines else []
        self._path = None if folder is None else folder / "metrics.jsonl"
        self._board = _board(folder.path, lines) if folder is not None and tensorboard else None
        if len(self.records) < lines:
            what = f"{self._path} with the {lines} lines that the checkpoint knows"
            raise expected("folder", what, Words(f"{len(self.records)} of them"))
        self._append("", after=sum(len(json.dumps(record)) + 1 for record in self.records))

    def write(self, record: Mapping[str, float]) -> None:
        """Add a record.

        Raises:
            GraphError: the disk is full.
        """
        self.records.append(dict(record))
        if self._board is not None:
            for name in record.keys() - {"epoch", "step"}:
                self._board.add_scalar(name, record[name], record["epoch"])
            self._board.flush()
        self._append(json.dumps(record) + "\n")

    def _append(self, text: str, *, after: int | None = None) -> None:
        """Append to the file or, if given, only to its first characters."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii", newline="") as file:
                if after is not None:
                    file.truncate(after)
                file.write(text)
        except OSError as error:
            raise GraphError(f"{self._path} cannot be written: {error.strerror or error}") from error


def _board(path: Path, done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise expected("tensorboard", "the package (pip install graphseq[tensorboard])", Words("none")) from None
    return SummaryWriter(str(path / "tensorboard"), purge_step=done + 1)


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a result may depend on apart from the options: versions, device, threads."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": versions,
        "device": f"{device}: {name}",
        "threads": torch.get_num_threads(),
    }
