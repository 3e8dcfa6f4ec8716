"""The relational convolution: every option against PyG's layer and the formula, both ways of grouping edges."""

from itertools import product

import pytest
import torch
import torch_geometric.nn as pyg

import graphseq as gs
from graphseq import nn
from graphseq.nn.convs import _relations
from tests.nn.test_filters import agree, leaf
from tests.oracles import assert_close

K = 3


@pytest.fixture(params=["all pairs", "pairs with edges"], autouse=True)
def grouping(request, monkeypatch):
    if request.param == "pairs with edges":
        monkeypatch.setattr(_relations, "_FEW", 0)
        monkeypatch.setattr(_relations, "_PER_EDGE", 0)


def twins(*args, **options):
    ours, theirs = nn.RGCNConv(*args, **options).double(), pyg.RGCNConv(*args, **options).double()
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def edges(senders, receivers, count):
    """Any edges, of which some stand twice, and none of relation 1."""
    edge_index = torch.stack([torch.randint(senders, (count,)), torch.randint(receivers, (count,))])
    edge_index[:, -2:] = edge_index[:, :2]
    return edge_index, torch.randint(0, 2, (count,)) * 2


def formula(layer, x, edge_index, edge_type, receivers, own):
    """``Σ_r D_r^{-1} A_r X W_r + X W_0 + b``."""
    weight = layer.weight
    if layer.comp is not None:
        weight = torch.einsum("rb,bio->rio", layer.comp, weight)
    if layer.num_blocks is not None:
        weight = torch.stack([torch.block_diag(*blocks) for blocks in weight])
    out = 0 if layer.root is None else own @ layer.root
    for r, w in enumerate(weight):
        a = torch.zeros(receivers, x.size(0), dtype=x.dtype)
        for (u, v), kind in zip(edge_index.t().tolist(), edge_type.tolist(), strict=True):
            a[v, u] += kind == r
        if layer.aggr == "mean":
            a = a / a.sum(1, keepdim=True).clamp(min=1)
        out = out + a @ x @ w
    return out if layer.bias is None else out + layer.bias


SHAPES = [{}, {"num_bases": 2}, {"num_blocks": 2}]


@pytest.mark.parametrize("aggr", ["mean", "add", "sum", "max", "min"])
@pytest.mark.parametrize("out", [2, 6])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("root", "bias", "flow"), [
    (True, True, "source_to_target"), (False, True, "source_to_target"), (True, False, "target_to_source"),
])  # fmt: skip
def test_equals_pyg(aggr, out, shape, root, bias, flow):
    options = {"aggr": aggr, "root_weight": root, "bias": bias, "flow": flow, **shape}
    ours, theirs = twins(4, out, K, **options)
    (edge_index, edge_type), x = edges(7, 6, 25), leaf(7, 4)
    agree(ours, theirs, [x], x, edge_index, edge_type)
    topology = gs.Topology.from_edge_index(edge_index, 7)
    assert_close(ours(x, topology, edge_type), ours(x, edge_index, edge_type), 1e-12)
    if aggr in ("mean", "add") and flow == "source_to_target":
        assert_close(ours(x, topology, edge_type), formula(ours, x, edge_index, edge_type, 7, x), 1e-11)


@pytest.mark.parametrize("aggr", ["mean", "add", "max"])
@pytest.mark.parametrize("out", [2, 6])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pairs(aggr, out, shape):
    ours, theirs = twins((4, 3), out, K, aggr=aggr, **shape)
    (edge_index, edge_type), pair = edges(9, 5, 20), (leaf(9, 4), leaf(5, 3))
    agree(ours, theirs, [*pair], pair, edge_index, edge_type)
    links = gs.Links.between(edge_index, 9, 5)
    assert_close(ours(pair, links, edge_type), ours(pair, edge_index, edge_type), 1e-12)
    if aggr != "max":
        assert_close(ours(pair, links, edge_type), formula(ours, pair[0], edge_index, edge_type, 5, pair[1]), 1e-11)


@pytest.mark.parametrize("aggr", ["mean", "add", "max", "min"])
@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_nodes_without_features(aggr, shape):
    ours, theirs = twins(7, 4, K, aggr=aggr, **shape)
    edge_index, edge_type = edges(7, 6, 25)
    for x in (None, torch.tensor([3, 0, 3, 6, 1, 2, 5])):
        agree(ours, theirs, [], x, edge_index, edge_type)
    topology = gs.Topology.from_edge_index(edge_index, 7)
    assert_close(ours(None, topology, edge_type), ours(None, edge_index, edge_type), 1e-12)
    if aggr in ("mean", "add"):  # of others the rows are merged after the maps, as features are before
        assert_close(ours(None, topology, edge_type), ours(torch.eye(7).double(), topology, edge_type), 1e-11)
    ours, theirs = twins((5, 7), 4, K, aggr=aggr, **shape)
    edge_index, edge_type = edges(5, 6, 25)
    rows = torch.tensor([6, 0, 0, 1, 2, 3])
    agree(ours, theirs, [], (None, rows), edge_index, edge_type)
    agree(ours, theirs, [], (torch.tensor([1, 0, 4, 4, 2]), rows), edge_index, edge_type)


@pytest.mark.parametrize("out", [2, 6])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_derivatives(out, shape):
    layer, (edge_index, edge_type) = nn.RGCNConv(4, out, K, **shape).double(), edges(4, 4, 9)
    names, values = zip(*layer.named_parameters(), strict=True)

    def call(x, *parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, given, (x, edge_index, edge_type))

    given = leaf(4, 4), *(p.detach().requires_grad_() for p in values)
    assert torch.autograd.gradcheck(call, given)
    assert torch.autograd.gradgradcheck(call, given)


@pytest.mark.parametrize("aggr", ["mean", "max"])
@pytest.mark.parametrize("out", [2, 6])
def test_few_edges(aggr, out):
    layer = nn.RGCNConv(4, out, K, aggr=aggr)
    for n, e in ((0, 0), (3, 0), (5, 1)):
        x, edge_index = torch.randn(n, 4, requires_grad=True), torch.zeros(2, e, dtype=torch.int64)
        result = layer(x, edge_index, torch.ones(e, dtype=torch.int64))
        result.sum().backward()
        assert_close(result[1:], (x @ layer.root + layer.bias)[1:])
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("listed", [True, False])
def test_changes_of_the_callers_tensors_are_noticed(listed):
    layer, (edge_index, edge_type), x = nn.RGCNConv(4, 2, K), edges(6, 6, 15), torch.randn(6, 4)
    structure = edge_index if listed else gs.Topology.from_edge_index(edge_index, 6)
    before = layer(x, structure, edge_type)
    again = layer(x, structure, edge_type.clone())
    assert torch.equal(before, again)
    edge_type.numpy()[:] = 1
    changed = layer(x, structure, edge_type)
    assert_close(changed, layer(x, edge_index.clone(), edge_type.clone()))
    assert not torch.allclose(changed, before)
    other = nn.RGCNConv(4, 2, K + 2)
    assert_close(other(x, structure, edge_type), other(x, edge_index.clone(), edge_type.clone()))
    if listed:
        edge_index[1] = 0
        assert_close(layer(x, edge_index, edge_type), layer(x, edge_index.clone(), edge_type.clone()))


def test_structure_is_compiled_once(monkeypatch):
    layer, (edge_index, edge_type), x = nn.RGCNConv(4, 6, K), edges(6, 6, 15), torch.randn(6, 4)
    layer(x, edge_index, edge_type)
    monkeypatch.setattr(_relations, "_pairs", None)
    layer(x, edge_index, edge_type)


def test_what_is_compiled_moves_along():
    layer, (edge_index, edge_type), x = nn.RGCNConv(4, 6, K), edges(6, 6, 15), torch.randn(6, 4)
    topology = gs.Topology.from_edge_index(edge_index, 6)
    layer(x, topology, edge_type)
    there = topology.to("meta")
    (known,) = [part for name, part in there._memo.items() if name == "3 relations"]
    assert known.types.device.type == known.into.edge_index.device.type == "meta"


def test_a_sparse_matrix_holds_the_relations():
    layer, x = nn.RGCNConv(4, 2, K), torch.randn(6, 4)
    at = torch.randperm(36)[:12]
    edge_index, edge_type = torch.stack([at // 6, at % 6]), torch.randint(K, (12,))
    for values in (edge_type, edge_type.float()):
        adj_t = torch.sparse_coo_tensor(edge_index.flip(0), values, (6, 6), check_invariants=True).coalesce()
        for matrix in (adj_t, adj_t.to_sparse_csr()):
            assert_close(layer(x, matrix), layer(x, edge_index, edge_type), 1e-5)
    with pytest.raises(gs.GraphError, match="`edge_type`: expected None with a sparse matrix"):
        layer(x, adj_t, edge_type)
    with pytest.raises(gs.GraphError, match="`edge_type`: expected int64"):
        layer(x, torch.sparse_coo_tensor(edge_index.flip(0), edge_type + 0.5, (6, 6), check_invariants=True))
    with pytest.raises(gs.GraphError, match="`edge_index`: expected an edge list where edges stand twice"):
        twice = torch.cat([edge_index, edge_index], 1)
        layer(x, torch.sparse_coo_tensor(twice.flip(0), edge_type.repeat(2), (6, 6), check_invariants=True))


@pytest.mark.parametrize("out", [2, 6])
def test_a_merge_of_ones_own_and_sparse_features(out):
    class Squares(gs.Merge):
        def reduce(self, rows, segments, scores):
            return segments.sum(rows * rows)

    (edge_index, edge_type), x = edges(6, 6, 15), torch.randn(6, 4).relu()
    layer, plain = nn.RGCNConv(4, out, K, aggr=Squares()), nn.RGCNConv(4, out, K, aggr="sum", root_weight=False)
    plain.load_state_dict({name: layer.state_dict()[name] for name in ("weight", "bias")})
    assert_close(layer(x, edge_index, edge_type) - x @ layer.root, plain(x * x, edge_index, edge_type), 1e-5)
    sparse = nn.SparseFeatures.of(x)
    for shape, aggr in product(SHAPES, ("mean", "max")):
        layer = nn.RGCNConv(4, out, K, aggr=aggr, **shape)
        assert_close(layer(sparse, edge_index, edge_type), layer(x, edge_index, edge_type), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("out", [2, 6])
@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_sixteen_bits(dtype, out, aggr):
    layer, (edge_index, edge_type), x = nn.RGCNConv(4, out, K, aggr=aggr), edges(6, 6, 15), torch.randn(6, 4)
    found = layer.to(dtype)(x.to(dtype), edge_index, edge_type)
    assert found.dtype == dtype
    assert_close(found.float(), layer.float()(x, edge_index, edge_type), 0.05)


@pytest.mark.parametrize("x", [torch.randn(6, 6), None], ids=["features", "none"])
@pytest.mark.parametrize("aggr", ["mean", "max"])
def test_compiled_with_relations_that_change(x, aggr):
    torch._dynamo.reset()
    layer, (edge_index, edge_type) = nn.RGCNConv(6, 3, K, aggr=aggr), edges(6, 6, 15)
    for structure, dynamic in product((edge_index, gs.Topology.from_edge_index(edge_index, 6)), (None, True)):
        fast = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=dynamic)
        for types in (edge_type, 2 - edge_type):
            assert_close(fast(x, structure, types), layer(x, structure, types), 1e-5)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: nn.RGCNConv(3, 4, 0), "`num_relations`: expected a whole number ≥ 1"),
    (lambda: nn.RGCNConv(-1, 4, 2), "`in_channels`: expected a whole number ≥ 1"),
    (lambda: nn.RGCNConv((3, 0), 4, 2), "`in_channels`"),
    (lambda: nn.RGCNConv(3, 4, 2, num_bases=0), "`num_bases`"),
    (lambda: nn.RGCNConv(4, 4, 2, 2, 2), "`num_blocks`: expected None with `num_bases`"),
    (lambda: nn.RGCNConv(3, 4, 2, num_blocks=2), "`num_blocks`: expected a divisor of the widths 3 and 4"),
    (lambda: nn.RGCNConv(3, 4, 2, aggr="lstm"), "`aggr`"),
    (lambda: nn.RGCNConv(3, 4, 2, flow="up"), "`flow`"),
    (lambda: nn.NodeClassifier(3, 4, 2, conv="rgcn"), "`conv`.*num_relations"),
])  # fmt: skip
def test_slips(make, message):
    with pytest.raises(gs.GraphError, match=message):
        make()


def test_slips_in_calls():
    layer, x, edge_index = nn.RGCNConv(4, 2, K), torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]])
    types = torch.tensor([0, 2])
    for wrong, message in (
        (None, r"expected int64 of shape \[2\], the relation of each edge"),
        (types.float(), "expected int64"),
        (types[:1], "expected int64 of shape"),
        (types + 1, "expected numbers from 0 to 2, got 3; are they counted from 1"),
        (types - 1, "expected numbers from 0 to 2, got -1"),
        (types.to("meta"), "expected a tensor on cpu"),
    ):
        with pytest.raises(gs.GraphError, match=f"`edge_type`: {message}"):
            layer(x, edge_index, wrong)
    for given, structure, message in (
        (None, gs.Topology.from_edge_index(edge_index), "expected features, since there are not 4 nodes but 3"),
        (torch.tensor([0, 1, 4]), edge_index, "expected numbers from 0 to 3"),
        ((x, None), edge_index, "expected a pair whose second part is a tensor"),
        (x[:, :3], edge_index, "expected shape"),
    ):
        with pytest.raises(gs.GraphError, match=f"`x`: {message}"):
            layer(given, structure, types)
    with pytest.raises(gs.GraphError, match="`x`: expected features, which weights in blocks need"):
        nn.RGCNConv(4, 2, K, num_blocks=2)(None, edge_index, types)
    with pytest.raises(gs.GraphError, match="`edge_index`: expected numbers"):
        layer(None, edge_index + 3, types)
