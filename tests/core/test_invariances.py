"""What must not matter: who shares a batch, and how nodes and edges are numbered."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphseq as gs
from tests.core.cells import BUILT_IN, WRITTEN, edge_features, made, placed, random_state
from tests.oracles import assert_agree, leaf, tensors
from tests.strategies import examples, graphs, structure_for
from tests.tiers import Recurrent

KINDS = [k for k in BUILT_IN if "no" not in k.name] + WRITTEN
each = pytest.mark.parametrize("kind", KINDS, ids=repr)
TIERS = [(kind, False) for kind in KINDS] + [(kind, True) for kind in KINDS if kind in BUILT_IN]


def renumbered(t, order):
    """The same graph with node order[i] called i, its edges and slots in their order."""
    name = torch.empty_like(order)
    name[order] = torch.arange(order.numel())
    return gs.Topology(name[t.edge_index], t.num_nodes, torch.tensor([0, t.num_nodes]), t.slot)


@pytest.mark.parametrize(("kind", "fast"), TIERS, ids=repr)
def test_batched_equals_separate_in_a_sweep(kind, fast):
    @given(members=st.lists(structure_for(kind.slots), max_size=4), reverse=st.booleans())
    @examples(10)
    def check(members, reverse):
        if kind.slots and reverse and any(t.num_edges and int(t.reverse().slot.max()) >= kind.slots for t in members):
            return
        cell, whole = made(kind), gs.batch(members)
        x, edge_attr, state = leaf(whole.num_nodes, 3), edge_features(kind, whole), random_state(cell, whole.num_nodes)
        layer = Recurrent(cell, gs.Sweep(reverse=reverse), fast=fast)

        def at(t, state):
            return placed(cell, t.reverse() if reverse else t, state)

        out = tensors(layer(x, whole, at(whole, state), edge_attr=edge_attr))
        parts, v, e = [], 0, 0
        for t in members:
            nodes, edges = slice(v, v + t.num_nodes), slice(e, e + t.num_edges)
            own = None if edge_attr is None else edge_attr[edges]
            parts.append(tensors(layer(x[nodes], t, at(t, tuple(s[nodes] for s in state)), edge_attr=own)))
            v, e = nodes.stop, edges.stop
        wanted = [torch.cat(rows) for rows in zip(*parts, strict=True)] if parts else [o.detach() for o in out]
        assert_agree(out, wanted, [x, edge_attr, *state, *cell.parameters()])

    check()


@pytest.mark.parametrize("kind", [k for k in KINDS if k in BUILT_IN], ids=repr)
@given(members=st.lists(graphs(4, 6), min_size=1, max_size=3))
@examples(10)
def test_batched_equals_separate_in_rounds(kind, members):
    cell, whole = made(kind, 4, 4), gs.batch(members)
    x, layer = leaf(whole.num_nodes, 4), Recurrent(cell, gs.Rounds(2))
    sizes = [t.num_nodes for t in members]
    parts = [tensors(layer(part, t)) for part, t in zip(x.split(sizes), members, strict=True)]
    assert_agree(layer(x, whole), [torch.cat(rows) for rows in zip(*parts, strict=True)], [x, *cell.parameters()])


@each
def test_renumbering_nodes_permutes_the_states(kind):
    @given(t=structure_for(kind.slots), data=st.data())
    @examples(15)
    def check(t, data):
        order = torch.tensor(data.draw(st.permutations(range(t.num_nodes))), dtype=torch.int64)
        cell, x = made(kind), leaf(t.num_nodes, 3)
        edge_attr, state = edge_features(kind, t), random_state(cell, t.num_nodes)
        layer = Recurrent(cell)
        out = tensors(layer(x, t, placed(cell, t, state), edge_attr=edge_attr))
        other_t = renumbered(t, order)
        other = layer(x[order], other_t, placed(cell, other_t, tuple(s[order] for s in state)), edge_attr=edge_attr)
        assert_agree(other, [o[order] for o in out], [x, edge_attr, *state, *cell.parameters()])

    check()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.slots == 0], ids=repr)
def test_the_order_of_edges_does_not_matter_without_slots(kind):
    @given(t=structure_for(0), data=st.data())
    @examples(15)
    def check(t, data):
        order = torch.tensor(data.draw(st.permutations(range(t.num_edges))), dtype=torch.int64)
        cell, x, edge_attr = made(kind), leaf(t.num_nodes, 3), edge_features(kind, t)
        turned = gs.Topology.from_edge_index(t.edge_index[:, order], batch=t.batch, num_graphs=t.num_graphs)
        other = Recurrent(cell)(x, turned, edge_attr=None if edge_attr is None else edge_attr[order])
        assert_agree(other, Recurrent(cell)(x, t, edge_attr=edge_attr), [x, edge_attr, *cell.parameters()])

    check()


@each
def test_compiled_before_or_not(kind):
    @given(t=structure_for(kind.slots))
    @examples(10)
    def check(t):
        fresh = gs.Topology(t.edge_index, t.num_nodes, t.graph_ptr, t.slot)
        t.packed, t.matrix, t.reverse().packed
        cell, x, edge_attr = made(kind), leaf(t.num_nodes, 3), edge_features(kind, t)
        run = Recurrent(cell)
        assert_agree(run(x, fresh, edge_attr=edge_attr), run(x, t, edge_attr=edge_attr))
        assert_agree(run(x, fresh, edge_attr=edge_attr), run(x, gs.batch([t]), edge_attr=edge_attr))

    check()
