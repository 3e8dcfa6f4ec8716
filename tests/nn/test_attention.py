"""Attention over neighbours: with edge features, pairs and dropout; operators equal the equations."""

from functools import partial
from itertools import product

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor

import graphseq as gs
from graphseq import core, lowering, nn
from graphseq.messages import FIRST
from graphseq.nn.attention import Additive, Dot, PerFeature
from graphseq.nn.lowerings.attend import parts_of
from tests.oracles import assert_close

FILLS = ("mean", "add", "min", "max", "mul", 0.5)
WITH_EDGES = [
    *(("GATConv", {"heads": 2, "edge_dim": 3, "fill_value": fill}) for fill in FILLS),
    ("GATConv", {"edge_dim": 3, "add_self_loops": False, "concat": False, "heads": 2}),
    ("GATConv", {"edge_dim": 3, "fill_value": torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)}),
    *(("GATv2Conv", {"heads": 2, "edge_dim": 3, "fill_value": fill}) for fill in ("mean", "mul", 2.0)),
    ("GATv2Conv", {"edge_dim": 3, "add_self_loops": False, "residual": True}),
    ("TransformerConv", {"heads": 2, "edge_dim": 3}),
    ("TransformerConv", {"heads": 2, "edge_dim": 3, "beta": True, "concat": False}),
]


def twins(kind, sizes=4, **options):
    ours, theirs = (getattr(library, kind)(sizes, 5, **options).double() for library in (nn, pyg))
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def agree(ours, theirs, leaves, a, b):
    assert_close(a, b, 1e-11)
    grads = [
        torch.autograd.grad((out * torch.arange(out.numel()).view_as(out).cos()).sum(), [*leaves, *layer.parameters()])
        for out, layer in ((a, ours), (b, theirs))
    ]
    for p, q in zip(*grads, strict=True):
        assert_close(p, q, 1e-9)


@pytest.mark.parametrize(("kind", "options"), WITH_EDGES)
def test_features_of_edges(kind, options):
    ours, theirs = twins(kind, **options)
    edge_index = torch.randint(0, 7, (2, 25))  # with self-loops, double edges and perhaps nodes without edges
    x = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    e = torch.randn(25, 3, dtype=torch.float64, requires_grad=True)
    agree(ours, theirs, [x, e], ours(x, edge_index, e), theirs(x, edge_index, e))
    edges, alpha = ours.attention(x, edge_index, e)
    _, (their_edges, their_alpha) = theirs(x, edge_index, e, return_attention_weights=True)
    assert torch.equal(edges, their_edges)
    assert_close(alpha, their_alpha, 1e-11)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_one_number_for_each_edge(kind):
    ours, theirs = twins(kind, edge_dim=1)
    edge_index, x = torch.randint(0, 7, (2, 25)), torch.randn(7, 4, dtype=torch.float64)
    e = torch.randn(25, dtype=torch.float64)
    if kind != "TransformerConv":  # PyG's takes a column there
        assert_close(ours(x, edge_index, e), theirs(x, edge_index, e), 1e-11)
    assert_close(ours(x, edge_index, e), theirs(x, edge_index, e[:, None]), 1e-11)
    adj_t = torch.sparse_coo_tensor(edge_index.flip(0), e, (7, 7))
    coalesced = adj_t.coalesce()
    with_entries = ours(x, coalesced.indices().flip(0), coalesced.values())
    assert_close(ours(x, adj_t), with_entries, 1e-11)


@pytest.mark.parametrize(("kind", "options"), [
    ("GATConv", {"heads": 2, "residual": True}), ("GATConv", {"add_self_loops": False, "edge_dim": 2}),
    ("GATv2Conv", {"heads": 2, "residual": True}), ("GATv2Conv", {"edge_dim": 2}), ("TransformerConv", {"heads": 3}),
])  # fmt: skip
def test_pairs(kind, options):
    ours, theirs = twins(kind, (4, 6), **options)
    edge_index = torch.stack([torch.randint(0, 9, (20,)), torch.randint(0, 5, (20,))])
    pair = torch.randn(9, 4, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    edges = [torch.randn(20, 2, dtype=torch.float64)] if "edge_dim" in options else []
    assert_close(ours(pair, edge_index, *edges), theirs(pair, edge_index, *edges), 1e-11)
    links = gs.Links.between(edge_index, 9, 5)
    assert_close(ours(pair, links, *edges), ours(pair, edge_index, *edges), 1e-12)
    if kind == "GATConv":
        lone = {**options, "residual": False}
        ours, theirs = twins(kind, (4, 6), **lone)
        alone = (pair[0], None)
        found, wanted = (layer(alone, edge_index, *edges, size=(9, 5)) for layer in (ours, theirs))
        assert_close(found, wanted, 1e-11)
        assert_close(ours(alone, links, *edges), found, 1e-12)
    else:
        with pytest.raises(gs.GraphError, match="`x`: expected a pair of tensors"):
            ours((pair[0], None), links)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_reversed_edges(kind):
    ours, _ = twins(kind, heads=2)
    turned = getattr(nn, kind)(4, 5, heads=2, flow="target_to_source").double()
    turned.load_state_dict(ours.state_dict())
    edge_index, x = torch.randint(0, 7, (2, 25)), torch.randn(7, 4, dtype=torch.float64)
    assert_close(turned(x, edge_index), ours(x, edge_index.flip(0)), 1e-12)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
@pytest.mark.parametrize("fast", [True, False])
def test_dropout(kind, fast):
    """In training each α is 0 or scaled up, with its own gradient; over many draws the mean is that of evaluation."""
    layer = getattr(nn, kind)(3, 2, heads=2, dropout=0.4)
    edge_index, x = torch.randint(0, 5, (2, 12)), torch.randn(5, 3)
    edge_index, x = torch.cat([edge_index + 5 * i for i in range(2000)], 1), x.repeat(2000, 1)
    with lowering.disabled() if not fast else torch.enable_grad():
        drawn = layer(x, edge_index).view(2000, 5, 4)
        wanted = layer.eval()(x, edge_index).view(2000, 5, 4)[0]
    assert not torch.allclose(drawn[0], drawn[1])
    error = (drawn.mean(0) - wanted).abs() / (drawn.std(0) / 2000**0.5 + 1e-6)
    assert error.max() < 5
    assert not torch.allclose(drawn.mean(0), wanted, atol=1e-6)
    layer.dropout = 1.0
    assert torch.isfinite(layer.train()(x[:5], edge_index[:, :12])).all()


def scored(kind, links, heads, wide):
    """Return the tensors of a score, how they are arranged, and whether edges can have numbers."""
    s, r = links.num_senders, links.num_receivers
    x = torch.randn(s, heads * wide)
    if kind == "additive":
        return [x, 3 * torch.randn(s, heads), 3 * torch.randn(r, heads)], lambda x, a, b: ((x, a), b, Additive(0.3))
    if kind == "per feature":
        tensors = [x, torch.randn(r, heads * wide), torch.randn(heads, wide)]
        return tensors, lambda x, y, a: ((x,), y, PerFeature(a, 0.3))
    tensors = [x, torch.randn(s, heads * wide), torch.randn(r, heads * wide)]
    return tensors, lambda x, k, q: ((x, k), q, Dot(heads))


SHAPES = [
    (5, 5, 12, 2, 3), (40, 30, 300, 4, 8), (3, 4, 0, 1, 2), (10, 50, 30, 1, 16), (7, 9, 60, 3, 11), (1, 1, 9, 2, 8),
    (400, 300, 9000, 8, 16),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["additive", "per feature", "dot"])
@pytest.mark.parametrize("shape", SHAPES)
def test_operators_equal_the_equations(kind, shape):
    senders, receivers, edges, heads, wide = shape
    edge_index = torch.stack([torch.randint(senders, (edges,)), torch.randint(receivers, (edges,))])
    links = gs.Links.between(edge_index, senders, receivers)
    tensors, arranged = scored(kind, links, heads, wide)
    numbers = [None, torch.randn(edges, heads)] if kind == "additive" else [None]
    for dropout, b in product((0.0, 0.5), numbers):
        found = []
        for fast in (True, False):
            torch.manual_seed(0)
            leaves = [t.clone().requires_grad_() for t in (*tensors, *([] if b is None else [b]))]
            state, received, score = arranged(*leaves[:3])
            options = {"message": FIRST, "received": received, "edge_attr": None if b is None else leaves[3]}
            if fast:
                (out,) = core.aggregate(links, state, merge=gs.Softmax(score, dropout=dropout), **options)
            else:
                (out,) = _by_equations(links, state, score, dropout, heads, options)
            weight = torch.arange(out.numel()).view_as(out).cos()
            first = torch.autograd.grad((out * weight).sum(), leaves, create_graph=True)
            again = torch.autograd.grad(sum((g * g).sum() for g in first), leaves, allow_unused=True)
            found.append([out, *first, *(g for g in again if g is not None)])
        for a, c in zip(*found, strict=True):
            size = float(c.detach().abs().max()) if c.numel() else 0.0
            torch.testing.assert_close(a, c, rtol=2e-4, atol=2e-4 * size + 1e-6)


def _by_equations(links: gs.Links, state, score, dropout: float, heads: int, options) -> tuple[Tensor, ...]:
    """Return the same without operators, with the mask that they draw."""
    keep = None
    if dropout:
        keep = torch.empty(links.num_edges, heads, dtype=torch.uint8).bernoulli_(1 - dropout)

    class Masked(gs.Softmax):
        def weights(self, scores, segments):
            alpha = segments.softmax(scores)
            return alpha if keep is None else alpha * keep[links.matrix.edge] / (1 - dropout)

    with lowering.disabled():
        return core.aggregate(links, state, merge=Masked(score), **options)


@pytest.mark.parametrize("kind", ["additive", "per feature", "dot"])
def test_memory_of_any_layout(kind):
    """Inputs and gradients that are transposed, expanded or parts of others."""
    links = gs.Links.between(torch.randint(0, 8, (2, 40)), 8, 8)
    tensors, arranged = scored(kind, links, 2, 8)
    first, *others = tensors
    odd = [first.t().contiguous().t(), *(torch.stack([t, t], -1)[..., 0] for t in others)]
    found = []
    for given in (tensors, odd):
        leaves = [t.detach().requires_grad_() for t in given]
        state, received, score = arranged(*leaves)
        (out,) = core.aggregate(links, state, message=FIRST, merge=gs.Softmax(score), received=received)
        by_column = torch.autograd.grad(out, leaves, torch.arange(128.0).view(16, 8).t(), retain_graph=True)
        by_one = torch.autograd.grad(out, leaves, torch.ones(1, 1).expand(8, 16))
        found.append([out, *by_column, *by_one])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_compiled_for_any_size(kind):
    torch._dynamo.reset()
    layer = getattr(nn, kind)(3, 4, heads=2)
    fast = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for n, edges in ((5, 12), (9, 30), (14, 25), (31, 90), (50, 60)):
            x, edge_index = torch.randn(n, 3, requires_grad=True), torch.randint(0, n, (2, edges))
            out = fast(x, edge_index)
            torch.testing.assert_close(out, layer(x, edge_index))
            out.sum().backward()


def test_other_scores_and_other_softmaxes_run_by_the_equations():
    links = gs.Links.between(torch.randint(0, 6, (2, 20)), 6, 6)
    x, a, b = torch.randn(6, 4), torch.randn(6, 2), torch.randn(6, 2)

    class Doubled(Additive):
        def __call__(self, sent, received, edge):
            return 2 * super().__call__(sent, received, edge)

    class Even(gs.Softmax):
        def weights(self, scores, segments):
            return segments.softmax(torch.zeros_like(scores))

    plain, doubled, even = (
        core.aggregate(links, (x, a), message=FIRST, merge=merge, received=b)[0]
        for merge in (gs.Softmax(Additive()), gs.Softmax(Doubled()), Even(Additive()))
    )
    assert not torch.allclose(plain, doubled)
    (mean,) = core.aggregate(links, (x,), merge="mean")
    assert_close(even, mean, 1e-6)
    merge = gs.Softmax(Additive())
    merge.weights = lambda scores, segments: segments.softmax(torch.zeros_like(scores))
    assert_close(core.aggregate(links, (x, a), message=FIRST, merge=merge, received=b)[0], mean, 1e-6)


def test_scores_without_bounds():
    """Scores of ±1000, and of a lone edge, have exact weights; infinite and undefined ones what mathematics gives."""
    links = gs.Links.between(torch.tensor([[0, 1, 2, 0], [0, 0, 0, 1]]), 3, 3)
    x = torch.tensor([[1.0], [2.0], [4.0]])
    for a, wanted in (([1000.0, 1000.0, -1000.0], 1.5), ([-1e30, 0.0, -5e3], 2.0), ([0.0, 0.0, 0.0], 7 / 3)):
        state = (x, torch.tensor(a)[:, None])
        options = {"message": FIRST, "merge": gs.Softmax(Additive(1.0)), "received": torch.zeros(3, 1)}
        (out,) = core.aggregate(links, state, **options)
        assert_close(out, torch.tensor([[wanted], [1.0], [0.0]]), 1e-6)
    for a in ([torch.inf, 0.0, 0.0], [torch.nan, 0.0, 0.0], [-torch.inf, -torch.inf, -torch.inf]):
        state = (x, torch.tensor(a)[:, None])
        found = []
        for fast in (True, False):
            with torch.enable_grad() if fast else lowering.disabled():
                found.append(core.aggregate(links, state, **options)[0])
        torch.testing.assert_close(*found, equal_nan=True)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_sparse_features(kind):
    x = torch.randn(9, 6) * (torch.rand(9, 6) < 0.3)
    edge_index, layer = torch.randint(0, 9, (2, 30)), getattr(nn, kind)(6, 4, heads=2)
    dense, sparse = layer(x, edge_index), layer(nn.SparseFeatures.of(x), edge_index)
    assert_close(sparse, dense, 1e-5)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_a_width_that_the_first_call_says(kind):
    x, edges = torch.randn(5, 4), torch.randint(0, 5, (2, 12))
    lazy, known = (getattr(nn, kind)(width, 3, heads=2) for width in (-1, 4))
    assert lazy(x, edges).shape == (5, 6)
    lazy.load_state_dict(known.state_dict())
    assert_close(lazy(x, edges), known(x, edges))
    pairs = getattr(nn, kind)((-1, -1), 3)
    assert pairs((x, torch.randn(5, 7)), edges).shape == (5, 3)
    with pytest.raises(gs.GraphError, match="`x`: expected shape"):
        known(torch.randn(5, 9), edges)


@pytest.mark.parametrize("kind", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_slips(kind):
    make = partial(getattr(nn, kind), 4, 5)
    for options, message in (
        ({"heads": 0}, "`heads`: expected a whole number"),
        ({"dropout": 1.5}, "`dropout`: expected a number from 0 to 1"),
        ({"flow": "up"}, "`flow`"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            make(**options)
    if kind != "TransformerConv":
        with pytest.raises(gs.GraphError, match="`fill_value`: expected a number, a tensor or one of add"):
            make(edge_dim=2, fill_value="median")
    x, edges = torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(gs.GraphError, match="`edge_attr`: expected None for a layer without edge_dim"):
        make()(x, edges, torch.randn(2, 3))
    layer = make(edge_dim=3)
    wrongs = torch.randn(2, 2), torch.randn(3, 3), torch.ones(2, 3).long(), [1.0, 2.0], torch.ones(2, 3, device="meta")
    for wrong in wrongs:
        with pytest.raises(gs.GraphError, match="`edge_attr`: expected"):
            layer(x, edges, wrong)
    if kind == "TransformerConv":
        with pytest.raises(gs.GraphError, match="for a layer with edge_dim, got None"):
            layer(x, edges)


def test_softmax_over_receivers():
    links = gs.Links.between(torch.tensor([[0, 1, 2, 0], [1, 0, 1, 1]]), 3, 4)
    scores = torch.tensor([1.0, 5.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    found = core.softmax(links, scores)
    into = torch.softmax(scores[[0, 2, 3]], 0)
    assert_close(found, torch.stack([into[0], torch.ones(()).double(), into[1], into[2]]))
    assert torch.autograd.gradcheck(lambda s: core.softmax(links, s), scores)
    with pytest.raises(gs.GraphError, match="`scores`"):
        core.softmax(links, scores[:2])


def test_attention_that_is_given_or_learnt():
    """``h_i' = W_0 h_i + Σ_j α_ij W_1 h_j``: with given α it is GraphConv, with learnt ones GATConv with a residual."""
    n, edge_index = 6, torch.tensor([[0, 1, 2, 3, 4, 5, 0, 2], [1, 2, 0, 4, 5, 3, 2, 4]])
    x, alpha = torch.randn(n, 3).double(), torch.rand(8).double()
    topology = gs.Topology.from_edge_index(edge_index, n)
    alpha = core.softmax(topology, alpha)
    learnt, given = nn.GATConv(3, 4, add_self_loops=False, residual=True).double(), nn.GraphConv(3, 4).double()
    for conv, w_0, w_1, a, b in (
        (given, given.lin_root.weight, given.lin_rel.weight, alpha, given.lin_rel.bias),
        (learnt, learnt.res.weight, learnt.lin.weight, learnt.attention(x, topology)[1][:, 0], learnt.bias),
    ):
        dense = torch.zeros(n, n).double().index_put((edge_index[1], edge_index[0]), a)
        assert_close(dense.sum(1), (topology.in_degree > 0).double())
        found = conv(x, topology, alpha) if conv is given else conv(x, topology)
        assert_close(found, x @ w_0.t() + dense @ x @ w_1.t() + b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["additive", "per_feature", "dot_product"])
def test_opcheck(kind, dtype):
    matrix = gs.Links.between(torch.tensor([[0, 1, 2, 4, 4], [1, 1, 0, 3, 1]]), 5, 4).matrix
    x, y, s, r, b, a = (
        torch.randn(size, dtype=dtype, requires_grad=True) for size in ((5, 6), (4, 6), (5, 2), (4, 2), (5, 2), (2, 3))
    )
    given = {"additive": (x, s, r, b), "per_feature": (x, y, a), "dot_product": (x, torch.randn_like(x), y)}[kind]
    keep = torch.tensor([[1, 0], [1, 1], [0, 1], [1, 1], [1, 1]], dtype=torch.uint8)
    operator = getattr(torch.ops.graphseq, f"{kind}_attention").default
    torch.library.opcheck(operator, (*given, *matrix, keep, 2, 2.0, 0.2), atol=1e-5, rtol=1e-4)


def test_room_for_the_edges_of_one_row_is_in_proportion_to_all_edges():
    for most in (200_000, 150_000, 5_000, 1):  # edges into one node; the others have one each
        degrees = torch.ones(200_000 - most + 10, dtype=torch.long)
        degrees[7] = most
        ptr = torch.cat([degrees.new_zeros(1), degrees.cumsum(0)])
        edges = int(ptr[-1])
        parts, room = parts_of(ptr, 8, 64, 2)
        assert parts[0] == 0 and parts[-1] == len(degrees) and (parts[1:] >= parts[:-1]).all()
        assert len(room) == len(parts) - 1 and room.shape[1] == 2 * 8 * int(degrees.max())
        assert room.size <= 4 * 2 * 8 * edges
