"""Any cell that a user writes, through the generic tier: states and exact gradients against recursion."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import graphseq as gs
from graphseq.nn import GRUCell
from tests.core.cells import WRITTEN, edge_features, made, placed, random_state
from tests.oracles import Sent, assert_agree, assert_close, gradients, leaf, recursion, tensors
from tests.strategies import chains, examples, structure_for
from tests.tiers import Recurrent

each = pytest.mark.parametrize("kind", WRITTEN, ids=repr)
TREE = gs.Topology.tree([4, 4, 3, 5, 5, -1], slot=[1, 0, 1, 0, 1, 0])
DAG = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1, 1], [1, 2, 3, 3, 4, 4]]), 6)


def structures_of(kind):
    return [TREE, gs.Topology.chain([3, 1, 0, 3]), *([DAG] if kind.slots == 0 else [])][int(kind.slots == 1) :]


@each
def test_it_equals_recursion(kind):
    @given(t=structure_for(kind.slots), started=st.booleans(), reverse=st.booleans())
    @examples(25)
    def check(t, started, reverse):
        cell, x = made(kind), leaf(t.num_nodes, 3)
        edge_attr = edge_features(kind, t)
        state = random_state(cell, t.num_nodes) if started else None
        turned = t.reverse() if reverse else t
        if cell.merge == "slots" and t.num_edges and int(turned.slot.max()) >= cell.slots:
            return
        layer = Recurrent(cell, gs.Sweep(reverse=reverse))
        slot = turned.slot if cell.merge == "slots" else None
        wanted = recursion(
            kind.step(cell), x, turned.edge_index, cell.state_sizes, slot=slot, edge_attr=edge_attr, state=state
        )
        leaves = [x, edge_attr, *(state or ()), *cell.parameters()]
        assert_agree(layer(x, t, placed(cell, turned, state), edge_attr=edge_attr), wanted, leaves)

    check()


@each
def test_in_float32(kind):
    for t in structures_of(kind):
        cell, x, edge_attr = made(kind), leaf(t.num_nodes, 3), edge_features(kind, t)
        wanted = [h.float() for h in Recurrent(cell)(x, t, edge_attr=edge_attr)]
        single = [None if v is None else v.detach().float() for v in (x, edge_attr)]
        for a, b in zip(Recurrent(cell.float())(single[0], t, edge_attr=single[1]), wanted, strict=True):
            assert_close(a, b)


@each
def test_derivatives_of_both_orders(kind):
    for t in structures_of(kind):
        cell, edge_attr = made(kind, 2, 2), edge_features(kind, t)
        state = random_state(cell, t.num_nodes)
        names = [name for name, _ in cell.named_parameters()]
        given = [leaf(t.num_nodes, 2), *state, *cell.parameters(), *([] if edge_attr is None else [edge_attr])]

        def call(x, h, g, *rest, t=t, cell=cell, names=names):
            edge = rest[len(names)] if len(rest) > len(names) else None
            weights = {f"cell.{name}": w for name, w in zip(names, rest, strict=False)}
            given = x, t, placed(cell, t, (h, g))
            return torch.func.functional_call(Recurrent(cell), weights, given, {"edge_attr": edge})

        assert torch.autograd.gradcheck(call, given, fast_mode=True)
        assert torch.autograd.gradgradcheck(call, given, fast_mode=True)


@each
def test_gradients_that_can_be_differentiated_are_the_same_gradients(kind):
    for t in structures_of(kind):
        cell, x, edge_attr = made(kind), leaf(t.num_nodes, 3), edge_features(kind, t)
        state = random_state(cell, t.num_nodes)
        out = tensors(Recurrent(cell)(x, t, placed(cell, t, state), edge_attr=edge_attr))
        leaves = [x, *state, *cell.parameters(), *([] if edge_attr is None else [edge_attr])]
        seeds = [torch.randn_like(o) for o in out]
        first = gradients(out, leaves, seeds)
        for again in (gradients(out, leaves, seeds), gradients(out, leaves, seeds, create_graph=True)):
            for a, b in zip(again, first, strict=True):
                assert_close(a, b)


class Cumulative(gs.Cell):
    """No parameters: the sum of the inputs over all paths that end at a node."""

    state_sizes = (2,)

    def update(self, p, state):
        return (p + state[0],)


@given(structure_for(0))
@examples(30)
def test_a_cell_without_parameters_counts_paths(t):
    x = torch.ones(t.num_nodes, 2, dtype=torch.float64, requires_grad=True)
    paths = torch.linalg.inv(torch.eye(t.num_nodes, dtype=torch.float64) - _dense(t))
    out = Recurrent(Cumulative())(x, t)
    assert_agree(out, paths @ x, [x])


def _dense(t):
    dense = torch.zeros(t.num_nodes, t.num_nodes, dtype=torch.float64)
    for u, v in t.edge_index.t().tolist():
        dense[v, u] += 1
    return dense


def test_a_frozen_part_gets_no_gradient_and_the_rest_the_same():
    t, x = DAG, leaf(6, 3)
    cell = made(WRITTEN[0])
    out = tensors(Recurrent(cell)(x, t))
    whole = gradients(out, list(cell.parameters()), [torch.ones_like(o) for o in out])
    cell.u.requires_grad_(False)
    out = Recurrent(cell)(x.detach(), t)
    sum(o.sum() for o in out).backward()
    assert cell.u.grad is None
    for (name, p), g in zip(cell.named_parameters(), whole, strict=True):
        if name not in ("u", "gate"):
            assert_close(p.grad, g)


class Sharp(GRUCell):
    """A cell of the library with an update of the user's own."""

    def update(self, p, state):
        return (torch.tanh(p.chunk(3, 1)[0] + 2 * state[0]),)


class Halved(GRUCell):
    """… or a message."""

    def message(self, sent, received, edge):
        return (sent[0] / 2,)


@pytest.mark.parametrize("kind", [Sharp, Halved])
@given(structure_for(0))
@examples(10)
def test_a_subclass_runs_what_it_says_and_not_the_fused_operator_of_its_base(kind, t):
    cell, x = kind(3, 4).double(), leaf(t.num_nodes, 3)
    wanted = Recurrent(cell, fast=False)(x, t)
    assert_agree(Recurrent(cell)(x, t), wanted, [x, *cell.parameters()])


@pytest.mark.parametrize("merge", ["mean", "max"])
@given(t=structure_for(0))
@examples(10)
def test_a_cell_of_the_library_with_another_merge(merge, t):
    cell, x = GRUCell(3, 4).double(), leaf(t.num_nodes, 3)
    cell.merge = merge

    def step(v, sent):
        h = [s.state[0] for s in sent]
        function = torch.mean if merge == "mean" else torch.amax
        merged = function(torch.stack(h), 0) if h else torch.zeros(4, dtype=v.dtype)
        return (torch.gru_cell(v[None], merged[None], *cell.parameters())[0],)

    wanted = recursion(step, x, t.edge_index, (4,))
    assert_agree(Recurrent(cell)(x, t), wanted, [x, *cell.parameters()])


@given(chains(2, 4))
@examples(10)
def test_a_step_outside_a_sweep_is_the_step_inside(t):
    for kind in WRITTEN:
        cell, x = made(kind), leaf(t.num_nodes, 3)
        step = kind.step(cell)
        state = random_state(cell, t.num_nodes)
        wanted = [step(x[v], [Sent(tuple(s[v] for s in state), 0, None)]) for v in range(t.num_nodes)]
        for v in range(t.num_nodes):
            assert_agree(cell(x[v], tuple(s[v] for s in state)), wanted[v], [x, *state])
        if t.num_nodes:
            assert_agree(cell(x, state), [torch.stack(p) for p in zip(*wanted, strict=True)], [x, *state])
            assert_agree(cell(x), [torch.stack(p) for p in zip(*[step(row, []) for row in x], strict=True)], [x])


@pytest.mark.parametrize("message", [gs.COPY, gs.SCALE], ids=["copy", "scale"])
def test_copies_of_a_cell_keep_its_message(message):
    cell, x, weight = GRUCell(3, 4).double(), leaf(6, 3), leaf(6) if message is gs.SCALE else None
    cell.message = message
    wanted = Recurrent(cell)(x, DAG, edge_attr=weight)
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert other.message is message
        assert_agree(Recurrent(other)(x, DAG, edge_attr=weight), wanted, [x, weight])


class Noisy(gs.Cell):
    """Its step draws random numbers."""

    state_sizes = (3,)

    def update(self, p, state):
        return (nn.functional.dropout(p + state[0], 0.5),)


@pytest.mark.parametrize("nodes", [[0, 1, 2, 6], [3, 0], []])
def test_dropout_of_inputs_draws_a_mask_for_each_node_without_one(nodes):
    class Dropping(gs.Cell):
        state_sizes = (64,)

        def __init__(self):
            super().__init__()
            self.dropout = nn.Dropout()

        def project(self, x):
            return self.dropout(1 + x)

        def update(self, p, state):
            return (p,)

    layer, tree = Recurrent(Dropping()), gs.Topology.tree([4, 4, 3, 5, 5, -1, 5])
    x, at = torch.zeros(len(nodes), 64), torch.tensor(nodes, dtype=torch.int64)
    assert layer(x, tree, nodes=at).unique(dim=0).size(0) == 7
    assert layer.eval()(x, tree, nodes=at).unique().tolist() == [1]


def test_a_random_step_keeps_its_numbers_in_derivatives_of_any_order():
    x = leaf(6, 3)
    out = tensors(Recurrent(Noisy())(x, DAG))
    ones = [torch.ones_like(o) for o in out]
    assert_agree(gradients(out, [x], ones, create_graph=True), gradients(out, [x], ones))
