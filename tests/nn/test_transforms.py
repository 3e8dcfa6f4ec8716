"""Forward mode and the transforms of torch.func go through every layer."""

import pytest
import torch
from torch import func

import graphseq as gs
from graphseq import nn
from tests.oracles import assert_close

TREE = gs.Topology.tree([2, 2, 4, 4, -1])
EDGES = torch.tensor([[0, 1, 2, 3, 3], [1, 2, 3, 0, 1]])
FEATURES = torch.arange(20.0).view(5, 4).sin()
LAYERS = {
    "gru": (lambda: nn.GRU(4, 3), lambda m, x: m(x)[0]),
    "lstm": (lambda: nn.LSTM(4, 3, 2, bidirectional=True), lambda m, x: m(x)[0]),
    "rnn": (lambda: nn.RNN(4, 3), lambda m, x: m(x, topology=TREE)[0]),
    "child-sum": (lambda: nn.TreeLSTM(4, 3), lambda m, x: m(x, TREE)[0]),
    "nary": (lambda: nn.TreeLSTM(4, 3, kind="nary"), lambda m, x: m(x, TREE)[1]),
    "recursive": (lambda: nn.Recurrent(nn.RecursiveCell(4, 3)), lambda m, x: m(x, TREE)),
    "rntn": (lambda: nn.Recurrent(nn.RNTNCell(4, 3)), lambda m, x: m(x, TREE)),
    "matrix-vector": (lambda: nn.Recurrent(nn.MatrixVectorCell(4, 3)), lambda m, x: m(x, TREE)[0]),
    "tree-gru": (lambda: nn.Recurrent(nn.TreeGRUCell(4, 3)), lambda m, x: m(x, TREE)),
    "nary-gru": (lambda: nn.Recurrent(nn.NaryTreeGRUCell(4, 3)), lambda m, x: m(x, TREE)),
    "attentive": (lambda: nn.Recurrent(nn.AttentiveTreeLSTMCell(4, 3)), lambda m, x: m(x, TREE)[0]),
    "dependency": (
        lambda: nn.Recurrent(nn.DependencyTreeLSTMCell(4, 3, 6)), lambda m, x: m(x, TREE, edge_attr=torch.arange(4))[0]
    ),
    "both ways": (lambda: nn.BidirectionalTree(nn.GRUCell(4, 3), nn.LSTMCell(3, 3)), lambda m, x: m(x, TREE)),
    "generic": (lambda: nn.Recurrent(nn.LSTMCell(4, 3, peephole=True)), lambda m, x: m(x, TREE)[0]),
    "rounds": (lambda: nn.Recurrent(nn.GRUCell(4, 4), gs.Rounds(2)), lambda m, x: m(x, TREE)),
    "gcn": (lambda: nn.GCNConv(4, 3), lambda m, x: m(x, EDGES)),
    "gin": (lambda: nn.GINConv(torch.nn.Linear(4, 3)), lambda m, x: m(x, EDGES)),
    "gat": (lambda: nn.GATConv(4, 3, heads=2), lambda m, x: m(x, EDGES)),
    "gatv2": (lambda: nn.GATv2Conv(4, 3, heads=2), lambda m, x: m(x, EDGES)),
    "transformer": (lambda: nn.TransformerConv(4, 3, heads=2, beta=True), lambda m, x: m(x, EDGES)),
    "gated": (lambda: nn.GatedGraphConv(4, 2, aggr="max"), lambda m, x: m(x, EDGES)),
    "sage": (lambda: nn.SAGEConv(4, 3, aggr="max", project=True), lambda m, x: m(x, EDGES)),
    "graph": (lambda: nn.GraphConv(4, 3, aggr="mean"), lambda m, x: m(x, EDGES)),
    "cheb": (lambda: nn.ChebConv(4, 3, 3), lambda m, x: m(x, EDGES)),
    "cheb wide": (lambda: nn.ChebConv(4, 4, 3, normalization=None), lambda m, x: m(x, EDGES)),
    "sg": (lambda: nn.SGConv(4, 3, 2), lambda m, x: m(x, EDGES)),
    "tag": (lambda: nn.TAGConv(4, 3, 2), lambda m, x: m(x, EDGES)),
    "appnp": (lambda: nn.APPNP(3, 0.1), lambda m, x: m(x, EDGES)),
    "arma": (lambda: nn.ARMAConv(4, 3, 2, 2), lambda m, x: m(x, EDGES)),
    "gine": (lambda: nn.GINEConv(torch.nn.Linear(4, 3)), lambda m, x: m(x, EDGES, FEATURES.to(x.dtype))),
    "edge": (lambda: nn.EdgeConv(torch.nn.Linear(8, 3)), lambda m, x: m(x, EDGES)),
    "gcn2": (lambda: nn.GCN2Conv(4, 0.1, 0.5, 1), lambda m, x: m(x, torch.cos(x), EDGES)),
    "sage lstm": (lambda: nn.SAGEConv(4, 3, aggr="lstm"), lambda m, x: m(x, EDGES)),
    "nn": (lambda: nn.NNConv(4, 3, torch.nn.Linear(4, 12)), lambda m, x: m(x, EDGES, FEATURES.to(x.dtype))),
    "pna": (
        lambda: nn.PNAConv(4, 4, ["mean", "max", "std"], ["identity", "attenuation"], torch.tensor([1, 2, 1])),
        lambda m, x: m(x, EDGES),
    ),
    "rgcn": (lambda: nn.RGCNConv(4, 3, 2), lambda m, x: m(x, EDGES, torch.tensor([0, 1, 1, 0, 1]))),
    "rgcn max": (lambda: nn.RGCNConv(4, 4, 2, aggr="max"), lambda m, x: m(x, EDGES, torch.tensor([0, 1, 1, 0, 1]))),
    "readout": (lambda: torch.nn.Identity(), lambda m, x: nn.readout(m(x) ** 2, torch.tensor([0, 0, 1, 1, 1]), "mean")),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_forward_mode_and_torch_func(name, dtype):
    make, call = LAYERS[name]
    layer, x, v = make().to(dtype), torch.randn(5, 4, dtype=dtype), torch.randn(5, 4, dtype=dtype)

    def total(z):
        return call(layer, z).pow(2).sum()

    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(leaf), leaf)
    near = 1e-5 if dtype == torch.float32 else 1e-11
    assert_close(func.grad(total)(x), gradient, near)
    assert_close(func.jvp(total, (x,), (v,))[1].detach(), (gradient * v).sum(), near)
    with torch.autograd.forward_ad.dual_level():
        out = total(torch.autograd.forward_ad.make_dual(x, v))
        assert_close(torch.autograd.forward_ad.unpack_dual(out).tangent.detach(), (gradient * v).sum(), near)
