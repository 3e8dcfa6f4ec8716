"""Graph convolutions compared with PyG's: training epochs and their peak memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import graphseq as gs
from graphseq import nn as gnn

from .timing import PROCESS, Row, Work, compare, cost, over, peak_memory, speed_up

NODES, PAIRS, WIDE, HIDDEN, CLASSES = 169_343, 1_150_000, 128, 128, 40


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
        edges = structure if isinstance(structure, tuple) else (structure,)
        return self.second(self.first(x, *edges).relu(), *edges)


class Classifier(nn.Module):
    """Three convolutions and a sum over each graph, ours or PyG's."""

    def __init__(self, conv: Callable[[int, int], nn.Module], width: int, pool: Callable[..., Tensor]) -> None:
        super().__init__()
        self.pool, sizes = pool, [width, 32, 32, 32]
        self.convs = nn.ModuleList(conv(*pair) for pair in pairwise(sizes))
        self.out = nn.Linear(32, 2)

    def forward(self, x: Tensor, structure: Any, *graphs: Any) -> Tensor:
        for conv in self.convs:
            x = conv(x, structure).relu()
        return self.out(self.pool(x, *graphs))


def _perceptron(wide: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(wide, hidden), nn.ReLU(), nn.Linear(hidden, hidden))


def _gcn(ours: bool, sizes: tuple[int, int, int]) -> nn.Module:
    from torch_geometric.nn import GCNConv

    torch.manual_seed(0)
    return TwoLayers(*((gnn.GCNConv if ours else GCNConv)(*pair, cached=True) for pair in pairwise(sizes)))


def _gin(ours: bool) -> nn.Module:
    from torch_geometric.nn import GINConv

    torch.manual_seed(0)
    return TwoLayers(*((gnn.GINConv if ours else GINConv)(_perceptron(WIDE, out)) for out in (HIDDEN, CLASSES)))


def epoch(model: nn.Module, x: Tensor, structure: Any, y: Tensor, mask: Tensor | None = None) -> Work:
    """Return a training epoch: forward, cross-entropy, backward and a step of Adam."""
    optimizer = torch.optim.Adam(model.parameters())

    def work() -> None:
        optimizer.zero_grad()
        out = model(x, structure)
        nn.functional.cross_entropy(out if mask is None else out[mask], y if mask is None else y[mask]).backward()
        optimizer.step()

    return work


def rows(notes: list[str]) -> list[Row]:
    data = power_law(NODES, PAIRS)
    found = [*_large(data), *_memory(data, notes)]
    del data
    try:
        found += _cora()
        for name in ("MUTAG", "PROTEINS"):
            found += batches("graphs", "GIN", name, _gin_conv, sizes=(32, 64))
    except gs.GraphError:
        notes.append("Left out: Cora, MUTAG and PROTEINS, which no data root holds.")
    return found


def _large(data: dict[str, Any]) -> list[Row]:
    topology = gs.Topology.from_edge_index(data["edge_index"], NODES)
    found = []
    for name, make, bar in (("GCN", lambda ours: _gcn(ours, (WIDE, HIDDEN, CLASSES)), 5.0), ("GIN", _gin, None)):
        ours, peer = make(True), make(False)
        ours.load_state_dict(peer.state_dict())
        works = (epoch(m, data["x"], s, data["y"]) for m, s in ((ours, topology), (peer, data["edge_index"])))
        mine, theirs = compare(*works, rounds=7)
        found.append(speed_up("graphs", f"{name}, {NODES:,} nodes, {2 * PAIRS:,} edges", over(theirs, mine), bar))
    return [*found, *_at_its_best(data, topology)]


def _at_its_best(data: dict[str, Any], topology: gs.Topology) -> list[Row]:
    """Compared with PyG's fastest variants: edges normalised beforehand, as a torch.sparse matrix or a sorted list."""
    from torch_geometric import EdgeIndex
    from torch_geometric.nn import GCNConv
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    edges, weight = gcn_norm(data["edge_index"], None, NODES)
    matrix = torch.sparse_coo_tensor(edges.flip(0), weight, (NODES, NODES)).coalesce().to_sparse_csr()
    listed, order = EdgeIndex(edges, sparse_size=(NODES, NODES)).sort_by("col")
    listed.fill_cache_()
    ours = _gcn(True, (WIDE, HIDDEN, CLASSES))
    works = [epoch(ours, data["x"], topology, data["y"])]
    for structure in ((matrix,), (listed, weight[order])):
        torch.manual_seed(0)
        peer = TwoLayers(*(GCNConv(*pair, normalize=False) for pair in pairwise((WIDE, HIDDEN, CLASSES))))
        peer.load_state_dict(ours.state_dict())
        works.append(epoch(peer, data["x"], structure, data["y"]))
    mine, *theirs = compare(*works, rounds=7)
    names = "a torch.sparse CSR matrix", "a sorted EdgeIndex"
    return [
        speed_up("graphs", f"GCN, same graph, beside PyG's on {name}", over(times, mine), 2.0)
        for name, times in zip(names, theirs, strict=True)
    ]


def _memory(data: dict[str, Any], notes: list[str]) -> list[Row]:
    if not PROCESS.exists():
        notes.append("Left out: peak memory, which is read from Linux's /proc.")
        return []
    call, here = "import sys; from benchmarks.graphs import peak; print(peak(*sys.argv[1:]))", Path(__file__).parents[1]
    with tempfile.NamedTemporaryFile() as file:
        torch.save(data, file.name)
        whole = [[sys.executable, "-c", call, who, file.name] for who in ("ours", "peer")]
        peaks = [int(subprocess.check_output(command, cwd=here)) for command in whole]
    notes.append(f"Peak memory of the large GCN over its data: ours {peaks[0]} MiB, PyG's {peaks[1]} MiB.")
    return [cost("graphs", "GCN, same graph, peak memory over PyG's", [peaks[0] / peaks[1]], 0.5)]


def peak(who: str, path: str) -> int:
    """Return the peak MiB of three epochs and of what they compile, without libraries and data."""

    def work(data: dict[str, Any]) -> None:
        ours, edges = who == "ours", data["edge_index"]
        structure = gs.Topology.from_edge_index(edges, data["x"].size(0)) if ours else edges
        once = epoch(_gcn(ours, (WIDE, HIDDEN, CLASSES)), data["x"], structure, data["y"])
        for _ in range(3):
            once()

    work(power_law(2_000, 20_000))  # loads all that is loaded lazily
    data = torch.load(path)
    return peak_memory(lambda: work(data))


def _cora() -> list[Row]:
    from graphseq.datasets import planetoid

    data = planetoid("Cora")[0]
    sizes = (data.num_features, 16, 7)
    ours, peer = _gcn(True, sizes), _gcn(False, sizes)
    ours.load_state_dict(peer.state_dict())
    topology, sparse = gs.Topology.from_data(data), gnn.SparseFeatures.of(data.x)
    runs = (ours, data.x, topology), (ours, sparse, topology), (peer, data.x, data.edge_index)
    mine, thin, theirs = compare(*(epoch(m, x, s, data.y, data.train_mask) for m, x, s in runs), rounds=15)
    return [
        speed_up("graphs", "GCN, Cora", over(theirs, mine), 1.0),
        speed_up("graphs", "GCN, Cora, with SparseFeatures", over(theirs, thin), 1.0),
    ]


def _gin_conv(library: Any, wide: int, out: int) -> nn.Module:
    made: nn.Module = library.GINConv(_perceptron(wide, out))
    return made


def batches(
    group: str, layer: str, name: str, conv: Callable[[Any, int, int], nn.Module], *, sizes: tuple[int, ...]
) -> list[Row]:
    """Compare epochs on a TUDataset, with networks of a kind of layer, which `conv` makes in either library."""
    import torch_geometric.nn as pyg
    from torch_geometric.loader import DataLoader

    from graphseq.datasets import tudataset

    graphs = tudataset(name, use_node_attr=False)
    peer = Classifier(partial(conv, pyg), graphs.num_features, pyg.global_add_pool)
    ours = Classifier(partial(conv, gnn), graphs.num_features, gnn.readout)
    ours.load_state_dict(peer.state_dict())
    ready = [graph.clone() for graph in graphs]
    for graph in ready:
        graph.topology = gs.Topology.from_data(graph)
        graph.topology.matrix  # noqa: B018  # compiled once, as when a data set is made

    def training(model: nn.Module, data: Any, size: int, call: Callable[[Any], Tensor]) -> Work:
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
    for size in sizes:
        theirs, *mine = compare(
            training(peer, graphs, size, lambda b: peer(b.x, b.edge_index, b.batch, b.num_graphs)),
            training(ours, graphs, size, lambda b: ours(b.x, b.edge_index, b.batch)),
            training(ours, graphs, size, on_topology),
            training(ours, ready, size, on_topology),
        )
        for how, times in zip(("edge_index", "from_data", "topologies compiled beforehand"), mine, strict=True):
            found.append(speed_up(group, f"{layer}, {name} in batches of {size}, on {how}", over(theirs, times), 1.0))
    return found
