"""LSTMs and other merges in GraphSAGE, against PyG's layer and torch.nn's LSTM."""

from itertools import product

import pytest
import torch
from torch import nn as torch_nn

import graphseq as gs
from graphseq import nn
from tests.nn.test_filters import agree, edges_between, twins
from tests.oracles import assert_agree, assert_close, leaf


def regular(n, degree):
    """As many edges into every node, in any order."""
    receivers = torch.arange(n).repeat(degree)[torch.randperm(n * degree)]
    return torch.stack([torch.randint(n, (n * degree,)), receivers])


@pytest.mark.parametrize("options", [{}, {"project": True}, {"root_weight": False, "normalize": True}], ids=str)
def test_an_lstm_over_as_many_neighbours_equals_pyg(options):
    ours, theirs = twins(lambda library: library.SAGEConv(4, 3, aggr="lstm", **options))
    x, edge_index = leaf(6, 4), regular(6, 3)
    assert_close(ours(x, edge_index), ours(x, gs.Topology.from_edge_index(edge_index, 6)), 1e-12)
    ordered = edge_index[:, edge_index[1].argsort(stable=True)]
    agree(ours, theirs, [x], x, ordered)
    assert_close(ours(x, edge_index), theirs(x, ordered), 1e-11)  # PyG needs them sorted


@pytest.mark.parametrize("weighted", [False, True])
def test_an_lstm_over_any_neighbours_is_torchs(weighted):
    layer, x, weight = nn.SAGEConv(4, 3, aggr="lstm").double(), leaf(7, 4), leaf(15)
    edge_index = edges_between(7, 5, 15)  # two nodes without neighbours
    if weighted:  # a sparse matrix sorts the edges
        edge_index = edge_index[:, (edge_index[1] * 7 + edge_index[0]).argsort()]
    peer = torch_nn.LSTM(4, 4, batch_first=True).double()
    peer.load_state_dict(layer.aggr_module.lstm.state_dict())
    rows = []
    for v in range(7):
        into = (edge_index[1] == v).nonzero()[:, 0]
        sent = x[edge_index[0, into]] * (weight[into, None] if weighted else 1)
        rows.append(peer(sent[None])[0][0, -1] if len(into) else x.new_zeros(4))
    wanted = layer.lin_l(torch.stack(rows)) + layer.lin_r(x)
    given = edge_index
    if weighted:
        given = torch.sparse_coo_tensor(edge_index.flip(0), weight, (7, 7), check_invariants=True).coalesce()
    assert_agree(layer(x, given), wanted, [x, weight] if weighted else [x])


def test_derivatives_pairs_and_few_edges_of_an_lstm():
    layer, x = nn.SAGEConv((3, 2), 2, aggr="lstm").double(), (leaf(4, 3), leaf(3, 2))
    edge_index = torch.tensor([[0, 3, 1, 1, 0], [1, 2, 1, 1, 2]])
    assert torch.autograd.gradcheck(lambda *x: layer(x, edge_index), x)
    assert torch.autograd.gradgradcheck(lambda *x: layer(x, edge_index), x)
    links = gs.Links.between(edge_index, 4, 3)
    assert_close(layer(x, links), layer(x, edge_index))
    for dtype, n in product((torch.float32, torch.float64), (0, 3)):
        layer, x = nn.SAGEConv(3, 2, aggr="lstm").to(dtype), leaf(n, 3, dtype=dtype)
        out = layer(x, torch.empty(2, 0, dtype=torch.int64))
        assert_close(out, layer.lin_r(x) + layer.lin_l.bias)
        out.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dynamic", [None, True])
def test_a_compiled_lstm(dtype, dynamic):
    torch._dynamo.reset()
    layer, x = nn.SAGEConv(4, 3, aggr="lstm").to(dtype), leaf(6, 4, dtype=dtype)
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for count in (14, 9):
        edge_index = edges_between(6, 6, count)
        assert_close(fast(x, edge_index), layer(x, edge_index), 1e-5)
    fast(x, edge_index).sum().backward()


def test_hooks_and_functional_calls_of_an_lstm():
    layer, x, edge_index = nn.SAGEConv(4, 3, aggr="lstm"), torch.randn(6, 4), edges_between(6, 6, 14)
    plain = layer(x, edge_index)
    handle = layer.aggr_module.lstm.register_forward_hook(lambda module, given, out: 0 * out)
    assert_close(layer(x, edge_index), layer.lin_r(x) + layer.lin_l.bias)
    handle.remove()
    twice = {name: 2 * value for name, value in layer.named_parameters()}
    changed = torch.func.functional_call(layer, twice, (x, edge_index))
    assert not torch.allclose(changed, plain)
    layer.load_state_dict(twice)
    assert_close(layer(x, edge_index), changed)
    layer.reset_parameters()
    assert not torch.allclose(layer(x, edge_index), changed)


def test_a_merge_as_aggregation():
    x, edge_index = torch.randn(6, 4), edges_between(6, 6, 14)
    for merge, name in ((gs.Max(), "max"), (gs.Sum(), "add"), (gs.Std(), "std"), (gs.Softmax(), "softmax")):
        for make in (nn.SAGEConv, nn.GraphConv):
            layer, peer = make(4, 3, aggr=merge), make(4, 3, aggr=name)
            layer.load_state_dict(peer.state_dict())
            assert_close(layer(x, edge_index), peer(x, edge_index), 1e-5)

    class Learnt(gs.Merge, torch_nn.Module):
        def __init__(self):
            torch_nn.Module.__init__(self)
            self.scale = torch_nn.Parameter(torch.ones(()))

        def reduce(self, rows, segments, scores):
            return self.scale * segments.sum(rows)

    layer = nn.SAGEConv(4, 3, aggr=Learnt())
    assert "aggr.scale" in dict(layer.named_parameters())
    layer(x, edge_index).sum().backward()
    assert layer.aggr.scale.grad is not None
