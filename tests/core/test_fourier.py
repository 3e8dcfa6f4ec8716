"""The graph Fourier transform: that of torch.fft on a ring, of SciPy on a path, and dense matrices elsewhere."""

import copy
import pickle

import pytest
import scipy.fft
import torch
from hypothesis import given

import graphseq as gs
from graphseq import nn, spectral
from graphseq.spectral import basis, eigenpairs, inverse, laplacian, transform
from tests.oracles import adjacency, assert_close, leaf
from tests.strategies import any_graph, examples, graphs

double = {"dtype": torch.float64}
normalizations = pytest.mark.parametrize("normalization", [None, "sym"])


def both_ways(edges, n=None):
    return gs.Topology.from_edge_index(torch.cat([edges, edges.flip(0)], 1), n)


def path(n):
    return both_ways(torch.stack([torch.arange(n - 1), torch.arange(1, n)]), n)


def ring(n):
    return both_ways(torch.stack([torch.arange(n), torch.arange(1, n + 1) % n]), n)


def undirected(t):
    """The same structure with each edge in both directions, and its graphs."""
    return gs.Topology.from_edge_index(
        torch.cat([t.edge_index, t.edge_index.flip(0)], 1), batch=t.batch, num_graphs=t.num_graphs
    )


def matrix(topology, weight=None, normalization=None):
    structure, entries = laplacian(topology, weight, normalization=normalization, dtype=torch.float64)
    return adjacency(structure.edge_index, structure.num_nodes, entries).t()


# --------------------------------------------------------------------------------------------------- known transforms


@pytest.mark.parametrize("n", [3, 8, 9])
def test_on_a_ring_it_is_the_discrete_fourier_transform(n):
    b, x = basis(ring(n), **double), torch.randn(n, 2, **double)
    turns = torch.arange(n).double()
    assert_close(b.values, (2 - 2 * torch.cos(2 * torch.pi * turns / n)).sort().values)
    theirs = torch.fft.rfft(x, dim=0, norm="ortho").abs() ** 2
    theirs[1 : (n + 1) // 2] *= 2  # frequencies that stand twice
    of = 2 - 2 * torch.cos(2 * torch.pi * torch.arange(n // 2 + 1) / n)
    ours = transform(x, b) ** 2
    for frequency, power in zip(of, theirs, strict=True):
        assert_close(ours[(b.values - frequency).abs() < 1e-6].sum(0), power, 1e-10)


@pytest.mark.parametrize("n", [5, 8])
def test_on_a_ring_a_filter_is_a_circular_convolution(n):
    b, x = basis(ring(n), **double), torch.randn(n, 3, **double)
    response = torch.rand(n // 2 + 1, **double)
    kernel = torch.fft.irfft(response, n)
    wanted = sum(kernel[shift] * x.roll(shift, 0) for shift in range(n))
    place = torch.arccos((1 - b.values / 2).clamp(-1, 1)) * n / (2 * torch.pi)
    assert_close(spectral.filter(x, b, response[place.round().long()]), wanted, 1e-10)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_on_a_path_it_is_the_discrete_cosine_transform(n):
    b, x = basis(path(n), **double), torch.randn(n, 2, **double)
    theirs = torch.from_numpy(scipy.fft.dct(x.numpy(), axis=0, norm="ortho"))
    assert_close(transform(x, b).abs(), theirs.abs(), 1e-10)
    assert_close(b.values, 2 - 2 * torch.cos(torch.pi * torch.arange(n).double() / n))


# --------------------------------------------------------------------------------------------------------- any graph


@normalizations
@given(t=any_graph())
@examples(40)
def test_it_diagonalises_the_laplacian(normalization, t):
    t = undirected(t)
    b, n = basis(t, normalization=normalization, **double), t.num_nodes
    assert b.values.shape == (n,) and torch.equal(b.ptr, t.graph_ptr)
    identity, of_values = torch.eye(n, **double), torch.diag(b.values)
    u = inverse(identity, b)
    assert_close(u.t() @ u, identity)
    assert_close(u @ of_values @ u.t(), matrix(t, normalization=normalization), 1e-10)
    assert_close(spectral.filter(identity, b, torch.sqrt) @ u, u @ of_values.sqrt(), 1e-7)
    x = torch.randn(n, 2, 3, **double)
    assert_close(transform(x, b).flatten(1), u.t() @ x.flatten(1))
    assert_close(inverse(transform(x, b), b), x)
    assert_close((transform(x, b) ** 2).sum(), (x**2).sum(), 1e-9)
    assert_close(transform(x[:, 0, 0], b), u.t() @ x[:, 0, 0])
    for g in range(t.num_graphs):
        ascending = b.values[t.graph_ptr[g] : t.graph_ptr[g + 1]]
        assert torch.equal(ascending, ascending.sort().values)


@given(t=any_graph())
@examples(25)
def test_batched_equals_separate(t):
    t = undirected(t)
    joined = gs.batch([t, gs.Topology.chain([0]), ring(4)])
    together = basis(joined, **double)
    alone = [basis(one, **double) for one in (*gs.unbatch(t), gs.Topology.chain([0]), ring(4))]
    assert torch.equal(together.values, torch.cat([b.values for b in alone]))
    x = torch.randn(joined.num_nodes, 2, **double)
    parts = x.split([b.values.size(0) for b in alone])
    found = torch.cat([transform(part, b) for part, b in zip(parts, alone, strict=True)])
    assert_close(transform(x, together), found)
    wide = together.vectors.size(1)
    padded = [torch.nn.functional.pad(b.vectors, (0, wide - b.vectors.size(1))) for b in alone]
    assert torch.equal(together.vectors, torch.cat(padded))
    small = gs.batch([ring(4), ring(5)])
    few = basis(small, k=3, **double)
    assert torch.equal(few.ptr, torch.tensor([0, 3, 6]))
    assert torch.equal(few.vectors, torch.cat([basis(ring(n), k=3, **double).vectors for n in (4, 5)]))
    x = torch.randn(9, 2, **double)
    u = torch.block_diag(few.vectors[:4], few.vectors[4:])
    assert_close(spectral.filter(x, few, torch.exp), u @ torch.diag(few.values.exp()) @ u.t() @ x)


def test_each_component_has_a_constant_eigenvector():
    t = gs.Topology.from_edge_index(gs.batch([ring(3), path(4), gs.Topology.chain([1])]).edge_index, 8)
    b = basis(t, k=3, **double)
    assert torch.equal(b.values, torch.zeros(3, **double))
    wanted = torch.block_diag(*(torch.full((n, 1), n**-0.5, **double) for n in (3, 4, 1)))
    assert_close(b.vectors, wanted)
    assert basis(t, normalization="sym").values.sort().values[:2].abs().max() < 1e-6  # an isolated node has 1


def test_weights():
    t = ring(6)
    half = torch.rand(6, **double) + 0.1
    weight = half.repeat(2)
    for normalization in (None, "sym"):
        b = basis(t, weight, normalization=normalization)
        wanted = matrix(t, weight, normalization)
        assert_close(b.vectors @ torch.diag(b.values) @ b.vectors.t(), wanted)
    negative = basis(t, -weight)
    assert_close(negative.values, -basis(t, weight).values.flip(0))
    assert basis(t, weight.float()).vectors.dtype == torch.float32
    uneven = weight.float() * torch.tensor([1.0, 1 + 1e-7]).repeat_interleave(6)  # equal up to rounding
    assert_close(basis(t, uneven).values, basis(t, weight.float()).values)
    far = basis(t, torch.full((12,), 1e30, **double))
    assert_close(far.values / 1e30, basis(t, **double).values)


# ------------------------------------------------------------------------------------------------------ large graphs


def test_few_pairs_of_a_large_graph(monkeypatch):
    edges = torch.randint(0, 700, (2, 2100))
    t = both_ways(edges, 710)  # ten components more, at least
    found = basis(t, k=15, **double)
    monkeypatch.setattr(eigenpairs, "_DENSE", 10**6)
    wanted = basis(gs.Topology(t.edge_index, 710, t.graph_ptr), k=15, **double)
    assert_close(found.values, wanted.values, 1e-12)
    assert_close(found.vectors, wanted.vectors, 1e-8)


def test_no_equal_eigenvalue_is_missed(monkeypatch):
    monkeypatch.setattr(eigenpairs, "_DENSE", 8)
    complete = gs.Topology.from_edge_index((1 - torch.eye(40)).nonzero().t())
    b = basis(complete, k=9, **double)
    assert_close(b.values, torch.tensor([0.0] + [40.0] * 8, **double))
    assert_close(b.vectors.t() @ b.vectors, torch.eye(9, **double))
    grid = torch.arange(144).view(12, 12)
    edges = torch.cat([torch.stack([grid, grid.roll(1, d)]).flatten(1) for d in (0, 1)], 1)
    wanted = basis(both_ways(edges), **double).values[:13]  # all of them: dense
    assert_close(basis(both_ways(edges), k=13, **double).values, wanted)
    assert basis(complete, k=0).vectors.shape == (40, 0)


def test_a_long_ring_whose_eigenvalues_are_close(monkeypatch):
    n, k = 4000, 7
    monkeypatch.setattr(eigenpairs, "_RESTARTS", (1, 1000))
    b = basis(ring(n), k=k, **double)
    wanted = (2 - 2 * torch.cos(2 * torch.pi * torch.arange(n).double() / n)).sort().values[:k]
    assert_close(b.values, wanted, 1e-14)
    assert_close(b.vectors.t() @ b.vectors, torch.eye(k, **double))


# ------------------------------------------------------------------------------------------------------ what is stated


@given(t=graphs(max_nodes=9, max_edges=20))
@examples(40)
def test_signs(t):
    u = basis(undirected(t), **double).vectors
    for column in u.t():
        largest = (column.abs() > (1 - 1e-6) * column.abs().max()).nonzero()
        assert not len(column) or column[largest[0, 0]] > 0


def test_relabelling_permutes_eigenvectors_of_their_own():
    torch.manual_seed(0)
    t, order = ring(9), torch.randperm(9)
    weight = torch.rand(9, **double).repeat(2) + 0.5  # all eigenvalues differ, and so do the entries
    b = basis(t, weight)
    assert b.values.diff().min() > 1e-3
    top = b.vectors.abs().topk(2, 0).values
    assert (top[0] - top[1])[1:].min() > 1e-3  # of the constant one all are equal
    other = basis(gs.Topology.from_edge_index(torch.argsort(order)[t.edge_index]), weight)
    assert_close(other.values, b.values)
    assert_close(other.vectors, b.vectors[order], 1e-9)


@given(t=graphs())
@examples(25)
def test_functions_of_the_eigenvalue_know_no_numbering(t):
    t, order, x = undirected(t), torch.randperm(t.num_nodes), torch.randn(t.num_nodes, 2, **double)
    turned = gs.Topology.from_edge_index(torch.argsort(order)[t.edge_index], t.num_nodes)
    ours = spectral.filter(x[order], basis(turned, **double), lambda v: torch.exp(-v))
    assert_close(ours, spectral.filter(x, basis(t, **double), lambda v: torch.exp(-v))[order], 1e-10)


@normalizations
@pytest.mark.parametrize("terms", [1, 2, 5])
def test_a_polynomial_is_a_chebyshev_filter(normalization, terms):
    t = gs.batch([both_ways(torch.randint(0, 7, (2, 9)), 7), ring(5)])
    conv = nn.ChebConv(1, 1, terms, normalization=normalization, bias=False).double()
    top, x = spectral.lambda_max(t, normalization=normalization).double(), torch.randn(12, 1, **double)
    b = basis(t, normalization=normalization, **double)
    scaled = 2 * b.values / top.repeat_interleave(b.ptr.diff()) - 1
    g = torch.special.chebyshev_polynomial_t(scaled[:, None], torch.arange(terms)) @ torch.cat(
        [lin.weight[0] for lin in conv.lins]
    )
    assert_close(spectral.filter(x, b, g), conv(x, t, lambda_max=top), 1e-6)  # λ is found in float32


@pytest.mark.parametrize("t", [ring(4), gs.batch([ring(3), path(2)])], ids=["one", "several"])
def test_derivatives(t):
    b, n = basis(t, **double), t.num_nodes
    x, g = leaf(n, 2), leaf(n)
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda x, g: spectral.filter(x, b, g), (x, g))
        assert check(lambda x, g: spectral.filter(x, b, lambda v: torch.outer(torch.exp(-v), g[:2])), (x, g))


def test_it_is_computed_once_and_copied_with_the_structure():
    t = gs.batch([ring(4), path(3)])
    b = basis(t, normalization="sym")
    assert basis(t, normalization="sym").links is b.links  # the rest is copied for each caller
    assert basis(t, normalization="sym", k=2) is not b
    for other in (copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
        again = other.memo(("basis", "sym", None, torch.float32), lambda: None)
        assert torch.equal(again.vectors, b.vectors) and again.vectors is not b.vectors
        assert_close(transform(torch.ones(7, 1), again), transform(torch.ones(7, 1), b))
    with torch.inference_mode():
        fresh = basis(ring(5))
    x = torch.randn(5, 1, requires_grad=True)
    transform(x, fresh).sum().backward()


@pytest.mark.parametrize("t", [ring(4), gs.batch([ring(3), path(2)])], ids=["one", "several"])
def test_compiled(t):
    torch._dynamo.reset()
    b, x = basis(t), torch.randn(t.num_nodes, 2)

    def heat(x, t):
        return spectral.filter(x, basis(t), lambda v: torch.exp(-v))

    fast = torch.compile(heat, fullgraph=True, backend="aot_eager")
    assert_close(fast(x, t), spectral.filter(x, b, torch.exp(-b.values)), 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes(dtype):
    t = gs.batch([ring(4), path(3)])
    b, x = basis(t, dtype=dtype), torch.randn(7, 2, dtype=dtype)
    assert b.values.dtype == b.vectors.dtype == transform(x, b).dtype == dtype
    assert_close(inverse(transform(x, b), b), x)


@pytest.mark.parametrize("n", [0, 1])
def test_graphs_without_edges(n):
    t = gs.Topology.chain([n])
    b = basis(t)
    assert b.values.tolist() == [0.0] * n and b.vectors.tolist() == [[1.0]] * n
    x = torch.randn(n, 2, requires_grad=True)
    out = spectral.filter(x, b, torch.cos)
    out.sum().backward()
    assert torch.equal(out, x)
    none = basis(gs.batch([]))
    assert transform(torch.zeros(0, 2), none).shape == (0, 2) and none.ptr.tolist() == [0]


def test_slips():
    t, lone = ring(4), torch.ones(8, **double)
    b = basis(t)
    uneven = lone.clone()
    uneven[1] = 2
    learnt = lone.clone().requires_grad_()
    for call, message in (
        (lambda: basis(gs.Topology.chain([3])), "`topology`: expected an undirected graph.*got the edge 0 → 1"),
        (lambda: basis(t, uneven), "`edge_weight`: expected symmetric weights, .* got 2 for 1 → 2 and 1 for 2 → 1"),
        (lambda: basis(t, learnt), r"`edge_weight`: expected weights that don't require gradients.*detach\(\)"),
        (lambda: basis(t, lone[:3]), r"`edge_weight`: expected shape \[8\]"),
        (lambda: basis(t, lone / 0), "`edge_weight`: expected finite numbers"),
        (lambda: basis(t, -lone, normalization="sym"), "`edge_weight`: expected weights with degrees that are not neg"),
        (lambda: basis(t, k=5), "`k`: expected at most 4 eigenpairs, the number of nodes of graph 0, got 5"),
        (lambda: basis(gs.batch([t, ring(3)]), k=4), "`k`: expected at most 3 eigenpairs, the number of nodes of"),
        (lambda: basis(t, k=-1), "`k`: expected a whole number"),
        (lambda: basis(t, normalization="rw"), '`normalization`: expected None or "sym"'),
        (lambda: basis(t.edge_index), "`topology`: expected a graphseq.Topology"),
        (lambda: transform(torch.ones(3, 2), b), "`x`: expected 4 rows, one for each node"),
        (lambda: transform(lone[:4], b), "`x`: expected float32 on cpu, as the basis is"),
        (lambda: inverse(torch.ones(3, 2), b), "`x`: expected 4 rows, one for each eigenpair"),
        (lambda: transform(torch.ones(4), b.vectors), "`basis`: expected what"),
        (lambda: spectral.filter(torch.ones(4, 2), b, torch.ones(3)), r"`g`: expected a response of shape \[4\]"),
        (lambda: spectral.filter(torch.ones(4, 2), b, lambda v: 3), "`g`: expected a response of shape"),
        (lambda: spectral.filter(torch.ones(4, 2), b, lone[:4]), "`g`: expected float32 on cpu"),
    ):
        with pytest.raises(gs.GraphError, match=message):
            call()
    with torch.no_grad():
        assert basis(t, learnt).values.shape == (4,)
