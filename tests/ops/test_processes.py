"""Kernels in other processes: a loader's forked workers, and what one process keeps on disk for the next."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import torch
from numba import prange

from graphseq import Topology, batch
from graphseq.ops.kernels import attention, rows
from graphseq.ops.kernels.jit import digest, parallel
from graphseq.ops.spmm import spmm

N, F = 3000, 200  # so many numbers that the kernels take several threads
ROOT = Path(__file__).parents[2]


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


SCRIPT = """
import torch
torch.set_num_threads(2)
from graphseq.ops.spmm import spmm
from tests.ops.test_processes import ring
for n in (10, 3000):
    x = torch.ones(n, 200)
    assert torch.equal(spmm(ring(n).matrix, None, x), x)
    print(torch.get_num_threads())
"""


def test_pytorchs_number_of_threads_stays_as_it_was():
    where = {"NUMBA_NUM_THREADS": "3", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=os.environ | where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "2"]


def _doubled(x):
    for i in prange(x.shape[0]):
        x[i] *= 2


def test_kernels_for_one_thread_and_for_several_are_kept_apart_on_disk(two_threads, tmp_path, monkeypatch):
    """Were they kept under one name, whichever came first would serve small and large work from then on."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    run, x = parallel(_doubled), np.ones(3)
    for work in (1, 10**9):
        run(work, x)
    assert x.tolist() == [4, 4, 4]
    assert len(list(tmp_path.rglob("*_doubled*.nbc"))) == 2


def test_compiled_kernels_are_of_the_sources_as_they_are(tmp_path):
    """Numba's cache knows the file of a kernel alone, not those of the functions that it inlines."""
    for name, text in (("kernel.py", "a"), ("inlined.py", "b")):
        (tmp_path / name).write_text(text)
    before = digest(tmp_path)
    (tmp_path / "inlined.py").write_text("c")
    assert digest(tmp_path) != before
    for kernel in (attention.shares, rows.plain_sum):
        names = {cell.cell_contents.__name__ for cell in kernel.__closure__ if hasattr(cell.cell_contents, "py_func")}
        assert len(names) == 2
        assert all(name.endswith(digest(Path(attention.__file__).parent)) for name in names)
