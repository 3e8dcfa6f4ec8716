"""Graph convolutions equal PyG's with PyG's weights, and their formulas on dense matrices."""

import pickle
from copy import deepcopy
from functools import partial

import pytest
import torch
import torch_geometric.nn as pyg
from hypothesis import given
from torch import nn

import graphseq as gs
from graphseq import nn as gnn
from graphseq.nn import GatedGraphConv, GCNConv, GINConv
from graphseq.spectral import gcn_norm
from tests.oracles import adjacency, assert_close
from tests.strategies import examples, graphs


def perceptron():
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))


ATTENTION = [
    ("gat", "GATConv", {"heads": 2}),
    ("gat mean", "GATConv", {"heads": 3, "concat": False, "negative_slope": 0.5, "residual": True}),
    ("gat without loops", "GATConv", {"add_self_loops": False, "bias": False}),
    ("gatv2", "GATv2Conv", {"heads": 2}),
    ("gatv2 mean", "GATv2Conv", {"heads": 3, "concat": False, "share_weights": True, "residual": True}),
    ("gatv2 without loops", "GATv2Conv", {"add_self_loops": False, "bias": False}),
    ("transformer", "TransformerConv", {"heads": 2}),
    ("transformer mean", "TransformerConv", {"heads": 3, "concat": False, "beta": True}),
    ("transformer bare", "TransformerConv", {"bias": False}),
]
FILTERS = [
    ("sage", "SAGEConv", {}),
    ("sage narrow", "SAGEConv", {"aggr": "add", "normalize": True, "project": True}),
    ("sage max", "SAGEConv", {"aggr": "max", "root_weight": False}),
    ("sage softmax", "SAGEConv", {"aggr": "softmax"}),
    ("graph", "GraphConv", {}),
    ("graph mean narrow", "GraphConv", {"aggr": "mean", "bias": False}),
    ("graph max", "GraphConv", {"aggr": "max"}),
    ("cheb", "ChebConv", {"K": 3}),
    ("cheb narrow", "ChebConv", {"K": 4, "bias": False}),
    ("cheb bare", "ChebConv", {"K": 1}),
    ("cheb rw", "ChebConv", {"K": 3, "normalization": "rw"}),
    ("cheb rw narrow", "ChebConv", {"K": 2, "normalization": "rw"}),
    ("sg", "SGConv", {"K": 2}),
    ("sg narrow", "SGConv", {"K": 3, "bias": False}),
    ("sg without loops", "SGConv", {"K": 2, "add_self_loops": False}),
    ("tag", "TAGConv", {}),
    ("tag narrow", "TAGConv", {"K": 2, "bias": False}),
    ("tag as is", "TAGConv", {"K": 2, "normalize": False}),
    ("arma", "ARMAConv", {}),
    ("arma stacks", "ARMAConv", {"num_stacks": 2, "num_layers": 3, "bias": False}),
    ("arma shared narrow", "ARMAConv", {"num_layers": 3, "shared_weights": True, "act": nn.Tanh()}),
]


class Given(nn.Module):
    """A layer that takes more than features and edges, with the rest made of these."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, edges, *rest):
        if isinstance(self.layer, gnn.GCN2Conv | pyg.GCN2Conv):
            return self.layer(x, torch.cos(x) if x.is_floating_point() else x, edges, *rest)
        count = edges.num_edges if isinstance(edges, gs.Topology) else edges.numel() // 2
        if isinstance(self.layer, gnn.RGCNConv | pyg.RGCNConv):
            return self.layer(x, edges, torch.arange(count) % 3, *rest)
        if isinstance(self.layer, gnn.PNAConv | pyg.PNAConv) and self.layer.edge_dim is None:
            return self.layer(x, edges, *rest)
        wide = 3 if getattr(self.layer, "lin", None) is None else 2
        return self.layer(x, edges, torch.arange(wide * count).view(count, wide).to(x.dtype).sin(), *rest)


def histogram():
    return torch.tensor([1, 3, 2, 1])


def of_pairs():
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


GIVEN = [
    ("appnp", "APPNP", (3, 0.2), {}),
    ("appnp as is", "APPNP", (2, 0.5), {"normalize": False}),
    ("appnp without loops", "APPNP", (2, 0.1), {"add_self_loops": False}),
    ("gine", "GINEConv", (perceptron,), {"eps": 0.3}),
    ("gine mapped", "GINEConv", (perceptron,), {"edge_dim": 2, "train_eps": True}),
    ("edge max", "EdgeConv", (of_pairs,), {}),
    ("edge mean", "EdgeConv", (of_pairs,), {"aggr": "mean"}),
    ("gcn2", "GCN2Conv", (3, 0.3), {}),
    ("gcn2 deep", "GCN2Conv", (3, 0.3), {"theta": 0.5, "layer": 2}),
    ("gcn2 unshared", "GCN2Conv", (3, 0.3), {"theta": 0.5, "layer": 1, "shared_weights": False}),
    ("gcn2 as is", "GCN2Conv", (3, 0.3), {"normalize": False}),
    ("gcn2 without loops", "GCN2Conv", (3, 0.3), {"add_self_loops": False}),
    ("nn", "NNConv", (3, 4, lambda: nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 12))), {}),
    ("nn narrow", "NNConv", (3, 2, lambda: nn.Linear(2, 6, bias=False)), {"aggr": "mean", "bias": False}),
    ("nn max", "NNConv", (3, 4, lambda: nn.Linear(2, 12)), {"aggr": "max"}),
    ("pna max", "PNAConv", (3, 4, ["sum", "mean", "max"], ["identity", "linear"], histogram), {}),
    ("pna", "PNAConv", (3, 4, ["mean", "var"], ["amplification", "attenuation", "inverse_linear"], histogram),
     {"edge_dim": 2, "towers": 2, "pre_layers": 2, "post_layers": 2, "act": "tanh", "train_norm": True}),
    ("rgcn", "RGCNConv", (3, 4, 3), {}),
    ("rgcn narrow", "RGCNConv", (3, 2, 4), {"aggr": "add", "bias": False}),
    ("rgcn bases", "RGCNConv", (3, 2, 3), {"num_bases": 2, "root_weight": False}),
    ("rgcn blocks", "RGCNConv", (3, 6, 3), {"num_blocks": 3}),
    ("rgcn max", "RGCNConv", (3, 2, 3), {"aggr": "max"}),
]


def made(library, kind, args, options):
    layer = getattr(library, kind)(*[arg() if callable(arg) else arg for arg in args], **options)
    return Given(layer) if kind in ("GINEConv", "GCN2Conv", "RGCNConv", "NNConv", "PNAConv") else layer


CASES = {
    "gcn": (lambda: GCNConv(3, 4), lambda: pyg.GCNConv(3, 4)),
    "gcn narrow": (lambda: GCNConv(3, 2), lambda: pyg.GCNConv(3, 2)),
    "gcn square": (lambda: GCNConv(3, 3), lambda: pyg.GCNConv(3, 3)),
    "gcn without loops": (lambda: GCNConv(3, 4, add_self_loops=False), lambda: pyg.GCNConv(3, 4, add_self_loops=False)),
    "gcn as is": (lambda: GCNConv(3, 4, normalize=False), lambda: pyg.GCNConv(3, 4, normalize=False)),
    "gcn bare": (lambda: GCNConv(3, 4, bias=False), lambda: pyg.GCNConv(3, 4, bias=False)),
    "gin": (lambda: GINConv(perceptron(), eps=0.3), lambda: pyg.GINConv(perceptron(), eps=0.3)),
    "gin learnt": (lambda: GINConv(perceptron(), train_eps=True), lambda: pyg.GINConv(perceptron(), train_eps=True)),
    "gated": (lambda: GatedGraphConv(4, 3), lambda: pyg.GatedGraphConv(4, 3)),
    "gated mean": (lambda: GatedGraphConv(4, 2, aggr="mean"), lambda: pyg.GatedGraphConv(4, 2, aggr="mean")),
    "gated max": (lambda: GatedGraphConv(4, 2, aggr="max"), lambda: pyg.GatedGraphConv(4, 2, aggr="max")),
    "gated bare": (lambda: GatedGraphConv(4, 1, bias=False), lambda: pyg.GatedGraphConv(4, 1, bias=False)),
    **{name: (partial(getattr(gnn, kind), 3, 4, **options), partial(getattr(pyg, kind), 3, 4, **options))
       for name, kind, options in ATTENTION},
    **{name: tuple(partial(getattr(library, kind), 3, 2 if "narrow" in name else 4, **options)
                   for library in (gnn, pyg)) for name, kind, options in FILTERS},
    **{name: tuple(partial(made, library, *rest) for library in (gnn, pyg)) for name, *rest in GIVEN},
}  # fmt: skip
UNWEIGHTED = ("gin", "gat", "transformer", "sage", "edge", "rgcn", "nn", "pna")
WEIGHTED = [name for name in CASES if name.startswith("gated") or not name.startswith(UNWEIGHTED)]
OF_NO_WIDTH = ("gin", "edge", "appnp")  # their networks', or any
cases = pytest.mark.parametrize("name", CASES)


def twins(name):
    ours, theirs = (make().double() for make in CASES[name])
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def agree(ours, theirs, leaves, a, b):
    assert_close(a, b, 1e-11)
    weight = torch.randn_like(b)
    names = [n for n, _ in theirs.named_parameters()]
    found = [
        torch.autograd.grad(
            (out * weight).sum(), [*leaves, *(dict(m.named_parameters())[n] for n in names)], retain_graph=True,
            allow_unused=True,
        )
        for out, m in ((a, ours), (b, theirs))
    ]  # fmt: skip
    for p, q in zip(*found, strict=True):
        assert (p is None) == (q is None)
        if p is not None:
            assert_close(p, q, 1e-10)


@cases
@given(t=graphs())
@examples(12)
def test_equal_pyg(name, t):
    ours, theirs = twins(name)
    x = torch.randn(t.num_nodes, 3, dtype=torch.float64, requires_grad=True)
    if t.num_nodes == 0:
        assert ours(x, t).shape[0] == 0
        return
    wanted = theirs(x, t.edge_index)
    for structure in (t, t.edge_index):
        agree(ours, theirs, [x], ours(x, structure), wanted)


@pytest.mark.parametrize("name", WEIGHTED)
def test_equal_pyg_with_weights(name):
    ours, theirs = twins(name)
    u, v = torch.randint(0, 8, (2, 28))
    loops = torch.tensor([0, 3])  # one a node: PyG 2.8 gives both of two a gradient, though it uses only one
    edge_index = torch.stack([torch.cat([u, loops]), torch.cat([torch.where(u == v, (v + 1) % 8, v), loops])])
    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(30, dtype=torch.float64, requires_grad=True)
    agree(ours, theirs, [x, weight], ours(x, edge_index, weight), theirs(x, edge_index, weight))


@given(t=graphs())
@examples(12)
def test_gcn_is_its_formula(t):
    n = t.num_nodes
    conv, x = GCNConv(3, 4).double(), torch.randn(n, 3, dtype=torch.float64)
    dense = adjacency(t.edge_index, n)
    dense.fill_diagonal_(1)
    root = dense.sum(1).rsqrt()
    assert_close(conv(x, t), root[:, None] * dense * root @ x @ conv.lin.weight.T + conv.bias)


def test_improved_gcn_doubles_the_loops():
    edge_index = torch.tensor([[0, 1], [1, 0]])
    looped, weight = gcn_norm(gs.Topology.from_edge_index(edge_index), improved=True)
    assert_close(weight, torch.tensor([1, 1, 2, 2]) / 3)
    assert looped.num_edges == 4
    ones = torch.ones(2)
    conv, peer = GCNConv(3, 4, improved=True), pyg.GCNConv(3, 4, improved=True)
    conv.load_state_dict(peer.state_dict())
    x = torch.randn(2, 3)
    assert_close(conv(x, edge_index), peer(x, edge_index, ones))


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("weight", [[1.0, -2, 0.5, -3, 1], [-1.0, -1, 0, 1, 0], [0.0] * 5, [-1.0] * 5])
def test_gcn_of_degrees_that_are_not_positive(weight, loops):
    edge_index, x = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 0, 0, 3]]), torch.randn(4, 3)
    conv, peer = GCNConv(3, 4, add_self_loops=loops), pyg.GCNConv(3, 4, add_self_loops=loops)
    conv.load_state_dict(peer.state_dict())
    out, wanted = (layer(x, edge_index, torch.tensor(weight)) for layer in (conv, peer))
    torch.testing.assert_close(out, wanted, equal_nan=True)


def test_gin_is_its_formula():
    t = gs.Topology.from_edge_index(torch.randint(0, 6, (2, 15)), 6)
    conv, x = GINConv(perceptron(), eps=0.2).double(), torch.randn(6, 3, dtype=torch.float64)
    assert_close(conv(x, t), conv.nn((1.2 * torch.eye(6).double() + adjacency(t.edge_index, 6)) @ x), 1e-7)


@cases
def test_derivatives(name):
    layer = CASES[name][0]().double()
    edge_index = torch.tensor([[0, 1, 2, 2, 3, 1], [1, 0, 1, 3, 3, 0]])
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    if "max" not in name and "gin" not in name:
        assert torch.autograd.gradgradcheck(lambda x: layer(x, edge_index), x)
    assert torch.autograd.gradcheck(lambda x: layer(x, edge_index), x)


@cases
def test_relabelling_permutes(name):
    layer, t = CASES[name][0]().double(), gs.Topology.from_edge_index(torch.randint(0, 6, (2, 15)), 6)
    x, order = torch.randn(6, 3, dtype=torch.float64), torch.randperm(6)
    inverse = torch.argsort(order)
    assert_close(layer(x[order], inverse[t.edge_index]), layer(x, t)[order])


@cases
def test_small_structures(name):
    layer = CASES[name][0]()
    for n, edges in ((0, 0), (1, 0), (4, 0)):
        x = torch.randn(n, 3, requires_grad=True)
        out = layer(x, torch.empty(2, edges, dtype=torch.int64))
        out.sum().backward()
        assert torch.isfinite(out).all()
        assert torch.isfinite(x.grad).all()


@cases
def test_compiled_for_any_size(name):
    """Once for all of five sizes, without a graph break."""
    torch._dynamo.reset()
    layer = CASES[name][0]()
    fast = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n, edges in ((6, 15), (9, 20), (4, 11), (30, 70), (17, 33)):
            edge_index, x = torch.randint(0, n, (2, edges)), torch.randn(n, 3, requires_grad=True)
            for found, wanted in zip(*(with_gradients(f, x, edge_index) for f in (fast, layer)), strict=True):
                assert_close(found, wanted, 1e-5)


def with_gradients(layer, x, edge_index):
    out = layer(x, edge_index)
    return out, torch.autograd.grad(out.sin().sum(), x)[0]


def _positioned(name):
    """Whether `Given` makes features of edges by where these stand in their list."""
    layer = CASES[name][0]()
    return isinstance(layer, Given) and not isinstance(layer.layer, gnn.GCN2Conv)


ANYWHERE = [name for name in CASES if not _positioned(name)]


@pytest.mark.parametrize("name", ANYWHERE)
def test_batched_equals_separate(name):
    """Graphs beside each other, empty ones first, last and between them, don't see each other."""
    layer = CASES[name][0]().double()
    pairs = [(0, 0), (4, 9), (0, 0), (6, 14), (1, 1), (0, 0)]  # numbers of nodes and edges
    alone = [gs.Topology.from_edge_index(torch.randint(0, max(n, 1), (2, e)), n) for n, e in pairs]
    parts = [torch.randn(n, 3).double() for n, _ in pairs]
    together = layer(torch.cat(parts), gs.batch(alone))
    assert_close(together, torch.cat([layer(x, t) for x, t in zip(parts, alone, strict=True)]), 1e-11)


@pytest.mark.parametrize("name", [name for name in ANYWHERE if "lstm" not in name])
def test_edges_in_another_order(name):
    layer, edge_index = CASES[name][0]().double(), torch.randint(0, 6, (2, 15))
    x = torch.randn(6, 3).double()
    assert_close(layer(x, edge_index[:, torch.randperm(15)]), layer(x, edge_index), 1e-11)


@cases
def test_saved_and_loaded(name, tmp_path):
    layer, other = (CASES[name][0]() for _ in range(2))
    torch.save(layer.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x, edge_index = torch.randn(6, 3), torch.randint(0, 6, (2, 15))
    for copy in (other, deepcopy(layer), pickle.loads(pickle.dumps(layer))) if "gin" not in name else (other,):
        assert torch.equal(copy(x, edge_index), layer(x, edge_index))


@cases
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits(name, dtype):
    layer, edge_index = CASES[name][0](), torch.randint(0, 6, (2, 15))
    x = torch.randn(6, 3)
    found = deepcopy(layer).to(dtype)(x.to(dtype), edge_index)
    assert found.dtype == dtype
    assert_close(found.float(), layer(x, edge_index), 0.1)


@cases
def test_autocast(name):
    layer, edge_index = CASES[name][0](), torch.randint(0, 6, (2, 15))
    x = torch.randn(6, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x, edge_index)
    out.float().sum().backward()
    assert_close(out.float(), layer(x, edge_index), 0.1)


def test_a_width_that_the_first_call_says():
    conv = GCNConv(-1, 4)
    assert conv(torch.randn(2, 7), torch.tensor([[0], [1]])).shape == (2, 4)
    assert conv.lin.weight.shape == (4, 7)


def test_an_edge_list_is_compiled_once_and_anew_when_it_changes():
    conv, edge_index, x = GCNConv(3, 4), torch.tensor([[0, 1], [1, 2]]), torch.randn(3, 3)
    before = conv(x, edge_index)
    assert torch.equal(conv(x, edge_index), before)
    edge_index[1, 1] = 0
    assert_close(conv(x, edge_index), conv(x, edge_index.clone()))
    assert not torch.equal(conv(x, edge_index), before)


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name):
    layer, edges = CASES[name][0](), torch.tensor([[0, 1], [1, 2]])
    x = torch.randn(3, 3)
    for wrong, message in (
        (edges.float(), "`edge_index`: expected int64"),
        (edges[0], "`edge_index`: expected int64"),
        (edges + 5, "`edge_index`: expected numbers from 0 to 2"),
        (gs.Topology.chain([4]), "`x`: expected 4 rows"),
        (edges.to("meta"), "`edge_index`: expected a structure on cpu"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            layer(x, wrong)
    with pytest.raises(gs.GraphError, match="`x`: expected a floating-point tensor"):
        layer(x.long(), edges)
    if not name.startswith("appnp"):
        with pytest.raises(gs.GraphError, match="`x`: expected float32 on cpu, as the layer's weight is, got float64"):
            layer(x.double(), edges)
    if name in WEIGHTED:
        with pytest.raises(gs.GraphError, match="`edge_weight`: expected"):
            layer(x, edges, torch.ones(3))
    if not name.startswith(OF_NO_WIDTH):
        with pytest.raises(gs.GraphError, match="`x`: expected"):
            layer(torch.randn(3, 9), edges)


def test_bad_options():
    with pytest.raises(gs.GraphError, match="`aggr`"):
        GatedGraphConv(4, 2, aggr="median")
    with pytest.raises(gs.GraphError, match="`num_layers`"):
        GatedGraphConv(4, 0)
    with pytest.raises(gs.GraphError, match="`in_channels`"):
        GCNConv(-2, 4)


def test_edges_that_change_behind_pytorchs_back():
    shared = torch.tensor([[0, 1], [1, 2]]).numpy()
    conv, edge_index, x = GCNConv(3, 4), torch.from_numpy(shared), torch.randn(3, 3)
    before = conv(x, edge_index)
    shared[1, 1] = 0
    assert not torch.equal(conv(x, edge_index), before)
    assert_close(conv(x, edge_index), conv(x, edge_index.clone()))


def test_loops_without_normalisation_are_refused():
    with pytest.raises(gs.GraphError, match="`add_self_loops`"):
        GCNConv(3, 4, normalize=False, add_self_loops=True)


SHORTCUTS = {
    "gcn first": (lambda: GCNConv(3, 4), lambda m: m.lin), "gcn last": (lambda: GCNConv(3, 2), lambda m: m.lin),
    "sage": (lambda: gnn.SAGEConv(3, 2), lambda m: m.lin_l),
    "graph": (lambda: gnn.GraphConv(3, 2), lambda m: m.lin_rel),
    "sg": (lambda: gnn.SGConv(3, 2), lambda m: m.lin), "cheb": (lambda: gnn.ChebConv(3, 2, 3), lambda m: m.lins[0]),
    "tag": (lambda: gnn.TAGConv(3, 2), lambda m: m.lins[0]),
    "edge": (lambda: gnn.EdgeConv(nn.Linear(6, 4)), lambda m: m.nn),
    "edge network": (lambda: gnn.EdgeConv(nn.Sequential(nn.Linear(6, 4), nn.Tanh())), lambda m: m.nn),
    "graph network": (lambda: gnn.GraphNetwork(None, nn.Linear(3, 4)), lambda m: m.node_model),
    "graph network's edges": (lambda: gnn.GraphNetwork(nn.Sequential(nn.Linear(6, 4)), None), lambda m: m.edge_model),
}  # fmt: skip


@pytest.mark.parametrize("name", SHORTCUTS)
def test_whatever_watches_a_linear_map_is_called(name):
    """Layers apply maps where it is cheapest, if nobody can tell the difference."""
    edges, x = torch.tensor([[0, 1, 2, 3], [1, 2, 0, 1]]), torch.randn(4, 3)
    make, part = SHORTCUTS[name]

    def called(layer):
        out = layer(x, edges)
        return torch.cat([o.flatten() for o in out if o is not None]) if isinstance(out, tuple) else out

    layer, seen = make(), []
    inner, plain = part(layer), called(layer)
    handles = [
        inner.register_forward_pre_hook(lambda module, given: seen.append("before")),
        inner.register_forward_hook(lambda module, given, out: seen.append("after")),
        inner.register_full_backward_hook(lambda module, given, out: seen.append("back")),
        inner.register_full_backward_pre_hook(lambda module, out: seen.append("first back")),
    ]
    for k, kind in enumerate(("before", "after", "back", "first back")):
        for other in handles[:k]:
            other.remove()
        seen.clear()
        out = called(layer)
        out.sum().backward()
        assert kind in seen
        assert_close(out, plain, 1e-5)
    handles[-1].remove()
    doubled = inner.register_forward_pre_hook(lambda module, given: (2 * given[0],))
    assert not torch.allclose(called(layer), plain)
    doubled.remove()
    forward = inner.forward
    inner.forward = lambda given: 0 * forward(given)
    assert not torch.allclose(called(layer), plain)


@pytest.mark.parametrize("called", [True, False])
def test_a_transformer_without_root_weight_is_loaded_into_pygs(called):
    x, edges = torch.randn(3, 5), torch.tensor([[0, 1, 2], [1, 2, 0]])
    ours = gnn.TransformerConv(-1, 4, root_weight=False)
    theirs = pyg.TransformerConv(-1, 4, root_weight=False)
    wanted = ours(x, edges)
    if called:
        theirs(x, edges)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(theirs(x, edges), wanted)
