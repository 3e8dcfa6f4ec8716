"""All cells of trees: training steps over the matrix products that they need, and over other ways to compute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import graphseq as gs
from graphseq import nn

from .timing import Row, Work, compare, cost, over, speed_up

WIDE = 300
BARS = {25: 1.8, 64: 1.4, 256: 1.25}  # of the N-ary Tree-LSTM; others may be 1.3 times as far from their products
SLACK = 1.3
RELATIONS = 20


class Kind(NamedTuple):
    """How to make a kind of cell, and its products for leaves, inner nodes and edges, as (inputs, outputs)."""

    make: Callable[[], Any]
    hidden: int
    leaves: list[tuple[int, int]]
    inner: list[tuple[int, int]]
    edges: list[tuple[int, int]]


def kinds(h: int = 150, small: int = 40) -> dict[str, Kind]:
    """Return the kinds, with H hidden units, fewer where a tensor composes children."""
    return {
        "N-ary Tree-LSTM": Kind(lambda: nn.NaryTreeLSTMCell(WIDE, h), h, [(WIDE, 3 * h)], [(2 * h, 5 * h)], []),
        "child-sum Tree-LSTM": Kind(
            lambda: nn.ChildSumTreeLSTMCell(WIDE, h), h, [(WIDE, 4 * h)], [(h, 3 * h)], [(h, h)]
        ),
        "dependency Tree-LSTM": Kind(
            lambda: nn.DependencyTreeLSTMCell(WIDE, h, RELATIONS), h, [(WIDE, 4 * h)], [(h, 3 * h)], [(h, h), (h, h)]
        ),
        "recursive": Kind(lambda: nn.RecursiveCell(WIDE, h), h, [(WIDE, h)], [(2 * h, h)], []),
        "RNTN": Kind(
            lambda: nn.RNTNCell(WIDE, small), small, [(WIDE, small)],
            [(2 * small, small), (2 * small, 2 * small * small)], [],
        ),
        "child-sum Tree-GRU": Kind(
            lambda: nn.TreeGRUCell(WIDE, h), h, [(WIDE, 3 * h)], [(h, h)], [(h, 2 * h)]
        ),
        "N-ary Tree-GRU": Kind(lambda: nn.NaryTreeGRUCell(WIDE, h), h, [(WIDE, 3 * h)], [(2 * h, 4 * h)], []),
    }  # fmt: skip


def rows(trees: Sequence[gs.Topology]) -> list[Row]:
    """Compare all kinds at several sizes of batches."""
    found = []
    for name, kind in kinds().items():
        for size in (1, 25, 64, 256):
            batch = gs.batch(list(trees[:size]))
            leaves = (batch.in_degree == 0).nonzero()[:, 0]
            cell, x = kind.make(), torch.randn(leaves.numel(), WIDE, requires_grad=True)
            types = torch.arange(batch.num_edges) % RELATIONS if hasattr(cell, "num_relations") else None
            mine = _training(partial(nn.Recurrent(cell), nodes=leaves), cell, x, batch, types)
            if size == 1:
                one, levels, node = compare(
                    mine, _training(_by_levels(cell, batch, leaves), cell, x, batch, types),
                    _training(_by_nodes(cell, batch, leaves), cell, x, batch, types), rounds=7,
                )  # fmt: skip
                found.append(speed_up("trees", f"{name}, one tree, over level by level", over(levels, one), 1))
                found.append(speed_up("trees", f"{name}, one tree, over node by node", over(node, one), 1))
                continue
            step, floor, levels = compare(
                mine, _products(kind, batch, leaves.numel()),
                _training(_by_levels(cell, batch, leaves), cell, x, batch, types),
            )  # fmt: skip
            bar = BARS[size] * (1 if name == "N-ary Tree-LSTM" else SLACK)
            found.append(cost("trees", f"{name}, batch {size}, over its products", over(step, floor), bar))
            found.append(speed_up("trees", f"{name}, batch {size}, over level by level", over(levels, step)))
    return found


def _training(call: Callable[..., Any], cell: Any, x: Tensor, topology: gs.Topology, types: Tensor | None) -> Work:
    wanted = [x, *cell.parameters()]
    attributes = {} if types is None else {"edge_attr": types}

    def work() -> None:
        states = call(x, topology, **attributes)
        h = states[0] if isinstance(states, tuple) else states
        torch.autograd.grad(h.sum(), wanted)

    return work


def _products(kind: Kind, batch: gs.Topology, leaves: int) -> Work:
    """Return the products of a step alone: of outputs, of gradients of inputs and of weights, each over all rows."""
    parts = []
    for count, shapes in ((leaves, kind.leaves), (batch.num_nodes - leaves, kind.inner), (batch.num_edges, kind.edges)):
        for a, b in shapes:
            x, w, d = torch.randn(count, a), torch.randn(b, a), torch.randn(count, b)
            parts.append((x, w, d, [torch.empty_like(t) for t in (d, x, w)]))

    def work() -> None:
        for x, w, d, out in parts:
            torch.mm(x, w.t(), out=out[0])
            torch.mm(d, w, out=out[1])
            torch.mm(d.t(), x, out=out[2])

    return work


def _inputs(cell: Any, x: Tensor, n: int, leaves: Tensor) -> Tensor:
    """Return the projected inputs of all nodes."""
    rest = cell.project(x.new_zeros(1, x.size(1))).expand(n, -1)
    projected: Tensor = rest.index_copy(0, leaves, cell.project(x))
    return projected


def _step(cell: Any, p: Tensor, sent: Any, receivers: Tensor, slots: Tensor, edge: Tensor | None, count: int) -> Any:
    """Return the states of a level's nodes, by the cell's equations and nothing of the engine."""
    merged = []
    for m in cell.message(sent, p.index_select(0, receivers), edge):
        if cell.merge == "slots":
            base = m.new_zeros(count * cell.slots, m.size(1))
            merged.append(base.index_copy(0, receivers * cell.slots + slots, m).view(count, cell.slots, -1))
        else:
            merged.append(m.new_zeros(count, m.size(1)).index_add(0, receivers, m))
    return cell.update(p, tuple(merged))


def _by_levels(cell: Any, topology: gs.Topology, leaves: Tensor) -> Callable[..., Any]:
    """Return a sweep as written by hand for whole levels, in PyTorch."""
    packed = topology.packed
    level = torch.repeat_interleave(torch.arange(topology.num_levels), packed.level_ptr.diff())
    levels = [packed.order[level == k] for k in range(topology.num_levels)]
    u, v = topology.edge_index
    place = torch.empty(topology.num_nodes, dtype=torch.int64)
    plans = []
    for nodes in levels:
        place[nodes] = torch.arange(nodes.numel())
        mine = torch.isin(v, nodes).nonzero()[:, 0]
        mine = mine[torch.argsort(v[mine], stable=True)]
        plans.append((nodes, u[mine], place[v[mine]], topology.slot[mine], mine))

    def sweep(x: Tensor, topology: gs.Topology, edge_attr: Tensor | None = None) -> Any:
        p = _inputs(cell, x, topology.num_nodes, leaves)
        first = p.index_select(0, levels[0])
        new = cell.update(first, cell.given(first, None))
        states = tuple(s.new_zeros(topology.num_nodes, s.size(1)).index_copy(0, levels[0], s) for s in new)
        for nodes, senders, receivers, slots, edges in plans[1:]:
            sent = tuple(s.index_select(0, senders) for s in states)
            edge = None if edge_attr is None else edge_attr[edges]
            new = _step(cell, p.index_select(0, nodes), sent, receivers, slots, edge, nodes.numel())
            states = tuple(s.index_copy(0, nodes, n) for s, n in zip(states, new, strict=True))
        return states

    return sweep


def _by_nodes(cell: Any, topology: gs.Topology, leaves: Tensor) -> Callable[..., Any]:
    """Return plain recursion, one node after the other."""
    children: list[list[tuple[int, int, int]]] = [[] for _ in range(topology.num_nodes)]
    for e, (child, parent) in enumerate(topology.edge_index.t().tolist()):
        children[parent].append((child, int(topology.slot[e]), e))
    roots = topology.roots.tolist()

    def sweep(x: Tensor, topology: gs.Topology, edge_attr: Tensor | None = None) -> Any:
        p = _inputs(cell, x, topology.num_nodes, leaves).split(1)
        done: dict[int, Any] = {}

        def visit(v: int) -> Any:
            below = [visit(u) for u, _, _ in children[v]]
            if not below:
                done[v] = cell.update(p[v], cell.given(p[v], None))
                return done[v]
            sent = tuple(torch.cat(part) for part in zip(*below, strict=True))
            slots = torch.tensor([slot for _, slot, _ in children[v]])
            edge = None if edge_attr is None else edge_attr[[e for *_, e in children[v]]]
            done[v] = _step(cell, p[v], sent, torch.zeros_like(slots), slots, edge, 1)
            return done[v]

        for root in roots:
            visit(root)
        return tuple(torch.cat([done[v][i] for v in range(topology.num_nodes)]) for i in range(len(done[roots[0]])))

    return sweep
