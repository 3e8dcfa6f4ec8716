"""Fixed points: the solution and its gradient are those of very many rounds; what doesn't converge is told."""

import warnings

import pytest
import torch
from torch import func

import graphseq as gs
from graphseq import core, nn
from tests.oracles import assert_close

RING = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 3, 0, 2], [1, 2, 3, 0, 2, 2]]), 5)  # node 4 is alone


def cell_of(kind, scale=0.2, **options):
    cell = kind(3, 4, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(scale)
    return cell


def by_rounds(cell, x, topology, edge_attr=None, count=400):
    """The same equation, repeated, with autograd through all of it."""
    p = cell.project(x)
    state = tuple(x.new_zeros(len(x), size) for size in cell.state_sizes)
    options = {"message": cell.message, "merge": cell.merger, "received": p, "edge_attr": edge_attr}
    for _ in range(count):
        state = cell.update(p, core.aggregate(topology, state, **options))
    return state


@pytest.mark.parametrize("kind", [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell])
def test_solution_and_gradient(kind):
    cell, x = cell_of(kind), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    found = nn.Recurrent(cell, gs.FixedPoint(1e-13, 500))(x, RING)
    found = found if isinstance(found, tuple) else (found,)
    wanted = by_rounds(cell, x, RING)
    leaves = [x, *cell.parameters()]
    grads = []
    for states in (found, wanted):
        assert len(states) == len(cell.state_sizes)
        total = sum((s * torch.arange(s.numel()).view_as(s).cos()).sum() for s in states)
        grads.append(torch.autograd.grad(total, leaves, allow_unused=True))
    for a, b in zip([*found, *grads[0]], [*wanted, *grads[1]], strict=True):
        assert_close(a, b, 1e-9)


def test_on_a_graph_without_cycles_it_is_a_sweep():
    tree = gs.Topology.tree([2, 2, 4, 4, -1])
    cell, x = nn.GRUCell(3, 4).double(), torch.randn(5, 3, dtype=torch.float64)
    assert_close(nn.Recurrent(cell, gs.FixedPoint(1e-15))(x, tree), nn.Recurrent(cell)(x, tree), 1e-12)


def test_it_does_not_depend_on_where_it_begins():
    layer, x = nn.Recurrent(cell_of(nn.ElmanCell), gs.FixedPoint(1e-13, 500)), torch.randn(5, 3, dtype=torch.float64)
    start = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    from_there = layer(x, RING, start)
    assert_close(from_there, layer(x, RING), 1e-10)
    from_there.sum().backward()
    assert start.grad is None


def test_weights_of_edges_and_captured_tensors():
    class Weighted(gs.Cell):
        state_sizes, message, merge = (4,), gs.SCALE, "mean"

        def update(self, p, state):
            return (torch.tanh(p + 0.3 * state[0] + outside),)

    outside = torch.randn(4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(6, dtype=torch.float64, requires_grad=True)
    found = nn.Recurrent(Weighted(), gs.FixedPoint(1e-14, 500))(x, RING, edge_attr=weight)
    wanted = by_rounds(Weighted(), x, RING, weight)[0]
    for a, b in zip(*(torch.autograd.grad(h.pow(2).sum(), (x, weight, outside)) for h in (found, wanted)), strict=True):
        assert_close(a, b, 1e-10)


def test_results_can_be_changed_in_place():
    cell, x = cell_of(nn.LSTMCell), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    layer = nn.Recurrent(cell, gs.FixedPoint(1e-13, 500))
    h, c = layer(x, RING)
    (wanted,) = torch.autograd.grad((2 * h + c).sum(), x)
    h, c = layer(x, RING)
    h.mul_(2)
    c.add_(1)
    assert_close(torch.autograd.grad((h + c).sum(), x)[0], wanted, 1e-10)


def test_memory_does_not_grow_with_the_rounds():
    calls = []

    class Counting(gs.Cell):
        state_sizes = (4,)

        def update(self, p, state):
            calls.append(torch.is_grad_enabled())
            return (torch.tanh(p + 0.3 * state[0]),)

    x = torch.randn(5, 4, requires_grad=True)
    nn.Recurrent(Counting(), gs.FixedPoint(1e-6))(x, RING).sum().backward()
    assert len(calls) > 5 and sum(calls) == 2  # autograd records two steps, however many there are


def test_what_does_not_converge_is_told():
    cell, x = cell_of(nn.ElmanCell, 1.0), torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_hh.copy_(5 * torch.eye(4))
        cell.weight_hh[0, 1] = -9
    with pytest.warns(gs.NotConverged, match=r"the states changed by .* in round 3, .* and by .* in the one before"):
        nn.Recurrent(cell, gs.FixedPoint(1e-9, 3))(x, RING)
    torch.nn.utils.parametrizations.spectral_norm(cell, "weight_hh")
    cell.merge = "mean"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Recurrent(cell.eval(), gs.FixedPoint(1e-6, 2000))(x, RING)


def test_transforms_go_through_the_rounds():
    layer, x = nn.Recurrent(cell_of(nn.ElmanCell), gs.FixedPoint(1e-14, 120)), torch.randn(5, 3, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(layer(leaf, RING).pow(2).sum(), leaf)
    assert_close(func.grad(lambda x: layer(x, RING).pow(2).sum())(x), wanted, 1e-9)
    v = torch.randn_like(x)
    assert_close(func.jvp(lambda x: layer(x, RING).pow(2).sum(), (x,), (v,))[1], (wanted * v).sum(), 1e-9)


def test_second_derivatives_are_refused():
    layer, x = nn.Recurrent(cell_of(nn.GRUCell), gs.FixedPoint()), torch.randn(5, 3, dtype=torch.float64)
    x.requires_grad_()
    with pytest.raises(gs.GraphError, match="no second derivatives"):
        torch.autograd.grad(layer(x, RING).pow(2).sum(), x, create_graph=True)


def test_slips():
    for options, message in (
        ({"tolerance": 0}, "`tolerance`: expected a number above 0"),
        ({"max_rounds": 0}, "`max_rounds`"), ({"max_rounds": 1.5}, "`max_rounds`"),
    ):  # fmt: skip
        with pytest.raises(gs.GraphError, match=message):
            gs.FixedPoint(**options)
    layer, x = nn.Recurrent(nn.GRUCell(3, 4), gs.FixedPoint()), torch.randn(5, 3)
    with pytest.raises(gs.GraphError, match=r"`state\[0\]`: expected shape \[5, 4\]"):
        layer(x, RING, torch.zeros(1, 4))
    with pytest.raises(gs.GraphError, match="`nodes`"):
        layer(x[:2], RING, nodes=torch.tensor([0, 1]))
    with pytest.raises(gs.GraphError, match="does not depend on slots"):
        nn.Recurrent(nn.NaryTreeLSTMCell(3, 4), gs.FixedPoint())(x, RING)
    empty = gs.Topology.from_edge_index(torch.empty(2, 0).long(), 0)
    assert layer(x[:0], empty).shape == (0, 4)
