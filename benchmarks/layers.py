"""Graph layers compared with PyG's, with the same weights: training epochs of two layers, and their peak memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import graphseq as gs
from graphseq import nn as gnn

from .graphs import CLASSES, NODES, PAIRS, WIDE, TwoLayers, batches, epoch, power_law
from .timing import PROCESS, Row, compare, cost, over, peak_memory, speed_up

Make = Callable[[Any, int, int], nn.Module]
HEADS, RELATIONS = 8, 4


def _attention(kind: str, library: Any, wide: int, out: int) -> nn.Module:
    made: nn.Module = getattr(library, kind)(wide, out // HEADS, heads=HEADS)
    return made


def _cheb(library: Any, wide: int, out: int) -> nn.Module:
    made: nn.Module = library.ChebConv(wide, out, K=3)
    return made


def _sage(aggr: str, library: Any, wide: int, out: int) -> nn.Module:
    made: nn.Module = library.SAGEConv(wide, out, aggr)
    return made


class _Typed(nn.Module):
    """A relational convolution in either library, with relations of the edges that it draws once."""

    def __init__(self, library: Any, wide: int, out: int) -> None:
        super().__init__()
        self.conv: Any = library.RGCNConv(wide, out, RELATIONS)
        self.types: torch.Tensor | None = None

    def forward(self, x: Any, structure: Any) -> Any:
        if self.types is None:
            count = structure.num_edges if isinstance(structure, gs.Topology) else structure.size(1)
            self.types = torch.randint(RELATIONS, (count,), generator=torch.Generator().manual_seed(0)).to(x.device)
        return self.conv(x, structure, self.types)


class _Block(nn.Module):
    """A block of a graph network without globals, of two linear maps in each model, in either library."""

    def __init__(self, library: Any, wide: int, out: int) -> None:
        super().__init__()
        self.edges, self.nodes = (
            nn.Sequential(nn.Linear(a, 32), nn.ReLU(), nn.Linear(32, b)) for a, b in ((2 * wide, 32), (32 + wide, out))
        )
        if library is gnn:
            self.block: Any = gnn.GraphNetwork(self.edges, self.nodes)
        else:
            from torch_geometric.nn import MetaLayer
            from torch_geometric.utils import scatter

            class Edges(nn.Module):
                def forward(_, src: Any, dst: Any, edge_attr: Any, u: Any, batch: Any) -> Any:
                    return self.edges(torch.cat([dst, src], 1))

            class Nodes(nn.Module):
                def forward(_, x: Any, edge_index: Any, edge_attr: Any, u: Any, batch: Any) -> Any:
                    return self.nodes(torch.cat([scatter(edge_attr, edge_index[1], 0, x.size(0), "sum"), x], 1))

            self.block = MetaLayer(Edges(), Nodes())

    def forward(self, x: Any, structure: Any) -> Any:
        return self.block(x, structure)[0]


# Of each layer how to make it, in either library, and the targets on the large graph, on Cora, and there with features
# that are sparse on our side.
LAYERS: dict[str, tuple[Make, float | None, float | None, float | None]] = {
    "GAT": (partial(_attention, "GATConv"), 3.0, 1.1, 3.0),
    "GATv2": (partial(_attention, "GATv2Conv"), 2.5, 1.1, None),
    "Transformer": (partial(_attention, "TransformerConv"), 2.5, None, None),
    "GraphNetwork": (_Block, 2.0, None, None),
    "Cheb (K = 3)": (_cheb, 5.0, 4.0, 10.0),
    "SAGE mean": (partial(_sage, "mean"), 4.0, 2.0, None),
    "SAGE max": (partial(_sage, "max"), 2.0, 1.0, None),
    "RGCN (4 relations)": (_Typed, 3.0, None, None),
}
THIN = {"GAT": 1 / 3, "GraphNetwork": 1 / 2}  # targets of peak memory over PyG's


def rows(notes: list[str]) -> list[Row]:
    data = power_law(NODES, PAIRS)
    found = _large(data)
    if PROCESS.exists():
        found += _memory(data, notes)
    del data
    try:
        found += _cora()
        for name in ("MUTAG", "PROTEINS"):
            for layer in ("GAT", "GATv2", "Transformer", "Cheb (K = 3)", "SAGE mean", "SAGE max"):
                found += batches("layers", layer, name, LAYERS[layer][0], sizes=(32,))
        return found
    except gs.GraphError:
        notes.append("Left out: Cora, which no data root holds.")
        return found


def twins(make: Make, sizes: tuple[int, int, int]) -> tuple[nn.Module, nn.Module]:
    import torch_geometric.nn as pyg

    torch.manual_seed(0)
    a, b, c = sizes
    ours, peer = (TwoLayers(make(library, a, b), make(library, b, c)) for library in (gnn, pyg))
    for mine, theirs in zip(ours.parameters(), peer.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    return ours, peer


def _large(data: dict[str, Any]) -> list[Row]:
    topology, found = gs.Topology.from_edge_index(data["edge_index"], NODES), []
    for name, (make, bar, _, _) in LAYERS.items():
        ours, peer = twins(make, (WIDE, WIDE, CLASSES))
        works = (epoch(m, data["x"], s, data["y"]) for m, s in ((ours, topology), (peer, data["edge_index"])))
        mine, theirs = compare(*works, rounds=3, warmup=1)
        found.append(speed_up("layers", f"{name}, {NODES:,} nodes, {2 * PAIRS:,} edges", over(theirs, mine), bar))
    return found


def _memory(data: dict[str, Any], notes: list[str]) -> list[Row]:
    found, here = [], Path(__file__).parents[1]
    call = "import sys; from benchmarks.layers import peak; print(peak(*sys.argv[1:]))"
    with tempfile.NamedTemporaryFile() as file:
        torch.save(data, file.name)
        for name, bar in THIN.items():
            whole = [[sys.executable, "-c", call, name, who, file.name] for who in ("ours", "peer")]
            mine, theirs = (int(subprocess.check_output(command, cwd=here)) for command in whole)
            notes.append(f"Peak memory of {name} over its data: ours {mine} MiB, PyG's {theirs} MiB.")
            found.append(cost("layers", f"{name}, same graph, peak memory over PyG's", [mine / theirs], bar))
    return found


def peak(name: str, who: str, path: str) -> int:
    """Return the peak MiB of two epochs and of what they compile, without libraries and data."""

    def work(data: dict[str, Any]) -> None:
        edges = data["edge_index"]
        structure = gs.Topology.from_edge_index(edges, data["x"].size(0)) if who == "ours" else edges
        model = twins(LAYERS[name][0], (WIDE, WIDE, CLASSES))[who != "ours"]
        once = epoch(model, data["x"], structure, data["y"])
        for _ in range(2):
            once()

    work(power_law(2_000, 20_000))  # loads all that is loaded lazily
    data = torch.load(path)
    return peak_memory(lambda: work(data))


def _cora() -> list[Row]:
    from graphseq.datasets import planetoid

    data, found = planetoid("Cora")[0], []
    topology, sparse = gs.Topology.from_data(data), gnn.SparseFeatures.of(data.x)
    for name, (make, _, bar, thin) in LAYERS.items():
        if name.startswith(("GraphNetwork", "RGCN")):  # takes dense features; Cora has no relations
            continue
        ours, peer = twins(make, (data.num_features, 64, 8))
        runs = (ours, data.x, topology), (ours, sparse, topology), (peer, data.x, data.edge_index)
        mine, few, theirs = compare(*(epoch(m, x, s, data.y, data.train_mask) for m, x, s in runs), rounds=15)
        found.append(speed_up("layers", f"{name}, Cora, 64 hidden", over(theirs, mine), bar))
        found.append(speed_up("layers", f"{name}, Cora, 64 hidden, with SparseFeatures", over(theirs, few), thin))
    return found
