"""Sums over neighbours and dot products along edges against dense matrices."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.ops.csr import csr
from graphseq.ops.spmm import edge_dots, spmm
from tests.oracles import adjacency, assert_agree, assert_close, leaf
from tests.strategies import any_graph, examples

DTYPES = [torch.float32, torch.float64, torch.bfloat16]


def rectangle(rows, columns, r, c):
    """The pattern of an R by C matrix whose edges are (rows[e], columns[e])."""
    return csr(torch.stack([columns, rows]), c, r)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@given(t=any_graph(), width=st.integers(0, 3))
@examples(40)
def test_spmm_is_a_dense_product(dtype, weighted, t, width):
    x = leaf(t.num_nodes, width, dtype=dtype)
    weight = leaf(t.num_edges, dtype=dtype) if weighted else None
    ones = torch.ones(t.num_edges, dtype=dtype)
    dense = adjacency(t.edge_index, t.num_nodes, ones if weight is None else weight)
    assert_agree(spmm(t.matrix, weight, x), dense @ x, [x, weight])
    assert_agree(spmm(t.matrix.transpose(), weight, x), dense.t() @ x, [x, weight])


@pytest.mark.parametrize("dtype", DTYPES)
@given(t=any_graph(), width=st.integers(0, 3))
@examples(40)
def test_edge_dots_are_dot_products_in_the_order_of_the_edges(dtype, t, width):
    a, b = leaf(t.num_nodes, width, dtype=dtype), leaf(t.num_nodes, width, dtype=dtype)
    sources, targets = t.edge_index
    assert_agree(edge_dots(t.matrix, a, b), (a[targets] * b[sources]).sum(1), [a, b])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rectangular_matrix(dtype):
    rows, columns = torch.tensor([2, 0, 2, 2]), torch.tensor([4, 1, 0, 4])
    m, weight = rectangle(rows, columns, 3, 5), leaf(4, dtype=dtype)
    x, y = leaf(5, 2, dtype=dtype), leaf(3, 2, dtype=dtype)
    dense = torch.zeros(3, 5, dtype=dtype).index_put((rows, columns), weight, accumulate=True)
    assert_agree(spmm(m, weight, x), dense @ x, [weight, x])
    assert_agree(spmm(m.transpose(), weight, y), dense.t() @ y, [weight, y])
    assert_agree(edge_dots(m, y, x), (y[rows] * x[columns]).sum(1), [x, y])


def test_strided_inputs():
    m = rectangle(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]), 2, 2)
    x, weight = torch.randn(3, 2, dtype=torch.float64).t()[:, ::2], torch.randn(6, dtype=torch.float64)[::2]
    dense = torch.zeros(2, 2, dtype=torch.float64)
    dense[0, 1], dense[1, 0], dense[1, 1] = weight
    assert_close(spmm(m, weight, x), dense @ x)
    assert_close(edge_dots(m, x, x), torch.stack([x[0] @ x[1], x[1] @ x[0], x[1] @ x[1]]))


@pytest.mark.parametrize("weighted", [False, True])
def test_derivatives(weighted):
    m = rectangle(torch.tensor([2, 0, 2, 2]), torch.tensor([3, 1, 0, 3]), 3, 4)
    x, weight = leaf(4, 2), leaf(4) if weighted else None
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda x, w=None: spmm(m, w, x), (x, weight) if weighted else (x,))
        assert check(lambda a, b: edge_dots(m, a, b), (leaf(3, 2), x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["spmm", "spmm weighted", "edge_dots"])
def test_opcheck(dtype, name):
    m = rectangle(torch.tensor([2, 0, 2]), torch.tensor([3, 1, 0]), 3, 4)
    x, weight = leaf(4, 2, dtype=dtype), leaf(3, dtype=dtype) if "weighted" in name else None
    if name == "edge_dots":
        torch.library.opcheck(torch.ops.graphseq.edge_dots.default, (leaf(3, 2, dtype=dtype), x, *m))
    else:
        torch.library.opcheck(torch.ops.graphseq.spmm.default, (weight, x, *m))


def test_kernels_on_two_threads(two_threads):
    n, e, f = 3000, 20_000, 32
    rows, columns = torch.randint(n, (e,)), torch.randint(n, (e,))
    m, weight, x = rectangle(rows, columns, n, n), leaf(e), leaf(n, f)
    dense = torch.sparse_coo_tensor(torch.stack([rows, columns]), weight, (n, n), check_invariants=True)
    assert_agree(spmm(m, weight, x), torch.sparse.mm(dense, x), [x])
    assert_close(spmm(m, None, x), torch.zeros(n, f, dtype=x.dtype).index_add(0, rows, x[columns]))
    assert_close(edge_dots(m, x, x), (x[rows] * x[columns]).sum(1))


def test_autocast_computes_in_float32():
    m = rectangle(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1]), 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        out = spmm(m, None, torch.ones(2, 3, dtype=torch.bfloat16))
    assert out.dtype == torch.float32
    assert out.tolist() == [[1.0] * 3, [2.0] * 3]
