"""Laplacians and their largest eigenvalues, by their definitions on dense matrices."""

import pytest
import torch
from hypothesis import given
from torch_geometric.data import Data
from torch_geometric.transforms import LaplacianLambdaMax
from torch_geometric.utils import get_laplacian

import graphseq as gs
from graphseq.spectral import lambda_max, laplacian, scaled_laplacian
from tests.oracles import adjacency, assert_close
from tests.strategies import examples, graphs

COMBINATORIAL = torch.tensor(
    [[4, -1, 0, -1, -2], [-1, 8, -3, -4, 0], [0, -3, 5, -2, 0], [-1, -4, -2, 12, -5], [-2, 0, 0, -5, 7]]
).double()
A = torch.diag(COMBINATORIAL.diag()) - COMBINATORIAL
EDGES = A.nonzero().t().contiguous()
WEIGHT = A[EDGES[0], EDGES[1]]


def dense(structure, weight):
    """Row u, column v: the weight of u → v."""
    return adjacency(structure.edge_index, structure.num_nodes, weight).t()


def of(normalization, a):
    degree, eye = a.sum(1), torch.eye(a.size(0)).double()
    inverse = torch.where(degree == 0, 0, 1 / degree)
    if normalization is None:
        return degree.diag() - a
    if normalization == "rw":
        return eye - inverse[:, None] * a
    return eye - inverse.sqrt()[:, None] * a * inverse.sqrt()


@pytest.mark.parametrize("normalization", [None, "sym", "rw"])
def test_a_weighted_graph(normalization):
    topology = gs.Topology.from_edge_index(EDGES, 5)
    structure, weight = laplacian(topology, WEIGHT, normalization=normalization)
    wanted = of(normalization, A)
    if normalization is None:
        assert torch.equal(dense(structure, weight), COMBINATORIAL)
    assert_close(dense(structure, weight), wanted)
    values = torch.linalg.eigvals(wanted).real
    assert_close(lambda_max(topology, WEIGHT, normalization=normalization), values.max()[None], 1e-12)
    scaled = dense(*scaled_laplacian(topology, WEIGHT, normalization=normalization, top=float(values.max())))
    assert_close(scaled, 2 / values.max() * wanted - torch.eye(5).double())
    found = torch.linalg.eigvals(scaled).real
    assert found.max() < 1 + 1e-12
    assert found.min() > -1 - 1e-12


@pytest.mark.parametrize("normalization", [None, "sym", "rw"])
@given(t=graphs())
@examples(15)
def test_any_graph(normalization, t):
    structure, weight = laplacian(t, normalization=normalization, dtype=torch.float64)
    a = adjacency(t.edge_index, t.num_nodes).t().fill_diagonal_(0)
    assert_close(dense(structure, weight), of(normalization, a))
    again = laplacian(t, normalization=normalization, dtype=torch.float64)
    assert again[1] is weight
    edges, theirs = get_laplacian(t.edge_index, None, normalization, torch.float64, t.num_nodes)
    assert torch.equal(structure.edge_index, edges)
    assert_close(weight, theirs)


@pytest.mark.parametrize("normalization", [None, "sym", "rw"])
def test_weights_have_gradients(normalization):
    topology = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 2, 3, 0], [1, 0, 1, 2, 0, 1]]), 5)
    weight = torch.rand(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: laplacian(topology, w, normalization=normalization)[1], weight)
    assert torch.autograd.gradgradcheck(lambda w: laplacian(topology, w, normalization=normalization)[1], weight)


@pytest.mark.parametrize("normalization", [None, "sym", "rw"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_largest_eigenvalue_is_pygs(normalization, symmetric):
    for n in (9, 300):
        edges = torch.randint(0, n, (2, 4 * n))
        edges = torch.cat([edges, edges.flip(0)], 1) if symmetric else edges
        weight = torch.ones(edges.size(1), dtype=torch.float64)
        data = LaplacianLambdaMax(normalization)(Data(edge_index=edges, edge_attr=weight, num_nodes=n))
        (found,) = lambda_max(gs.Topology.from_edge_index(edges, n), weight, normalization=normalization)
        assert found.item() == pytest.approx(data.lambda_max, rel=1e-7)


def test_one_eigenvalue_for_each_graph():
    pair, lone = gs.Topology.from_edge_index(torch.tensor([[0, 1], [1, 0]])), gs.Topology.chain([1])
    none = gs.Topology.chain([0])
    joined = gs.batch([pair, none, lone, pair])
    assert_close(lambda_max(joined), torch.tensor([2.0, 0, 0, 2]))
    assert_close(lambda_max(joined, normalization="sym"), torch.tensor([2.0, 0, 1, 2]))
    with torch.inference_mode():
        assert lambda_max(joined).shape == (4,)


def test_slips():
    topology = gs.Topology.from_edge_index(EDGES, 5)
    for call in (laplacian, scaled_laplacian, lambda_max):
        with pytest.raises(gs.GraphError, match='`normalization`: expected None, "sym" or "rw"'):
            call(topology, normalization="left")
        with pytest.raises(gs.GraphError, match="`edge_weight`: expected shape"):
            call(topology, torch.ones(3))
    with pytest.raises(gs.GraphError, match="`lambda_max`: expected one number, or 1, one for each graph"):
        scaled_laplacian(topology, top=torch.ones(2))
