"""Maxima over neighbours against the equations on rows of edges, and against plain loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphseq as gs
from graphseq import core, lowering
from graphseq.ops.csr import csr
from graphseq.ops.library import OPERATORS
from graphseq.ops.neighbour_max import neighbour_max
from tests.oracles import assert_agree, assert_close, leaf
from tests.strategies import any_graph, examples

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
merges = pytest.mark.parametrize("merge", ["max", "min"])


def by_equations(links, x, merge):
    with lowering.disabled():
        return core.aggregate(links, (x,), merge=merge)[0]


@merges
@pytest.mark.parametrize("dtype", DTYPES)
@given(t=any_graph(), shape=st.sampled_from([(3,), (1,), (0,), (), (2, 2)]), ties=st.booleans())
@examples(40)
def test_equal_the_equations(merge, dtype, t, shape, ties):
    x = leaf(t.num_nodes, *shape, dtype=dtype)
    if ties:
        with torch.no_grad():
            x.round_()
    (found,) = core.aggregate(t, (x,), merge=merge)
    assert_agree(found, by_equations(t, x, merge), [x])
    assert torch.equal(found, by_equations(t, x, merge))


@merges
@given(t=any_graph())
@examples(30)
def test_brute_force(merge, t):
    x = leaf(t.num_nodes, 2)
    rows = []
    for v in range(t.num_nodes):
        sent = x[t.edge_index[0][t.edge_index[1] == v]]
        rows.append(getattr(sent, f"a{merge}")(0) if len(sent) else x.new_zeros(2))
    wanted = torch.stack(rows) if rows else x.new_zeros(0, 2)
    assert_close(core.aggregate(t, (x,), merge=merge)[0], wanted)


@merges
@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_nan_and_infinities(merge, dtype):
    """The first edge wins, the same sender's second edge gets nothing, and NaN wins."""
    nan, inf = float("nan"), float("inf")
    values = torch.tensor([[1, nan, inf], [1, 2, -inf], [1, nan, -inf], [0, 5, inf], [7, 7, 7]], dtype=dtype)
    links = gs.Links.between(torch.tensor([[1, 0, 2, 1, 0, 3, 3, 3, 2], [0, 0, 0, 0, 2, 2, 2, 3, 3]]), 5, 4)
    found, wanted = ([], [])
    for kept, run in ((found, lambda x: core.aggregate(links, (x,), merge=merge)[0]),
                      (wanted, lambda x: by_equations(links, x, merge))):  # fmt: skip
        x = (values.clone() if merge == "max" else -values).requires_grad_()
        out = run(x)
        out.nan_to_num(0).sum().backward()
        kept += [out.detach(), x.grad]
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    assert found[0][0].isnan().tolist() == [False, True, False]
    assert found[1][:, 0].tolist() == [1, 1, 1, 0, 0]  # receivers 0, 2 and 3
    assert (found[0][1] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@given(t=any_graph(), data=st.data())
@examples(25)
def test_bodies_agree(dtype, t, data):
    """Those of every device do what the kernels do, to the last bit."""
    ptr, index, *_ = t.matrix
    x = torch.randn(t.num_nodes, 3).round().to(dtype)
    if x.numel():
        x[data.draw(st.integers(0, t.num_nodes - 1)), 0] = float("nan")
    both = [OPERATORS["neighbour_max"].bodies["cpu"], OPERATORS["neighbour_max"].body]
    (out, place), (other, again) = (body(x, ptr, index) for body in both)
    torch.testing.assert_close(out, other, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(place, again)
    grad = torch.randn(out.shape).to(dtype)
    spread = OPERATORS["neighbour_spread"]
    given_ = grad, place, ptr, index, t.num_nodes
    assert_close(spread.bodies["cpu"](*given_), spread.body(*given_), 0.05 if grad.element_size() == 2 else 1e-6)


def test_derivatives():
    ptr, index, *_ = csr(torch.tensor([[0, 1, 3, 3, 2, 0, 3], [1, 1, 1, 0, 2, 2, 1]]), 4, 4)
    x, weight = leaf(4, 3), leaf(4, 3)

    def call(x, w):
        return (neighbour_max(x, ptr, index) * w).tanh()

    assert torch.autograd.gradcheck(call, (x, weight))
    assert torch.autograd.gradgradcheck(call, (x, weight))
    third = x
    total = call(x, weight).sum()
    for _ in range(3):
        (third,) = torch.autograd.grad(total, x, create_graph=True)
        total = (third * third).sum()
    assert torch.isfinite(third).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_opcheck(dtype):
    ops = torch.ops.graphseq
    for edges in (torch.tensor([[0, 1, 3, 2], [1, 1, 1, 0]]), torch.empty(2, 0, dtype=torch.int64)):
        ptr, index, *_ = csr(edges, 4, 3)
        x = leaf(4, 2, dtype=dtype)
        torch.library.opcheck(ops.neighbour_max.default, (x, ptr, index))
        _, place = ops.neighbour_max(x, ptr, index)
        torch.library.opcheck(ops.neighbour_pick.default, (x, place, ptr, index))
        torch.library.opcheck(ops.neighbour_spread.default, (leaf(3, 2, dtype=dtype), place, ptr, index, 4))


@merges
def test_whole_numbers_and_readouts(merge):
    links = gs.Links.between(torch.tensor([[0, 2, 1], [1, 1, 0]]), 3, 3)
    x = torch.tensor([[5, -(2**63)], [1, 2], [3, 2**63 - 1]])
    found = core.aggregate(links, (x,), merge=merge)[0].tolist()
    assert found == [[1, 2], [5, 2**63 - 1] if merge == "max" else [3, -(2**63)], [0, 0]]
    y = torch.randn(5, 2)
    members = gs.Topology.chain([2, 0, 3]).members
    assert torch.equal(core.aggregate(members, (y,), merge=merge)[0], by_equations(members, y, merge))


@merges
def test_several_states_strides_and_batched_gradients(merge):
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 2], [1, 2, 1, 0]]))
    x, y = torch.randn(4, 3, dtype=torch.float64).t().requires_grad_(), leaf(3, 2)
    found = core.aggregate(t, (x, y), merge=merge)
    for part, state in zip(found, (x, y), strict=True):
        assert_agree(part, by_equations(t, state, merge), [state])
    seeds = torch.randn(5, 3, 4, dtype=torch.float64)
    (batched,) = torch.autograd.grad(found[0], x, seeds, is_grads_batched=True, retain_graph=True)
    for one, seed in zip(batched, seeds, strict=True):
        assert_close(one, torch.autograd.grad(found[0], x, seed, retain_graph=True)[0])


@merges
@pytest.mark.parametrize("dynamic", [None, True])
def test_compiled(merge, dynamic):
    torch._dynamo.reset()

    def call(x, edge_index):
        return core.aggregate(gs.Links.between(edge_index, 6, 6), (x,), merge=merge)[0]

    fast = torch.compile(call, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for count in (9, 12):
        x, edge_index = leaf(6, 3, dtype=torch.float32), torch.randint(0, 6, (2, count))
        both = [torch.autograd.grad(run(x, edge_index).tanh().sum(), x)[0] for run in (fast, call)]
        assert_close(*both)
        assert_close(fast(x, edge_index), call(x, edge_index))


def test_kernels_on_two_threads(two_threads):
    n, e, f = 12_000, 40_000, 40
    links = gs.Links.between(torch.randint(n, (2, e)), n, n)
    x = leaf(n, f, dtype=torch.float32)
    assert_agree(core.aggregate(links, (x,), merge="max")[0], by_equations(links, x, "max"), [x])


def test_no_row_for_each_edge_is_saved():
    t, x = gs.Topology.from_edge_index(torch.randint(0, 9, (2, 500)), 9), leaf(9, 4)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda s: kept.append(s.numel()) or s, lambda s: s):
        core.aggregate(t, (x,), merge="max")
    assert max(kept) <= 500
