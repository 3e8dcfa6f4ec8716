"""Networks that are blocks of a graph network: by their papers' equations, written out node by node."""

import pytest
import torch
import torch_geometric.nn as pyg
from hypothesis import given
from hypothesis import strategies as st
from torch import nn as torch_nn

import graphseq as gs
from graphseq import nn
from graphseq.nn.blocks._sets import complete
from tests.oracles import adjacency, assert_agree, assert_close, leaf
from tests.strategies import any_graph, examples

double = {"dtype": torch.float64}
MERGES = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}
SIZES = st.lists(st.integers(0, 4), min_size=1, max_size=4)


def perceptron(a, b):
    return torch_nn.Sequential(torch_nn.Linear(a, 5), torch_nn.Tanh(), torch_nn.Linear(5, b)).double()


def by_graph(x, sizes):
    return list(x.split(list(sizes)))


def merged(rows, width, merge="sum"):
    return MERGES[merge](torch.stack(rows), 0) if rows else torch.zeros(width, **double)


# --------------------------------------------------------------------------------------------------------------- sets


@pytest.mark.parametrize("merge", MERGES)
@given(sizes=SIZES)
@examples(10)
def test_deep_sets(merge, sizes):
    network = nn.DeepSets(perceptron(3, 4), perceptron(4, 2), aggregate=merge)
    x, sets = leaf(sum(sizes), 3), gs.Topology.chain(sizes)
    phi, rho = network.block.node_model, network.block.global_model
    wanted = torch.stack([rho(merged([phi(v) for v in part], 4, merge)) for part in by_graph(x, sizes)])
    assert_agree(network(x, sets), wanted, [x, *network.parameters()])
    if sizes[-1]:
        assert_close(network(x, sets.batch), wanted)
    if len(sizes) == 1:
        assert_close(network(x), wanted)
    order = torch.cat([torch.randperm(n) + sum(sizes[:k]) for k, n in enumerate(sizes)])
    assert_close(network(x[order], sets), wanted)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("loops", [True, False])
@given(sizes=SIZES)
@examples(8)
def test_relation_networks(merge, loops, sizes):
    network = nn.RelationNetwork(perceptron(8, 4), perceptron(4, 2), aggregate=merge, loops=loops)
    x, q, sets = leaf(sum(sizes), 3), leaf(len(sizes), 2), gs.Topology.chain(sizes)
    g, f = network.relations.edge_model, network.output.global_model
    wanted = torch.stack([
        f(merged([g(torch.cat([part[v], part[u], q[b]])) for v in range(len(part)) for u in range(len(part))
                  if loops or u != v], 4, merge))
        for b, part in enumerate(by_graph(x, sizes))
    ])  # fmt: skip
    assert_agree(network(x, sets, q), wanted, [x, q, *network.parameters()])
    plain = nn.RelationNetwork(perceptron(6, 4), perceptron(4, 2), aggregate=merge, loops=loops)
    assert_close(plain(x), plain(x, torch.zeros(len(x), dtype=torch.int64)) if len(x) else plain(x))


@given(sizes=SIZES)
@examples(20)
def test_complete_graphs(sizes):
    sets = gs.Topology.chain(sizes)
    for loops in (True, False):
        pairs = complete(sets, loops=loops)
        blocks = [torch.ones(n, n, **double) if loops else 1 - torch.eye(n, **double) for n in sizes]
        assert_close(adjacency(pairs.edge_index, sum(sizes)), torch.block_diag(*blocks).reshape(sum(sizes), sum(sizes)))
        assert torch.equal(pairs.graph_ptr, sets.graph_ptr) and complete(sets, loops=loops) is pairs


@given(sizes=SIZES)
@examples(15)
def test_communication(sizes):
    network, x, sets = nn.CommNet(3, 4).double(), leaf(sum(sizes), 3), gs.Topology.chain(sizes)
    lin = network.block.node_model[0]
    c, h = lin.weight.split(3, 1)
    rows = []
    for part in by_graph(x, sizes):
        for v in range(len(part)):
            heard = merged([part[u] for u in range(len(part)) if u != v], 3, "mean")
            rows.append(torch.tanh(c @ heard + h @ part[v] + lin.bias))
    wanted = torch.stack(rows) if rows else torch.zeros(0, 4, **double)
    assert_agree(network(x, sets), wanted, [x, *network.parameters()])
    near = gs.Topology.chain(sizes)
    heard = torch.cat([torch.cat([part[:1] * 0, part[:-1]]) for part in by_graph(x, sizes)])
    assert_close(network(x, edge_index=near), torch.tanh(heard @ c.t() + x @ h.t() + lin.bias))


@pytest.mark.parametrize(("heads", "width"), [(1, 4), (2, 4), (3, 6)])
@given(sizes=SIZES)
@examples(10)
def test_non_local_networks_are_self_attention(heads, width, sizes):
    network, x = nn.NonLocalNetwork(4, heads, width).double(), leaf(sum(sizes), 4)
    edges, out = network.block.edge_model, network.block.node_model.lin
    rows = []
    for part in by_graph(x, sizes):
        q, k, v = (f(part).unflatten(1, (heads, -1)).transpose(0, 1) for f in (edges.query, edges.key, edges.value))
        y = torch_nn.functional.scaled_dot_product_attention(q, k, v) if len(part) else v
        rows.append(part + out(y.transpose(0, 1).flatten(1)))
    assert_agree(network(x, gs.Topology.chain(sizes)), torch.cat(rows), [x, *network.parameters()], 1e-9)
    if sum(sizes) and width == 4:
        conv = nn.TransformerConv(4, 4 // heads, heads, root_weight=False).double()  # the same, fused, on given edges
        for name, lin in (("query", conv.lin_query), ("key", conv.lin_key), ("value", conv.lin_value)):
            lin.load_state_dict(getattr(edges, name).state_dict())
        pairs = complete(gs.Topology.chain(sizes), loops=True)
        assert_close(network(x, gs.Topology.chain(sizes)), x + out(conv(x, pairs)), 1e-9)


# ------------------------------------------------------------------------------------------------------------- graphs


@pytest.mark.parametrize("merge", MERGES)
@given(t=any_graph())
@examples(10)
def test_message_passing_and_interactions(merge, t):
    n, m = t.num_nodes, t.num_edges
    message, update, readout = perceptron(2 + 6, 4), perceptron(4 + 3, 3), perceptron(3, 2)
    x, e = leaf(n, 3), leaf(m, 2)
    h = x
    for _ in range(2):
        sent = [message(torch.cat([e[k], h[v], h[u]])) for k, (u, v) in enumerate(t.edge_index.t().tolist())]
        into = [[s for s, v in zip(sent, t.edge_index[1].tolist(), strict=True) if v == w] for w in range(n)]
        rows = [update(torch.cat([merged(into[v], 4, merge), h[v]])) for v in range(n)]
        h = torch.stack(rows) if n else h
    parts = by_graph(h, t.graph_ptr.diff().tolist()) if t.num_graphs else []
    y = [readout(merged(list(part), 3, merge)) for part in parts]
    y = torch.stack(y) if y else torch.zeros(0, 2, **double)
    network = nn.MPNN(message, update, readout, rounds=2, aggregate=merge)
    assert_agree(network(x, t, e), (h, y), [x, e, *network.parameters()], 1e-9)
    bare = nn.MPNN(message, update, rounds=2, aggregate=merge)
    assert bare(x, t, e)[1] is None
    assert_close(bare(x, t, e)[0], h, 1e-9)
    single, effects = nn.InteractionNetwork(message, update, aggregate=merge)(x, t, e)
    assert_close(single, nn.MPNN(message, update, aggregate=merge)(x, t, e)[0])
    assert_close(effects, nn.GraphNetwork(message)(x, t, e)[1])


@pytest.mark.parametrize("library", [nn, torch_nn])
def test_message_passing_with_a_gated_update(library):
    x, e, _ = parts(3, 2, 1)
    message, cell = perceptron(8, 4), library.GRUCell(4, 3).double()
    network, h = nn.MPNN(message, cell, rounds=2), x
    for _ in range(2):
        sent = message(torch.cat([e, h[EDGES[1]], h[EDGES[0]]], 1))
        h = cell(torch.zeros(N, 4, **double).index_add(0, EDGES[1], sent), h)
    assert_agree(network(x, EDGES, e)[0], h, [x, e, *network.parameters()], 1e-9)


@given(t=any_graph())
@examples(15)
def test_structure2vec(t):
    network, x = nn.Structure2Vec(3, 4, rounds=3).double(), leaf(t.num_nodes, 3)
    lin = network.block.node_model[1]
    w_2, w_1 = lin.weight.split([4, 3], 1)
    mu = torch.zeros(t.num_nodes, 4, **double)
    for _ in range(3):
        mu = torch.relu(x @ w_1.t() + adjacency(t.edge_index, t.num_nodes) @ mu @ w_2.t() + lin.bias)
    assert_agree(network(x, t), mu, [x, *network.parameters()], 1e-9)


class Gated(torch_nn.Module):
    """A GRU's update of ``[m, h]``."""

    def __init__(self, size):
        super().__init__()
        self.cell = torch_nn.GRUCell(size, size)

    def forward(self, parts):
        return self.cell(*parts.chunk(2, 1))


class Sent(torch_nn.Module):
    """A linear map of the sender, of ``[receiver, sender]``."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, ends):
        return ends.chunk(2, 1)[1] @ self.weight


def test_a_gated_graph_network_is_message_passing():
    conv = nn.GatedGraphConv(4, 1).double()
    update = Gated(4).double()
    update.cell.load_state_dict(conv.rnn.state_dict())
    network = nn.MPNN(Sent(conv.weight[0]), update)
    x, edges = leaf(6, 4), torch.randint(0, 6, (2, 15))
    assert_agree(network(x, edges)[0], conv(x, edges), [x, conv.weight])
    cell = nn.GRUCell(4, 4).double()
    cell.load_state_dict(conv.rnn.state_dict())
    rounds = nn.Recurrent(cell, gs.Rounds(3))
    shared = nn.MPNN(Sent(torch.eye(4, **double)), update, rounds=3)
    assert_close(shared(x, edges)[0], rounds(x, gs.Topology.from_edge_index(edges, 6)))


def test_graph_convolutions_of_pyg_are_blocks():
    """GIN, and SAGE, as message passing."""
    x, edges = leaf(6, 3), torch.randint(0, 6, (2, 15))
    inner = perceptron(3, 4)

    class Isomorphism(torch_nn.Module):
        def forward(self, parts):
            return inner(parts[:, :3] + 1.5 * parts[:, 3:])

    gin = pyg.GINConv(inner, eps=0.5)
    assert_close(nn.MPNN(Sent(torch.eye(3, **double)), Isomorphism())(x, edges)[0], gin(x, edges))
    sage = pyg.SAGEConv(3, 4).double()
    update = torch_nn.Linear(6, 4).double()
    with torch.no_grad():
        update.weight.copy_(torch.cat([sage.lin_l.weight, sage.lin_r.weight], 1))
        update.bias.copy_(sage.lin_l.bias)
    assert_close(nn.MPNN(Sent(torch.eye(3, **double)), update, aggregate="mean")(x, edges)[0], sage(x, edges))


# ------------------------------------------------------------------------------------------------------- compositions

N, E, B = 5, 7, 3
BATCH = torch.tensor([0, 0, 0, 2, 2])
EDGES = torch.tensor([[0, 1, 2, 0, 3, 4, 4], [1, 2, 0, 0, 4, 3, 4]])


def parts(f, e, u):
    return leaf(N, f), leaf(E, e), leaf(B, u)


def block(f, e, u, out):
    return nn.GraphNetwork(perceptron(e + 2 * f + u, out), perceptron(out + f + u, out), perceptron(2 * out + u, out))


def test_residual_blocks():
    x, e, u = parts(4, 4, 4)
    inner = block(4, 4, 4, 4)
    found, plain = nn.ResidualGraphNetwork(inner)(x, EDGES, e, u, BATCH), inner(x, EDGES, e, u, BATCH)
    for a, b, before in zip(found, plain, (x, e, u), strict=True):
        assert_close(a, b + before)
    some = nn.ResidualGraphNetwork(nn.GraphNetwork(None, perceptron(4 + 4 + 4, 2)))
    nodes, edges, globals_ = some(x, EDGES, e, u, BATCH)
    assert nodes.shape == (N, 2) and edges is e and globals_ is u
    assert nn.ResidualGraphNetwork(nn.GraphNetwork(None, perceptron(4, 4)))(x, EDGES)[1:] == (None, None)


@pytest.mark.parametrize("library", [nn, torch_nn])
def test_recurrent_blocks(library):
    x, e, u = parts(3, 2, 1)
    cells = [library.GRUCell(6, h).double() for h in (4, 5, 2)]
    inner = block(7, 7, 3, 6)
    network = nn.RecurrentGraphNetwork(inner, *cells, steps=2)
    h = [torch.zeros(N, 4, **double), torch.zeros(E, 5, **double), torch.zeros(B, 2, **double)]
    for _ in range(2):
        given = [torch.cat([a, b], 1) for a, b in zip((x, e, u), h, strict=True)]
        made = inner(given[0], EDGES, given[1], given[2], BATCH)
        h = [torch.stack([cell(r, s) for r, s in zip(m, state, strict=True)])
             for cell, m, state in zip(cells, made, h, strict=True)]  # fmt: skip
    found = network(x, EDGES, e, u, BATCH)
    assert_agree(found, tuple(h), [x, e, u, *network.parameters()], 1e-9)
    one = nn.RecurrentGraphNetwork(inner, *cells)
    assert_agree(one(x, EDGES, e, u, BATCH, state=one(x, EDGES, e, u, BATCH)), found)
    bare = nn.RecurrentGraphNetwork(nn.GraphNetwork(perceptron(14, 6), perceptron(13, 6)), cells[0], steps=2)
    assert bare(x, EDGES)[1:] == (None, None)


@pytest.mark.parametrize("topology", [True, False])
def test_encode_process_decode(topology):
    encoder = nn.GraphIndependent(perceptron(2, 4), perceptron(3, 4), perceptron(1, 4))
    core = block(8, 8, 8, 4)
    decoder = nn.GraphIndependent(perceptron(4, 1), perceptron(4, 2))
    model = nn.EncodeProcessDecode(encoder, core, decoder, steps=3)
    x, e, u = parts(3, 2, 1)
    where = (gs.Topology.from_edge_index(EDGES, batch=BATCH),) if topology else (EDGES,)
    batch = None if topology else BATCH
    first = [encoder.node_model(x), encoder.edge_model(e), encoder.global_model(u)]
    latent, wanted = first, []
    for _ in range(3):
        both = [torch.cat(pair, 1) for pair in zip(first, latent, strict=True)]
        latent = core(both[0], *where, both[1], both[2], batch)
        wanted.append((decoder.node_model(latent[0]), decoder.edge_model(latent[1]), latent[2]))
    assert_agree(model(x, *where, e, u, batch), wanted[-1], [x, e, u, *model.parameters()], 1e-9)
    for a, b in zip(model.each_step(x, *where, e, u, batch), wanted, strict=True):
        assert_agree(a, b)
    without = nn.EncodeProcessDecode(nn.GraphIndependent(None, perceptron(3, 4)), nn.GraphNetwork(
        perceptron(16, 4), perceptron(12, 4)), nn.GraphIndependent(None, perceptron(4, 2)), steps=1)  # fmt: skip
    assert without(x, EDGES)[0].shape == (N, 2)


# ---------------------------------------------------------------------------------------------------------------- all

SETS = {
    "deep sets": lambda: nn.DeepSets(perceptron(3, 4), perceptron(4, 2)),
    "relation": lambda: nn.RelationNetwork(perceptron(6, 4), perceptron(4, 2)),
    "communication": lambda: nn.CommNet(3, 2),
    "non-local": lambda: nn.NonLocalNetwork(3, 2, 4),
}
GRAPHS = {
    "message passing": lambda: nn.MPNN(perceptron(6, 4), perceptron(7, 3), perceptron(3, 2), rounds=2),
    "interaction": lambda: nn.InteractionNetwork(perceptron(6, 4), perceptron(7, 3)),
    "structure2vec": lambda: nn.Structure2Vec(3, 2, rounds=2),
    "residual": lambda: nn.ResidualGraphNetwork(nn.GraphNetwork(perceptron(6, 4), perceptron(7, 3))),
    "recurrent": lambda: nn.RecurrentGraphNetwork(
        nn.GraphNetwork(perceptron(10, 4), perceptron(9, 4)), nn.GRUCell(4, 2), steps=2),
    "encode": lambda: nn.EncodeProcessDecode(
        nn.GraphIndependent(None, perceptron(3, 2)), nn.GraphNetwork(perceptron(8, 2), perceptron(6, 2)),
        nn.GraphIndependent(None, perceptron(2, 1)), steps=1),
}  # fmt: skip
ALL = SETS | GRAPHS


def first(out):
    return out if isinstance(out, torch.Tensor) else out[0]


@pytest.mark.parametrize("name", ALL)
def test_derivatives_compilation_and_dtypes(name):
    network = ALL[name]().double()
    t, x = gs.Topology.from_edge_index(EDGES, batch=BATCH), leaf(N, 3)
    assert torch.autograd.gradcheck(lambda x: first(network(x, t)), x)
    assert torch.autograd.gradgradcheck(lambda x: first(network(x, t)), x)
    torch._dynamo.reset()
    fast = torch.compile(network, fullgraph=True, backend="aot_eager")
    assert_close(first(fast(x, t)), first(network(x, t)), 1e-9)
    assert first(network.float()(x.float(), t)).dtype == torch.float32


@pytest.mark.parametrize("name", ALL)
def test_batched_equals_separate(name):
    network = ALL[name]().double()
    members = [gs.Topology.chain([0]), gs.Topology.from_edge_index(EDGES[:, :4], 3), gs.Topology.chain([1]),
               gs.Topology.chain([0])]  # fmt: skip
    x = torch.randn(4, 3, **double)
    alone = [network(part, t) for part, t in zip(x.split([0, 3, 1, 0]), members, strict=True)]
    found = network(x, gs.batch(members))
    assert_close(first(found), torch.cat([first(out) for out in alone]), 1e-9)
    if name == "message passing":
        assert_close(found[1], torch.cat([y for _, y in alone]))
    assert torch.isfinite(first(network(x[:0], gs.batch([])))).all()


class Ends(torch_nn.Module):
    """No block: it returns only nodes."""

    def forward(self, x, *rest):
        return x


def test_slips():
    x, t, f = torch.randn(3, 4, **double), gs.Topology.chain([3]), perceptron(4, 4)
    cell = nn.GRUCell(4, 4)
    for call, message in (
        (lambda: nn.DeepSets(f, torch.relu), r"`rho`: expected a torch\.nn\.Module"),
        (lambda: nn.DeepSets(f, f)(x, gs.Topology.chain([2])), "`x`: expected 2 rows"),
        (lambda: nn.DeepSets(f, f)(x[0]), r"`x`: expected a floating-point tensor of shape \[N, F\]"),
        (lambda: nn.DeepSets(f, f)(x, torch.tensor([1, 0, 0])), "`batch`: expected ascending graph numbers"),
        (lambda: nn.RelationNetwork(f, f)(x), "`relation`: expected a first layer of 8 inputs"),
        (lambda: nn.NonLocalNetwork(4, 3), "`heads`: expected a divisor of 4"),
        (lambda: nn.NonLocalNetwork(3)(x), r"`x`: expected shape \[N, 3\]"),
        (lambda: nn.CommNet(0, 2), "`in_channels`: expected a whole number"),
        (lambda: nn.CommNet(5, 2)(x.float()), "`x`: expected features as wide"),
        (lambda: nn.Structure2Vec(4, 2, 0), "`rounds`: expected a whole number"),
        (lambda: nn.Structure2Vec(5, 2)(x.float(), t), "`x`: expected features as wide"),
        (lambda: nn.MPNN(f, f, rounds=0), "`rounds`: expected a whole number"),
        (lambda: nn.InteractionNetwork(f, f)(x, t), "`relation`: expected a first layer of 8 inputs"),
        (lambda: nn.ResidualGraphNetwork(None), "`block`: expected a module with the call of a GraphNetwork"),
        (lambda: nn.ResidualGraphNetwork(Ends())(x, t), "`block`: expected a block that returns nodes"),
        (lambda: nn.RecurrentGraphNetwork(nn.GraphNetwork(), f), "`nodes`: expected a cell with a hidden_size"),
        (lambda: nn.RecurrentGraphNetwork(nn.GraphNetwork(), cell, f), "`edges`: expected a cell"),
        (lambda: nn.RecurrentGraphNetwork(nn.GraphNetwork(), cell, cell)(x, t), "`edge_attr`: .* there is a cell"),
        (lambda: nn.RecurrentGraphNetwork(nn.GraphNetwork(), cell, steps=0), "`steps`: expected a whole number"),
        (lambda: nn.GraphIndependent(f)(x, t), "`edge_attr`: expected features, since the block has a model of edges"),
        (lambda: nn.GraphIndependent(torch.relu), r"`edge_model`: expected a torch\.nn\.Module"),
        (lambda: nn.EncodeProcessDecode(f, f, None, steps=1), "`decoder`: expected a module"),
        (lambda: nn.EncodeProcessDecode(Ends(), f, f, steps=1)(x, t), "`encoder`: expected a block that returns nodes"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            call()
