"""What every test shares: Hypothesis profiles, seeds, thread counts, and the folder of data sets."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import hypothesis
import pytest
import torch

# Under pytest-xdist the workers share the cores; spinning threads beyond them are slower than none.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = max(1, min(2, (os.cpu_count() or 1) // _WORKERS, int(os.environ.get("OMP_NUM_THREADS", "2"))))

torch.set_num_threads(_THREADS)
os.environ.setdefault("OMP_NUM_THREADS", str(_THREADS))  # for the processes that tests start
os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # two, so that races can show
os.environ.setdefault("MPLBACKEND", "Agg")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported


# Without CUDA, seed only the CPU's generator: `torch.manual_seed` formats a traceback for every device type that is
# missing, which takes milliseconds at the stack depth of a test, once per test and once per Hypothesis example.
_seed_torch = torch.manual_seed if torch.cuda.is_available() else torch.default_generator.manual_seed


class _TorchRandom:
    """PyTorch's CPU generator, as Hypothesis wants it, so that an example that fails fails again."""

    def seed(self, seed: int) -> None:
        _seed_torch(seed)

    def getstate(self) -> torch.Tensor:
        return torch.get_rng_state()

    def setstate(self, state: torch.Tensor) -> None:
        torch.set_rng_state(state)


_torch_random = _TorchRandom()  # Hypothesis keeps only a weak reference
hypothesis.register_random(_torch_random)

# No deadline, and slow first examples are fine: an example may compile a kernel.
_common = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("local", **_common)
hypothesis.settings.register_profile("ci", derandomize=True, database=None, print_blob=True, **_common)
hypothesis.settings.register_profile("thorough", max_examples=1000, **_common)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))


def pytest_collection_finish() -> None:
    """Exempt everything imported so far from garbage collection, of which each full pass costs most of a second."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first, so that no worker ends long after the others; skip `cuda` where there is no such device."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    _seed_torch(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of data sets that `$GRAPHSEQ_DATA` names; nothing may be written into it."""
    named = os.environ.get("GRAPHSEQ_DATA")
    if not named:
        pytest.skip("GRAPHSEQ_DATA does not name a folder of data sets")
    root = Path(named)
    if not root.is_dir():
        pytest.fail(f"GRAPHSEQ_DATA: expected a folder, got {root}")
    return root
