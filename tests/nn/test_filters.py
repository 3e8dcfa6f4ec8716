"""Filters and sums over neighbours: PyG's options beyond features and edges, and the formulas on dense matrices."""

from functools import partial
from itertools import product

import pytest
import torch
import torch_geometric.nn as pyg
from torch import nn as torch_nn

import graphseq as gs
from graphseq import nn
from tests.nn.test_convs import CASES, WEIGHTED, Given
from tests.nn.test_convs import twins as cases
from tests.oracles import adjacency, assert_close

AGGR = ("mean", "max", "sum", "add", "min", "softmax", "var")
NEW = [name for name in CASES if name.startswith(("sage", "graph", "cheb", "sg", "tag", "appnp", "arma", "gine", "edge",
                                                  "gcn2", "rgcn", "nn", "pna"))]  # fmt: skip


def twins(make):
    """The same layer of either library."""
    ours, theirs = (make(library).double() for library in (nn, pyg))
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def agree(ours, theirs, leaves, *given, **options):
    """Values and gradients are PyG's."""
    found = []
    for layer in (ours, theirs):
        out = layer(*given, **options)
        weight = torch.arange(out.numel()).view_as(out).cos()
        parameters = dict(layer.named_parameters())
        every = [*leaves, *(parameters[name] for name in sorted(parameters))]
        found.append([out, *torch.autograd.grad((out * weight).sum(), every, allow_unused=True)])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_close(a, b, 1e-10)


def matrix(edge_index, weight, n):
    """PyG's transposed adjacency."""
    return torch.sparse_coo_tensor(edge_index.flip(0), weight, (n, n), check_invariants=True).coalesce()


def leaf(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def edges_between(senders, receivers, count):
    """Different edges, from the first to the second."""
    at = torch.randperm(senders * receivers)[:count]
    return torch.stack([at // receivers, at % receivers])


# ------------------------------------------------------------------------------------------------------- neighbours


@pytest.mark.parametrize("aggr", AGGR)
@pytest.mark.parametrize("out", [2, 9])
@pytest.mark.parametrize(("root", "project", "normalize", "bias"), [
    (True, False, False, True), (False, False, True, True), (True, True, False, False), (True, True, True, True),
])  # fmt: skip
def test_sage(aggr, out, root, project, normalize, bias):
    options = {"aggr": aggr, "root_weight": root, "project": project, "normalize": normalize, "bias": bias}
    ours, theirs = twins(lambda library: library.SAGEConv(4, out, **options))
    x = leaf(7, 4)
    agree(ours, theirs, [x], x, edges_between(7, 6, 25))


@pytest.mark.parametrize("aggr", AGGR)
@pytest.mark.parametrize("out", [2, 9])
@pytest.mark.parametrize("weighted", [False, True])
def test_graph(aggr, out, weighted):
    ours, theirs = twins(lambda library: library.GraphConv(4, out, aggr=aggr))
    x, weight, edge_index = leaf(7, 4), leaf(25), edges_between(7, 6, 25)
    agree(ours, theirs, [x, weight] if weighted else [x], x, edge_index, *([weight] if weighted else []))


PAIRS = {
    "sage": lambda library: library.SAGEConv((4, 6), 3, project=True),
    "sage max": lambda library: library.SAGEConv((4, 6), 5, aggr="max"),
    "graph": lambda library: library.GraphConv((4, 6), 3),
    "graph max": lambda library: library.GraphConv((4, 6), 3, aggr="max"),
    "gine": lambda library: library.GINEConv(torch_nn.Linear(4, 3), edge_dim=2, train_eps=True),
    "edge": lambda library: library.EdgeConv(torch_nn.Sequential(torch_nn.Linear(8, 3), torch_nn.Tanh())),
    "edge sum": lambda library: library.EdgeConv(torch_nn.Linear(8, 3), aggr="add"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name):
    ours, theirs = twins(PAIRS[name])
    edge_index = edges_between(9, 5, 20)
    pair = leaf(9, 4), leaf(5, 4 if name.startswith(("gine", "edge")) else 6)
    more = [leaf(20, 2)] if name == "gine" else [leaf(20)] if name.startswith("graph") else []
    agree(ours, theirs, [*pair, *more], pair, edge_index, *more)
    links = gs.Links.between(edge_index, 9, 5)
    assert_close(ours(pair, links, *more), ours(pair, edge_index, *more), 1e-12)
    lone = pair[0], None
    if name.startswith("edge"):
        with pytest.raises(gs.GraphError, match="`x`: expected a pair of tensors"):
            ours(lone, links)
        with pytest.raises(gs.GraphError, match="`x`: expected receivers with 4 features"):
            ours((pair[0], leaf(5, 3)), links)
        return
    found, wanted = (layer(lone, edge_index, *more, size=(9, 5)) for layer in (ours, theirs))
    assert_close(found, wanted, 1e-11)
    assert_close(ours(lone, links, *more), found, 1e-12)
    if not name.startswith("gine"):
        with pytest.raises(gs.GraphError, match="`x`: expected shape"):
            ours((pair[1], pair[1]), gs.Links.between(edge_index % 5, 5, 5), *more)


@pytest.mark.parametrize("name", [n for n in NEW if n in WEIGHTED])
def test_a_sparse_matrix_holds_the_weights(name):
    ours, _ = cases(name)
    adj_t = matrix(edges_between(6, 6, 14), torch.rand(14).double(), 6)
    x = torch.randn(6, 3).double()
    assert_close(ours(x, adj_t), ours(x, adj_t.indices().flip(0), adj_t.values()), 1e-12)
    with pytest.raises(gs.GraphError, match="`edge_weight`: expected None with a sparse matrix"):
        ours(x, adj_t, adj_t.values())


def test_features_of_edges_in_a_sparse_matrix():
    adj_t = matrix(edges_between(6, 6, 14), torch.rand(14), 6)
    x, layer = torch.randn(6, 3), nn.GINEConv(torch_nn.Linear(3, 2), edge_dim=1)
    assert_close(layer(x, adj_t, None), layer(x, adj_t.indices().flip(0), adj_t.values()[:, None]))
    plain, scaled = nn.SAGEConv(3, 2), nn.GraphConv(3, 2, aggr="mean")
    scaled.load_state_dict({"lin_rel.weight": plain.lin_l.weight, "lin_rel.bias": plain.lin_l.bias,
                            "lin_root.weight": plain.lin_r.weight})  # fmt: skip
    assert_close(plain(x, adj_t), scaled(x, adj_t))


# ---------------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize("normalization", [None, "sym", "rw"])
@pytest.mark.parametrize("out", [2, 9])
@pytest.mark.parametrize("top", [None, 1.7, "tensor", "graphs"])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_cheb(normalization, out, top, flow):
    def make(library):
        return library.ChebConv(4, out, 4, normalization=normalization, flow=flow)

    ours, theirs = twins(make)
    batch, edge_index = torch.tensor([0] * 5 + [1] * 4), edges_between(5, 5, 16)
    edge_index = torch.cat([edge_index, edges_between(4, 4, 9) + 5], 1)
    x, weight = leaf(9, 4), torch.rand(25, dtype=torch.float64, requires_grad=True)
    given = {"tensor": torch.tensor(1.9).double().requires_grad_(),
             "graphs": torch.tensor([1.5, 2.5]).double().requires_grad_()}.get(top, top)  # fmt: skip
    leaves = [x, weight, *([given] if isinstance(given, torch.Tensor) else [])]
    agree(ours, theirs, leaves, x, edge_index, weight, batch=batch, lambda_max=given)
    agree(ours, theirs, [x], x, edge_index, batch=batch, lambda_max=given)
    if top == "graphs":
        topology = gs.Topology.from_edge_index(edge_index, batch=batch)
        by_topology = ours(x, topology, weight, lambda_max=given)
        assert_close(by_topology, ours(x, edge_index, weight, batch, given), 1e-12)
        alone = [ours(part.detach(), one, lambda_max=given[i]) for i, (part, one) in enumerate(
            zip(x.split([5, 4]), gs.unbatch(topology), strict=True))]  # fmt: skip
        assert_close(ours(x, topology, lambda_max=given), torch.cat(alone), 1e-12)


@pytest.mark.parametrize("normalization", [None, "sym", "rw"])
@pytest.mark.parametrize("out", [2, 5])
def test_cheb_is_the_polynomial_of_the_laplacian(normalization, out):
    """A filter of three terms is ``W_0 - W_2 + L̂ W_1 + 2 L̂² W_2``, and of more that of the eigenvalues."""
    n = 8
    edge_index = edges_between(n, n, 20)
    edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
    weight = torch.rand(20).double().repeat(2)
    topology = gs.Topology.from_edge_index(edge_index, n)
    a = adjacency(edge_index, n, weight).fill_diagonal_(0)
    degree, eye = a.sum(1), torch.eye(n).double()
    l = {None: degree.diag() - a, "sym": eye - a / degree.sqrt() / degree.sqrt()[:, None], "rw": eye - a / degree}
    l = l[normalization]  # columns are senders, whose degrees "rw" divides by
    top = gs.spectral.lambda_max(topology, weight, normalization=normalization)
    scaled = 2 * l / top - eye
    x = torch.randn(n, 4).double()
    conv = nn.ChebConv(4, out, 3, normalization=normalization).double()
    w = [lin.weight.t() for lin in conv.lins]
    wanted = x @ (w[0] - w[2]) + scaled @ x @ w[1] + 2 * scaled @ scaled @ x @ w[2] + conv.bias
    assert_close(conv(x, topology, weight, lambda_max=top), wanted, 1e-11)
    if normalization == "rw":
        return
    conv = nn.ChebConv(4, out, 6, normalization=normalization, bias=False).double()
    values, basis = torch.linalg.eigh(scaled)
    angles = values.clamp(-1, 1).arccos()
    wanted = sum(
        basis @ (torch.cos(k * angles)[:, None] * (basis.t() @ x)) @ lin.weight.t() for k, lin in enumerate(conv.lins)
    )
    assert_close(conv(x, topology, weight, lambda_max=top), wanted, 1e-6)  # arccos near 1


def test_gcn_is_the_first_order_chebyshev_filter():
    """With λ = 2 and ``W_1 = -W_0`` the filter is ``(I + D^{-1/2} A D^{-1/2}) W_0``, which GCN renormalises."""
    edge_index, x = edges_between(6, 6, 12), torch.randn(6, 3).double()
    edge_index = torch.cat([edge_index, edge_index.flip(0)], 1)
    conv, plain = nn.ChebConv(3, 4, 2).double(), nn.GCNConv(3, 4, add_self_loops=False).double()
    with torch.no_grad():
        conv.lins[1].weight.copy_(-conv.lins[0].weight)
        plain.lin.weight.copy_(conv.lins[0].weight)
    between = edge_index[:, edge_index[0] != edge_index[1]]
    assert_close(conv(x, edge_index), plain(x, between) + x @ conv.lins[0].weight.t(), 1e-11)


def test_cheb_without_edges_is_finite():
    """PyG 2.8 divides 0 by 0 there; here ``2 L / λ`` is 0."""
    conv, x = nn.ChebConv(3, 4, 3, normalization=None), torch.randn(2, 3)
    w = [lin.weight.t() for lin in conv.lins]
    assert_close(conv(x, torch.empty(2, 0, dtype=torch.int64)), x @ (w[0] - w[1] + w[2]), 1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
@pytest.mark.parametrize(("kind", "args", "options"), [
    *(("SGConv", (4, out), {"K": k, "add_self_loops": loops})
      for out, k, loops in product((2, 9), (0, 3), (True, False))),
    *(("TAGConv", (4, out), {"K": k, "normalize": norm}) for out, k, norm in product((2, 9), (0, 3), (True, False))),
    *(("APPNP", (k, 0.3), {"normalize": norm}) for k, norm in product((0, 3), (True, False))),
    *(("ARMAConv", (4, out, stacks, layers, shared), {"act": act, "bias": bias})
      for out, stacks, layers, shared, act, bias in [
          (2, 1, 1, False, None, True), (2, 2, 3, True, torch_nn.Tanh(), True), (9, 2, 1, True, None, False),
          (9, 3, 4, False, torch.tanh, True)]),
])  # fmt: skip
def test_filters(kind, args, options, flow, weighted):
    ours, theirs = twins(lambda library: getattr(library, kind)(*args, **options, flow=flow))
    x, weight = leaf(7, 4), torch.rand(25, dtype=torch.float64, requires_grad=True)
    edge_index = edges_between(7, 7, 25)
    agree(ours, theirs, [x, weight] if weighted else [x], x, edge_index, *([weight] if weighted else []))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [
    {}, {"theta": 0.5, "layer": 3}, {"shared_weights": False}, {"theta": 1.5, "layer": 1, "shared_weights": False},
    {"normalize": False}, {"add_self_loops": False}, {"flow": "target_to_source"},
])  # fmt: skip
def test_gcn2(options, weighted):
    ours, theirs = twins(lambda library: library.GCN2Conv(4, 0.2, **options))
    x, first, weight = leaf(7, 4), leaf(7, 4), torch.rand(25, dtype=torch.float64, requires_grad=True)
    more = [weight] if weighted else []
    agree(ours, theirs, [x, first, *more], x, first, edges_between(7, 7, 25), *more)


@pytest.mark.parametrize("edge_dim", [None, 1, 3])
@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_gine(edge_dim, flow):
    def make(library):
        network = torch_nn.Sequential(torch_nn.Linear(4, 5), torch_nn.ReLU(), torch_nn.Linear(5, 2))
        return library.GINEConv(network, 0.3, True, edge_dim, flow=flow)

    ours, theirs = twins(make)
    x, e = leaf(7, 4), leaf(25, edge_dim or 4)
    agree(ours, theirs, [x, e], x, edges_between(7, 7, 25), e)
    if edge_dim == 1:
        edge_index = edges_between(7, 7, 25)
        assert_close(ours(x, edge_index, e[:, 0]), ours(x, edge_index, e), 1e-12)


class Doubling(torch_nn.Linear):
    """A map of another class, for which nothing is assumed."""

    def forward(self, x):
        return 2 * super().forward(x)


NETWORKS = {
    "a map": lambda: torch_nn.Linear(8, 3),
    "a map without bias": lambda: torch_nn.Linear(8, 3, bias=False),
    "several": lambda: torch_nn.Sequential(torch_nn.Linear(8, 5), torch_nn.Tanh(), torch_nn.Linear(5, 3)),
    "another map": lambda: Doubling(8, 3),
    "another first": lambda: torch_nn.Sequential(Doubling(8, 3), torch_nn.Tanh()),
    "no map first": lambda: torch_nn.Sequential(torch_nn.Tanh(), torch_nn.Linear(8, 3)),
    "one inside another": lambda: torch_nn.Sequential(torch_nn.Sequential(torch_nn.Linear(8, 3)), torch_nn.Tanh()),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("aggr", AGGR)
def test_edge(aggr, network):
    ours, theirs = twins(lambda library: library.EdgeConv(NETWORKS[network](), aggr, flow="target_to_source"))
    x = leaf(7, 4)
    agree(ours, theirs, [x], x, edges_between(7, 6, 25))


def test_hooks_on_the_network_of_an_edge_convolution():
    x, edge_index = torch.randn(5, 4), edges_between(5, 5, 9)
    for made in (NETWORKS["a map"], NETWORKS["several"]):
        layer = nn.EdgeConv(made())
        plain = layer(x, edge_index)
        for module in {layer.nn, next(m for m in layer.modules() if isinstance(m, torch_nn.Linear))}:
            hook = module.register_forward_hook(lambda module, given, out: 0 * out)
            assert not torch.allclose(layer(x, edge_index), plain)
            hook.remove()
        assert_close(layer(x, edge_index), plain)


def test_an_edge_convolution_whose_network_sees_its_width_later():
    layer, x, edge_index = nn.EdgeConv(torch_nn.LazyLinear(3)), torch.randn(5, 4), edges_between(5, 5, 9)
    assert_close(layer(x, edge_index), layer(x, edge_index), 1e-5)
    with pytest.raises(gs.GraphError, match=r"`nn`: expected a first layer of 6 inputs, .*, got 8"):
        layer(x[:, :3], edge_index)


def test_dropout():
    """In each round of APPNP every entry is 0 or scaled up; the mean over many draws is the value in evaluation."""
    x, edge_index = torch.randn(6, 3), edges_between(6, 6, 14)
    copies = 4000
    edges, rows = torch.cat([edge_index + 6 * i for i in range(copies)], 1), x.repeat(copies, 1)
    layers = nn.APPNP(2, 0.2, dropout=0.4), nn.APPNP(2, 0.2, dropout=0.4, normalize=False)
    for layer in (*layers, nn.ARMAConv(3, 4, 2, 2, act=None, dropout=0.4)):
        drawn = layer(rows, edges).view(copies, 6, -1)
        wanted = layer.eval()(x, edge_index)
        assert not torch.allclose(drawn[0], drawn[1])
        error = (drawn.mean(0) - wanted).abs() / (drawn.std(0) / copies**0.5 + 1e-5)
        assert error.max() < 5
    layer = nn.APPNP(2, 0.5, dropout=1.0)
    assert_close(layer(x, edge_index), 0.5 * x)


# ----------------------------------------------------------------------------------------------------- any of them


@pytest.mark.parametrize("kind", ["SAGEConv", "GraphConv", "ChebConv", "SGConv", "TAGConv"])
def test_a_width_that_the_first_call_says(kind):
    more = {"K": 3} if kind == "ChebConv" else {}
    for out in (2, 9):
        layer, known = (getattr(nn, kind)(wide, out, **more) for wide in (-1, 4))
        x, edge_index = torch.randn(5, 4), edges_between(5, 5, 9)
        assert layer(x, edge_index).shape == (5, out)
        known.load_state_dict(layer.state_dict())
        assert_close(known(x, edge_index), layer(x, edge_index))
        fresh = getattr(nn, kind)(-1, out, **more)
        fresh.load_state_dict(layer.state_dict())
        assert_close(fresh(x, edge_index), layer(x, edge_index))


@pytest.mark.parametrize("name", NEW)
def test_reset_and_repr(name):
    layer = CASES[name][0]()
    layer = layer.layer if isinstance(layer, Given) else layer
    fixed = ("bias", "eps", "avg_deg")
    before = {key: value.clone() for key, value in layer.state_dict().items() if not any(word in key for word in fixed)}
    torch.manual_seed(3)
    layer.reset_parameters()
    assert all(not torch.equal(value, layer.state_dict()[key]) for key, value in before.items())
    assert type(layer).__name__ in repr(layer)


@pytest.mark.parametrize("kind", ["SAGEConv", "GraphConv", "SGConv", "ChebConv", "TAGConv"])
def test_hooks_on_the_inner_maps_run(kind):
    """So what they change is in the result."""
    layer = getattr(nn, kind)(4, 2, **({"K": 2} if kind in ("ChebConv", "TAGConv") else {}))
    x, edge_index = torch.randn(5, 4), edges_between(5, 5, 9)
    inner = [module for module in layer.modules() if isinstance(module, torch_nn.Linear)]
    plain, calls = layer(x, edge_index), []
    for module in inner:
        module.register_forward_hook(lambda *given: calls.append(given[0]))
    assert_close(layer(x, edge_index), plain, 1e-5)
    assert set(calls) == set(inner)


SLIPS = [
    (lambda: nn.SAGEConv(-1, 4, aggr="lstm"), "`in_channels`: expected a known width of the senders for an LSTM"),
    (lambda: nn.SAGEConv(3, 4, aggr=gs.Slots(2)), "`aggr`: expected"),
    (lambda: nn.SAGEConv(3, 4, aggr=gs.Softmax(lambda *_: None)), "`aggr`: expected"),
    (lambda: nn.SAGEConv(3, 4, aggr="median"), "`aggr`: expected \"add\""),
    (lambda: nn.SAGEConv(-1, 4, project=True), "`in_channels`: expected a known width"),
    (lambda: nn.SAGEConv((1, 2, 3), 4), "`in_channels`: expected one width, or a pair"),
    (lambda: nn.GraphConv(3, 4, aggr=["mean", "max"]), "`aggr`"),
    (lambda: nn.GraphConv(3, 0), "`out_channels`"),
    (lambda: nn.ChebConv(3, 4, 0), "`K`: expected a whole number ≥ 1"),
    (lambda: nn.ChebConv(3, 4, 2, normalization="left"), "`normalization`: expected None"),
    (lambda: nn.SGConv(3, 4, K=-1), "`K`"),
    (lambda: nn.TAGConv(3, 4, K=1.5), "`K`"),
    (lambda: nn.APPNP(2, "much"), "`alpha`: expected a number"),
    (lambda: nn.APPNP(2, 0.1, dropout=2), "`dropout`: expected a number from 0 to 1"),
    (lambda: nn.ARMAConv(3, 4, num_stacks=0), "`num_stacks`"),
    (lambda: nn.ARMAConv(3, 4, num_layers=0), "`num_layers`"),
    (lambda: nn.ARMAConv(-1, 4), "`in_channels`"),
    (lambda: nn.ARMAConv(3, 4, act=3), "`act`: expected a callable"),
    (lambda: nn.GINEConv(torch_nn.ReLU(), edge_dim=2), "`nn`: expected a network whose first layer has `in_features`"),
    (lambda: nn.EdgeConv(torch_nn.Linear(6, 4), aggr="lstm"), "`aggr`"),
    (lambda: nn.NNConv(3, 4, torch_nn.Linear(2, 12), aggr="lstm"), "`aggr`"),
    (lambda: nn.NNConv(0, 4, torch_nn.Linear(2, 12)), "`in_channels`"),
    (lambda: nn.NNConv(3, 4, torch_nn.Linear(2, 12), flow="up"), "`flow`"),
    (lambda: nn.NNConv(3, 4, torch.relu), "`nn`: expected a torch.nn.Module"),
    (lambda: nn.GCN2Conv(0, 0.1), "`channels`"),
    (lambda: nn.GCN2Conv(3, 0.1, theta=0.5), "`layer`: expected a number"),
    (lambda: nn.GCN2Conv(3, 0.1, layer=2), "`theta`: expected a number"),
    (lambda: nn.GCN2Conv(3, 0.1, 0.5, 0), "`layer`: expected a whole number ≥ 1"),
    (lambda: nn.GCN2Conv(3, "some"), "`alpha`: expected a number"),
    (lambda: nn.GCN2Conv(3, 0.1, -1.0, 1), "`theta`: expected a number above -1"),
    (lambda: nn.GINEConv(torch_nn.Linear(3, 4), edge_dim=0), "`edge_dim`: expected a whole number ≥ 1"),
    *((partial(kind, torch.relu), "`nn`: expected a torch.nn.Module") for kind in (nn.GINConv, nn.GINEConv,
                                                                                 nn.EdgeConv)),
    *((partial(make, flow="up"), "`flow`") for make in (
        partial(nn.SAGEConv, 3, 4), partial(nn.GraphConv, 3, 4), partial(nn.ChebConv, 3, 4, 2),
        partial(nn.SGConv, 3, 4), partial(nn.TAGConv, 3, 4), partial(nn.APPNP, 2, 0.1), partial(nn.ARMAConv, 3, 4),
        partial(nn.GCN2Conv, 3, 0.1), partial(nn.GINEConv, torch_nn.Linear(3, 4)),
        partial(nn.EdgeConv, torch_nn.Linear(6, 4)))),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), SLIPS)
def test_slips(make, message):
    with pytest.raises(gs.GraphError, match=message):
        make()


def test_slips_in_calls():
    x, edges = torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]])
    cheb, gine = nn.ChebConv(4, 2, 2), nn.GINEConv(torch_nn.Linear(4, 2), edge_dim=3)
    for options, message in (
        ({"lambda_max": torch.ones(2)}, "`lambda_max`: expected one number, or 1"),
        ({"lambda_max": "2"}, "`lambda_max`: expected a number"),
        ({"lambda_max": torch.ones(2, device="meta")}, "`lambda_max`: expected a tensor on cpu"),
        ({"batch": torch.zeros(2, dtype=torch.int64)}, r"`batch`: expected int64 of shape \[3\]"),
        ({"batch": torch.zeros(3, dtype=torch.int64, device="meta")}, "`batch`: expected a tensor on cpu"),
        ({"batch": torch.tensor([0, 1, 2]), "lambda_max": torch.ones(2)}, "`batch`: expected numbers from 0 to 1"),
        ({"batch": torch.tensor([0, 0, 1]), "lambda_max": torch.ones(2, 1)}, "`lambda_max`: expected one number"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            cheb(x, edges, **options)
    for wrong in (torch.randn(2, 2), torch.randn(3, 3), torch.ones(2, 3).long(), [1.0], None):
        with pytest.raises(gs.GraphError, match="`edge_attr`: expected"):
            gine(x, edges, wrong)
    with pytest.raises(gs.GraphError, match=r"`x`: expected shape \[N, 4\], as wide as the network"):
        gine(torch.randn(3, 5), edges, torch.randn(2, 3))
    with pytest.raises(gs.GraphError, match=r"`x_0`: expected shape \[3, 4\]"):
        nn.GCN2Conv(4, 0.1)(x, x[:2], edges)
    sparse = nn.SparseFeatures.of(x)
    for layer, *rest in ((gine, torch.randn(2, 3)), (nn.EdgeConv(torch_nn.Linear(8, 2)),)):
        with pytest.raises(gs.GraphError, match="`x`: expected a dense tensor"):
            layer(sparse, edges, *rest)


@pytest.mark.parametrize("name", [n for n in nn.models.convolutions() if n not in ("gat", "gatv2", "transformer")])
def test_models_of_every_kind(name):
    model = nn.NodeClassifier(3, 5, 2, conv=name)
    edges = edges_between(4, 4, 7)
    assert model(torch.randn(4, 3), torch.cat([edges, edges.flip(0)], 1)).shape == (4, 2)
