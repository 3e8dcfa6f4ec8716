"""Several merges at once: every option against PyG's layer, and the formula."""

import pytest
import torch
import torch_geometric.nn as pyg
from torch import nn as torch_nn
from torch_geometric.data import Data

import graphseq as gs
from graphseq import nn
from tests.nn.test_filters import agree, edges_between, matrix, twins
from tests.oracles import assert_agree, assert_close, leaf

DEG = torch.tensor([1, 4, 3, 2])
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse_linear"]
ALL = ["sum", "mean", "min", "max", "var", "std"]


@pytest.mark.parametrize(("aggregators", "scalers"), [(ALL, SCALERS), (["mean"], ["attenuation"]),
                                                      (["max", "std"], ["identity", "linear"])])  # fmt: skip
@pytest.mark.parametrize("edge_dim", [None, 3])
@pytest.mark.parametrize("options", [
    {}, {"towers": 2, "divide_input": True}, {"towers": 2, "pre_layers": 2, "post_layers": 3, "act": "elu"},
    {"train_norm": True, "pre_layers": 2, "act": "LeakyReLU", "act_kwargs": {"negative_slope": 0.3},
     "flow": "target_to_source"},
], ids=str)  # fmt: skip
def test_pna_equals_pyg(aggregators, scalers, edge_dim, options):
    def make(library):
        return library.PNAConv(4, 6, aggregators, scalers, DEG, edge_dim, **options)

    ours, theirs = twins(make)
    x, edge_index, e = leaf(7, 4), edges_between(7, 6, 25), leaf(25, 3)
    more = [] if edge_dim is None else [e]
    agree(ours, theirs, [x, *more], x, edge_index, *more)
    assert_close(ours(x, gs.Topology.from_edge_index(edge_index, 7), *more), ours(x, edge_index, *more), 1e-12)


def test_pna_is_its_formula():
    layer, x = nn.PNAConv(3, 4, ["mean", "max"], SCALERS[:3], DEG).double(), leaf(5, 3)
    edge_index = edges_between(5, 4, 9)
    mean_log = (torch.arange(1, 5).log() * DEG).sum() / DEG.sum()
    rows = []
    for v in range(5):
        sent = x[edge_index[0, edge_index[1] == v]]
        d = torch.tensor(float(len(sent))).double()
        m = layer.pre_nns[0](torch.cat([x[v].expand_as(sent), sent], 1))
        merged = torch.cat([m.mean(0), m.amax(0)]) if len(sent) else x.new_zeros(6)
        up, down = (d + 1).log() / mean_log, mean_log / (d.clamp(min=1) + 1).log()
        rows.append(torch.cat([x[v], merged, up * merged, down * merged]))
    assert_agree(layer(x, edge_index), layer.lin(layer.post_nns[0](torch.stack(rows))), [x], 1e-6)


def test_derivatives_of_pna():
    layer = nn.PNAConv(2, 2, ["sum", "mean", "std"], SCALERS, DEG, 2, act="tanh", pre_layers=2).double()
    x, e, edge_index = leaf(4, 2), leaf(7, 2), torch.tensor([[0, 1, 2, 2, 3, 1, 0], [1, 0, 1, 0, 0, 0, 0]])
    assert torch.autograd.gradcheck(lambda x, e: layer(x, edge_index, e), (x, e))
    assert torch.autograd.gradgradcheck(lambda x, e: layer(x, edge_index, e), (x, e))


def test_whatever_watches_the_networks_of_pna_is_called():
    x, edge_index = torch.randn(5, 4), edges_between(5, 5, 9)
    layer = nn.PNAConv(4, 6, ["mean", "max"], ["identity"], DEG, towers=2)
    plain, calls = layer(x, edge_index), []
    for module in layer.modules():
        if isinstance(module, torch_nn.Linear | torch_nn.Sequential):
            module.register_forward_hook(lambda *given: calls.append(given[0]))
    assert_close(layer(x, edge_index), plain, 1e-5)
    assert set(calls) == {m for m in layer.modules() if isinstance(m, torch_nn.Linear | torch_nn.Sequential)}


def test_histograms_of_degrees():
    graphs = [Data(edge_index=edges_between(n, 2, 7), num_nodes=n) for n in (5, 4)]
    wanted = pyg.PNAConv.get_degree_histogram(graphs)
    assert torch.equal(nn.PNAConv.get_degree_histogram(graphs), wanted)
    topologies = [gs.Topology.from_data(graph) for graph in graphs]
    assert torch.equal(nn.PNAConv.get_degree_histogram(topologies), wanted)


def test_merges_of_ones_own_and_features_of_edges_in_a_sparse_matrix():
    x, edge_index = torch.randn(5, 4), edges_between(5, 5, 9)
    layer, peer = (nn.PNAConv(4, 6, a, ["identity"], DEG, 1) for a in ([gs.Max(), "mean"], ["max", "mean"]))
    layer.load_state_dict(peer.state_dict())
    e = torch.randn(9)
    assert_close(layer(x, edge_index, e), peer(x, edge_index, e[:, None]))
    adj_t = matrix(edge_index, e, 5)
    assert_close(layer(x, adj_t), layer(x, adj_t.indices().flip(0), adj_t.values()), 1e-5)


@pytest.mark.parametrize(("change", "message"), [
    ({"aggregators": ["median"]}, "`aggregators`: expected a list of sum"),
    ({"aggregators": []}, "`aggregators`"),
    ({"scalers": "identity"}, "`scalers`: expected a list of identity"),
    ({"deg": torch.zeros(3)}, "`deg`: expected the number of nodes of each degree"),
    ({"deg": [1, 2]}, "`deg`"),
    ({"in_channels": -1}, "`in_channels`"),
    ({"in_channels": 5, "towers": 2, "divide_input": True}, "`in_channels`: expected a multiple of the 2 towers"),
    ({"out_channels": 5, "towers": 2}, "`out_channels`: expected a multiple"),
    ({"edge_dim": 0}, "`edge_dim`"),
    ({"pre_layers": 0}, "`pre_layers`"),
    ({"pre_layers": 2, "act": "sine"}, "`act`: expected the name of one of torch.nn's activations"),
    ({"flow": "up"}, "`flow`"),
])  # fmt: skip
def test_slips_of_pna(change, message):
    given = {"in_channels": 4, "out_channels": 6, "aggregators": ["mean"], "scalers": ["identity"], "deg": DEG}
    with pytest.raises(gs.GraphError, match=message):
        nn.PNAConv(**given | change)


def test_slips_in_calls_of_pna():
    plain, reading = (nn.PNAConv(4, 6, ["mean"], ["identity"], DEG, edge_dim) for edge_dim in (None, 3))
    x, edge_index, e = torch.randn(5, 4), edges_between(5, 5, 9), torch.randn(9, 3)
    with pytest.raises(gs.GraphError, match="`edge_attr`: expected None for a layer without edge_dim"):
        plain(x, edge_index, e)
    for wrong in (None, e[:, :2], e[:4], e.long()):
        with pytest.raises(gs.GraphError, match=r"`edge_attr`: expected"):
            reading(x, edge_index, wrong)
    with pytest.raises(gs.GraphError, match=r"`conv`: expected a convolution .*; PNAConv also needs"):
        nn.NodeClassifier(3, 4, 2, conv="pna")
