"""Norms, dropped edges, jumping knowledge and stacks equal PyG's; deep networks by their Dirichlet energy."""

import inspect

import pytest
import torch
import torch_geometric.nn as pyg
from hypothesis import given
from hypothesis import strategies as st

import graphseq as gs
from graphseq import nn
from graphseq.spectral import dirichlet_energy, laplacian
from tests.oracles import adjacency, assert_agree, assert_close, leaf
from tests.strategies import any_graph, examples

double = {"dtype": torch.float64}
NORMS = {
    "pair": lambda library: library.PairNorm(1.5),
    "pair each": lambda library: library.PairNorm(0.7, scale_individually=True, eps=1e-3),
    "graph": lambda library: library.GraphNorm(3, eps=1e-3),
}
norms = pytest.mark.parametrize("name", NORMS)


def twins(make):
    ours, theirs = (make(library).double() for library in (nn, pyg))
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def both(edges):
    return torch.cat([edges, edges.flip(0)], 1)


# -------------------------------------------------------------------------------------------------------------- norms


@norms
@given(batch=st.lists(st.integers(0, 4), min_size=1, max_size=12))
@examples(15)
def test_norms_are_pygs(name, batch):
    ours, theirs = twins(NORMS[name])
    vector, x = torch.tensor(batch), leaf(len(batch), 3)
    assert_agree(ours(x), theirs(x), [x, *ours.parameters()][:1], 1e-9)
    assert_agree(ours(x, vector), theirs(x, vector), [x], 1e-9)
    assert_close(ours(x, vector, 7), theirs(x, vector, 7), 1e-9)
    ordered = vector.sort().values
    t = gs.Topology.from_edge_index(torch.empty(2, 0, dtype=torch.int64), None, ordered, num_graphs=6)
    assert_close(ours(x, t), theirs(x, ordered), 1e-9)
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        pairs = (ours, parameter), (theirs, other)
        (a,), (b,) = (torch.autograd.grad(norm(x, vector).cos().sum(), [p]) for norm, p in pairs)
        assert_close(a, b, 1e-9)


@norms
def test_norms_elsewhere(name):
    norm = NORMS[name](nn).double()
    batch, x = torch.tensor([0, 0, 0, 2, 2]), leaf(5, 3)
    assert torch.autograd.gradcheck(lambda x: norm(x, batch, 4), x)
    assert torch.autograd.gradgradcheck(lambda x: norm(x, batch, 4), x)
    assert torch.autograd.gradgradcheck(norm, x)
    for n in (0, 1):
        for graphs in (None, batch[:n], gs.Topology.chain([0, n, 0])):
            out = norm(x[:n], graphs)
            (grad,) = torch.autograd.grad(out.sum(), x, allow_unused=True)
            assert out.shape == (n, 3) and torch.isfinite(out).all() and (grad is None or torch.isfinite(grad).all())
    torch._dynamo.reset()
    fast, t = torch.compile(norm, fullgraph=True, dynamic=True, backend="aot_eager"), gs.Topology.chain([3, 2])
    assert_close(fast(x, t), norm(x, t), 1e-9)
    assert norm.bfloat16()(x.bfloat16(), t).dtype == torch.bfloat16
    assert inspect.signature(type(norm).forward).parameters.keys() == inspect.signature(
        type(NORMS[name](pyg)).forward).parameters.keys()  # fmt: skip


def test_pair_norm_keeps_the_total_of_distances():
    t = gs.Topology.chain([4, 3])
    out = nn.PairNorm(2.0, eps=0)(torch.randn(7, 5, **double), t)
    for part in out.split([4, 3]):
        assert_close(torch.cdist(part, part).square().mean(), torch.tensor(8.0, **double))  # 2 s²


# ------------------------------------------------------------------------------------------------------ dropped edges


def test_drop_edge():
    t = gs.batch([gs.Topology.tree([2, 2, -1], slot=[1, 0, 0])] * 400)
    kept, mask = nn.drop_edge(t, 0.3)
    assert kept.num_nodes == t.num_nodes and torch.equal(kept.batch, t.batch)
    assert torch.equal(kept.edge_index, t.edge_index[:, mask]) and torch.equal(kept.slot, t.slot[mask])
    assert 0.6 < mask.double().mean() < 0.8
    edges, mask = nn.drop_edge(t.edge_index, 0.3)
    assert torch.equal(edges, t.edge_index[:, mask])
    layer = nn.DropEdge(0.3)
    assert layer(t)[1].sum() < t.num_edges
    for whole, every in (layer.eval()(t), nn.drop_edge(t, 0.3, training=False), nn.drop_edge(t, 0)):
        assert whole is t and every.all() and every.shape == (t.num_edges,)
    assert nn.drop_edge(t, 1.0)[0].num_edges == 0
    assert nn.drop_edge(torch.empty(2, 0, dtype=torch.int64), undirected=True)[0].shape == (2, 0)


def test_drop_edge_in_both_directions():
    edges = both(torch.randint(0, 30, (2, 200)))
    kept, mask = nn.drop_edge(edges, 0.5, undirected=True)
    assert 0 < mask.sum() < 400
    for u, v in kept.t().tolist():  # an edge is kept with its reverse, and with others between the same nodes
        same = ((edges[0] == u) & (edges[1] == v)) | ((edges[0] == v) & (edges[1] == u))
        assert mask[same].all()
    assert nn.DropEdge(0.5, undirected=True)(gs.Topology.from_edge_index(edges))[0].num_edges % 2 == 0


# ------------------------------------------------------------------------------------------------- jumping knowledge


@pytest.mark.parametrize("mode", ["cat", "max", "lstm"])
@pytest.mark.parametrize(("channels", "count"), [(4, 3), (3, 1), (3, 3)])
def test_jumping_knowledge_is_pygs(mode, channels, count):
    ours, theirs = twins(lambda library: library.JumpingKnowledge(mode, channels, count))
    xs = [leaf(5, channels) for _ in range(count)]
    assert_agree(ours(xs), theirs(xs), xs, 1e-9)
    if mode == "lstm":
        weights = [torch.autograd.grad(f(xs).cos().sum(), list(f.parameters())) for f in (ours, theirs)]
        for a, b in zip(*weights, strict=True):
            assert_close(a, b, 1e-9)
    assert ours([x[:0] for x in xs]).shape[0] == 0
    if channels * count == 3:
        assert torch.autograd.gradcheck(lambda *xs: ours(xs), xs)
        assert torch.autograd.gradgradcheck(lambda *xs: ours(xs), xs)
        torch._dynamo.reset()
        assert_close(torch.compile(ours, fullgraph=True, backend="aot_eager")(xs), ours(xs), 1e-9)


# ------------------------------------------------------------------------------------------------------------- stacks


def copied(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        b.load_state_dict(a.state_dict())


@pytest.mark.parametrize(("connection", "block"), [("none", "plain"), ("residual", "res"), ("dense", "dense")])
def test_stacks_are_pygs_deep_layers(connection, block):
    widths = [4, 8, 16] if connection == "dense" else [4, 4, 4]
    out = lambda k: widths[k] if connection == "dense" else 4  # noqa: E731
    stack = nn.Stack([nn.GCNConv(w, out(k)) for k, w in enumerate(widths)], connection=connection,
                     norm=[nn.GraphNorm(out(k)) for k in range(3)]).double()  # fmt: skip
    for parameter in stack.parameters():
        torch.nn.init.normal_(parameter)
    peers = [pyg.DeepGCNLayer(pyg.GCNConv(w, out(k)), pyg.GraphNorm(out(k)), torch.nn.ReLU(), block).double()
             for k, w in enumerate(widths)]  # fmt: skip
    copied(stack.layers, [peer.conv for peer in peers])
    copied(stack.norms, [peer.norm for peer in peers])
    x, edges = leaf(6, 4), torch.randint(0, 6, (2, 15))
    wanted = x
    for peer in peers:
        wanted = peer(wanted, edges)
    assert_agree(stack(x, edges), wanted, [x], 1e-9)


@pytest.mark.parametrize("jump", [None, "cat", "max", "lstm"])
def test_stacks_are_pygs_basic_gnns(jump):
    made = nn.JumpingKnowledge("lstm", 5, 3) if jump == "lstm" else jump
    stack = nn.Stack([nn.GCNConv(4, 5), nn.GCNConv(5, 5), nn.GCNConv(5, 5)], norm=nn.GraphNorm(5), jump=made).double()
    peer = pyg.models.GCN(4, 5, 3, norm="graph_norm", jk=jump or "last").double()
    copied(stack.layers, peer.convs)
    copied(stack.norms, peer.norms)
    if jump == "lstm":
        copied([stack.jump], [peer.jk])
    x, edges, weight = leaf(6, 4), torch.randint(0, 6, (2, 15)), torch.rand(15, **double)
    batch = torch.tensor([0, 0, 0, 1, 1, 1])
    peer.lin = torch.nn.Identity()
    assert_agree(stack(x, edges, weight, batch=batch), peer(x, edges, weight, batch=batch), [x], 1e-9)
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 3], [1, 2, 4]]), 6, batch)
    assert_close(stack(x, t), peer(x, t.edge_index, batch=batch), 1e-9)


def test_initial_connections():
    x, edges = leaf(6, 4), torch.randint(0, 6, (2, 15))
    stack = nn.Stack([nn.GCNConv(4, 4, bias=False) for _ in range(3)], connection="initial", alpha=0.3).double()
    wanted = x
    for layer in stack.layers:
        wanted = torch.relu(0.7 * layer(wanted, edges) + 0.3 * x)
    assert_agree(stack(x, edges), wanted, [x, *stack.parameters()])
    narrow = nn.Stack([nn.GCNConv(4, 3), nn.GCNConv(3, 3)], connection="initial", alpha=0.3).double()
    first = torch.relu(narrow.layers[0](x, edges))
    assert_close(narrow(x, edges), torch.relu(0.7 * narrow.layers[1](first, edges) + 0.3 * first))
    own = nn.Stack([nn.GCN2Conv(4, 0.2, 0.5, k) for k in (1, 2, 3)], connection="initial").double()
    theirs = [pyg.GCN2Conv(4, 0.2, 0.5, k).double() for k in (1, 2, 3)]
    copied(own.layers, theirs)
    wanted = x
    for layer in theirs:
        wanted = torch.relu(layer(wanted, x, edges))
    assert_agree(own(x, edges), wanted, [x], 1e-9)


def test_stacks_of_other_layers_and_options():
    x, edges = torch.randn(5, 4), both(torch.tensor([[0, 1, 2], [1, 2, 3]]))
    mixed = nn.Stack([nn.GATConv(4, 2, heads=2, edge_dim=3), nn.GINConv(torch.nn.Linear(4, 4)), nn.GCNConv(4, 4)],
                     norm=torch.nn.LayerNorm(4), act=torch.tanh, connection="residual")  # fmt: skip
    assert not torch.equal(mixed(x, edges, edge_attr=torch.randn(6, 3)), mixed(x, edges))
    assert not torch.equal(mixed(x, edges, torch.rand(6)), mixed(x, edges))
    assert mixed.norms[0] is not mixed.norms[1]
    dropped = nn.Stack([nn.GCNConv(4, 4)], dropout=0.5)
    assert not torch.equal(dropped(x, edges), dropped.eval()(x, edges))
    bare = nn.Stack([nn.GCNConv(4, 4)], act=None)
    assert torch.equal(bare(x, edges), bare.layers[0](x, edges))
    batched = nn.Stack([nn.GCNConv(4, 4)] * 2, norm=nn.PairNorm(), connection="residual")
    parts = [gs.Topology.chain([3]), gs.Topology.chain([0]), gs.Topology.chain([2])]
    alone = torch.cat([batched(part, t) for part, t in zip(x.split([3, 0, 2]), parts, strict=True)])
    assert_close(batched(x, gs.batch(parts)), alone)
    theirs = nn.Stack([nn.GCNConv(4, 4)], norm=pyg.PairNorm())
    theirs.load_state_dict({name.replace("layers.1", "layers.0"): p for name, p in theirs.state_dict().items()})
    assert theirs(x, gs.batch(parts)).shape == (5, 4)


@pytest.mark.parametrize("connection", ["none", "residual", "dense", "initial"])
def test_derivatives_and_compilation_of_stacks(connection):
    widths = [3, 6] if connection == "dense" else [3, 3]
    stack = nn.Stack([nn.GCNConv(w, w) for w in widths], connection=connection, act=torch.tanh,
                     norm=[nn.GraphNorm(w) for w in widths], jump="cat").double()  # fmt: skip
    x, t = leaf(4, 3), gs.Topology.chain([3, 1])
    assert torch.autograd.gradcheck(lambda x: stack(x, t), x)
    assert torch.autograd.gradgradcheck(lambda x: stack(x, t), x)
    torch._dynamo.reset()
    fast = torch.compile(stack, fullgraph=True, dynamic=True, backend="aot_eager")
    assert_close(fast(x, t), stack(x, t), 1e-9)
    for n in (0, 1):
        assert torch.isfinite(stack(x[:n], torch.empty(2, 0, dtype=torch.int64))).all()


# ------------------------------------------------------------------------------------------------------------- energy


@given(t=any_graph())
@examples(25)
def test_the_energy_is_that_of_the_laplacian(t):
    t = gs.Topology.from_edge_index(both(t.edge_index), batch=t.batch, num_graphs=t.num_graphs)
    x, weight = leaf(t.num_nodes, 3), torch.rand(t.num_edges // 2, **double).repeat(2)
    for w in (None, weight):
        for normalization in (None, "sym"):
            structure, entries = laplacian(t, w, normalization=normalization, dtype=torch.float64)
            l = adjacency(structure.edge_index, t.num_nodes, entries)
            loops = adjacency(t.edge_index, t.num_nodes, w).fill_diagonal_(0).sum(1)
            rows = x * (loops > 0)[:, None] if normalization else x  # the Laplacian has 1 at isolated nodes
            each = (rows * (l @ rows)).sum(1)
            wanted = torch.stack([part.sum() for part in each.split(t.graph_ptr.diff().tolist())] or [each.sum()])
            found = dirichlet_energy(x, t, w, normalization=normalization)
            assert_close(found, wanted[: t.num_graphs], 1e-9)
    a = adjacency(t.edge_index, t.num_nodes).fill_diagonal_(0)
    root = (a.sum(1) + 1).rsqrt()
    alone = gs.Topology.from_edge_index(a.nonzero().t(), t.num_nodes)
    weights = a[tuple(alone.edge_index)]
    augmented = torch.eye(t.num_nodes).double() - root[:, None] * (a + torch.eye(t.num_nodes)) * root
    found = dirichlet_energy(x, alone, weights, normalization="sym", self_loops=True)
    assert_close(found, (x * (augmented @ x)).sum()[None], 1e-9)


def test_derivatives_of_the_energy():
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 2, 3], [1, 2, 0, 2, 3]]), batch=torch.tensor([0, 0, 0, 1]))
    x, weight = leaf(4, 2), torch.rand(5, **double, requires_grad=True)
    for options in ({}, {"normalization": "sym"}, {"normalization": "sym", "self_loops": True}):
        assert torch.autograd.gradcheck(lambda x, w: dirichlet_energy(x, t, w, **options), (x, weight))  # noqa: B023
        assert torch.autograd.gradgradcheck(lambda x, w: dirichlet_energy(x, t, w, **options), (x, weight))  # noqa: B023


DEEP = {
    "plain": lambda: nn.Stack([nn.GCNConv(16, 16) for _ in range(48)]),
    "residual": lambda: nn.Stack([nn.GCNConv(16, 16) for _ in range(48)], connection="residual"),
    "initial": lambda: nn.Stack([nn.GCNConv(16, 16) for _ in range(48)], connection="initial"),
    "pair norm": lambda: nn.Stack([nn.GCNConv(16, 16) for _ in range(48)], norm=nn.PairNorm(4.0)),
    "gcn2": lambda: nn.Stack([nn.GCN2Conv(16, 0.1, 0.5, k) for k in range(1, 49)]),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_networks_over_smooth_without_connections(name):
    torch.manual_seed(0)
    t = gs.Topology.from_edge_index(both(torch.randint(0, 40, (2, 120))), 40)
    x, stack = torch.randn(40, 16, **double), DEEP[name]().double()

    def energy(h):
        return float(dirichlet_energy(h, t, normalization="sym", self_loops=True) / x.square().sum())

    left = energy(stack(x, t)) / energy(x)
    assert left < 1e-9 if name == "plain" else left > 1e-3, left


def test_slips():
    x, edges, conv = torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]]), nn.GCNConv(4, 4)
    t = gs.Topology.chain([3])
    for call, message in (
        (lambda: nn.PairNorm()(x[0]), r"`x`: expected a floating-point tensor of shape \[N, F\]"),
        (lambda: nn.GraphNorm(3)(x), r"`x`: expected shape \[N, 3\]"),
        (lambda: nn.GraphNorm(4)(x.double()), "`x`: expected float32 on cpu"),
        (lambda: nn.GraphNorm(0), "`in_channels`: expected a whole number"),
        (lambda: nn.PairNorm()(x, torch.zeros(2, dtype=torch.int64)), r"`batch`: expected int64 of shape \[3\]"),
        (lambda: nn.drop_edge(x, 0.5), "`edge_index`: expected int64"),
        (lambda: nn.drop_edge(t, 1.5), "`p`: expected a probability from 0 to 1"),
        (lambda: nn.DropEdge(-1), "`p`: expected a probability"),
        (lambda: nn.JumpingKnowledge("sum"), "`mode`: expected"),
        (lambda: nn.JumpingKnowledge("lstm"), "`channels`: expected a whole number"),
        (lambda: nn.JumpingKnowledge("lstm", 4), "`num_layers`: expected a whole number"),
        (lambda: nn.JumpingKnowledge("lstm", 1, 1), "`hidden_size`"),
        (lambda: nn.JumpingKnowledge("cat")([]), "`xs`: expected a list"),
        (lambda: nn.JumpingKnowledge("max")([x, x[:2]]), r"`xs\[1\]`: expected shape \[3, 4\]"),
        (lambda: nn.JumpingKnowledge("lstm", 4, 3)([x, x]), "`xs`: expected 3 states, 4 wide each"),
        (lambda: nn.Stack([]), "`layers`: expected one or more modules"),
        (lambda: nn.Stack([torch.relu]), "`layers`: expected one or more modules"),
        (lambda: nn.Stack([conv], connection="res"), '`connection`: expected "none", "residual"'),
        (lambda: nn.Stack([conv], alpha=2), "`alpha`: expected a number from 0 to 1"),
        (lambda: nn.Stack([conv], act="relu"), "`act`: expected a callable"),
        (lambda: nn.Stack([conv], dropout=2), "`dropout`: expected a"),
        (lambda: nn.Stack([conv], norm=[nn.PairNorm()] * 2), "`norm`: expected a module, or a list of 1"),
        (lambda: nn.Stack([conv], jump="last"), "`jump`: expected"),
        (lambda: nn.Stack([conv])(x, t, batch=torch.zeros(3, dtype=torch.int64)), "`batch`: expected None"),
        (lambda: nn.Stack([conv])(x, t, edge_attr=x[:2]), "`edge_attr`: expected None, since no layer takes edge_attr"),
        (lambda: nn.Stack([nn.GraphNetwork()])(x, edges), r"`layers\[0\]`: expected a layer that returns"),
        (lambda: dirichlet_energy(x[:2], t), "`x`: expected 3 rows"),
        (lambda: dirichlet_energy(x.long(), t), "`x`: expected floating-point numbers"),
        (lambda: dirichlet_energy(x, edges), "`topology`: expected a graphseq.Topology"),
        (lambda: dirichlet_energy(x, t, torch.ones(5)), r"`edge_weight`: expected shape \[2\]"),
        (lambda: dirichlet_energy(x, t, normalization="rw"), "`normalization`: expected None or"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            call()
