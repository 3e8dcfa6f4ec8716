"""The folder of a run: what was asked for, where it ran, how it went and what it gave.

    config.json          recipe, options, seed            environment.json     versions, device
    metrics.jsonl        one line an epoch                curves.png           the same as a picture
    last.safetensors     to go on from                    best.safetensors     the weights of the best epoch
    result.json          when it is over

Every file but the metrics is written under another name and renamed, so each is whole or not there. The metrics are
appended to; what a run that was cut off wrote behind its last checkpoint is cut off when it is resumed.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import torch

from ..errors import GraphError, Words, expected
from .files import read_json, read_tensors, write_json, write_tensors

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
        """Say whether there is something to go on from."""
        return (self / "last.safetensors").is_file() and (self / "best.safetensors").is_file()

    @property
    def result(self) -> dict[str, Any] | None:
        """Return what the run gave, or None if it is not over."""
        return read_json(self / "result.json") if (self / "result.json").is_file() else None

    def check(self) -> None:
        """See that the folder is there, or can be made, and can be written to.

        Raises:
            GraphError: it is a file, or lies in one, or may not be written to.
        """
        there = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        try:
            with tempfile.TemporaryDirectory(prefix=".graphseq-", dir=there):
                pass
        except OSError as error:
            got = Words(f"{self.path}; in {there}: {error.strerror or error}")
            raise expected("out", "a folder that can be written to", got) from None

    def lock(self) -> FileLock:
        """Return a lock that one process at a time can hold; it is let go when that process ends, however it ends.

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

        The best weights go first: were the process killed between the two, they might be of a later epoch than the
        checkpoint knows, and training from there would find the same ones again.
        """
        tensors, meta = session.state()
        if session.fabric.global_rank:
            return
        best = {"epoch": session.best_epoch, "value": session.best_value}
        write_tensors(self / "best.safetensors", session.best, best)
        write_tensors(self / "last.safetensors", tensors, meta | {"lines": lines})

    def load(self, session: Session) -> int:
        """Bring a session to where the checkpoint was, and return how many lines of metrics belong to it."""
        tensors, meta = read_tensors(self / "last.safetensors")
        best, _ = read_tensors(self / "best.safetensors")
        try:
            session.restore(tensors, meta, best)
            return int(meta["lines"])
        except KeyError as error:
            raise GraphError(f"{self / 'last.safetensors'} lacks {error}") from None

    def records(self) -> list[dict[str, float]]:
        """Return the metrics, one record an epoch."""
        try:
            lines = (self / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise GraphError(f"{self / 'metrics.jsonl'} is damaged: {error}") from None


class Log:
    """Records of epochs: kept, written as JSON lines and, if asked for, for TensorBoard.

    Args:
        folder: where to write; None to keep them only.
        lines: so many of those that are there are kept.
        tensorboard: whether to write for TensorBoard too.
    """

    def __init__(self, folder: RunFolder | None, *, lines: int = 0, tensorboard: bool = False) -> None:
        self.records = folder.records()[:lines] if folder is not None and lines else []
        if folder is not None and len(self.records) < lines:
            got = Words(f"{len(self.records)} of them")
            what = f"{folder / 'metrics.jsonl'} with the {lines} lines that the checkpoint knows"
            raise expected("folder", what, got)
        self._file: IO[str] | None = None
        self._board: Any = None
        if folder is None:
            return
        if tensorboard:
            self._board = _board(folder.path, len(self.records))
        text = "".join(json.dumps(record) + "\n" for record in self.records)
        path = folder / "metrics.jsonl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+", encoding="utf-8", newline="") as file:
                file.truncate(len(text))  # ASCII: a character is a byte
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise GraphError(f"{path} cannot be written: {error.strerror or error}") from error

    def write(self, record: Mapping[str, float]) -> None:
        """Add a record.

        Raises:
            GraphError: the disk is full.
        """
        self.records.append(dict(record))
        if self._board is not None:
            for name in record.keys() - {"epoch", "step"}:
                self._board.add_scalar(name, record[name], record["epoch"])
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise GraphError(f"{self._file.name} cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._board is not None:
            self._board.close()
        if self._file is not None:
            try:
                self._file.close()
            except OSError:  # a full disk, which has been told
                if error is None:
                    raise


def _board(path: Path, done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise expected("tensorboard", "the package (pip install graphseq[tensorboard])", Words("none")) from None
    return SummaryWriter(str(path / "tensorboard"), purge_step=done + 1)


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a result may depend on beside the options: versions, device, threads."""
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


def write_environment(folder: RunFolder, device: torch.device) -> None:
    """Write it into a run's folder."""
    write_json(folder / "environment.json", environment(device))
