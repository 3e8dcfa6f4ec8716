"""Kernels on several threads, and in a loader's forked workers."""

import multiprocessing

import numpy as np
import pytest
import torch
from numba import TypingError

from graphseq import Topology, batch
from graphseq.ops.kernels.jit import rowwise
from graphseq.ops.spmm import spmm

N, F = 3000, 200  # so many numbers that the kernels take several threads


def ring(n: int) -> Topology:
    return Topology.from_edge_index(torch.stack([torch.arange(n), (torch.arange(n) + 1) % n]))


def _work() -> None:
    torch.set_num_threads(1)
    out = spmm(ring(N).matrix, None, torch.ones(N, F))
    whole = batch([Topology.chain([3]), Topology.tree([1, -1])])
    ok = bool((out == 1).all()) and whole.num_levels == 3
    raise SystemExit(0 if ok else 1)


def test_a_forked_process_computes_although_its_parents_threads_are_gone(two_threads):
    spmm(ring(N).matrix, None, torch.ones(N, F))  # starts the parent's threads
    child = multiprocessing.get_context("fork").Process(target=_work, daemon=True)
    child.start()
    child.join(60)
    alive = child.is_alive()
    if alive:
        child.kill()
    assert not alive, "it hangs"
    assert child.exitcode == 0


def test_what_a_thread_raises_is_raised(two_threads):
    @rowwise()
    def count(a, b, x):
        for i in range(a, b):
            x[i] += 1

    x = np.zeros(5)
    for work in (1, 10**9):
        count(work, 0, 5, x)
    assert x.tolist() == [2, 2, 2, 2, 2]
    with pytest.raises(TypingError):
        count(10**9, 0, 5, "no array")
