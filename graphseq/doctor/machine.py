"""Check the machine: which software there is, which devices, and whether the library computes rightly here."""

from __future__ import annotations

import importlib
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from ..datasets import cache_folder
from ..nn import GRU, ChildSumTreeLSTMCell, GCNConv, Recurrent
from ..topology import Topology
from .finding import Fault, Finding, Raised, skip, user_code
from .subject import finite, gap

__all__ = ["Device", "devices", "self_test", "versions"]

_PACKAGES = (
    "torch", "torch-geometric", "numpy", "scipy", "networkx", "numba", "triton", "safetensors", "lightning-fabric",
    "torchmetrics", "matplotlib", "nltk", "scikit-learn", "rdkit",
)  # fmt: skip
_CLOSE = 1e-4  # float32 beside another order of the same sums
_CAUSE = "torch, numba or graphseq is damaged, or their versions don't fit together"
_FOLDER = "Processed data sets can't be kept. Set GRAPHSEQ_CACHE to a folder that can be written to."
_BROKEN = "Results on this machine can't be trusted. Reinstall torch and numba, then run the tests; report what fails."


@dataclass(frozen=True)
class Device:
    """A device: its name, as ``.to(…)`` takes it, and what it is."""

    name: str
    description: str


def versions() -> dict[str, str]:
    """Return the versions of Python, graphseq and what it builds on; "not installed" where there is none.

    >>> torch.__version__.startswith(versions()["torch"].partition("+")[0])
    True
    """
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    found["graphseq"] = _version("graphseq", "a checkout, not installed")
    found |= {package: _version(package, "not installed") for package in _PACKAGES}
    if torch.version.cuda:
        found["torch's CUDA"] = torch.version.cuda
    return found


def _version(package: str, without: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return without


def devices() -> list[Device]:
    """Return the CPU, and what PyTorch can use beside it.

    >>> devices()[0].name
    'cpu'
    """
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    cores = f"{usable} cores" if usable == there else f"{usable} of {there} cores"
    found = [Device("cpu", f"{cores}, {torch.get_num_threads()} threads in use")]
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(i)
            memory = f"{about.total_memory / 2**30:.0f} GiB"
            found.append(Device(f"cuda:{i}", f"{about.name}, {memory}, compute capability {about.major}.{about.minor}"))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple's Metal"))
    return found


def self_test() -> list[Finding]:
    """Compute a few small things whose results are known, in some seconds; return one finding for each.

    ``nn.GRU`` compared with ``torch.nn.GRU``; a child-sum Tree-LSTM with plain recursion; GCNConv with its dense
    formula ``D^-1/2 (A + I) D^-1/2 X W``; gradients with finite differences; a safetensors file; the cache folder.
    """
    tests: dict[str, Callable[[], str]] = {
        "GRU": _gru, "Tree-LSTM": _tree_lstm, "GCNConv": _gcn, "gradients": _gradients, "safetensors": _safetensors,
        "cache folder": _cache,
    }  # fmt: skip
    found = []
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        for name, test in tests.items():
            torch.manual_seed(0)
            try:
                with user_code():
                    found.append(Finding(name, "passed", test()))
            except Raised as error:
                fault = error.__cause__
                if isinstance(fault, Fault):
                    found.append(fault.finding(name, _FOLDER if name == "cache folder" else _BROKEN))
                else:
                    found.append(Finding(name, "failed", f"raised {error}", _BROKEN, _CAUSE))
    return found


def _agree(what: str, ours: Tensor, theirs: Tensor) -> str:
    off = gap(ours, theirs)
    if not finite(ours) or not off <= _CLOSE:
        raise Fault(_CAUSE, f"{what} differ by {off:.1g} of the largest")
    return f"{what} agree to {off:.0e}"


def _gru() -> str:
    ours, theirs, x = GRU(5, 7), nn.GRU(5, 7), torch.randn(6, 3, 5)
    ours.load_state_dict(theirs.state_dict())
    return _agree("graphseq's and torch.nn's", ours(x)[0], theirs(x)[0])


def _tree_lstm() -> str:
    cell, x, parent = ChildSumTreeLSTMCell(4, 5, bias=False), torch.randn(6, 4), [2, 2, 5, 5, 5, -1]

    def state(v: int) -> tuple[Tensor, Tensor]:
        below = [state(k) for k, p in enumerate(parent) if p == v]
        h = sum((h_k for h_k, _ in below), torch.zeros(5))
        i, f, g, o = (cell.weight_ih @ x[v]).chunk(4)
        u_i, u_f, u_g, u_o = cell.weight_hh.chunk(4)
        c = torch.sigmoid(i + u_i @ h) * torch.tanh(g + u_g @ h)
        c = c + sum((torch.sigmoid(f + u_f @ h_k) * c_k for h_k, c_k in below), torch.zeros(5))
        return torch.sigmoid(o + u_o @ h) * torch.tanh(c), c

    plain = torch.stack([torch.cat(state(v)) for v in range(6)])
    return _agree("the sweep and plain recursion", torch.cat(Recurrent(cell)(x, Topology.tree(parent)), 1), plain)


def _gcn() -> str:
    edges = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])
    conv, x, adjacency = GCNConv(4, 3, bias=False), torch.randn(5, 4), torch.eye(5)
    adjacency[edges[1], edges[0]] += 1
    scale = adjacency.sum(1).rsqrt()
    dense = (scale[:, None] * adjacency * scale) @ conv.lin(x)
    return _agree("the layer and the dense formula", conv(x, edges), dense)


def _gradients() -> str:
    """Compare the gradient in float32, by the fastest way there is, with a central difference in float64."""
    layer, tree, x, v = GRU(2, 3), Topology.tree([2, 2, 3, -1]), torch.randn(4, 2), torch.randn(4, 2)

    def value(x: Tensor) -> Tensor:
        return layer(x, topology=tree)[0].square().sum()  # type: ignore[no-any-return]

    leaf = x.clone().requires_grad_()
    value(leaf).backward()
    slope = torch.zeros(()) if leaf.grad is None else (leaf.grad * v).sum()
    layer, step = layer.double(), 1e-6
    finite_difference = (value(x.double() + step * v) - value(x.double() - step * v)) / (2 * step)
    return _agree("gradients and finite differences", slope, finite_difference)


def _safetensors() -> str:
    try:
        library = importlib.import_module("safetensors.torch")
    except ImportError:
        raise skip("safetensors is not installed") from None
    state = {"a": torch.randn(3, 4), "b": torch.arange(5)}
    back = library.load(library.save(state))
    if set(back) != set(state) or not all(torch.equal(back[key], state[key]) for key in state):
        raise Fault(_CAUSE, "loading gives other tensors than were saved")
    return "loading gives what was saved"


def _cache() -> str:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as scratch:
            Path(scratch, "file").write_bytes(b"written")
    except OSError as error:
        raise Fault("The cache folder is not writable", f"{folder}: {error.strerror or error}") from error
    return f"{folder} can be written to"
