"""Rounds and one aggregation against dense matrices."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphseq as gs
from graphseq import core
from graphseq.nn import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell, Recurrent
from tests.core.cells import BUILT_IN, made, random_state
from tests.oracles import Sent, adjacency, assert_agree, leaf, tensors
from tests.strategies import any_graph, examples, graphs

H = 3
MERGE = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}


def dense_merge(t, h, merge, weight=None):
    """Rows of all predecessors, merged a node at a time."""
    sent = [[] for _ in range(t.num_nodes)]
    for e, (u, v) in enumerate(t.edge_index.t().tolist()):
        sent[v].append(h[u] if weight is None else weight[e] * h[u])
    rows = [MERGE[merge](torch.stack(parts), 0) if parts else torch.zeros_like(h[0]) for parts in sent]
    return torch.stack(rows) if rows else torch.zeros_like(h)


@pytest.mark.parametrize("merge", ["sum", "mean", "max"])
@pytest.mark.parametrize("weighted", [False, True])
@given(t=any_graph(), shape=st.sampled_from([(2,), (1,), (2, 2), (0,), ()]))
@examples(25)
def test_aggregate_of_a_form(weighted, merge, t, shape):
    h, g = leaf(t.num_nodes, *shape), leaf(t.num_nodes, 1)
    weight = leaf(t.num_edges) if weighted else None
    message = gs.SCALE if weighted else gs.COPY
    out = core.aggregate(t, (h, g), message=message, merge=merge, edge_attr=weight)
    assert_agree(out, [dense_merge(t, s, merge, weight) for s in (h, g)], [h, g, weight])


@given(t=any_graph())
@examples(25)
def test_the_sum_is_the_transposed_adjacency_times_the_states(t):
    h, weight = leaf(t.num_nodes, H), leaf(t.num_edges)
    dense = adjacency(t.edge_index, t.num_nodes, weight)
    [out] = core.aggregate(t, (h,), message=gs.SCALE, edge_attr=weight)
    assert_agree(out, dense @ h, [h, weight])


@pytest.mark.parametrize("merge", ["sum", "mean", "max"])
@given(t=any_graph())
@examples(20)
def test_aggregate_of_a_callable(merge, t):
    h, x, edge = leaf(t.num_nodes, H), leaf(t.num_nodes, 2), leaf(t.num_edges, H)
    sources, targets = t.edge_index

    def message(sent, received, features):
        return sent[0] * features, received * 2

    one = h[sources] * edge, 2 * x[targets]
    wanted = []
    for rows in one:
        merged = [
            MERGE[merge](rows[targets == v], 0) if bool((targets == v).any()) else torch.zeros_like(rows[:1].sum(0))
            for v in range(t.num_nodes)
        ]
        wanted.append(torch.stack(merged) if merged else rows.new_zeros(0, rows.size(1)))
    out = core.aggregate(t, (h,), message=message, merge=merge, received=x, edge_attr=edge)
    assert_agree(out, wanted, [h, x, edge])


@given(t=any_graph(), k=st.integers(0, 3))
@examples(30)
def test_rounds_of_the_core_are_a_power(t, k):
    h = leaf(t.num_nodes, H)
    dense = torch.eye(t.num_nodes, dtype=h.dtype) + adjacency(t.edge_index, t.num_nodes)
    cell = Add()
    cell.state_sizes = (H,)
    (out,), edges = core.rounds(cell, k, t, (h,))
    assert edges is None
    assert_agree(out, torch.linalg.matrix_power(dense, k) @ h, [h])


@pytest.mark.parametrize(("cell", "twin"), [(GRUCell, torch.nn.GRUCell), (ElmanCell, torch.nn.RNNCell)])
@given(t=any_graph(), k=st.integers(0, 3), given_state=st.booleans())
@examples(30)
def test_a_gru_in_rounds_is_ggnn(cell, twin, t, k, given_state):
    ours, theirs, x = cell(H, H).double(), twin(H, H).double(), leaf(t.num_nodes, H)
    ours.load_state_dict(theirs.state_dict())
    state = leaf(t.num_nodes, H) if given_state else None
    h = x if state is None else state
    dense = adjacency(t.edge_index, t.num_nodes)
    for _ in range(k):
        h = theirs(dense @ h, h) if t.num_nodes else h
    assert_agree(Recurrent(ours, gs.Rounds(k))(x, t, state), h, [x, state])


@pytest.mark.parametrize("kind", BUILT_IN, ids=repr)
@given(t=graphs(), k=st.integers(1, 3))
@examples(15)
def test_every_cell_carries_a_nodes_own_state_in_rounds(kind, t, k):
    cell, x = made(kind, H, H), leaf(t.num_nodes, H)
    step = kind.step(cell)
    state = x, *(x.new_zeros(x.size(0), size) for size in cell.state_sizes[1:])
    for _ in range(k):
        merged = adjacency(t.edge_index, t.num_nodes) @ state[0]
        new = [step(merged[v], [Sent(tuple(s[v] for s in state), 0, None)]) for v in range(t.num_nodes)]
        state = tuple(torch.stack(part) for part in zip(*new, strict=True)) if new else state
    rounds = gs.Rounds(k, merge="sum") if isinstance(cell.merge, gs.Softmax) else gs.Rounds(k)
    assert_agree(Recurrent(cell, rounds)(x, t), state, [x, *cell.parameters()])


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell, ChildSumTreeLSTMCell, NaryTreeLSTMCell])
def test_no_rounds_change_nothing(kind):
    t, cell = gs.Topology.chain([3]), kind(H, H).double()
    x, state = leaf(3, H), random_state(cell, 3)
    assert torch.equal(tensors(Recurrent(cell, gs.Rounds(0))(x, t))[0], x)
    for a, b in zip(tensors(Recurrent(cell, gs.Rounds(0))(x, t, state)), state, strict=True):
        assert torch.equal(a, b)


class Add(gs.Cell):
    """Adds what arrives, whatever its width."""

    state_sizes = (4,)

    def update(self, p, state):
        return (p + state[0],)


def test_narrow_inputs_are_filled_up_with_zeros():
    t, x = gs.Topology.from_edge_index(torch.tensor([[0, 1], [1, 0]])), leaf(2, 3)
    wide = torch.cat([x, torch.zeros(2, 1, dtype=x.dtype)], 1)
    assert_agree(Recurrent(Add(), gs.Rounds(1))(x, t), wide + wide.flip(0), [x])


def test_weights_of_edges_scale_the_messages_of_rounds():
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]))
    x, weight, cell = leaf(3, H), leaf(3), ElmanCell(H, H).double()
    cell.message = gs.SCALE
    twin = torch.nn.RNNCell(H, H).double()
    twin.load_state_dict(cell.state_dict())
    out = Recurrent(cell, gs.Rounds(1))(x, t, edge_attr=weight)
    assert_agree(out, twin(adjacency(t.edge_index, 3, weight) @ x, x), [x, weight])


@pytest.mark.parametrize("kind", [ElmanCell, GRUCell, LSTMCell, ChildSumTreeLSTMCell])
def test_one_cell_runs_on_everything(kind):
    """The same object, with the same weights, under both schedules on a chain, a tree, a DAG and a cyclic graph."""
    cell = kind(H, H).double()
    before = [p.clone() for p in cell.parameters()]
    acyclic = [
        gs.Topology.chain([3]),
        gs.Topology.tree([2, 2, -1]),
        gs.Topology.from_edge_index(torch.tensor([[0, 0, 1], [1, 2, 2]])),
    ]
    ring = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]))
    x, outs = leaf(3, H), []
    for t in acyclic:
        outs.append(tensors(Recurrent(cell)(x, t))[0])
    for t in (*acyclic, ring):
        outs.append(tensors(Recurrent(cell, gs.Rounds(2))(x, t))[0])
    assert all(not torch.allclose(a, b) for i, a in enumerate(outs) for b in outs[:i])
    assert all(torch.equal(p, q) for p, q in zip(before, cell.parameters(), strict=True))
    with pytest.raises(gs.GraphError, match="cycle"):
        Recurrent(cell)(x, ring)


def test_derivatives_of_rounds():
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0, 2], [1, 2, 0, 2, 2]]))
    for cell in (GRUCell(2, 2).double(), ChildSumTreeLSTMCell(2, 2).double()):
        layer = Recurrent(cell, gs.Rounds(2))
        assert torch.autograd.gradcheck(lambda x, layer=layer: layer(x, t), (leaf(3, 2),))
        assert torch.autograd.gradgradcheck(lambda x, layer=layer: layer(x, t), (leaf(3, 2),))
