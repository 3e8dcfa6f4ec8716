"""Whatever a cell reads gets its gradient, wherever it comes from, and hooks run once."""

import pytest
import torch
from torch.nn import Linear

import graphseq as gs
from graphseq import nn
from tests.core.ways import H, Reads, a_tensor, dtypes, near, reads, ways
from tests.oracles import assert_agree, assert_close, gradients, leaf


def a_module_kept_elsewhere():
    other, ones = Linear(2, H).double(), torch.ones(2, dtype=torch.float64)
    return (lambda: other(ones)), list(other.parameters())


def an_encoders_states():
    source, encoder = leaf(4, 2), torch.nn.GRU(2, H).double()
    states = encoder(source)[0]
    return (lambda: states.mean(0)), [source, *encoder.parameters()]


def a_hypernetworks_weights():
    code, network = leaf(2), Linear(2, H * H).double()
    weight = network(code).view(H, H)
    return (lambda: torch.tanh(weight).sum(1)), [code, *network.parameters()]


def a_buffer():
    holder = torch.nn.Module()
    holder.register_buffer("r", leaf(H))
    return (lambda: holder.r), [holder.r]


SOURCES = [a_tensor, a_module_kept_elsewhere, an_encoders_states, a_hypernetworks_weights, a_buffer]


@ways
@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.__name__)
def test_what_a_cell_captures_gets_its_gradient(way, source):
    read, leaves = source()
    cell, x = Reads(read), leaf(7, H)
    out, (wanted,) = way.run(cell, x), way.by_hand(reads(cell, way), x)
    assert_agree(out, wanted, [x, cell.w, *leaves])
    seed = torch.randn_like(out)
    assert all(float(g.abs().max()) > 0 for g in gradients([out], leaves, [seed]))
    first = [gradients([o], [x, *leaves], [seed], create_graph=True) for o in (out, wanted)]
    ours, theirs = (sum((g**2).sum() for g in found) for found in first)
    assert_agree(ours, theirs, [x, cell.w, *leaves])  # and of the second order


@ways
def test_a_captured_tensor_is_all_that_wants_a_gradient(way):
    read, [r] = a_tensor()
    cell, x = Reads(read).requires_grad_(False), torch.randn(7, H, dtype=torch.float64)
    assert_agree(way.run(cell, x), way.by_hand(reads(cell, way), x), [r])


@ways
def test_what_a_score_captures_gets_its_gradient(way):
    key, x = leaf(H), leaf(7, H)
    cell = Reads(lambda: x.new_zeros(H))
    cell.message, cell.merge = gs.COPY, gs.Softmax(lambda sent, received, edge: sent[0] @ key)

    def weighed(rows):
        return torch.softmax(torch.stack(rows) @ key, 0) @ torch.stack(rows) if rows else x.new_zeros(H)

    def step(p, sent):
        return (torch.tanh(p + cell.w @ weighed([s.state[0] for s in sent])),)

    if way.rounds:
        wanted, pairs = x, way.topology.edge_index.t().tolist()
        for _ in range(way.schedule.k):
            merged = [weighed([wanted[u] for u, w in pairs if w == v]) for v in range(7)]
            wanted = torch.tanh(torch.stack(merged) + wanted @ cell.w.t())
    else:
        wanted = way.by_hand(step, x)
    assert_agree(way.run(cell, x), wanted, [x, key, cell.w])


@ways
def test_a_buffer_of_the_cells_own_and_a_frozen_parameter(way):
    cell, x = Reads(lambda: cell.r), leaf(7, H)
    cell.register_buffer("r", leaf(H))
    cell.w.requires_grad_(False)
    out = way.run(cell, x)
    assert_agree(out, way.by_hand(reads(cell, way), x), [x, cell.r])
    out.sum().backward()
    assert cell.w.grad is None
    assert cell.r.grad is not None


class Cut(Reads):
    """Gradients go no further than one step back."""

    def update(self, p, state):
        return super().update(p, (state[0].detach(),))


@ways
def test_what_an_update_detaches_gets_no_gradient(way):
    read, [r] = a_tensor()
    cell, x = Cut(read), leaf(7, H)
    assert_agree(way.run(cell, x), way.by_hand(reads(cell, way, cut=True), x), [x, r, cell.w])


@ways
def test_a_parameter_of_two_cells_gets_both_gradients(way):
    read, [r] = a_tensor()
    one, two, x = Reads(read), Reads(read), leaf(7, H)
    two.w = one.w

    def by_hand(z):
        return way.by_hand(reads(one, way), z)[0]

    first = way.run(one, x)
    assert_agree(first + way.run(two, first.sin()), by_hand(x) + by_hand(by_hand(x).sin()), [x, r, one.w])
    calls = []
    one.w.register_hook(lambda g: calls.append(g.clone()))
    (way.run(one, x) + way.run(two, x)).sum().backward()
    assert len(calls) == 1
    assert_close(calls[0], 2 * gradients([by_hand(x)], [one.w], [torch.ones_like(x)])[0])


@dtypes
@ways
def test_one_parameter_in_two_places_of_a_cell(way, dtype):
    cell, apart, x = nn.GRUCell(H, H).to(dtype), nn.GRUCell(H, H).to(dtype), leaf(7, H, dtype=dtype)
    cell.weight_hh = cell.weight_ih
    apart.load_state_dict(cell.state_dict())
    calls = []
    cell.weight_hh.register_hook(calls.append)
    way.run(cell, x).sin().sum().backward()
    found = torch.autograd.grad(way.run(apart, x).sin().sum(), (apart.weight_ih, apart.weight_hh))
    assert len(calls) == 1
    assert_close(cell.weight_ih.grad, sum(found), near(dtype))
