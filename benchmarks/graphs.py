"""Graph convolutions beside PyG's: training epochs and their peak memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import graphseq as gs
from graphseq import nn as gnn

from .timing import Row, Work, compare, cost, over, speed_up

NODES, PAIRS, WIDE, HIDDEN, CLASSES = 169_343, 1_150_000, 128, 128, 40
Model = Callable[[Any, Any], Tensor]


def power_law(nodes: int, pairs: int) -> dict[str, Any]:
    """Return a graph with both directions of each pair of nodes, drawn by weights that fall as a power of the rank."""
    random = np.random.default_rng(0)
    weight = (np.arange(nodes) + 10.0) ** -0.6
    names, ends = random.permutation(nodes), np.empty((2, 0), np.int64)
    while ends.shape[1] < pairs:
        drawn = random.choice(nodes, (2, pairs), p=weight / weight.sum())
        ends = np.concatenate([ends, drawn[:, drawn[0] != drawn[1]]], 1)[:, :pairs]
    edges = torch.from_numpy(names[np.concatenate([ends, ends[::-1]], 1)])
    generator = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(nodes, WIDE, generator=generator),
        "edge_index": edges,
        "y": torch.randint(CLASSES, (nodes,), generator=generator),
    }


class TwoLayers(nn.Module):
    """Two convolutions, ours or PyG's."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, structure: Any) -> Tensor:
        return self.second(self.first(x, structure).relu(), structure)


class Classifier(nn.Module):
    """Three GIN convolutions and a sum over each graph, ours or PyG's."""

    def __init__(self, conv: type[nn.Module], width: int, pool: Callable[..., Tensor]) -> None:
        super().__init__()
        self.pool, sizes = pool, [width, 32, 32, 32]
        self.convs = nn.ModuleList(conv(_perceptron(*pair)) for pair in pairwise(sizes))
        self.out = nn.Linear(32, 2)

    def forward(self, x: Tensor, structure: Any, *graphs: Any) -> Tensor:
        for conv in self.convs:
            x = conv(x, structure).relu()
        return self.out(self.pool(x, *graphs))


def _perceptron(wide: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(wide, hidden), nn.ReLU(), nn.Linear(hidden, hidden))


def _gcn(ours: bool, sizes: tuple[int, int, int]) -> nn.Module:
    torch.manual_seed(0)
    pairs = list(pairwise(sizes))
    if ours:
        return TwoLayers(*(gnn.GCNConv(*pair) for pair in pairs))
    from torch_geometric.nn import GCNConv

    return TwoLayers(*(GCNConv(*pair, cached=True) for pair in pairs))


def _gin(ours: bool) -> nn.Module:
    from torch_geometric.nn import GINConv

    torch.manual_seed(0)
    return TwoLayers(*((gnn.GINConv if ours else GINConv)(_perceptron(WIDE, out)) for out in (HIDDEN, CLASSES)))


def _epoch(model: nn.Module, x: Tensor, structure: Any, y: Tensor, mask: Tensor | None = None) -> Work:
    """Return a training epoch: forward, cross-entropy, backward and a step of Adam."""
    optimizer = torch.optim.Adam(model.parameters())

    def work() -> None:
        optimizer.zero_grad()
        out = model(x, structure)
        nn.functional.cross_entropy(out if mask is None else out[mask], y if mask is None else y[mask]).backward()
        optimizer.step()

    return work


def _alike(ours: nn.Module, peer: nn.Module) -> None:
    ours.load_state_dict(peer.state_dict())


def rows(notes: list[str]) -> list[Row]:
    data = power_law(NODES, PAIRS)
    found = [*_large(data), *_memory(data, notes)]
    del data
    try:
        return [*found, *_cora(), *_mutag()]
    except gs.GraphError:
        notes.append("Left out: Cora and MUTAG, which no data root holds.")
        return found


def _large(data: dict[str, Any]) -> list[Row]:
    topology = gs.Topology.from_edge_index(data["edge_index"], NODES)
    found = []
    for name, make, bar in (("GCN", lambda ours: _gcn(ours, (WIDE, HIDDEN, CLASSES)), 5.0), ("GIN", _gin, None)):
        ours, peer = make(True), make(False)
        _alike(ours, peer)
        works = (_epoch(m, data["x"], s, data["y"]) for m, s in ((ours, topology), (peer, data["edge_index"])))
        mine, theirs = compare(*works, rounds=7)
        found.append(speed_up("graphs", f"{name}, {NODES:,} nodes, {2 * PAIRS:,} edges", over(theirs, mine), bar))
    return [*found, _maximum(topology, data)]


def _maximum(topology: gs.Topology, data: dict[str, Any]) -> Row:
    """Compare the maximum over neighbours, forward and backward."""
    from torch_geometric.utils import scatter

    x = data["x"].clone().requires_grad_()
    sources, targets = data["edge_index"]

    def ours() -> None:
        (out,) = gs.core.aggregate(topology, (x,), merge="max")
        torch.autograd.grad(out.sum(), x)

    def peer() -> None:
        torch.autograd.grad(scatter(x[sources], targets, 0, NODES, "max").sum(), x)

    mine, theirs = compare(ours, peer, rounds=7)
    return speed_up("graphs", "maximum over neighbours, same graph", over(theirs, mine))


def _memory(data: dict[str, Any], notes: list[str]) -> list[Row]:
    if not Path("/proc/self/clear_refs").exists():
        notes.append("Left out: peak memory, which is read from Linux's /proc.")
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.pt")
        torch.save(data, path)
        call = "import sys; from benchmarks.graphs import peak; print(peak(sys.argv[1] == 'ours', sys.argv[2]))"
        peaks = [
            int(subprocess.check_output([sys.executable, "-c", call, who, str(path)], cwd=Path(__file__).parents[1]))
            for who in ("ours", "peer")
        ]
    notes.append(f"Peak memory of the large GCN over its data: ours {peaks[0]} MiB, PyG's {peaks[1]} MiB.")
    return [cost("graphs", "GCN, same graph, peak memory over PyG's", [peaks[0] / peaks[1]], 0.5)]


def peak(ours: bool, path: str) -> int:
    """Return the MiB that three epochs, and all that they compile, take at most beside libraries and data."""
    small, data = power_law(2_000, 20_000), torch.load(path)
    for given, epochs in ((small, 2), (data, 3)):  # the first loads all that is loaded lazily
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident
        before, edges = _status("VmRSS"), given["edge_index"]
        structure = gs.Topology.from_edge_index(edges, given["x"].size(0)) if ours else edges
        work = _epoch(_gcn(ours, (WIDE, HIDDEN, CLASSES)), given["x"], structure, given["y"])
        for _ in range(epochs):
            work()
    return (_status("VmHWM") - before) // 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def _cora() -> list[Row]:
    from graphseq.datasets import planetoid

    data = planetoid("Cora")[0]
    sizes = (data.num_features, 16, 7)
    ours, peer = _gcn(True, sizes), _gcn(False, sizes)
    _alike(ours, peer)
    topology, rest = gs.Topology.from_data(data), (data.y, data.train_mask)
    mine, theirs = compare(
        _epoch(ours, data.x, topology, *rest), _epoch(peer, data.x, data.edge_index, *rest), rounds=15
    )
    return [speed_up("graphs", "GCN, Cora", over(theirs, mine), 1.0)]


def _mutag() -> list[Row]:
    from torch_geometric.loader import DataLoader
    from torch_geometric.nn import GINConv, global_add_pool

    from graphseq.datasets import tudataset

    graphs = tudataset("MUTAG")
    peer = Classifier(GINConv, graphs.num_features, global_add_pool)
    ours = Classifier(gnn.GINConv, graphs.num_features, gnn.readout)
    _alike(ours, peer)
    ready = [graph.clone() for graph in graphs]
    for graph in ready:
        graph.topology = gs.Topology.from_data(graph)
        graph.topology.matrix  # noqa: B018  # compiled once, as when a data set is made

    def epoch(model: nn.Module, data: Any, size: int, call: Callable[[Any], Tensor]) -> Work:
        loader, optimizer = DataLoader(data, size), torch.optim.Adam(model.parameters())

        def work() -> None:
            for batch in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(call(batch), batch.y).backward()
                optimizer.step()

        return work

    def on_topology(batch: Any) -> Tensor:
        topology = gs.Topology.from_data(batch)
        return ours(batch.x, topology, topology)

    found = []
    for size in (32, 64):
        theirs, *mine = compare(
            epoch(peer, graphs, size, lambda b: peer(b.x, b.edge_index, b.batch, b.num_graphs)),
            epoch(ours, graphs, size, lambda b: ours(b.x, b.edge_index, b.batch)),
            epoch(ours, graphs, size, on_topology),
            epoch(ours, ready, size, on_topology),
        )
        names = "on edge_index", "on from_data", "on topologies compiled beforehand"
        for name, times in zip(names, mine, strict=True):
            bar = None if name == names[2] else 1.0
            found.append(speed_up("graphs", f"GIN, MUTAG in batches of {size}, {name}", over(theirs, times), bar))
    return found
