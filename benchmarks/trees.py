"""Tree-LSTM training steps compared with the matrix products that they need; and those of all other cells of trees."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import graphseq as gs
from graphseq import nn

from . import recursive
from .chains import MinimalGatedUnit
from .timing import Row, Work, compare, cost, over, speed_up

WIDE, HIDDEN = 300, 150
SIZES = {25: (8, 1.9), 64: (4, 1.5), 256: (2, 1.3)}  # trees in a batch: batches in one timing, bar
TREES = 600


@dataclass
class Batch:
    """Trees with all that is compiled of each, joined; and embedded leaves."""

    members: list[gs.Topology]

    def __post_init__(self) -> None:
        self.topology = gs.batch(self.members)
        self.leaves = self.find_leaves(self.topology)
        self.x = torch.randn(self.leaves.numel(), WIDE, requires_grad=True)

    @staticmethod
    def find_leaves(topology: gs.Topology) -> Tensor:
        return (topology.in_degree == 0).nonzero()[:, 0]


def trees(notes: list[str]) -> list[gs.Topology]:
    """Return trees of the Stanford Sentiment Treebank, or random ones of like sizes."""
    from graphseq.datasets import SST

    try:
        data = SST("train").trees
        chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:TREES].tolist()
        found = [gs.Topology.from_data(data[i]) for i in chosen]
        notes.append("Trees: the Stanford Sentiment Treebank's, of its training split, drawn with a fixed seed.")
    except gs.GraphError:
        torch.manual_seed(0)
        found = [_random_tree(int(torch.randint(3, 36, ()))) for _ in range(TREES)]
        notes.append("Trees: RANDOM binary ones, since no data root holds the Stanford Sentiment Treebank.")
    for tree in found:
        tree.packed  # noqa: B018  # compiled once, as when a data set is made
    return found


def _random_tree(words: int) -> gs.Topology:
    parent, open_nodes = [-1] * (2 * words - 1), list(range(words))
    for inner in range(words, 2 * words - 1):
        at = int(torch.randint(len(open_nodes) - 1, ()))
        for child in open_nodes[at : at + 2]:
            parent[child] = inner
        open_nodes[at : at + 2] = [inner]
    return gs.Topology.tree(parent)


def rows(notes: list[str]) -> list[Row]:
    every = trees(notes)
    found = []
    for size, (count, bar) in SIZES.items():
        batches = [Batch(every[(i * size) % TREES :][:size]) for i in range(count)]
        found += _nary(size, batches, bar) + _child_sum(size, batches)
    return [*found, *_own_cell(Batch(every[:64])), *recursive.rows(every)]


def _nary(size: int, batches: list[Batch], bar: float) -> list[Row]:
    layer = nn.TreeLSTM(WIDE, HIDDEN, kind="nary")
    works = [
        _steps(layer, batches),
        _steps(layer, batches, plan=True),
        lambda: [gs.batch(b.members).packed for b in batches],
        _products(batches, 3),
        _products(batches, 4),
    ]
    step, whole, plan, least, most = compare(*works)
    name = f"N-ary, batch {size}"
    found = [
        cost("trees", f"{name}, over six products", over(step, least), bar),
        cost("trees", f"{name}, over six products with all of weight_ih", over(step, most)),
        cost("trees", f"{name} with its plan, over six products", over(whole, least)),
        cost("trees", f"{name}, plan over step", over(plan, step), 0.1),
    ]
    if size == min(SIZES):
        mine, peer = compare(_steps(layer, batches[:1]), _recursion(layer, batches[0]), rounds=7)
        found.append(speed_up("trees", f"{name} over recursion node by node", over(peer, mine)))
    return found


def _child_sum(size: int, batches: list[Batch]) -> list[Row]:
    layers = [nn.TreeLSTM(WIDE, HIDDEN, kind=kind) for kind in ("child-sum", "nary")]
    child_sum, nary = compare(*(_steps(layer, batches) for layer in layers))
    return [cost("trees", f"child-sum, batch {size}, over N-ary", over(child_sum, nary))]


def _steps(layer: nn.TreeLSTM, batches: list[Batch], *, plan: bool = False) -> Work:
    weights = list(layer.parameters())

    def work() -> None:
        for b in batches:
            topology = gs.batch(b.members) if plan else b.topology
            h, _ = layer(b.x, topology, nodes=Batch.find_leaves(topology) if plan else b.leaves)
            torch.autograd.grad(h.sum(), [b.x, *weights])

    return work


def _products(batches: list[Batch], gates: int) -> Work:
    """Return the six matrix products of a step alone, on all leaves and all inner nodes at once."""
    w, u = torch.randn(gates * HIDDEN, WIDE), torch.randn(5 * HIDDEN, 2 * HIDDEN)
    parts = []
    for b in batches:
        leaves, inner = b.leaves.numel(), b.topology.num_nodes - b.leaves.numel()
        p, d = torch.randn(leaves, gates * HIDDEN), torch.randn(inner, 5 * HIDDEN)
        h = torch.randn(inner, 2 * HIDDEN)
        x = b.x.detach()
        parts.append((p, x, h, d, [torch.empty_like(t) for t in (p, w, x, d, u, h)]))

    def work() -> None:
        for p, x, h, d, out in parts:
            torch.mm(x, w.t(), out=out[0])
            torch.mm(h, u.t(), out=out[3])
            torch.mm(d, u, out=out[5])
            torch.mm(d.t(), h, out=out[4])
            torch.mm(p.t(), x, out=out[1])
            torch.mm(p, w, out=out[2])

    return work


def _children(topology: gs.Topology) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in range(topology.num_nodes)]
    for child, parent in topology.edge_index.t().tolist():
        children[parent].append(child)
    return children


def _recursion(layer: nn.TreeLSTM, batch: Batch) -> Work:
    """Return the same step in plain PyTorch, one node after the other."""
    weights, children, roots = list(layer.parameters()), _children(batch.topology), batch.topology.roots.tolist()
    project = layer.cell.project
    place = {v: i for i, v in enumerate(batch.leaves.tolist())}

    def work() -> None:
        leaves, states = project(batch.x).split(1), []

        def visit(v: int) -> tuple[Tensor, Tensor]:
            below = [visit(u) for u in children[v]]
            p = leaves[place[v]] if v in place else layer.bias[None]
            p_i, p_f, p_g, p_o = p.chunk(4, 1)
            if below:
                z_i, *z_f, z_g, z_o = (torch.cat([h for h, _ in below], 1) @ layer.weight_hh.t()).chunk(5, 1)
                c = torch.sigmoid(p_i + z_i) * torch.tanh(p_g + z_g)
                for z, (_, c_k) in zip(z_f, below, strict=True):
                    c = c + torch.sigmoid(p_f + z) * c_k
                states.append(torch.sigmoid(p_o + z_o) * torch.tanh(c))
            else:
                c = torch.sigmoid(p_i) * torch.tanh(p_g)
                states.append(torch.sigmoid(p_o) * torch.tanh(c))
            return states[-1], c

        for root in roots:
            visit(root)
        torch.autograd.grad(torch.cat(states).sum(), [batch.x, *weights])

    return work


def _own_cell(batch: Batch) -> list[Row]:
    cell = MinimalGatedUnit(WIDE, HIDDEN)
    layer, children, roots = nn.Recurrent(cell), _children(batch.topology), batch.topology.roots.tolist()
    x = torch.randn(batch.topology.num_nodes, WIDE, requires_grad=True)
    wanted = [x, *cell.parameters()]

    def recursion() -> None:
        inputs, states = cell.project(x).split(1), []

        def visit(v: int) -> Tensor:
            below = [visit(u) for u in children[v]]
            (h,) = cell.step(inputs[v], (sum(below[1:], below[0]),) if below else None)
            states.append(h)
            return h

        for root in roots:
            visit(root)
        torch.autograd.grad(torch.cat(states).sum(), wanted)

    mine, peer = compare(lambda: torch.autograd.grad(layer(x, batch.topology).sum(), wanted), recursion, rounds=7)
    return [speed_up("trees", "own cell, batch 64, over recursion node by node", over(peer, mine), 5)]
