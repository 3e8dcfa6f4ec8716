"""Check the machine: software versions, devices, and whether the library computes correctly here."""

from __future__ import annotations

import os
import platform
import tempfile
from importlib import metadata
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import lowering
from ..datasets import cache_folder
from ..nn import GRU, ChildSumTreeLSTMCell, GCNConv, Recurrent
from ..topology import Topology
from .finding import Check, Finding, fault, user_code
from .subject import differ, finite

__all__ = ["Device", "devices", "self_test", "versions"]

_PACKAGES = (
    "torch", "torch-geometric", "numpy", "scipy", "networkx", "numba", "triton", "safetensors", "lightning-fabric",
    "torchmetrics", "matplotlib", "nltk", "scikit-learn", "rdkit",
)  # fmt: skip
_CAUSE = "torch, numba or graphseq is damaged, or their versions don't fit together"
_FOLDER = "Processed data sets can't be kept. Set GRAPHSEQ_CACHE to a folder that can be written to."
_BROKEN = "Results on this machine can't be trusted. Reinstall torch and numba, then run the tests; report what fails."


class Device(NamedTuple):
    """A device: its name, as ``.to(…)`` takes it, and what it is."""

    name: str
    description: str


def versions() -> dict[str, str]:
    """Return the versions of Python, graphseq and what it builds on; "not installed" if it is missing.

    >>> torch.__version__.startswith(versions()["torch"].partition("+")[0])
    True
    """
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in ("graphseq", *_PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "a checkout, not installed" if package == "graphseq" else "not installed"
    return found | ({"torch's CUDA": torch.version.cuda} if torch.version.cuda else {})


def devices() -> list[Device]:
    """Return the CPU and the other devices that PyTorch can use.

    >>> devices()[0].name
    'cpu'
    """
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    cores = f"{usable} cores" if usable == there else f"{usable} of {there} cores"
    found = [Device("cpu", f"{cores}, {torch.get_num_threads()} threads in use")]
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(i)
        memory = f"{about.total_memory / 2**30:.0f} GiB"
        found.append(Device(f"cuda:{i}", f"{about.name}, {memory}, compute capability {about.major}.{about.minor}"))
    return found + ([Device("mps", "Apple's Metal")] if torch.backends.mps.is_available() else [])


def self_test() -> list[Finding]:
    """Run a few small computations with known results; return one finding for each.

    ``nn.GRU`` compared with ``torch.nn.GRU``; a fused child-sum Tree-LSTM with its equations; GCNConv with its dense
    formula ``D^-1/2 (A + I) D^-1/2 X W``; gradients with finite differences; the cache folder.
    """
    compared = {"GRU": _gru, "Tree-LSTM": _tree_lstm, "GCNConv": _gcn, "gradients": _gradients}
    checks = [Check(name, "results are as expected", _BROKEN, test) for name, test in compared.items()]
    checks.append(Check("cache folder", f"{cache_folder()} can be written to", _FOLDER, _cache))
    return [check(seed=0, raised=_CAUSE) for check in checks]


def _compared(ours: Tensor, known: Tensor) -> Finding | None:
    off = differ([ours], [known], within=1e-4) if finite(ours) else "are NaN or infinite"  # float32, in another order
    return fault(_CAUSE, f"results {off}") if off else None


@user_code()
def _gru() -> Finding | None:
    ours, theirs, x = GRU(5, 7), nn.GRU(5, 7), torch.randn(6, 3, 5)
    ours.load_state_dict(theirs.state_dict())
    return _compared(ours(x)[0], theirs(x)[0])


@user_code()
def _tree_lstm() -> Finding | None:
    layer, x, tree = Recurrent(ChildSumTreeLSTMCell(4, 5)), torch.randn(6, 4), Topology.tree([2, 2, 5, 5, 5, -1])
    with lowering.disabled():
        plain = layer(x, tree)
    return _compared(torch.cat(layer(x, tree), 1), torch.cat(plain, 1))


@user_code()
def _gcn() -> Finding | None:
    edges = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])
    conv, x, adjacency = GCNConv(4, 3, bias=False), torch.randn(5, 4), torch.eye(5)
    adjacency[edges[1], edges[0]] += 1
    scale = adjacency.sum(1).rsqrt()
    return _compared(conv(x, edges), (scale[:, None] * adjacency * scale) @ conv.lin(x))


@user_code()
def _gradients() -> Finding | None:
    """Compare the gradient in float32, by the fastest available way, with a central difference in float64."""
    layer, tree, v, h = GRU(2, 3), Topology.tree([2, 2, 3, -1]), torch.randn(4, 2), 1e-6
    x = torch.randn(4, 2, requires_grad=True)
    [grad] = torch.autograd.grad(layer(x, topology=tree)[0].square().sum(), [x])
    layer = layer.double()
    above, below = (layer(x.double() + step * v, topology=tree)[0].square().sum() for step in (h, -h))
    return _compared((grad * v).sum(), (above - below) / (2 * h))


def _cache() -> Finding | None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return fault("The cache folder is not writable", f"{folder}: {error.strerror or error}")
    return None
