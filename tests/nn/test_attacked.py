"""What was once a wrong number without an error: each case against the equations, PyG or plain algebra."""

from copy import deepcopy

import pytest
import torch
import torch_geometric.nn as pyg
from torch import nn as torch_nn

import graphseq as gs
from graphseq import core, lowering, nn, spectral
from graphseq.nn.attention import Additive, Dot, PerFeature
from tests.oracles import assert_close

N, F = 7, 8
EDGES = torch.tensor([[0, 1, 2, 3, 0, 1, 4, 2, 5], [1, 2, 3, 3, 2, 2, 0, 2, 4]])
LINKS = gs.Links.between(EDGES, N, N)
TWO = gs.Links.between(torch.tensor([[0, 1], [0, 0]]), 2, 1)
LAYERS = {
    "gat": lambda: nn.GATConv(F, 4, 2),
    "gatv2": lambda: nn.GATv2Conv(F, 4, 2),
    "transformer": lambda: nn.TransformerConv(F, 4, 2),
}


def draw(*shape):
    return torch.randn(*shape, requires_grad=True)


# ---------------------------------------------------------------------------------------------------------- attention


@pytest.mark.parametrize("rows", [3, 9])
@pytest.mark.parametrize("score", [Additive(), Dot(1), PerFeature(torch.ones(1, 2))], ids=["sum", "dot", "feature"])
def test_rows_of_another_number(score, rows):
    state = (draw(N, 2),) if isinstance(score, PerFeature) else (draw(N, 2), draw(N, 2))
    given = {"message": gs.FIRST, "merge": gs.Softmax(score)}
    with pytest.raises(gs.GraphError, match=f"`received`: expected {N} rows, one for each receiver"):
        core.aggregate(LINKS, state, received=draw(rows, 2), **given)
    with pytest.raises(gs.GraphError, match=r"`edge_attr`: expected 9 rows, one for each edge"):
        core.aggregate(LINKS, state, received=draw(N, 2), edge_attr=draw(rows - 1, 2), **given)


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e3, 1e4])
@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_of_large_scores(layer, scale):
    """They are as exact as those of the equations in the same precision."""
    ours = LAYERS[layer]()
    x = torch.randn(N, F) * scale

    def errors(module, exact):
        given = x.to(next(module.parameters()).dtype).requires_grad_()
        found = torch.autograd.grad(module(given, EDGES).sum(), [given, *module.parameters()], allow_unused=True)
        if exact is None:
            return found
        pairs = [(a, b) for a, b in zip(found, exact, strict=True) if b is not None]
        return [float((a.double() - b).norm() / (b.norm() + 1e-3)) for a, b in pairs]

    exact = errors(deepcopy(ours).double(), None)
    fused = errors(ours, exact)
    with lowering.disabled():
        plain = errors(ours, exact)
    assert max(fused) < 3 * max(plain) + 1e-5


@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_scale_is_learnt(shape):
    scale, x, q = torch.full(shape, 0.7, requires_grad=True), draw(N, F), draw(N, F)
    found = []
    for plain in (False, True):
        with lowering.disabled() if plain else torch.enable_grad():
            merge = gs.Softmax(Dot(2, scale))
            (out,) = core.aggregate(LINKS, (x, x), message=gs.FIRST, merge=merge, received=q)
            found.append([out, *torch.autograd.grad(out.square().sum(), [scale, x, q])])
    for a, b in zip(*found, strict=True):
        assert_close(a, b, 1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_edges_of_attention_are_the_callers_own(layer):
    weight, gcn, conv, x = torch.rand(9), nn.GCNConv(F, 4), LAYERS[layer](), torch.randn(N, F)
    before = gcn(x, EDGES, weight)
    conv.attention(x, EDGES)[0].zero_()
    assert torch.equal(gcn(x, EDGES, weight), before)
    topology = gs.Topology.from_edge_index(EDGES, N)
    conv.add_self_loops = False
    conv.attention(x, topology)[0].zero_()
    assert torch.equal(topology.edge_index, EDGES)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_attention_by_the_newest_norm():
    conv, x = nn.GATConv(F, 4, 2), torch.randn(N, F)
    torch_nn.utils.weight_norm(conv, "att_src")
    conv(x, EDGES)
    with torch.no_grad():
        for p in conv.parameters():
            p.mul_(-3)
    early = conv.attention(x, EDGES)[1]
    conv(x, EDGES)
    assert_close(early, conv.attention(x, EDGES)[1])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nn.GATConv(F, 4, negative_slope=None), "`negative_slope`: expected a number"),
    (lambda: nn.GATv2Conv(F, 4, negative_slope="0.2"), "`negative_slope`: expected a number"),
    (lambda: gs.Softmax(dropout=1.5), "`dropout`: expected a number from 0 to 1"),
    (lambda: core.aggregate(LINKS, (draw(N, F), draw(N, F)), message=gs.FIRST, merge=gs.Softmax(Dot(3)),
                            received=draw(N, F)), "`heads`: expected a number that divides the 8 features"),
    (lambda: core.softmax(LINKS, torch.arange(9)), "`scores`: expected floating-point numbers"),
    (lambda: core.aggregate(LINKS, (draw(N, F),), merge=gs.Softmax(lambda s, r, e: s[0][:, 0].long())),
     "`score`: expected to return floating-point numbers"),
])  # fmt: skip
def test_bad_options(call, message):
    with pytest.raises(gs.GraphError, match=message):
        call()


@pytest.mark.parametrize("layer", [nn.GATConv, nn.GATv2Conv])
def test_loops_with_the_mean_of_edge_features_are_traced(layer):
    conv, x, edge_attr = layer(F, 4, 2, edge_dim=3), torch.randn(N, F), torch.randn(9, 3)
    traced = torch.compile(conv, fullgraph=True, backend="aot_eager")
    assert_close(traced(x, EDGES, edge_attr), conv(x, EDGES, edge_attr), 1e-5)


# ------------------------------------------------------------------------------------------------------------- merges


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_hidden(value):
    rows = torch.tensor([[value], [1.0]])
    assert core.aggregate(TWO, (rows,), merge="std")[0].isnan()
    (mean,) = core.aggregate(TWO, (rows,), merge=gs.PowerMean(2.0))
    assert torch.equal(mean.isnan(), torch.tensor([[value != value]])) and not mean.isfinite()


def test_a_power_is_a_parameter_of_the_layer():
    power = torch_nn.Parameter(torch.tensor(2.0))
    net = nn.GraphNetwork(torch_nn.Linear(2 * F, 3), aggregate=gs.PowerMean(power))
    assert any(p is power for p in net.parameters())
    x = torch.randn(N, F)
    swapped = torch.func.functional_call(net, {"aggregate.p": torch.tensor(1.0)}, (x, EDGES))
    with torch.no_grad():
        power.fill_(1.0)
    for a, b in zip(swapped, net(x, EDGES), strict=True):
        assert a is b is None or torch.equal(a, b)


# --------------------------------------------------------------------------------------------------------- fixed point


class Mean(nn.ElmanCell):
    merge = "mean"


def test_the_gradient_of_a_fixed_point_does_not_depend_on_the_scale_of_the_loss():
    cell = Mean(2, 8).double()
    with torch.no_grad():
        u, _, v = torch.linalg.svd(cell.weight_hh)
        cell.weight_hh.copy_(u @ v * 0.95)
    ring, x = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]])), torch.randn(3, 2).double() * 0.1
    layer, found = nn.Recurrent(cell, gs.FixedPoint(1e-9, 5000)), []
    for scale in (1.0, 1e-6, 1e6):
        found.append(torch.autograd.grad(layer(x, ring).sum() * scale, cell.weight_ih)[0] / scale)
    assert_close(found[1], found[0], 1e-7)
    assert_close(found[2], found[0], 1e-7)


class Blind(gs.Cell):
    state_sizes = (2,)

    def update(self, p, state):
        return (torch.tanh(p),)


def test_a_cell_that_ignores_its_state_has_a_fixed_point():
    ring, x = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]])), draw(3, 2)
    out = nn.Recurrent(Blind(), gs.FixedPoint())(x, ring)
    assert_close(torch.autograd.grad(out.sum(), x)[0], 1 - torch.tanh(x) ** 2)


# -------------------------------------------------------------------------------------------------------- convolutions

SPARSE = {
    "gcn": (lambda: nn.GCNConv(F, 4), "lin"),
    "gat": (lambda: nn.GATConv(F, 4, 2), "lin"),
    "sage": (lambda: nn.SAGEConv(F, 4), "lin_l"),
    "graph": (lambda: nn.GraphConv(F, 4), "lin_rel"),
    "sg": (lambda: nn.SGConv(F, 4), "lin"),
}


@pytest.mark.parametrize("way", ["hook", "forward", "class", "everywhere"])
@pytest.mark.parametrize("name", SPARSE)
def test_whatever_watches_a_map_sees_it(monkeypatch, name, way):
    make, inner = SPARSE[name]
    conv, x = make(), torch.randn(N, F)
    lin, handle = getattr(conv, inner), None
    plain = lin.forward
    if way == "hook":
        lin.register_forward_hook(lambda m, i, o: 2 * o)
    elif way == "forward":
        lin.forward = lambda x: 2 * plain(x)
    elif way == "class":
        forward = torch_nn.Linear.forward
        monkeypatch.setattr(torch_nn.Linear, "forward", lambda self, x: 2 * forward(self, x))
    else:
        handle = torch_nn.modules.module.register_module_forward_hook(
            lambda m, i, o: 2 * o if isinstance(m, torch_nn.Linear) else None
        )
    try:
        theirs = getattr(pyg, type(conv).__name__)(*((F, 4, 2) if name == "gat" else (F, 4)))
        theirs.load_state_dict(conv.state_dict())
        other = getattr(theirs, inner)
        if way == "hook":
            other.register_forward_hook(lambda m, i, o: 2 * o)
        elif way == "forward":
            was = other.forward
            other.forward = lambda x: 2 * was(x)
        dense, sparse = conv(x, EDGES), conv(nn.SparseFeatures.of(x), EDGES)
        assert_close(sparse, dense, 1e-5)
        if way in ("hook", "forward"):
            assert_close(dense, theirs(x, EDGES), 1e-5)
    finally:
        if handle is not None:
            handle.remove()


class Adapted(torch_nn.Module):
    """A map and a small change of it, as fine-tuning adds."""

    def __init__(self, lin):
        super().__init__()
        self.lin, self.change = lin, torch_nn.Linear(lin.in_features, lin.out_features, bias=False)

    def forward(self, x):
        return self.lin(x) + self.change(x)


@pytest.mark.parametrize("name", SPARSE)
def test_another_module_in_a_maps_place(name):
    make, inner = SPARSE[name]
    conv, x = make(), torch.randn(N, F)
    wanted = deepcopy(conv)
    adapted = Adapted(getattr(conv, inner))
    setattr(conv, inner, adapted)
    with torch.no_grad():
        getattr(wanted, inner).weight += adapted.change.weight
    for given in (x, nn.SparseFeatures.of(x)):
        assert_close(conv(given, EDGES), wanted(given, EDGES), 1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (7, 9), (100, 100)])
@pytest.mark.parametrize("conv", [nn.GCNConv(F, 4), nn.GATConv(F, 4), nn.SAGEConv(F, 4)], ids=["gcn", "gat", "sage"])
def test_a_sparse_matrix_of_another_size(conv, shape):
    adj_t = torch.sparse_coo_tensor(torch.tensor([[0, 1], [1, 2]]), torch.ones(2), shape, check_invariants=True)
    with pytest.raises(gs.GraphError, match=r"`edge_index`: expected a sparse matrix of shape \[7, 7\]"):
        conv(torch.randn(N, F), adj_t)


def test_degrees_beyond_the_range_of_16_bits():
    n = 70_000
    star = gs.Topology.from_edge_index(torch.stack([torch.arange(1, n), torch.zeros(n - 1, dtype=torch.int64)]), n)
    _, half = spectral.gcn_norm(star, dtype=torch.float16)
    _, whole = spectral.gcn_norm(star)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), whole, atol=1e-4, rtol=1e-3)


def test_a_bias_is_vmapped_alone():
    conv, x = nn.GCNConv(F, 2), torch.randn(N, F)
    biases = torch.randn(3, 2)
    out = torch.vmap(lambda b: torch.func.functional_call(conv, {"bias": b}, (x, EDGES)))(biases)
    assert_close(out, (conv(x, EDGES) - conv.bias)[None] + biases[:, None], 1e-5)


def test_weights_are_computed_once_a_call():
    seen = []

    class Counts(torch_nn.Module):
        def forward(self, weight):
            seen.append(1)
            return 2 * weight

    for name, (make, inner) in SPARSE.items():
        conv = make()
        torch_nn.utils.parametrize.register_parametrization(getattr(conv, inner), "weight", Counts())
        seen.clear()
        conv(torch.randn(N, F), EDGES)
        assert len(seen) == 1, name


def test_a_dot_product_of_zeros_and_an_infinite_number():
    links = gs.Topology.from_edge_index(torch.tensor([[0], [1]]))
    a, b = torch.tensor([[0.0, 0.0], [float("inf"), 1.0]]), torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    from graphseq.ops.spmm import edge_dots

    assert edge_dots(links.matrix, a, b).tolist() == [float("inf")]


def test_a_traced_block_refuses_what_the_block_refuses():
    net, x, u = nn.GraphNetwork(None, torch_nn.Linear(F + 2, 3)), torch.randn(N, F), torch.randn(2, 2)
    batch = torch.tensor([0, 0, 0, 0, 0, 0, -1])
    with pytest.raises(gs.GraphError, match="`batch`"):
        net(x, EDGES[:, :0], None, u, batch)
    with pytest.raises((RuntimeError, IndexError)):
        torch.compile(net, fullgraph=True, backend="aot_eager")(x, EDGES[:, :0], None, u, batch)


RING = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])

def test_the_largest_eigenvalue_where_weights_are_negative():
    topology = gs.Topology.from_edge_index(RING)
    for weight in (-torch.ones(8), torch.tensor([1.0, -3, 1, 1, 1, -3, 1, 1])):
        values = spectral.basis(topology, weight).values
        assert_close(spectral.lambda_max(topology, weight), values.max()[None], 1e-5)


@pytest.mark.parametrize("kind", ["GATv2Conv", "TransformerConv", "SAGEConv", "GraphConv", "GATConv", "GCNConv"])
def test_lazy_weights_of_pyg(kind):
    ours, theirs, x = getattr(nn, kind)(-1, 4), getattr(pyg, kind)(-1, 4), torch.randn(4, F)
    ours.load_state_dict(theirs.state_dict())
    assert ours(x, RING).shape == (4, 4)
    theirs(x, RING)
    ours.load_state_dict(theirs.state_dict())
    assert_close(ours(x, RING), theirs(x, RING), 1e-5)


def test_gradcheck_of_a_fixed_point():
    cell = nn.ElmanCell(F, F).double()
    with torch.no_grad():
        cell.weight_hh.mul_(0.3)
    topology, layer = gs.Topology.from_edge_index(RING), nn.Recurrent(cell, gs.FixedPoint(1e-12, 500))
    assert torch.autograd.gradcheck(lambda x: layer(x, topology), torch.randn(4, F).double().requires_grad_())


# ------------------------------------------------------------------------------------- relations, PNA, norms, bases


class One(gs.Merge):
    """A sum that is 5 of nothing."""

    def reduce(self, rows, segments, scores):
        return segments.sum(rows)

    def empty(self, rows, count):
        return rows.new_full((count, *rows.shape[1:]), 5.0)


@pytest.mark.parametrize("given", ["features", "numbers"])
def test_relations_without_edges_add_nothing(given):
    found, edges = [], torch.tensor([[0, 1], [1, 1]])
    for relations in (3, 3000):
        conv = nn.RGCNConv(5, 6, relations, aggr=One(), root_weight=False, bias=False)
        torch_nn.init.ones_(conv.weight)
        x = torch.ones(5, 5) if given == "features" else torch.arange(5)
        found.append(conv(x, edges, torch.tensor([0, 1])))
    assert torch.equal(*found)
    assert found[0][0].eq(0).all() and found[0][1].eq(10 if given == "features" else 2).all()


def test_merges_of_pna():
    power, deg = torch_nn.Parameter(torch.tensor(2.0)), torch.tensor([1, 2, 3])
    conv = nn.PNAConv(4, 4, ["mean", gs.PowerMean(power), One()], ["identity"], deg)
    assert any(p is power for p in conv.parameters())
    merged = conv.aggr_module.merge
    (out,) = core.aggregate(TWO.__class__.between(torch.tensor([[0], [1]]), 2, 2), (torch.ones(2, 1, 4),), merge=merged)
    assert out[0, 0].tolist() == [0.0] * 8 + [5.0] * 4 and out[1, 0].tolist() == [1.0] * 12
    for wrong in (gs.Softmax(lambda s, r, e: 1 / 0), gs.Slots(2)):
        with pytest.raises(gs.GraphError, match="`aggr"):
            nn.PNAConv(4, 4, ["mean", wrong], ["identity"], deg)
    conv.pre_nns[0] = torch_nn.Linear(12, 4)
    with pytest.raises(gs.GraphError, match="`pre_nns`: expected first maps of 8 inputs"):
        conv(torch.randn(4, 4), RING)


def test_degrees_of_relations_and_scalers_in_16_bits():
    count = 70_000
    edges, types, x = torch.zeros(2, count, dtype=torch.int64), torch.zeros(count, dtype=torch.int64), torch.ones(2, 4)
    conv = nn.RGCNConv(4, 3, 2)
    assert_close(deepcopy(conv).half()(x.half(), edges, types).float(), conv(x, edges, types), 2e-2)
    scaled = nn.PNAConv(4, 4, ["mean"], ["identity", "attenuation", "amplification"], torch.tensor([0, 3, 5]))
    assert_close(deepcopy(scaled).half()(x.half(), edges).float(), scaled(x, edges), 2e-2)


@pytest.mark.parametrize("norm", [nn.GraphNorm(2), nn.PairNorm(), nn.PairNorm(scale_individually=True)], ids=str)
def test_norms_in_16_bits(norm):
    x = torch.randn(2000, 2) * 100 + 50
    for batch in (None, torch.zeros(2000, dtype=torch.int64)):
        found = deepcopy(norm).half()(x.half(), batch)
        assert found.dtype == torch.float16
        assert_close(found.float(), norm(x, batch), 2e-2)


def test_a_basis_is_the_callers_own():
    topology, x = gs.Topology.from_edge_index(RING), torch.randn(4, 2)
    conv = nn.SpectralConv(2, 2, K=2, smooth=False)
    before = conv(x, topology)
    found = spectral.basis(topology, normalization="sym", k=2)
    found.vectors.mul_(2)
    found.values.zero_()
    assert torch.equal(conv(x, topology), before)
    assert spectral.basis(topology, normalization="sym", k=2).vectors.square().sum() < 2.1


@pytest.mark.parametrize("n", [2000, 4000])
def test_the_smallest_eigenvalues_of_a_long_path(n):
    ends = torch.stack([torch.arange(n - 1), torch.arange(1, n)])
    path = gs.Topology.from_edge_index(torch.cat([ends, ends.flip(0)], 1), n)
    values = spectral.basis(path, normalization="sym", k=5, dtype=torch.float64).values
    assert_close(values, 1 - torch.cos(torch.pi * torch.arange(5).double() / (n - 1)), 1e-10)


@pytest.mark.parametrize("norm", ["graph", "batch", "layer"])
def test_ends_of_a_classifier_are_called(norm):
    model, x = nn.GraphClassifier(F, 4, 2, norm=norm, conv="gcn", num_layers=1).eval(), torch.randn(4, F)
    before = model(x, RING)
    model.ends[0].register_forward_hook(lambda m, i, o: 0 * o)
    assert not torch.equal(model(x, RING), before)
    again = nn.GraphClassifier(F, 4, 2, norm=norm, conv="gcn", num_layers=1).eval()
    plain = again(x, RING)
    again.ends[0][1] = torch_nn.Identity()
    assert not torch.equal(again(x, RING), plain)


def test_states_of_a_recurrent_network():
    block, x = nn.GraphNetwork(None, torch_nn.Linear(F + 3, 5)), torch.randn(4, F)
    with pytest.raises(gs.GraphError, match="`nodes`: expected a cell with a hidden_size and one tensor"):
        nn.RecurrentGraphNetwork(block, nn.LSTMCell(5, 3))
    network = nn.RecurrentGraphNetwork(block, nn.GRUCell(5, 3))
    for wrong in ((torch.zeros(3, 3), None, None), (torch.zeros(4, 3),), torch.zeros(4, 3)):
        with pytest.raises(gs.GraphError, match="`state`: expected states of nodes, edges and globals"):
            network(x, RING, state=wrong)


def test_the_loss_of_grand_is_that_of_the_geometric_mean():
    from graphseq.recipes import find_recipe

    recipe, y = find_recipe("cora-grand", rounds=2), torch.tensor([0, 2, 1, 0])
    topology, x = gs.Topology.from_edge_index(RING), torch.rand(4, F)
    model = recipe.model({"features": F, "classes": list("abc")})
    torch.manual_seed(1)
    scores, _ = model(x, topology)
    torch.manual_seed(1)
    draws = torch.stack([model._drawn(x, topology) for _ in range(4)])
    mean = draws.softmax(2).log().mean(0).exp()
    wanted = -(mean / mean.sum(1, keepdim=True)).log()[torch.arange(4), y]
    assert_close(type(recipe).loss(scores, y), wanted)
