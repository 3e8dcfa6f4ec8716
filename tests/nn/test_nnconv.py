"""Convolutions whose edges have matrices: every option against PyG's layer, and what may watch the network."""

import pytest
import torch
from torch import nn as torch_nn

import graphseq as gs
from graphseq import nn
from graphseq.nn.convs import nnconv
from tests.nn.test_filters import agree, edges_between, matrix, twins
from tests.oracles import assert_close, leaf


@pytest.fixture(params=["merged first", "mapped first", "as measured"], autouse=True)
def order(request, monkeypatch):
    if request.param != "as measured":
        monkeypatch.setattr(nnconv, "_FEWER", 0 if request.param == "merged first" else float("inf"))


class Doubling(torch_nn.Linear):
    """A map of another class, for which nothing is assumed."""

    def forward(self, x):
        return 2 * super().forward(x)


NETWORKS = {
    "a map": lambda: torch_nn.Linear(3, 8),
    "a map without bias": lambda: torch_nn.Linear(3, 8, bias=False),
    "several": lambda: torch_nn.Sequential(torch_nn.Linear(3, 5), torch_nn.Tanh(), torch_nn.Linear(5, 8)),
    "no map last": lambda: torch_nn.Sequential(torch_nn.Linear(3, 8), torch_nn.Tanh()),
    "another map": lambda: torch_nn.Sequential(torch_nn.Tanh(), Doubling(3, 8)),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("aggr", ["add", "sum", "mean", "max", "min"])
@pytest.mark.parametrize(("options", "count"), [
    ({}, 25), ({"root_weight": False, "flow": "target_to_source"}, 25), ({"bias": False}, 3),
], ids=str)  # fmt: skip
def test_nn_equals_pyg(network, aggr, options, count):
    ours, theirs = twins(lambda library: library.NNConv(4, 2, NETWORKS[network](), aggr, **options))
    x, e, edge_index = leaf(7, 4), leaf(count, 3), edges_between(7, 7, count)
    agree(ours, theirs, [x, e], x, edge_index, e)
    assert_close(ours(x, gs.Topology.from_edge_index(edge_index, 7), e), ours(x, edge_index, e), 1e-12)


@pytest.mark.parametrize("aggr", ["add", "mean", "max"])
def test_pairs_of_nn(aggr):
    ours, theirs = twins(lambda library: library.NNConv((4, 5), 2, NETWORKS["several"](), aggr))
    pair, e, edge_index = (leaf(9, 4), leaf(5, 5)), leaf(20, 3), edges_between(9, 5, 20)
    agree(ours, theirs, [*pair, e], pair, edge_index, e)
    links, lone = gs.Links.between(edge_index, 9, 5), (pair[0], None)
    assert_close(ours(pair, links, e), ours(pair, edge_index, e), 1e-12)
    assert_close(ours(lone, links, e), theirs(lone, edge_index, e, size=(9, 5)), 1e-11)


@pytest.mark.parametrize("aggr", ["add", "mean"])
def test_derivatives_of_nn(aggr):
    for count in (2, 9):
        layer, x, e = nn.NNConv(4, 2, NETWORKS["several"](), aggr).double(), leaf(4, 4), leaf(count, 3)
        edge_index = torch.randint(4, (2, count))
        names, values = zip(*layer.named_parameters(), strict=True)

        def call(x, e, *parameters, layer=layer, names=names, edge_index=edge_index):
            return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, edge_index, e))

        given = x, e, *(p.detach().requires_grad_() for p in values)
        assert torch.autograd.gradcheck(call, given)
        assert torch.autograd.gradgradcheck(call, given)


def test_whatever_watches_the_network_of_nn_is_called():
    x, e, edge_index = torch.randn(5, 4), torch.randn(9, 3), edges_between(5, 5, 9)
    for name in ("a map", "several"):
        layer = nn.NNConv(4, 2, NETWORKS[name]())
        plain = layer(x, edge_index, e)
        for module in {layer.nn, [m for m in layer.nn.modules() if isinstance(m, torch_nn.Linear)][-1]}:
            hook = module.register_forward_hook(lambda module, given, out: 0 * out)
            assert_close(layer(x, edge_index, e), layer.lin(x) + layer.bias)
            hook.remove()
            forward = module.forward
            module.forward = lambda given, forward=forward: 0 * forward(given)
            assert_close(layer(x, edge_index, e), layer.lin(x) + layer.bias)
            del module.forward
        assert_close(layer(x, edge_index, e), plain)
        torch_nn.utils.parametrizations.weight_norm(module if name == "a map" else layer.nn[2])
        assert_close(layer(x, edge_index, e), plain, 1e-5)


def test_no_edge_has_a_matrix(monkeypatch):
    monkeypatch.setattr(nnconv, "_FEWER", 2)
    layer, x, e = nn.NNConv(16, 16, torch_nn.Linear(2, 256)), leaf(5, 16, dtype=torch.float32), torch.randn(60, 2)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda s: kept.append(s.numel()) or s, lambda s: s):
        layer(x, torch.randint(5, (2, 60)), e)
    assert max(kept) < 60 * 16


def test_widths_and_features_of_nn():
    layer, x, edge_index = nn.NNConv(-1, 2, torch_nn.LazyLinear(8)), torch.randn(5, 4), edges_between(5, 5, 9)
    e = torch.randn(9, 3)
    assert_close(layer(x, edge_index, e), layer(x, edge_index, e), 1e-5)
    assert layer.lin.weight.shape == (2, 4)
    one = nn.NNConv(4, 2, torch_nn.Linear(1, 8))
    adj_t = matrix(edge_index, e[:, 0], 5)
    assert_close(one(x, adj_t), one(x, adj_t.indices().flip(0), adj_t.values()), 1e-5)
    three = nn.NNConv(4, 2, torch_nn.Linear(3, 8))
    for wrong in (e[:, :2], e[:5], e.long(), None, [1.0]):
        with pytest.raises(gs.GraphError, match=r"`edge_attr`: expected"):
            three(x, edge_index, wrong)
    for aggr in ("add", "max"):
        with pytest.raises(gs.GraphError, match="`nn`: expected a network that returns 4 · 2 numbers"):
            nn.NNConv(4, 2, torch_nn.Linear(3, 7), aggr)(x, edge_index, e)
    with pytest.raises(gs.GraphError, match="`x`: expected a dense tensor"):
        three(nn.SparseFeatures.of(x), edge_index, e)
    with pytest.raises(gs.GraphError, match=r"`conv`: expected a convolution .*; NNConv also needs nn"):
        nn.NodeClassifier(3, 4, 2, conv="nn")
