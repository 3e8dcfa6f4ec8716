"""The smallest structures: finite states and gradients, of the right shapes."""

from itertools import product

import pytest
import torch

import graphseq as gs
from tests.core.cells import BUILT_IN, WRITTEN, edge_features, made, placed, random_state
from tests.oracles import leaf, tensors
from tests.tiers import Recurrent

NONE = torch.empty(2, 0, dtype=torch.int64)
SMALL = {
    "no nodes": gs.Topology.from_edge_index(NONE),
    "no graphs": gs.batch([]),
    "no edges": gs.Topology.from_edge_index(NONE, 3),
    "a one-node tree": gs.Topology.tree([-1]),
    "chains of length 0": gs.Topology.chain([0, 0]),
    "a chain of length 0 among others": gs.Topology.chain([0, 2, 0, 1, 0]),
    "isolated nodes": gs.Topology.from_edge_index(torch.tensor([[3], [1]]), 5),
    "an empty last graph": gs.Topology.from_edge_index(
        torch.tensor([[0], [1]]), batch=torch.tensor([0, 0, 1]), num_graphs=4
    ),
    "empty members": gs.batch([gs.batch([]), gs.Topology.tree([]), gs.Topology.chain([2]), gs.Topology.chain([])]),
}
small = pytest.mark.parametrize("t", SMALL.values(), ids=SMALL.keys())
each = pytest.mark.parametrize("kind", BUILT_IN + WRITTEN, ids=repr)
DTYPES = torch.float32, torch.float64


def check(layer, x, t, state, edge_attr):
    cell = layer.cell
    out = tensors(layer(x, t, state, edge_attr=edge_attr))
    assert [o.shape for o in out] == [(t.num_nodes, size) for size in cell.state_sizes]
    wanted = [v for v in (x, *(state or ()), *cell.parameters()) if v is not None]
    trained = [o.sum() for o in out if o.requires_grad]
    if trained:
        found = torch.autograd.grad(trained, wanted, allow_unused=True)
        for value in (*out, *(g for g in found if g is not None)):
            assert bool(value.isfinite().all())
        assert found[0] is None or found[0].shape == x.shape
    else:
        assert t.num_nodes == 0


@small
@each
def test_a_sweep(kind, t):
    for fast, reverse, started, dtype in product((True, False), (False, True), (False, True), DTYPES):
        cell, x = made(kind, dtype=dtype), leaf(t.num_nodes, 3, dtype=dtype)
        state = random_state(cell, t.num_nodes, dtype) if started else None
        layer = Recurrent(cell, gs.Sweep(reverse=reverse), fast=fast)
        turned = t.reverse() if reverse else t
        check(layer, x, t, placed(cell, turned, state), edge_features(kind, t, dtype))


@small
@pytest.mark.parametrize("kind", BUILT_IN, ids=repr)
def test_rounds(kind, t):
    for k, dtype in product((0, 2), DTYPES):
        cell, x = made(kind, 4, 4, dtype), leaf(t.num_nodes, 4, dtype=dtype)
        check(Recurrent(cell, gs.Rounds(k)), x, t, None, None)


@small
def test_one_initial_state_a_graph(t):
    for kind in (BUILT_IN[3], BUILT_IN[5], WRITTEN[0]):
        cell, x = made(kind), leaf(t.num_nodes, 3)
        check(Recurrent(cell), x, t, random_state(cell, t.num_graphs), None)


@small
def test_properties(t):
    for u in (t, t.reverse()):
        assert u.is_acyclic
        assert u.num_levels == (0 if u.num_nodes == 0 else 1 if u.num_edges == 0 else 2)
        for name in ("in_degree", "out_degree", "batch", "level"):
            assert getattr(u, name).shape == (u.num_nodes,)
        assert gs.batch(gs.unbatch(u)).num_nodes == u.num_nodes
