"""The cells of the library: one step, and sweeps over any structure, against the papers' equations."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import graphseq as gs
from graphseq.nn import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell
from tests.core.cells import BUILT_IN, made, placed, random_state
from tests.oracles import Sent, assert_agree, assert_close, gradients, leaf, sweep_oracle, tensors
from tests.strategies import examples, structure_for
from tests.tiers import Recurrent

each = pytest.mark.parametrize("kind", BUILT_IN, ids=repr)
both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
TWINS = [
    (ElmanCell, nn.RNNCell, {}),
    (ElmanCell, nn.RNNCell, {"nonlinearity": "relu"}),
    (ElmanCell, nn.RNNCell, {"bias": False}),
    (GRUCell, nn.GRUCell, {}),
    (GRUCell, nn.GRUCell, {"bias": False}),
    (LSTMCell, nn.LSTMCell, {}),
    (LSTMCell, nn.LSTMCell, {"bias": False}),
]
twins = pytest.mark.parametrize(("ours", "theirs", "options"), TWINS)


@twins
def test_one_step_is_that_of_torch(ours, theirs, options):
    cell, twin = ours(3, 4, **options).double(), theirs(3, 4, **options).double()
    assert [(n, p.shape) for n, p in cell.named_parameters()] == [(n, p.shape) for n, p in twin.named_parameters()]
    cell.load_state_dict(twin.state_dict())
    twin.load_state_dict(cell.state_dict())
    x, state = leaf(5, 3), random_state(cell, 5)
    given = state if len(state) > 1 else state[0]
    for args in ((x, given), (x,), (x[0],), (x[0], tuple(s[0] for s in state) if len(state) > 1 else state[0][0])):
        a, b = tensors(cell(*args)), tensors(twin(*args))
        assert_agree(a, b, [x, *state])
        ones = [torch.ones_like(o) for o in a]
        assert_agree(gradients(a, list(cell.parameters()), ones), gradients(b, list(twin.parameters()), ones))


@twins
def test_weights_start_as_those_of_torch(ours, theirs, options):
    for name, p in ours(100, 25, **options).named_parameters():
        assert float(p.detach().abs().max()) <= 1 / 5 + 1e-6, name
        assert float(p.detach().std()) == pytest.approx(1 / 5 / 3**0.5, rel=0.2), name


@each
def test_one_step_is_one_node_of_the_oracle(kind):
    cell, x = made(kind), leaf(5, 3)
    step, state = kind.step(cell), random_state(cell, 5)
    leaves = [x, *state, *cell.parameters()]
    wanted = [step(x[v], [Sent(tuple(s[v] for s in state), 0, None)]) for v in range(5)]
    given = state if len(state) > 1 else state[0]
    assert_agree(cell(x, given), [torch.stack(p) for p in zip(*wanted, strict=True)], leaves)
    assert_agree(cell(x[1]), step(x[1], []), leaves)


@each
def test_a_sweep_equals_recursion(kind):
    @given(t=structure_for(kind.slots), started=st.booleans(), reverse=st.booleans())
    @examples(25)
    def check(t, started, reverse):
        turned = t.reverse() if reverse else t
        if kind.slots and t.num_edges and int(turned.slot.max()) >= kind.slots:
            return
        cell, x = made(kind), leaf(t.num_nodes, 3)
        state = random_state(cell, t.num_nodes) if started else None
        wanted = sweep_oracle(kind.step(cell), cell, x, turned, state)
        leaves = [x, *(state or ()), *cell.parameters()]
        assert_agree(Recurrent(cell, gs.Sweep(reverse=reverse))(x, t, placed(cell, turned, state)), wanted, leaves)

    check()


@both
@each
def test_the_fast_tier_equals_the_generic_tier(kind, dtype):
    @given(t=structure_for(kind.slots), started=st.booleans())
    @examples(20)
    def check(t, started):
        cell, x = made(kind, dtype=dtype), leaf(t.num_nodes, 3, dtype=dtype)
        state = random_state(cell, t.num_nodes, dtype) if started else None
        leaves = [x, *(state or ()), *cell.parameters()]
        start = placed(cell, t, state)
        assert_agree(Recurrent(cell)(x, t, start), Recurrent(cell, fast=False)(x, t, start), leaves)

    check()


@each
def test_derivatives_of_a_sweep(kind):
    t = gs.Topology.tree([2, 2, 3, -1], slot=[0, 1, 0, 0]) if kind.slots != 1 else gs.Topology.chain([3, 1])
    if kind.slots == 0:
        t = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1], [1, 2, 3, 3, 3]]), 5)
    cell = made(kind, 2, 2)
    with torch.no_grad():
        for p in cell.parameters():
            p += 0.3  # away from relu's corner
    names, state = [name for name, _ in cell.named_parameters()], random_state(cell, t.num_nodes)
    count = len(state)
    for fast in (True, False):
        for started in (0, count):

            def call(x, *rest, fast=fast, started=started):
                weights = {f"cell.{n}": w for n, w in zip(names, rest[started:], strict=True)}
                start = placed(cell, t, rest[:started] or None)
                return torch.func.functional_call(Recurrent(cell, fast=fast), weights, (x, t, start))

            given = [leaf(t.num_nodes, 2), *state[:started], *cell.parameters()]
            assert torch.autograd.gradcheck(call, given, fast_mode=True)
            assert torch.autograd.gradgradcheck(call, given, fast_mode=True)


@each
def test_second_derivatives_agree_between_the_tiers(kind):
    t = gs.Topology.tree([2, 2, 4, 4, -1]) if kind.slots != 1 else gs.Topology.chain([3, 2])
    if kind.slots == 0:
        t = gs.batch([t, gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2], [1, 2, 3, 3]]))])
    cell, x = made(kind), leaf(t.num_nodes, 3)
    penalties = []
    for fast in (True, False):
        out = tensors(Recurrent(cell, fast=fast)(x, t))
        [slope] = torch.autograd.grad(sum((o**2).sum() for o in out), x, create_graph=True)
        penalties.append((slope**2).sum())
    assert_agree(*penalties, [x, *cell.parameters()])


def test_the_variants_of_an_lstm_differ():
    x, t = torch.randn(6, 3), gs.Topology.chain([6])
    outs, both_of = [], {"peephole": True, "coupled": True}
    for options in ({}, {"peephole": True}, {"coupled": True}, {"forget_gate": False}, both_of):
        torch.manual_seed(1)
        outs.append(Recurrent(LSTMCell(3, 4, **options))(x, t)[0])
    for i, a in enumerate(outs):
        assert all(not torch.allclose(a, b) for b in outs[:i])


def test_weights_of_one_variant_load_into_another():
    plain, coupled = LSTMCell(3, 4), LSTMCell(3, 4, coupled=True)
    coupled.load_state_dict(plain.state_dict())
    assert_close(coupled.weight_ih, plain.weight_ih)
    assert LSTMCell(3, 4, peephole=True).weight_peephole.shape == (3, 4)


def test_parameters_of_tree_lstm_cells():
    shapes = {name: tuple(p.shape) for name, p in NaryTreeLSTMCell(3, 4, arity=5).named_parameters()}
    assert shapes == {"weight_ih": (16, 3), "weight_hh": (32, 20), "bias": (16,)}
    shapes = {name: tuple(p.shape) for name, p in ChildSumTreeLSTMCell(3, 4).named_parameters()}
    assert shapes == {"weight_ih": (16, 3), "weight_hh": (16, 4), "bias": (16,)}


@given(structure_for(1))
@examples(15)
def test_where_nodes_have_one_child_child_sum_and_1_ary_are_one(t):
    nary, x = NaryTreeLSTMCell(3, 4, arity=1).double(), leaf(t.num_nodes, 3)
    child_sum = ChildSumTreeLSTMCell(3, 4).double()
    child_sum.load_state_dict(nary.state_dict())
    assert_agree(Recurrent(child_sum)(x, t), Recurrent(nary)(x, t), [x])


@each
def test_shown_with_its_sizes_and_placed_as_asked(kind):
    cell = kind.make(3, 4)
    assert repr(cell).startswith(f"{type(cell).__name__}(3, 4")
    assert type(cell)(3, 4, device="meta", dtype=torch.float64).weight_ih.device.type == "meta"
    assert type(cell)(3, 4, dtype=torch.float64).weight_hh.dtype == torch.float64


@pytest.mark.parametrize("make", [ElmanCell, GRUCell, LSTMCell, ChildSumTreeLSTMCell, NaryTreeLSTMCell])
@pytest.mark.parametrize("size", [0, -1, 2.0, "3", True, None])
def test_sizes(make, size):
    with pytest.raises(gs.GraphError, match="`input_size`: expected a whole number ≥ 1"):
        make(size, 4)
    with pytest.raises(gs.GraphError, match="`hidden_size`: expected a whole number ≥ 1"):
        make(3, size)
    if make is NaryTreeLSTMCell:
        with pytest.raises(gs.GraphError, match="`arity`: expected a whole number ≥ 1"):
            make(3, 4, size)


def test_options():
    with pytest.raises(gs.GraphError, match=r"`nonlinearity`.*got 'sigmoid'"):
        ElmanCell(3, 4, nonlinearity="sigmoid")
    with pytest.raises(gs.GraphError, match="`coupled`"):
        LSTMCell(3, 4, coupled=True, forget_gate=False)


@each
def test_a_step_of_other_widths(kind):
    cell = kind.make(3, 4)
    with pytest.raises(gs.GraphError, match="`x`: expected inputs of width 3"):
        cell(torch.zeros(2, 4))
    states = tuple(torch.zeros(2, 5) for _ in cell.state_sizes)
    with pytest.raises(gs.GraphError, match=r"`state\[0\]`: expected a tensor of width 4"):
        cell(torch.zeros(2, 3), states)
    with pytest.raises(gs.GraphError, match=f"`state`: expected {len(states)} tensor"):
        cell(torch.zeros(2, 3), (*states, states[0]))
