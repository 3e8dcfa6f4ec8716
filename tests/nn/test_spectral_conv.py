"""Filters in the graph Fourier basis, by their formulas on dense matrices and by SciPy's splines."""

import pickle
from copy import deepcopy

import pytest
import torch
from hypothesis import given
from scipy.interpolate import BSpline

import graphseq as gs
from graphseq import nn, spectral
from graphseq.nn.convs.spectral import bsplines
from tests.oracles import adjacency, assert_agree, assert_close, leaf
from tests.strategies import any_graph, examples

double = {"dtype": torch.float64}
normalizations = pytest.mark.parametrize("normalization", [None, "sym"])


def both(edges):
    return torch.cat([edges, edges.flip(0)], 1)


def ring(n):
    return gs.Topology.from_edge_index(both(torch.stack([torch.arange(n), torch.arange(1, n + 1) % n])), n)


def undirected(t):
    return gs.Topology.from_edge_index(both(t.edge_index), batch=t.batch, num_graphs=t.num_graphs)


def dense(t, normalization, weight=None):
    structure, entries = spectral.laplacian(t, weight, normalization=normalization, dtype=torch.float64)
    return adjacency(structure.edge_index, t.num_nodes, entries).t()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_splines_are_scipys(count):
    degree, t = min(3, count - 1), torch.linspace(0, 1, 23, **double)
    knots = torch.cat([torch.zeros(degree), torch.linspace(0, 1, count - degree + 1), torch.ones(degree)]).double()
    wanted = BSpline.design_matrix(t.numpy(), knots.numpy(), degree).toarray()
    assert_close(bsplines(t, count), torch.from_numpy(wanted), 1e-7)
    assert_close(bsplines(t, count).sum(1), torch.ones(23, **double))
    outside, ends = torch.tensor([-0.1, 1.2], **double), torch.tensor([0.0, 1], **double)
    assert_close(bsplines(outside, count), bsplines(ends, count))


@normalizations
@pytest.mark.parametrize("K", [1, 4, 7])
@given(t=any_graph())
@examples(15)
def test_smooth_filters_are_their_formula(normalization, K, t):
    t = undirected(t)
    conv, x = nn.SpectralConv(3, 2, K, normalization=normalization).double(), leaf(t.num_nodes, 3)
    wanted = []
    for part, one in zip(x.split(t.graph_ptr.diff().tolist()), gs.unbatch(t), strict=True):
        values, u = torch.linalg.eigh(dense(one, normalization))
        top = 2 if normalization else max(float(values.max()), 1e-9) if len(values) else 1
        splines = bsplines(values / top, K)
        wanted.append(sum(u @ torch.diag(splines[:, k]) @ u.t() @ part @ conv.filters.weight[k] for k in range(K)))
    out, wanted = conv(x, t), torch.cat([*wanted, torch.zeros(0, 2, **double)]) + conv.bias
    assert_agree(out, wanted, [x, *conv.parameters()], 1e-8)


def test_free_filters_are_their_formula():
    t, x = ring(6), leaf(6, 3)
    uneven = torch.rand(6, **double).repeat(2)  # no equal eigenvalues
    _, u = torch.linalg.eigh(dense(t, "sym", uneven))
    for K in (6, 4):
        conv = nn.SpectralConv(3, 2, K, smooth=False).double()
        signs = torch.randint(0, 2, (6,)) * 2.0 - 1
        wanted = sum(torch.outer(u[:, m], u[:, m]) @ x @ conv.filters.weight[m] for m in range(K)) + conv.bias
        assert_close(conv(x, t, uneven), wanted, 1e-9)
        found = spectral.basis(t, uneven, normalization="sym", k=K)
        flipped = found._replace(vectors=found.vectors * signs[:K])
        hat = conv.filters(spectral.transform(x, flipped), None)
        assert_close(spectral.inverse(hat, flipped) + conv.bias, wanted, 1e-9)


@normalizations
def test_a_cubic_spline_can_be_a_chebyshev_filter(normalization):
    t = gs.batch([ring(7), ring(4)]) if normalization else ring(7)  # λ_max is each graph's own without normalization
    cheb, conv = nn.ChebConv(3, 2, 4, normalization=normalization).double(), nn.SpectralConv(
        3, 2, 4, normalization=normalization
    ).double()
    share = torch.linspace(0, 1, 4, **double)
    of_terms = torch.special.chebyshev_polynomial_t((2 * share - 1)[:, None], torch.arange(4))
    weights = torch.stack([lin.weight.t() for lin in cheb.lins])
    with torch.no_grad():
        solved = torch.linalg.solve(bsplines(share, 4), of_terms @ weights.flatten(1)).view_as(weights)
        conv.filters.weight.copy_(solved)
        conv.bias.copy_(cheb.bias)
    x = torch.randn(t.num_nodes, 3, **double)
    top = 2.0 if normalization else float(torch.linalg.eigvalsh(dense(t, None)).max())
    assert_close(conv(x, t), cheb(x, t, lambda_max=top), 1e-9)


@normalizations
def test_smooth_filters_know_no_numbering(normalization):
    """Even where eigenvalues are equal: on a torus, and on a complete graph."""
    grid = torch.arange(16).view(4, 4)
    torus = both(torch.cat([torch.stack([grid, grid.roll(1, d)]).flatten(1) for d in (0, 1)], 1))
    complete = (1 - torch.eye(16)).nonzero().t().contiguous()
    conv, x = nn.SpectralConv(3, 2, normalization=normalization).double(), torch.randn(16, 3, **double)
    for edges in (torus, complete):
        order = torch.randperm(16)
        assert_close(conv(x[order], torch.argsort(order)[edges]), conv(x, edges)[order], 1e-10)


@pytest.mark.parametrize("smooth", [True, False])
def test_batched_equals_separate(smooth):
    conv = nn.SpectralConv(3, 2, 4, smooth=smooth).double()
    graphs = [ring(5), ring(4), ring(7)]
    graphs = [gs.Topology.chain([0]), *graphs, gs.Topology.chain([1]), gs.Topology.chain([0])] if smooth else graphs
    joined = gs.batch(graphs)
    x = torch.randn(joined.num_nodes, 3, **double)
    alone = [conv(part, t) for part, t in zip(x.split([t.num_nodes for t in graphs]), graphs, strict=True)]
    assert_close(conv(x, joined), torch.cat(alone))
    assert conv(x[:0], gs.batch([])).shape == (0, 2)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("t", [ring(4), gs.batch([ring(3), ring(4)])], ids=["one", "several"])
def test_derivatives(t, smooth):
    conv = nn.SpectralConv(2, 2, 3, smooth=smooth).double()
    weight = torch.rand(conv.filters.weight.shape, **double, requires_grad=True)

    def call(x, weight):
        return torch.func.functional_call(conv, {"filters.weight": weight}, (x, t))

    x = leaf(t.num_nodes, 2)
    assert torch.autograd.gradcheck(call, (x, weight))
    assert torch.autograd.gradgradcheck(call, (x, weight))


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("t", [ring(4), gs.batch([ring(3), ring(4)])], ids=["one", "several"])
def test_compiled(t, smooth):
    torch._dynamo.reset()
    conv, x = nn.SpectralConv(3, 2, 3, smooth=smooth), torch.randn(t.num_nodes, 3, requires_grad=True)
    wanted = conv(x, t)
    out = torch.compile(conv, fullgraph=True, backend="aot_eager")(x, t)
    assert_close(out, wanted, 1e-5)
    out.sum().backward()


def test_small_structures_and_dtypes():
    conv = nn.SpectralConv(3, 2)
    for n in (0, 1, 4):
        x = torch.randn(n, 3, requires_grad=True)
        out = conv(x, torch.empty(2, 0, dtype=torch.int64))
        out.sum().backward()
        assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()
    x, t = torch.randn(5, 3), ring(5)
    assert nn.SpectralConv(3, 2).bfloat16()(x.bfloat16(), t).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        out = conv(x, t)
    assert_close(out.float(), conv(x, t), 0.1)


def test_parameters_and_a_width_that_the_first_call_says():
    conv = nn.SpectralConv(3, 2, 5)
    assert {n: tuple(p.shape) for n, p in conv.state_dict().items()} == {"bias": (2,), "filters.weight": (5, 3, 2)}
    lazy, x = nn.SpectralConv(-1, 2, 5), torch.randn(4, 3)
    assert lazy(x, ring(4)).shape == (4, 2) and type(lazy.filters) is type(conv.filters)
    lazy.load_state_dict(conv.state_dict())
    assert torch.equal(lazy(x, ring(4)), conv(x, ring(4)))
    fresh = nn.SpectralConv(-1, 2, 5)
    fresh.load_state_dict(conv.state_dict())
    for copy in (fresh, pickle.loads(pickle.dumps(conv)), deepcopy(conv)):
        assert torch.equal(copy(x, ring(4)), conv(x, ring(4)))
    before = conv.filters.weight.clone()
    conv.reset_parameters()
    assert not torch.equal(before, conv.filters.weight)
    assert nn.SpectralConv(3, 2, bias=False).bias is None


def test_weights_that_are_functions_of_others():
    conv, x, t = nn.SpectralConv(3, 2, 4), torch.randn(4, 3), ring(4)
    computed = []

    class Doubled(torch.nn.Module):
        def forward(self, weight):
            computed.append(1)
            return 2 * weight

    plain = conv(x, t)
    torch.nn.utils.parametrize.register_parametrization(conv.filters, "weight", Doubled())
    computed.clear()
    assert_close(conv(x, t) - conv.bias, 2 * (plain - conv.bias), 1e-5)
    assert computed == [1]
    normed = nn.SpectralConv(3, 2, 4)
    wanted = normed(x, t)
    torch.nn.utils.parametrizations.weight_norm(normed.filters)
    assert_close(normed(x, t), wanted, 1e-5)
    seen = []
    normed.filters.register_forward_hook(lambda *_: seen.append(1))
    normed(x, t)
    assert seen == [1]


def test_the_basis_is_computed_once(monkeypatch):
    made = []
    monkeypatch.setattr(spectral.fourier, "_computed", lambda *a, f=spectral.fourier._computed: made.append(0) or f(*a))
    conv, edges, x = nn.SpectralConv(3, 2), ring(6).edge_index, torch.randn(6, 3)
    weight = torch.ones(12)
    for _ in range(3):
        conv(x, edges)
    assert len(made) == 1
    plain = conv(x, edges, weight)
    assert torch.equal(conv(x, edges, weight), plain) and len(made) == 2
    weight[[0, 6]] = 2
    assert not torch.allclose(conv(x, edges, weight), plain) and len(made) == 3
    adj_t = torch.sparse_coo_tensor(edges, weight, (6, 6)).coalesce()
    for _ in range(3):
        assert_close(conv(x, adj_t), conv(x, edges, weight), 1e-6)
    assert len(made) == 4


def test_slips():
    conv, x, edges = nn.SpectralConv(3, 2), torch.randn(3, 3), torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    free = nn.SpectralConv(3, 2, 4, smooth=False)
    for call, message in (
        (lambda: conv(x, torch.tensor([[0], [1]])), "`edge_index`: expected an undirected graph"),
        (lambda: conv(x, edges, torch.rand(4)), "`edge_weight`: expected symmetric"),
        (lambda: conv(x, edges, torch.ones(4, requires_grad=True)), "`edge_weight`: expected weights that"),
        (lambda: conv(x, edges, torch.ones(3)), r"`edge_weight`: expected shape \[4\]"),
        (lambda: conv(x.double(), edges), "`x`: expected float32 on cpu, as the layer's weight is"),
        (lambda: conv(torch.randn(3, 4), edges), r"`x`: expected shape \[N, 3\]"),
        (lambda: conv(x, gs.Topology.chain([4])), "`x`: expected 4 rows"),
        (lambda: conv(nn.SparseFeatures.of(x), edges), "`x`: expected a dense tensor"),
        (lambda: free(x, edges), "`K`: expected at most 3 eigenpairs, the number of nodes of graph 0, got 4"),
        (lambda: nn.SpectralConv(3, 2, 0), "`K`: expected a whole number ≥ 1"),
        (lambda: nn.SpectralConv(-2, 2), "`in_channels`"),
        (lambda: nn.SpectralConv(2, 0), "`out_channels`"),
        (lambda: nn.SpectralConv(3, 2, normalization="rw"), '`normalization`: expected None or "sym"'),
    ):
        with pytest.raises(gs.GraphError, match=message):
            call()
