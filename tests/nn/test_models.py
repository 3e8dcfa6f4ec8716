"""Readouts, the Tree-LSTM layer and the models."""

from functools import partial

import pytest
import torch
import torch_geometric.nn as pyg
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

import graphseq as gs
from graphseq import nn
from graphseq.nn import (
    GraphClassifier,
    NodeClassifier,
    SequenceClassifier,
    TreeClassifier,
    TreeLSTM,
    readout,
)
from tests.oracles import assert_agree, assert_close, child_sum, leaf, nary, sweep_oracle
from tests.strategies import examples, slotted_trees, trees

REDUCES = {"sum": pyg.global_add_pool, "mean": pyg.global_mean_pool, "max": pyg.global_max_pool}


@pytest.mark.parametrize("reduce", REDUCES)
@given(batch=st.lists(st.integers(0, 4), min_size=1, max_size=12))
@examples(20)
def test_readout_equals_pyg(reduce, batch):
    x, vector = leaf(len(batch), 3), torch.tensor(batch)
    assert_agree(readout(x, vector, reduce), REDUCES[reduce](x, vector), [x])
    ordered = vector.sort().values
    topology = gs.Topology.from_edge_index(torch.empty(2, 0, dtype=torch.int64), None, ordered, num_graphs=6)
    assert_agree(readout(x, topology, reduce), REDUCES[reduce](x, ordered, 6), [x])


def test_readout_of_graphs_without_nodes():
    assert readout(torch.zeros(0, 3), torch.empty(0, dtype=torch.int64)).shape == (0, 3)
    found = readout(torch.ones(1, 2), torch.tensor([1]), "max", num_graphs=3)
    assert torch.equal(found.sum(1), torch.tensor([0.0, 2, 0]))


def test_readout_of_bad_input():
    with pytest.raises(gs.GraphError, match="`reduce`"):
        readout(torch.zeros(2, 3), torch.tensor([0, 0]), "median")
    with pytest.raises(gs.GraphError, match="`x`: expected 2 rows"):
        readout(torch.zeros(3, 3), torch.tensor([0, 0]))
    with pytest.raises(gs.GraphError, match="`batch_or_topology`: expected int64"):
        readout(torch.zeros(2, 3), torch.tensor([0.0, 1.0]))


@given(t=trees())
@examples(15)
def test_a_child_sum_layer_equals_recursion(t):
    layer, x = TreeLSTM(3, 4).double(), leaf(t.num_nodes, 3)
    assert_agree(layer(x, t), sweep_oracle(child_sum(layer), layer.cell, x, t), [x, *layer.parameters()])


@given(t=slotted_trees(3))
@examples(15)
def test_an_nary_layer_equals_recursion(t):
    layer, x = TreeLSTM(3, 4, kind="nary", arity=3).double(), leaf(t.num_nodes, 3)
    assert_agree(layer(x, t), sweep_oracle(nary(layer.cell), layer.cell, x, t), [x, *layer.parameters()])


@pytest.mark.parametrize("kind", ["child-sum", "nary"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(t=slotted_trees(2), data=st.data())
@examples(15)
def test_inputs_at_some_nodes_are_zeros_at_the_others(kind, dtype, t, data):
    layer = TreeLSTM(3, 4, kind=kind).to(dtype)
    leaves = (t.in_degree == 0).nonzero()[:, 0]
    some = torch.tensor(data.draw(st.lists(st.integers(0, t.num_nodes - 1), unique=True)), dtype=torch.int64)
    for nodes in (leaves[torch.randperm(len(leaves))], some):
        x = leaf(len(nodes), 3, dtype=dtype)
        full = torch.zeros(t.num_nodes, 3, dtype=dtype).index_copy(0, nodes, x)
        tolerance = 1e-5 if dtype == torch.float32 else 1e-11
        assert_agree(layer(x, t, nodes=nodes), layer(full, t), [x, *layer.parameters()], tolerance)


def test_second_derivatives_of_leaves_alone():
    layer, t = TreeLSTM(2, 3, kind="nary").double(), gs.Topology.tree([2, 2, 4, 4, -1])
    nodes = torch.tensor([3, 0, 1])
    x = leaf(3, 2)
    assert torch.autograd.gradgradcheck(lambda x, *_: layer(x, t, nodes=nodes), (x, *layer.parameters()))


def test_layout_of_parameters():
    shapes = {n: tuple(p.shape) for n, p in TreeLSTM(3, 4, kind="nary", arity=3).named_parameters()}
    assert shapes == {"weight_ih": (16, 3), "weight_hh": (24, 12), "bias": (16,)}
    assert TreeLSTM(3, 4).weight_hh.shape == (16, 4)


def test_bad_input_of_a_tree_layer():
    tree = gs.Topology.tree([3, 3, 3, -1])
    with pytest.raises(gs.GraphError, match="`topology`: expected at most 2 slots"):
        TreeLSTM(3, 4, kind="nary")(torch.zeros(4, 3), tree)
    with pytest.raises(gs.GraphError, match="`kind`"):
        TreeLSTM(3, 4, kind="binary")
    with pytest.raises(gs.GraphError, match="`arity`"):
        TreeLSTM(3, 4, kind="nary", arity=0)
    for nodes, message in (([0, 0], "once"), ([0, 9], "numbers from 0 to 3"), ([0.0, 1.0], "int64")):
        with pytest.raises(gs.GraphError, match=f"`nodes`: expected .*{message}"):
            TreeLSTM(3, 4)(torch.zeros(2, 3), tree, nodes=torch.tensor(nodes))


def test_models_learn_to_tell_two_classes():
    torch.manual_seed(0)
    chain, tree = gs.Topology.chain([6] * 8), gs.batch([gs.Topology.tree([2, 2, -1])] * 8)
    label = torch.arange(8) % 2
    sign = (2.0 * label - 1)[:, None]
    word = torch.stack([label, label, torch.full((8,), -1)], 1).flatten()
    ring = torch.tensor([[*range(8)], [*range(2, 8), 0, 1]])
    tasks = {
        SequenceClassifier(2, 8, 2, bidirectional=True): lambda m: m(sign[:, :, None].expand(8, 5, 2)),
        SequenceClassifier(2, 8, 2, layer="lstm"): lambda m: m(pack_sequence([s.expand(5, 2) for s in sign])),
        TreeClassifier(2, 4, 8, 2): lambda m: m(word, tree, roots=True),
        TreeClassifier(2, 4, 8, 2, cell="child-sum-tree-lstm"): lambda m: m(word, tree)[tree.roots],
        NodeClassifier(2, 8, 2, dropout=0.0): lambda m: m(sign.expand(8, 2), ring),
        GraphClassifier(2, 8, 2, num_layers=2): lambda m: m(sign.repeat_interleave(6, 0).expand(48, 2), chain),
    }
    for model, run in tasks.items():
        optimiser = torch.optim.Adam(model.parameters(), 0.02)
        losses = []
        for _ in range(30):
            loss = torch.nn.functional.cross_entropy(run(model), label)
            optimiser.zero_grad()
            loss.backward()
            assert all(p.grad is not None for p in model.parameters())
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0], type(model).__name__


def test_graphs_in_a_batch_vector_or_a_topology():
    model = GraphClassifier(3, 4, 2).eval()
    t = gs.batch([gs.Topology.chain([3]), gs.Topology.tree([1, -1])])
    x = torch.randn(5, 3)
    assert_close(model(x, t.edge_index, t.batch), model(x, t))
    assert model(x, t.edge_index).shape == (1, 2)
    with pytest.raises(gs.GraphError, match="`layer`"):
        SequenceClassifier(2, 8, 2, layer="transformer")


# -------------------------------------------------------------------------------- options of nodes' and graphs' models

EDGES = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 4], [1, 2, 3, 4, 0, 1, 2, 3]])


def test_names_in_state_dicts_are_those_of_published_runs():
    assert [*NodeClassifier(3, 4, 2).state_dict()] == [f"convs.{i}.{n}" for i in (0, 1) for n in ("bias", "lin.weight")]
    names = {name for name in GraphClassifier(3, 4, 2, num_layers=1).state_dict() if "classifiers" not in name}
    assert {name.rpartition(".")[0] for name in names} == {"convs.0"} | {f"convs.0.nn.{i}" for i in (0, 1, 3, 4)}
    other = {name for name in GraphClassifier(3, 4, 2, num_layers=1, conv="gcn").state_dict() if "ends" in name}
    assert {name.rpartition(".")[0] for name in other} == {"ends.0.0"}


@pytest.mark.parametrize("conv", ["gat", "gatv2", "transformer", partial(nn.GATConv, dropout=0.1)])
def test_heads_are_concatenated_in_hidden_layers_and_averaged_in_the_last(conv):
    model = NodeClassifier(3, 8, 2, num_layers=3, conv=conv, heads=4).double()
    assert [(c.heads, c.out_channels, c.concat) for c in model.convs] == [(4, 2, True), (4, 2, True), (4, 2, False)]
    x = leaf(5, 3)
    model.eval()
    h = torch.relu(model.convs[1](torch.relu(model.convs[0](x, EDGES)), EDGES))
    assert_agree(model(x, EDGES), model.convs[2](h, EDGES), [x])
    whole = GraphClassifier(3, 8, 2, conv=conv, heads=4)
    assert {(c.heads, c.out_channels, c.concat) for c in whole.convs} == {(4, 2, True)}
    assert whole(x.float(), EDGES).shape == (1, 2)


def test_pygs_gat_with_the_same_weights():
    model = NodeClassifier(3, 8, 2, num_layers=3, conv="gat", heads=4).double().eval()
    peer = pyg.GAT(3, 8, 2, heads=4).double()
    last = pyg.GATConv(8, 2, heads=4, concat=False).double()
    for ours, theirs in zip(model.convs, [*peer.convs, last], strict=True):
        theirs.load_state_dict(ours.state_dict())
    x = leaf(5, 3)
    assert_agree(model(x, EDGES), last(torch.relu(peer(x, EDGES)), EDGES), [x], 1e-9)


@pytest.mark.parametrize("norm", [None, "batch", "graph", "layer", "pair", lambda width: torch.nn.LayerNorm(width)])
@pytest.mark.parametrize("connection", ["none", "residual", "dense", "initial"])
def test_norms_and_connections_of_nodes(norm, connection):
    options = {"norm": norm, "connection": connection, "alpha": 0.3}
    model = NodeClassifier(3, 4, 2, num_layers=4, **options).double().eval()
    hidden = nn.Stack(list(model.convs[:-1]), connection=connection, norm=model.norms if norm else None, alpha=0.3)
    t = gs.batch([gs.Topology.chain([3]), gs.Topology.chain([2])])
    x = leaf(5, 3)
    for graphs in (t, EDGES):
        assert_agree(model(x, graphs), model.convs[-1](hidden(x, graphs), graphs), [x])
    model.train()(x, t).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    sparse = nn.SparseFeatures.of(torch.randn(5, 3, dtype=torch.float64).relu())
    for width in (3, 4):
        model = NodeClassifier(3, width, 2, num_layers=3, **options).double().eval()
        assert_close(model(sparse, EDGES), model(sparse.dense(), EDGES), 1e-9)


@pytest.mark.parametrize("norm", [None, "batch", "graph", "layer", "pair"])
@pytest.mark.parametrize("connection", ["none", "residual", "dense", "initial"])
@pytest.mark.parametrize("conv", ["gin", "gcn", partial(nn.ChebConv, K=3)])
def test_norms_and_connections_of_graphs(conv, norm, connection):
    model = GraphClassifier(3, 4, 2, num_layers=3, conv=conv, norm=norm, connection=connection, alpha=0.3)
    model = model.double().eval()
    parts = [gs.Topology.chain([3]), gs.Topology.chain([0]), gs.Topology.chain([2])]
    t, x = gs.batch(parts), leaf(5, 3)
    states = [x]
    bare = conv == "gin" and norm is None
    for k, layer in enumerate(model.convs):
        h, first = states[-1], states[min(k, 1)]
        out = layer(h, t)
        if connection == "initial" and k:
            out = 0.7 * out + 0.3 * first
        if not bare:
            inner = model.ends[k][0]
            out = torch.relu(inner(out, t) if norm in ("graph", "pair") else inner(out))
        if connection == "residual" and k:
            out = h + out
        states.append(torch.cat([h, out], 1) if connection == "dense" else out)
    wanted = sum(f(readout(h, t)) for f, h in zip(model.classifiers, states, strict=True))
    assert_agree(model(x, t), wanted, [x])
    assert_close(model(x, t.edge_index, t.batch), wanted)
    alone = [model(part, one) for part, one in zip(x.split([3, 0, 2]), parts, strict=True)]
    assert_close(torch.cat(alone), wanted)
    model.train()(x, t).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("make", [
    lambda: NodeClassifier(3, 4, 2, num_layers=3, norm="graph", connection="initial", dropout=0.0),
    lambda: GraphClassifier(3, 4, 2, num_layers=2, norm="pair", connection="dense", dropout=0.0),
], ids=["nodes", "graphs"])  # fmt: skip
def test_models_with_options_are_compiled(make):
    torch._dynamo.reset()
    model, t, x = make().eval(), gs.Topology.chain([3, 2]), torch.randn(5, 3)
    assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x, t), model(x, t), 1e-5)
    assert model(x[:0], gs.Topology.chain([0, 0])).shape[1] == 2


@pytest.mark.parametrize("make", [NodeClassifier, GraphClassifier])
def test_features_and_types_of_edges(make):
    x, edges, e = torch.randn(4, 3), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), torch.randn(4, 5)
    kinds = torch.tensor([0, 1, 0, 2])
    for conv, name, value in (
        (partial(nn.GATConv, edge_dim=5), "edge_attr", e),
        (lambda a, b: nn.GINEConv(torch.nn.Linear(a, b), edge_dim=5), "edge_attr", e),
        (partial(nn.RGCNConv, num_relations=3), "edge_type", kinds),
        ("gcn", "edge_weight", e[:, 0].abs()),
        ("gated-graph", "edge_weight", e[:, 0]),
    ):
        model = make(3, 4, 4, num_layers=2, dropout=0.0, conv=conv).eval()
        out, other = model(x, edges, **{name: value}), model(x, edges, **{name: value.flip(0)})
        assert out.shape[1] == 4 and not torch.allclose(out, other)
        for wrong in {"edge_attr", "edge_weight", "edge_type"} - {name}:
            with pytest.raises(gs.GraphError, match=f"`{wrong}`: expected None, .*; pass .* as {name}="):
                model(x, edges, **{wrong: value})
    stack = nn.Stack([nn.RGCNConv(3, 4, 3), nn.GATConv(4, 4, edge_dim=5)], act=None)
    wanted = stack.layers[1](stack.layers[0](x, edges, kinds), edges, e)
    torch.testing.assert_close(stack(x, edges, edge_attr=e, edge_type=kinds), wanted)


def test_options_that_do_not_fit():
    for make in (NodeClassifier, GraphClassifier):
        for options, message in (
            ({"heads": 2}, "`heads`: expected 1 for a layer whose constructor takes no"),
            ({"conv": "gat", "heads": 3}, "`heads`: expected a divisor of 4"),
            ({"conv": "gat", "heads": 0}, "`heads`: expected a whole number ≥ 1"),
            ({"conv": lambda a, b: nn.GCNConv(a, b), "heads": 2}, "`heads`: expected 1 for a layer"),
            ({"norm": "instance"}, '`norm`: expected one of "batch", "graph", "layer", "pair"'),
            ({"norm": nn.PairNorm()}, "`norm`: expected one of"),
            ({"norm": lambda width: width}, "`norm`: expected a name or a function that makes a module"),
            ({"connection": "res"}, '`connection`: expected "none", "residual"'),
            ({"connection": "initial", "alpha": -1}, "`alpha`: expected a number from 0 to 1"),
        ):
            with pytest.raises(gs.GraphError, match=message):
                make(3, 4, 2, **options)
    with pytest.raises(gs.GraphError, match="`in_channels`: expected the number of features"):
        GraphClassifier(-1, 4, 2, connection="dense")
    with pytest.raises(gs.GraphError, match="`batch`: expected None with a topology"):
        GraphClassifier(3, 4, 2)(torch.zeros(2, 3), gs.Topology.chain([2]), torch.zeros(2, dtype=torch.int64))
