"""Joining topologies and taking them apart."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq import Topology, batch, unbatch
from tests.strategies import acyclic, any_graph, chains, dags, examples, forests, grouped, slotted_trees


def fresh(t):
    """The same topology with nothing compiled but its slots."""
    return Topology(t.edge_index, t.num_nodes, t.graph_ptr, t.slot)


def compiled(t):
    t.matrix, t.slot  # noqa: B018
    if t.is_acyclic:
        t.packed, t.reverse().packed
    return t


def same_compiled(a, b):
    assert a == b
    assert all(torch.equal(x, y) for x, y in zip(a.matrix, b.matrix, strict=True))
    for x, y in ((a, b), (a.reverse(), b.reverse())):
        assert x.is_acyclic == y.is_acyclic
        if x.is_acyclic:
            assert torch.equal(x.level, y.level)
            assert all(torch.equal(p, q) for p, q in zip(x.packed, y.packed, strict=True))


@examples(60)
@given(st.lists(any_graph(), max_size=4))
def test_a_batch_taken_apart_gives_the_members(members):
    assert unbatch(batch(members)) == members


@examples(60)
@given(st.lists(st.one_of(slotted_trees(3), chains(), forests()), max_size=4))
def test_slots_survive(members):
    parts = unbatch(batch(members))
    assert parts == members
    assert all(torch.equal(a.slot, b.slot) for a, b in zip(parts, members, strict=True))


@examples(60)
@given(st.lists(any_graph(), max_size=4))
def test_nodes_edges_and_graphs_lie_side_by_side(members):
    whole, edges, at = batch(members), [], 0
    for t in members:
        edges += [(u + at, v + at) for u, v in t.edge_index.t().tolist()]
        at += t.num_nodes
    assert list(map(tuple, whole.edge_index.t().tolist())) == edges
    assert whole.num_nodes == at
    assert whole.num_graphs == sum(t.num_graphs for t in members)
    assert whole.graph_ptr.diff().tolist() == [size for t in members for size in t.graph_ptr.diff().tolist()]
    assert torch.equal(whole.batch, torch.repeat_interleave(whole.graph_ptr.diff()))


@examples(60)
@given(st.lists(acyclic(), max_size=4))
def test_levels_of_a_batch_are_the_most_of_its_members(members):
    assert batch(members).num_levels == max((t.num_levels for t in members), default=0)
    assert batch(members).reverse().num_levels == max((t.reverse().num_levels for t in members), default=0)


@examples(60)
@given(st.lists(any_graph(), min_size=1, max_size=4), st.booleans())
def test_parts_that_are_joined_equal_parts_that_are_computed(members, all_compiled):
    for i, t in enumerate(members):
        if all_compiled or i % 2:
            compiled(t)
    same_compiled(batch(members), fresh(batch(members)))
    assert unbatch(batch(members)) == members


def test_parts_of_compiled_members_are_joined(monkeypatch):
    members = [compiled(t) for t in (Topology.tree([2, 2, -1]), Topology.chain([3, 0]), Topology.tree([-1]))]
    whole = batch(members)
    assert "level" in whole._memo
    assert "level" in whole._memo["reverse"]._memo
    assert "level" not in batch([*members, Topology.from_edge_index(torch.tensor([[0], [1]]))])._memo

    def never(*given):
        raise AssertionError("levels were computed again")

    monkeypatch.setattr("graphseq.topology.graphs.levels", never)
    assert (whole.num_levels, whole.reverse().num_levels) == (3, 3)


@pytest.mark.parametrize("reverse_first", [False, True])
def test_batches_of_reversed_members(reverse_first):
    members = [Topology.tree([2, 2, 3, -1]), Topology.chain([4])]
    whole = batch([t.reverse() for t in members]) if reverse_first else batch(members).reverse()
    assert torch.equal(whole.edge_index, batch(members).edge_index.flip(0))
    assert unbatch(whole) == [t.reverse() for t in members]


def test_empty_lists_and_members():
    none = batch([])
    assert (none.num_nodes, none.num_edges, none.num_graphs, none.num_levels) == (0, 0, 0, 0)
    assert unbatch(none) == []
    members = [none, Topology.chain([0, 0]), Topology.tree([]), Topology.chain([2]), Topology.chain([])]
    whole = batch(members)
    assert whole.graph_ptr.tolist() == [0, 0, 0, 0, 2]
    assert unbatch(whole) == members


@examples(30)
@given(st.lists(st.one_of(chains(), dags(5)), max_size=3), st.lists(dags(5), max_size=3))
def test_batches_of_batches(first, second):
    whole = batch([batch(first), batch(second)])
    assert unbatch(whole) == [batch(first), batch(second)]
    assert whole == batch([*first, *second])


@given(grouped(any_graph()))
def test_what_was_never_joined_comes_apart_into_its_graphs(t):
    parts = unbatch(t)
    assert len(parts) == t.num_graphs
    for g, part in enumerate(parts):
        first = int(t.graph_ptr[g])
        own = t.batch[t.edge_index[0]] == g
        assert part.num_graphs == 1
        assert part.num_nodes == int((t.batch == g).sum())
        assert torch.equal(part.edge_index + first, t.edge_index[:, own])


def test_one_member_twice():
    t = compiled(Topology.tree([1, -1]))
    assert unbatch(batch([t, t])) == [t, t]
    same_compiled(batch([t, t]), fresh(batch([t, t])))
