"""How the CPU kernels are compiled and when they run on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch

# Reassociation of sums is allowed (it is what vectorises a reduction); NaN and infinities keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}

_WORTH = 400_000  # elements, below which waking other threads costs more than they save
_PROCESS = os.getpid()
_THREADS = ThreadPoolExecutor(os.cpu_count(), "graphseq")


def serial(function: Callable[..., Any], fastmath: set[str] = FAST) -> Any:
    """Compile `function` for one thread; kept on disk between runs."""
    return numba.njit(function, cache=True, nogil=True, fastmath=fastmath, error_model="numpy")


def rowwise(fastmath: set[str] = FAST) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile `function(a, b, …)`, which fills rows a to b independently of one another, to run on several threads.

    The result is called as `(work, a, b, …)`. The work in elements decides: a kernel with little to do is quicker on
    one thread. A forked process (a loader's worker) has lost its parent's threads, and PyTorch's limit on threads
    holds here too. (Numba's own threads take three times as long to compile for, and serve one caller at a time.)
    """

    def make(function: Callable[..., None]) -> Callable[..., None]:
        kernel = serial(function, fastmath)

        def run(work: int, a: int, b: int, *arguments: Any) -> None:
            count = min(torch.get_num_threads(), b - a) if work > _WORTH and os.getpid() == _PROCESS else 1
            if count <= 1:
                kernel(a, b, *arguments)
                return
            bounds = [a + (b - a) * i // count for i in range(count + 1)]
            others = [_THREADS.submit(kernel, *part, *arguments) for part in pairwise(bounds[1:])]
            kernel(*bounds[:2], *arguments)
            for other in others:
                other.result()

        return run

    return make


def array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a CPU tensor's memory as an array, gradient or not."""
    array: np.ndarray[Any, Any] = (tensor.detach() if tensor.requires_grad else tensor).numpy()
    return array
