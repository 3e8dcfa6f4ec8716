"""A topology as a value: equal, hashed, shown, pickled, moved, reversed."""

import copy
import pickle

import pytest
import torch
from hypothesis import given

from graphseq import Topology, batch
from tests.strategies import acyclic, any_graph, examples

PARTS = ("edge_index", "graph_ptr", "slot", "in_degree", "batch")


def compiled(t):
    t.matrix, t.batch, t.slot  # noqa: B018
    if t.is_acyclic:
        t.packed, t.reverse().packed
    return t


def same_packing(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.packed, b.packed, strict=True))


@given(any_graph())
def test_reversed_twice_is_the_same_object(t):
    turned = t.reverse()
    assert turned.reverse() is t
    assert t.reverse() is turned
    assert torch.equal(turned.edge_index, t.edge_index.flip(0))
    assert (turned.num_nodes, turned.num_graphs) == (t.num_nodes, t.num_graphs)
    assert torch.equal(turned.in_degree, t.out_degree)
    assert torch.equal(turned.batch, t.batch)
    assert turned == Topology.from_edge_index(t.edge_index.flip(0), batch=t.batch, num_graphs=t.num_graphs)


@examples(50)
@given(any_graph())
def test_copies_are_equal(t):
    before = pickle.loads(pickle.dumps(t))
    compiled(t)
    for other in (before, pickle.loads(pickle.dumps(t)), copy.deepcopy(t), t.to("cpu")):
        assert other == t
        assert hash(other) == hash(t)
        for name in PARTS:
            assert torch.equal(getattr(other, name), getattr(t, name))
        assert other.reverse().reverse() is other
        if t.is_acyclic:
            assert same_packing(other, t)


def test_unequal():
    t = Topology.chain([3])
    others = [
        Topology.chain([3, 0]),
        Topology.chain([1, 2]),
        Topology.chain([4]),
        Topology.from_edge_index(t.edge_index, 4),
        Topology.from_edge_index(t.edge_index.flip(1)),
        Topology.tree([1, 2, -1], slot=[0, 1, 0]),
        t.reverse(),
        "Topology",
        None,
    ]
    assert all(t != other for other in others)
    assert t == Topology.from_edge_index(t.edge_index)
    assert t == Topology.tree([1, 2, -1])
    assert len({t, Topology.chain([3]), *others[:2]}) == 3


def test_slots_that_are_asked_for_do_not_change_equality():
    one, other = Topology.tree([2, 2, -1]), Topology.tree([2, 2, -1])
    one.slot  # noqa: B018
    assert one == other
    assert one == Topology.tree([2, 2, -1], slot=[0, 1, 0])
    assert one != Topology.tree([2, 2, -1], slot=[1, 0, 0])


def test_shown():
    assert repr(Topology.chain([2, 3])) == "Topology(num_nodes=5, num_edges=3, num_graphs=2)"
    assert repr(batch([])) == "Topology(num_nodes=0, num_edges=0, num_graphs=0)"


def test_to_the_same_device_is_the_same_object():
    t = Topology.chain([2])
    assert t.to("cpu") is t
    assert t.to(torch.device("cpu")) is t


@examples(20)
@given(acyclic())
def test_all_that_is_compiled_moves_too(t):
    compiled(t)
    there = t.to("meta")
    assert there.device == torch.device("meta")
    assert (there.num_nodes, there.num_edges, there.num_graphs) == (t.num_nodes, t.num_edges, t.num_graphs)
    assert {"level", "packed", "matrix", "reverse"} <= there._memo.keys() == t._memo.keys()
    for moved, mine in ((there, t), (there.reverse(), t.reverse())):
        for name, part in mine.packed._asdict().items():
            here = "cpu" if name in ("level_ptr", "level_edges", "form") else "meta"
            assert getattr(moved.packed, name).device.type == here
            assert getattr(moved.packed, name).shape == part.shape
        assert moved.num_levels == mine.num_levels


@pytest.mark.cuda
def test_there_and_back():
    t = compiled(Topology.tree([2, 2, 4, 4, -1], slot=[1, 0, 0, 1, 0]))
    there = t.to("cuda")
    assert there.to("cpu") == t
    assert same_packing(there.to("cpu"), t)
    assert Topology.from_edge_index(t.edge_index.cuda()).to("cpu").num_levels == t.num_levels


def test_callers_tensors_stay_as_they_were():
    edge_index, parent = torch.tensor([[0, 1], [1, 2]]), torch.tensor([2, 2, -1])
    lengths, members = torch.tensor([2, 0, 1]), torch.tensor([0, 0, 0])
    given = [edge_index, parent, lengths, members]
    before = [g.clone() for g in given]
    for t in (
        Topology.from_edge_index(edge_index, batch=members),
        Topology.tree(parent),
        Topology.chain(lengths),
    ):
        compiled(t)
        batch([t, t])
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
