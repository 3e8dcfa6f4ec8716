"""The same on a CUDA device: graph layers compared with PyG's, sequences with torch.nn's, trees with their products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import graphseq as gs
from graphseq import nn as gnn

from . import chains, trees
from .graphs import CLASSES, NODES, PAIRS, WIDE, epoch, power_law
from .layers import LAYERS, twins
from .timing import Row, Work, compare, cost, over, speed_up

DEVICE = torch.device("cuda")


def rows(notes: list[str]) -> list[Row]:
    if not torch.cuda.is_available():
        notes.append("Left out: CUDA, which PyTorch doesn't see here.")
        return []
    notes.append(f"Rows of the group cuda: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}.")
    _trees(notes)
    return [*_graphs(notes), *_chains()]


def _timed(work: Work) -> Work:
    """Return the work with a wait for the device at its end."""

    def whole() -> None:
        work()
        torch.cuda.synchronize()

    return whole


def _peak(work: Work) -> int:
    """Return by how many bytes the device's memory rises, at most, while work runs."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _graphs(notes: list[str]) -> list[Row]:
    data = {name: t.to(DEVICE) for name, t in power_law(NODES, PAIRS).items()}
    topology, found = gs.Topology.from_edge_index(data["edge_index"], NODES), []
    for name, (make, *_) in LAYERS.items():
        ours, peer = (m.to(DEVICE) for m in twins(make, (WIDE, WIDE, CLASSES)))
        works = [epoch(m, data["x"], s, data["y"]) for m, s in ((ours, topology), (peer, data["edge_index"]))]
        mine, theirs = compare(*map(_timed, works), rounds=7)
        found.append(speed_up("cuda", f"{name}, {NODES:,} nodes, {2 * PAIRS:,} edges", over(theirs, mine)))
        peaks = [_peak(work) for work in works]
        notes.append(f"Peak memory of {name} on CUDA: ours {peaks[0] >> 20} MiB, PyG's {peaks[1] >> 20} MiB.")
        found.append(cost("cuda", f"{name}, same graph, peak memory over PyG's", [peaks[0] / peaks[1]]))
    return found


def _chains() -> list[Row]:
    found = []
    for name, ours, peer, _ in chains.LAYERS:
        shape = chains.SHAPES[2]
        found.append(speed_up("cuda", f"{name} {shape}", _layer(ours, peer, shape)))
    count, steps, wide, hidden = chains.OWN_SHAPES[1]
    cell = chains.MinimalGatedUnit(wide, hidden).to(DEVICE)
    layer, structure = gnn.Recurrent(cell), gs.Topology.chain([steps] * count).to(DEVICE)
    x = torch.randn(count, steps, wide, device=DEVICE, requires_grad=True)
    leaves = [x, *cell.parameters()]

    def sweep() -> None:
        torch.autograd.grad(layer(x.flatten(0, 1), structure).sum(), leaves)

    def loop() -> None:
        torch.autograd.grad(chains.hoisted(cell, x).sum(), leaves)

    mine, theirs = compare(_timed(sweep), _timed(loop))
    name = f"own cell {chains.OWN_SHAPES[1]} over a loop with inputs projected at once"
    return [*found, speed_up("cuda", name, over(theirs, mine))]


def _layer(ours: Callable[..., nn.Module], peer: Callable[..., nn.Module], shape: tuple[int, ...]) -> list[float]:
    count, steps, wide, hidden = shape
    layers = [kind(wide, hidden, batch_first=True).to(DEVICE) for kind in (ours, peer)]
    layers[0].load_state_dict(layers[1].state_dict())
    x = torch.randn(count, steps, wide, device=DEVICE, requires_grad=True)

    def work(layer: nn.Module) -> Work:
        return _timed(lambda: torch.autograd.grad(layer(x)[0].sum(), [x, *layer.parameters()]))

    mine, theirs = compare(*map(work, layers))
    return over(theirs, mine)


def _trees(notes: list[str]) -> None:
    every = trees.trees(notes)
    for size in (25, 256):
        topology = gs.batch(every[:size])
        leaves = (topology.in_degree == 0).nonzero()[:, 0].to(DEVICE)
        topology = topology.to(DEVICE)
        x = torch.randn(leaves.numel(), trees.WIDE, device=DEVICE, requires_grad=True)
        inner = topology.num_nodes - leaves.numel()
        for kind in ("nary", "child-sum"):
            layer = gnn.TreeLSTM(trees.WIDE, trees.HIDDEN, kind=kind).to(DEVICE)
            wanted: list[Any] = [x, *layer.parameters()]

            def step(
                layer: nn.Module = layer, given: tuple[Any, ...] = (x, topology, leaves), by: Any = wanted
            ) -> None:
                out, structure, nodes = given
                torch.autograd.grad(layer(out, structure, nodes=nodes)[0].sum(), by)

            (times,) = compare(_timed(step))
            edges = topology.num_edges
            notes.append(
                f"{kind} Tree-LSTM on CUDA, {size} trees, {inner} inner nodes, {edges} edges, {topology.num_levels} "
                f"levels: {1e3 * sorted(times)[len(times) // 2]:.2f} ms a step."
            )
