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
from .compare import finite, gap
from .finding import Finding, failed, passed, skipped, told

__all__ = ["Device", "devices", "self_test", "versions"]

_PACKAGES = (
    "torch", "torch-geometric", "numpy", "scipy", "networkx", "numba", "triton", "safetensors", "lightning-fabric",
    "torchmetrics", "matplotlib", "nltk", "scikit-learn", "rdkit",
)  # fmt: skip
_CLOSE = 1e-4  # float32 beside another order of the same sums
_BROKEN = "Results on this machine can't be trusted. Reinstall torch and numba, then run the tests; report what fails."


@dataclass(frozen=True)
class Device:
    """A device to compute on.

    Attributes:
        name: as ``.to(…)`` takes it.
        description: what it is.
    """

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
    """Compute a few small things that are known, in some seconds; return one finding for each.

    ``nn.GRU`` beside ``torch.nn.GRU``; a child-sum Tree-LSTM beside plain recursion; GCNConv beside the dense formula
    ``D^-1/2 (A + I) D^-1/2 X W + b``; gradients beside finite differences; a safetensors file; the cache folder.
    """
    tests: dict[str, Callable[[str], Finding]] = {
        "GRU": _gru,
        "Tree-LSTM": _tree_lstm,
        "GCNConv": _gcn,
        "gradients": _gradients,
        "safetensors": _safetensors,
        "cache folder": _cache,
    }
    found = []
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        for name, test in tests.items():
            torch.manual_seed(0)
            try:
                found.append(test(name))
            except Exception as error:
                found.append(failed(name, f"raised {told(error)}", _BROKEN))
    return found


def _agree(name: str, what: str, ours: Tensor, theirs: Tensor) -> Finding:
    off = gap(ours, theirs)
    if not finite([ours]) or not off <= _CLOSE:
        return failed(name, f"{what} differ by {off:.1g} of the largest", _BROKEN)
    return passed(name, f"{what} agree to {off:.0e}")


def _gru(name: str) -> Finding:
    ours, theirs = GRU(5, 7), nn.GRU(5, 7)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(6, 3, 5)
    return _agree(name, "graphseq's and torch.nn's", ours(x)[0], theirs(x)[0])


def _tree_lstm(name: str) -> Finding:
    cell, parent = ChildSumTreeLSTMCell(4, 5), [2, 2, 5, 5, 5, -1]
    x = torch.randn(6, 4)
    h, c = Recurrent(cell)(x, Topology.tree(parent))
    w, u, b = cell.weight_ih, cell.weight_hh, cell.bias

    def state(v: int) -> tuple[Tensor, Tensor]:
        below = [state(k) for k, p in enumerate(parent) if p == v]
        h_sum = sum((h_k for h_k, _ in below), torch.zeros(5))
        p_i, p_f, p_g, p_o = (w @ x[v] + (0 if b is None else b)).chunk(4)
        u_i, u_f, u_g, u_o = u.chunk(4)
        new = torch.sigmoid(p_i + u_i @ h_sum) * torch.tanh(p_g + u_g @ h_sum)
        new = new + sum((torch.sigmoid(p_f + u_f @ h_k) * c_k for h_k, c_k in below), torch.zeros(5))
        return torch.sigmoid(p_o + u_o @ h_sum) * torch.tanh(new), new

    plain = [torch.cat(state(v)) for v in range(6)]
    return _agree(name, "the sweep and plain recursion", torch.cat([h, c], 1), torch.stack(plain))


def _gcn(name: str) -> Finding:
    edges = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])
    conv, x = GCNConv(4, 3), torch.randn(5, 4)
    adjacency = torch.eye(5)
    adjacency[edges[1], edges[0]] += 1
    scale = adjacency.sum(1).rsqrt()
    dense = (scale[:, None] * adjacency * scale) @ x @ conv.lin.weight.t()
    if conv.bias is not None:
        dense = dense + conv.bias
    return _agree(name, "the layer and the dense formula", conv(x, edges), dense)


def _gradients(name: str) -> Finding:
    """Compare the gradient in float32, by the fastest way there is, with central differences in float64."""
    layer, x = GRU(2, 3), torch.randn(4, 2)
    tree, weights = Topology.tree([2, 2, 3, -1]), torch.randn(4, 3)
    leaf = x.clone().requires_grad_()
    (layer(leaf, topology=tree)[0] * weights).sum().backward()
    if leaf.grad is None:
        return failed(name, "none came back", _BROKEN)
    layer, start, step = layer.double(), x.double(), 1e-6

    def value(at: int, by: float) -> Tensor:
        moved = start.flatten().clone()
        moved[at] += by
        with torch.no_grad():
            total: Tensor = (layer(moved.view_as(start), topology=tree)[0] * weights).sum()
        return total

    slopes = [(value(i, step) - value(i, -step)) / (2 * step) for i in range(x.numel())]
    return _agree(name, "gradients and finite differences", leaf.grad.flatten(), torch.stack(slopes))


def _safetensors(name: str) -> Finding:
    try:
        library = importlib.import_module("safetensors.torch")
    except ImportError:
        return skipped(name, "safetensors is not installed")
    state = {"a": torch.randn(3, 4), "b": torch.arange(5)}
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "state.safetensors"))
        library.save_file(state, file)
        back = library.load_file(file)
    if set(back) != set(state) or not all(torch.equal(back[key], state[key]) for key in state):
        return failed(name, "a file gives back other tensors than were written", _BROKEN)
    return passed(name, "a file gives back what was written")


def _cache(name: str) -> Finding:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as scratch:
            Path(scratch, "file").write_bytes(b"written")
    except OSError as error:
        advice = "Processed data sets can't be kept. Set GRAPHSEQ_CACHE to a folder that can be written to."
        return failed(name, f"{folder} can't be written to: {error.strerror or error}", advice)
    return passed(name, f"{folder} can be written to")
