"""Sparse features are the dense ones, at less cost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from graphseq import GraphError
from graphseq.nn import (
    ARMAConv,
    ChebConv,
    GCNConv,
    GraphConv,
    NodeClassifier,
    SAGEConv,
    SGConv,
    SparseFeatures,
    TAGConv,
)
from tests.strategies import examples

EDGES = torch.tensor([[0, 1, 1, 2, 3, 3], [1, 0, 2, 1, 3, 0]])


def mostly_zeros(rows: int, columns: int, seed: int, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator, dtype=dtype)
    return x * (torch.rand(rows, columns, generator=generator) < 0.3)


@given(rows=st.integers(0, 6), columns=st.integers(0, 6), seed=st.integers(0, 99))
@examples(40)
def test_equals_the_dense_product(rows: int, columns: int, seed: int) -> None:
    x = mostly_zeros(rows, columns, seed)
    weight = torch.randn(3, columns, dtype=torch.float64, requires_grad=True)
    sparse = SparseFeatures.of(x)
    assert torch.equal(sparse.dense(), x) and sparse.shape == x.shape and sparse.dtype == x.dtype
    assert sparse.values.numel() == int((x != 0).sum())
    for kind in (x.to_sparse_coo(), x.to_sparse_csr()):
        assert torch.equal(SparseFeatures.of(kind).dense(), x)
    torch.testing.assert_close(sparse.linear(weight), x @ weight.t())
    assert torch.autograd.gradcheck(lambda w: sparse.linear(w).tanh(), weight)
    assert torch.autograd.gradgradcheck(lambda w: sparse.linear(w).tanh(), weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layers_take_them(dtype: torch.dtype) -> None:
    x = mostly_zeros(4, 5, 0, dtype)
    sparse = SparseFeatures.of(x)
    weight = torch.rand(6, dtype=dtype)
    layers = [GCNConv(5, 3), GCNConv(5, 7, bias=False), GCNConv(-1, 2), NodeClassifier(5, 4, 3).eval()]
    layers += [SAGEConv(5, 7), SAGEConv(-1, 3, aggr="max"), GraphConv(5, 7), ChebConv(-1, 7, 3), ChebConv(5, 2, 1)]
    layers += [SGConv(5, 7, 2), TAGConv(5, 7, 2), ARMAConv(5, 7, 2, 2)]
    for layer in layers:
        layer.to(dtype)
        found = []
        for features in (x, sparse):
            out = layer(features, EDGES, *([] if isinstance(layer, SAGEConv) else [weight]))
            grads = torch.autograd.grad(out.square().sum(), list(layer.parameters()))
            found.append([out, *grads])
        for dense, other in zip(*found, strict=True):
            torch.testing.assert_close(dense, other)


def test_dropout_is_that_of_the_entries() -> None:
    x = SparseFeatures.of(mostly_zeros(300, 40, 1))
    dropped = x.dropout(0.25, training=True)
    gone = (dropped.values == 0).double().mean()
    assert abs(float(gone) - 0.25) < 0.03 and dropped.pattern is x.pattern
    kept = dropped.values != 0
    torch.testing.assert_close(dropped.values[kept], x.values[kept] / 0.75)
    assert x.dropout(0.25, training=False) is x.dropout(0.0, training=True) is x


def test_a_model_learns_from_them_as_from_dense_ones() -> None:
    x, y = mostly_zeros(4, 5, 2, torch.float32), torch.tensor([0, 1, 2, 0])
    found = []
    for features in (x, SparseFeatures.of(x)):
        torch.manual_seed(0)
        model = NodeClassifier(5, 8, 3, dropout=0.0)
        optimizer = torch.optim.Adam(model.parameters(), 0.05)
        for _ in range(20):
            optimizer.zero_grad()
            loss = cross_entropy(model(features, EDGES), y)
            loss.backward()
            optimizer.step()
        found.append(loss.detach())
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("x", [torch.zeros(3), torch.zeros(2, 2, dtype=torch.int64), [[1.0]]])
def test_what_is_no_matrix(x: object) -> None:
    with pytest.raises(GraphError, match="`x`: expected a floating-point tensor"):
        SparseFeatures.of(x)


def test_wrong_inputs_are_named() -> None:
    conv, x = GCNConv(5, 3), SparseFeatures.of(torch.ones(4, 6))
    with pytest.raises(GraphError, match=r"`x`: expected shape \[N, 5\]"):
        conv(x, EDGES)
    with pytest.raises(GraphError, match="`x`: expected"):
        conv(SparseFeatures.of(torch.ones(4, 5, dtype=torch.float64)), EDGES)
    with pytest.raises(GraphError, match=r"`x`: expected a floating-point tensor of shape \[N, F\]"):
        conv(torch.ones(4, 5).to_sparse_csr(), EDGES)
