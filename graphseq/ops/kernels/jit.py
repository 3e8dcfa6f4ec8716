"""Compilation of the CPU kernels, and their use of threads."""

from __future__ import annotations

import hashlib
import os
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

# Reassociation of sums is allowed (it is what vectorises a reduction); NaN and infinities are preserved.
FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}

_WORTH = 400_000  # number of elements below which waking other threads costs more than it saves
_PROCESS = os.getpid()
_LOCK = threading.Lock()  # one of Numba's thread pools allows one parallel kernel at a time


def digest(folder: Path) -> str:
    """Return a digest of the Python files in a folder.

    Numba compiles a kernel anew if its own file has changed, but not if a file has whose functions it inlines. So the
    names by which kernels are found on disk contain this.
    """
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(folder.glob("*.py")))).hexdigest()[:12]


_SOURCES = digest(Path(__file__).parent)


def serial(function: Callable[..., Any]) -> Any:
    """Compile `function` for one thread; cached on disk between runs."""
    return numba.njit(_renamed(function, ""), cache=True, nogil=True, fastmath=FAST, error_model="numpy")


def parallel(function: Callable[..., Any], fastmath: set[str] = FAST) -> Callable[..., None]:
    """Compile `function` twice; the first argument of the result, the number of elements, decides which is used.

    A kernel with little work is faster on one thread; a forked process (a loader's worker) must not touch
    the parent's thread pool; and PyTorch's limit on threads applies here, too.
    """
    one, many = (
        numba.njit(
            _renamed(function, "_parallel" if several else "_serial"), cache=True, nogil=True, fastmath=fastmath,
            error_model="numpy", parallel=several,
        )
        for several in (False, True)
    )  # fmt: skip

    def run(work: int, *arguments: Any) -> None:
        if work <= _WORTH:
            one(*arguments)
            return
        limit = torch.get_num_threads()
        threads = min(limit, numba.config.NUMBA_NUM_THREADS)
        if threads == 1 or os.getpid() != _PROCESS:
            one(*arguments)
            return
        with _LOCK:
            numba.set_num_threads(threads)
            many(*arguments)
        if torch.get_num_threads() != limit:  # both may share one OpenMP, and Numba sets it when it starts
            torch.set_num_threads(limit)

    return run


def _renamed(function: Callable[..., Any], suffix: str) -> Callable[..., Any]:
    """Return a copy under another name, by which Numba identifies compiled kernels on disk."""
    suffix = f"{suffix}_{_SOURCES}"
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__ + suffix)
    copy.__qualname__ = function.__qualname__ + suffix
    copy.__module__ = function.__module__
    return copy


def array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a CPU tensor's memory as an array, gradient or not."""
    array: np.ndarray[Any, Any] = (tensor.detach() if tensor.requires_grad else tensor).numpy()
    return array
