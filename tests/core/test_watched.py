"""Structures that move, and that are first used while somebody looks on."""

import copy
import pickle

import pytest
import torch
from torch import func
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import ShapeEnv

import graphseq as gs
from graphseq import core, nn, spectral
from graphseq.topology import links as links_module
from tests.core.ways import (
    CHAINS,
    DAG,
    MAKERS,
    TREE,
    H,
    peephole,
)
from tests.oracles import assert_agree, leaf


def test_what_is_compiled_moves_along(monkeypatch):
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 1], [1, 2, 0]]), 3)
    t.memo("mine", lambda: (torch.ones(2), {"deep": torch.zeros(1)}, "word"))
    t.matrix, t.batch, t.slot, t.reverse().matrix, spectral.gcn_norm(t)
    there = t.to("meta")

    def fail(*given, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(links_module, "csr", fail)
    monkeypatch.setattr(spectral.matrices, "remaining_loops", fail)
    monkeypatch.setattr(spectral.matrices, "spmm", fail)
    moved, deep, word = there.memo("mine", fail)
    assert (moved.device.type, deep["deep"].device.type, word) == ("meta", "meta", "word")
    parts = (*there.matrix, there.batch, there.slot, there.in_degree, *there.reverse().matrix)
    assert all(part.device.type == "meta" for part in parts)
    assert there.reverse().reverse() is there
    looped, weight = spectral.gcn_norm(there)
    assert (looped.device.type, weight.device.type, looped.num_edges) == ("meta", "meta", 6)
    assert t.to("cpu") is t


def under_grad(call, x):
    func.grad(lambda z: call(z).sum())(x)


def under_vmap(call, x):
    func.vmap(call)(torch.stack([x, x]))


def under_forward_mode(call, x):
    func.jvp(call, (x,), (x,))


def under_a_hessian(call, x):
    func.jacfwd(func.grad(lambda z: call(z).sum()))(x)


def under_inference_mode(call, x):
    with torch.inference_mode():
        call(x)


def under_fake_tensors(call, x):
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()) as mode:
        call(mode.from_tensor(x, static_shapes=True))


def under_a_graph(call, x):
    make_fx(call)(x)


def maximal(f: int, h: int) -> gs.Cell:
    cell = nn.GRUCell(f, h)
    cell.merge = "max"
    return cell


WATCHERS = [
    under_grad, under_vmap, under_forward_mode, under_a_hessian, under_inference_mode, under_fake_tensors,
    under_a_graph,
]  # fmt: skip
watchers = pytest.mark.parametrize("watch", WATCHERS, ids=lambda w: w.__name__)
USERS = {
    "a cell by its equations": (nn.Recurrent(peephole(H, 4)), lambda m, x, t: m(x, t)[0]),
    "a cell that takes the maximum": (nn.Recurrent(maximal(H, 4)), lambda m, x, t: m(x, t)),
    "slots": (nn.TreeLSTM(H, 4, "nary", 3), lambda m, x, t: m(x, t)[0]),
    "backwards": (nn.Recurrent(nn.GRUCell(H, 4), gs.Sweep(reverse=True)), lambda m, x, t: m(x, t)),
    "rounds": (nn.Recurrent(nn.GRUCell(H, H), gs.Rounds(2)), lambda m, x, t: m(x, t)),
    "both ways": (nn.GRU(H, 4, bidirectional=True), lambda m, x, t: m(x, topology=t)[0]),
    "GCN": (nn.GCNConv(H, 4), lambda m, x, t: m(x, t)),
    "Cheb": (nn.ChebConv(H, 2, 3), lambda m, x, t: m(x, t)),
    "gated max": (nn.GatedGraphConv(4, 2, "max"), lambda m, x, t: m(x, t)),
    "readout": (torch.nn.Identity(), lambda m, x, t: nn.readout(m(x), t, "max")),
}


@watchers
@pytest.mark.parametrize("name", USERS)
def test_a_topology_that_was_first_used_elsewhere_can_be_pickled_and_trains(name, watch):
    layer, call = USERS[name]
    for make in (
        lambda: gs.Topology.chain([3, 0, 1, 3]),
        lambda: gs.Topology.tree([4, 4, 3, 5, 5, -1, 5]),
        lambda: gs.Topology.from_edge_index(DAG.edge_index, 7),
    ):
        t, x = make(), leaf(7, H, dtype=torch.float32)
        watch(lambda z: call(layer, z, t), x.detach())  # noqa: B023
        again, wanted = pickle.loads(pickle.dumps(t)), call(layer, x, make())
        assert again == t == copy.deepcopy(t)
        for other in (t, again):
            assert_agree(call(layer, x, other), wanted, [x])


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("name", ["slots", "both ways", "GCN", "readout"])
def test_a_topology_that_compiled_inference_saw_first_trains(name, fullgraph):
    layer, call = USERS[name]
    torch._dynamo.reset()
    compiled = torch.compile(lambda z, t: call(layer, z, t), backend="aot_eager", fullgraph=fullgraph)
    fresh, x = [gs.Topology.from_edge_index(DAG.edge_index, 7) for _ in range(3)], leaf(7, H, dtype=torch.float32)
    with torch.no_grad():
        compiled(x.detach(), fresh[0])
    for t in fresh:  # the others run by the same graph
        with torch.inference_mode():
            compiled(x.detach(), t)
        wanted = call(layer, x, gs.Topology.from_edge_index(DAG.edge_index, 7))
        assert_agree(call(layer, x, t), wanted, [x])
        compiled(x, t).sum().backward()


def test_a_topology_that_inference_mode_has_moved_serves_training():
    with torch.inference_mode():
        there = gs.Topology.chain([3]).to("meta")
    assert not any(part.is_inference() for part in (there.edge_index, *there.matrix))


def several():
    return gs.batch([gs.Topology.chain([3]), gs.Topology.tree([1, -1])]), []


def one_of_several():
    return gs.unbatch(gs.batch([TREE, CHAINS]))[1], []


def the_other_way_round():
    return gs.Topology.chain([3, 2]).reverse(), []


@pytest.mark.parametrize("watch", WATCHERS[:-2], ids=lambda w: w.__name__)  # what is made of fake tensors is fake
@pytest.mark.parametrize("make", [*MAKERS, several, one_of_several, the_other_way_round], ids=lambda m: m.__name__)
def test_a_structure_that_is_made_elsewhere_can_be_pickled_and_trains(make, watch):
    made, layer = [], nn.Recurrent(peephole(H, 4))

    def use(t, x):
        rows = x[:1].expand(t.num_senders, H)
        out = core.aggregate(t, (rows,), merge="max")[0].sum()
        return out + (layer(rows, t)[0].sum() if isinstance(t, gs.Topology) else 0)

    def call(x):
        made.append(make()[0])
        return use(made[-1], x)

    watch(call, torch.randn(2, H))
    x, wanted = leaf(2, H, dtype=torch.float32), make()[0]
    for t in (made[0], pickle.loads(pickle.dumps(made[0]))):
        assert torch.equal(t.edge_index, wanted.edge_index)
        assert_agree(use(t, x), use(wanted, x), [x])


@pytest.mark.parametrize("kind", [gs.Cell, gs.Merge, gs.Schedule, gs.recipes.Recipe], ids=lambda k: k.__name__)
def test_what_is_abstract_has_no_objects(kind):
    with pytest.raises(TypeError, match="abstract"):
        kind()
