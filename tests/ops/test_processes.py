"""A forked process, such as a loader's worker, computes although its parent's threads are gone."""

import multiprocessing

import torch

from graphseq import Topology, batch
from graphseq.ops.spmm import spmm

N, F = 3000, 200  # so many numbers that the kernels take several threads


def _work() -> None:
    torch.set_num_threads(1)
    ring = Topology.from_edge_index(torch.stack([torch.arange(N), (torch.arange(N) + 1) % N]))
    out = spmm(ring.matrix, None, torch.ones(N, F))
    whole = batch([Topology.chain([3]), Topology.tree([1, -1])])
    ok = bool((out == 1).all()) and whole.num_levels == 3
    raise SystemExit(0 if ok else 1)


def test_a_forked_process(two_threads):
    ring = Topology.from_edge_index(torch.stack([torch.arange(N), (torch.arange(N) + 1) % N]))
    spmm(ring.matrix, None, torch.ones(N, F))  # starts the parent's threads
    child = multiprocessing.get_context("fork").Process(target=_work, daemon=True)
    child.start()
    child.join(60)
    alive = child.is_alive()
    if alive:
        child.kill()
    assert not alive, "it hangs"
    assert child.exitcode == 0
