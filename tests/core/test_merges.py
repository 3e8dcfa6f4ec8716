"""Standard deviations and power means of messages equal those of each receiver's rows, with their derivatives."""

import pytest
import torch
from torch.nn import Parameter

import graphseq as gs
from graphseq import core, nn
from tests.oracles import assert_close

# Receiver 1 has one edge, 2 and 4 have none.
LINKS = gs.Links.between(torch.tensor([[0, 1, 2, 0, 2, 1, 1], [0, 0, 0, 1, 3, 3, 3]]), 3, 5)


def per_receiver(x, function):
    senders, receivers = LINKS.edge_index
    return torch.stack([
        function(x[senders[receivers == v]]) if bool((receivers == v).any()) else x.new_zeros(x.shape[1:])
        for v in range(5)
    ])  # fmt: skip


@pytest.mark.parametrize(("merge", "function"), [
    ("std", lambda rows: rows.std(0, correction=0)), (gs.Std(), lambda rows: rows.std(0, correction=0)),
    ("var", lambda rows: rows.var(0, correction=0)), (gs.Var(), lambda rows: rows.var(0, correction=0)),
    (gs.PowerMean(1), lambda rows: rows.abs().mean(0)), (gs.PowerMean(), lambda rows: (rows**2).mean(0).sqrt()),
    (gs.PowerMean(0.5), lambda rows: rows.abs().sqrt().mean(0) ** 2),
    (gs.PowerMean(7.3), lambda rows: (rows.abs() ** 7.3).mean(0) ** (1 / 7.3)),
])  # fmt: skip
def test_values_and_gradients(merge, function):
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    (found,), wanted = core.aggregate(LINKS, (x,), merge=merge), per_receiver(x, function)
    assert_close(found, wanted, 1e-12)
    several = [0, 3]  # of a lone row the oracle's deviation has an undefined gradient
    grads = [torch.autograd.grad(out[several].pow(2).sum() + out[several].sum(), x)[0] for out in (found, wanted)]
    assert_close(*grads, 1e-11)
    assert torch.autograd.gradcheck(lambda x: core.aggregate(LINKS, (x,), merge=merge)[0][several], x)
    assert torch.autograd.gradgradcheck(lambda x: core.aggregate(LINKS, (x,), merge=merge)[0][several], x)


def test_equal_rows_and_zeros_have_no_gradient():
    x = torch.tensor([[0.0, 3.0], [0.0, 3.0], [0.0, 3.0]], requires_grad=True)
    for merge in ("std", gs.PowerMean(3), gs.PowerMean(0.5)):
        (out,) = core.aggregate(LINKS, (x,), merge=merge)
        (grad,) = torch.autograd.grad(out.sum(), x)
        assert torch.isfinite(grad).all() and not grad[:, 0].any()


@pytest.mark.parametrize("merge", ["var", "std"])
def test_equal_rows_whose_mean_is_rounded_do_not_vary(merge):
    """0.1 eleven times, say, has a mean beside 0.1; a layer that normalises its results would make noise of that."""
    receivers = torch.tensor([2] * 11 + [0] * 7 + [4] * 5)
    links = gs.Links.between(torch.stack([torch.arange(23), receivers]), 23, 6)
    x = torch.randn(6, 40).index_select(0, receivers).requires_grad_()
    (out,) = core.aggregate(links, (x,), merge=merge)
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert not out.any() and not grad.any()


@pytest.mark.parametrize("merge", ["var", "std"])
def test_compiled_for_a_number_of_edges_that_is_not_known(merge):
    layer = nn.SAGEConv(3, 2, aggr=merge)

    def without_loops(x, edge_index):
        return layer(x, edge_index[:, edge_index[0] != edge_index[1]])

    torch._dynamo.reset()
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(without_loops, backend="aot_eager", fullgraph=True)
        for nodes, edges in ((6, 20), (5, 0), (4, 9)):
            x, edge_index = torch.randn(nodes, 3), torch.randint(nodes, (2, edges))
            assert_close(compiled(x, edge_index), without_loops(x, edge_index), 1e-6)


def test_powers_do_not_overflow():
    x = torch.tensor([[1e30], [2e30], [1e-30]])
    (out,) = core.aggregate(LINKS, (x,), merge=gs.PowerMean(20))
    assert_close(out[0] / 1e30, torch.tensor([2 / 3**0.05]), 1e-5)


def test_a_power_is_learnt():
    p = Parameter(torch.tensor(2.0, dtype=torch.float64))
    x = torch.randn(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: core.aggregate(LINKS, (x,), merge=gs.PowerMean(p))[0], p)


def test_in_sweeps_and_rounds():
    class Spread(gs.Cell):
        state_sizes, merge = (4,), "std"

        def update(self, p, state):
            return (p + state[0],)

    dag = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0], [2, 2, 3, 3]]))
    x = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    h = nn.Recurrent(Spread())(x, dag)
    assert_close(h[2], x[2] + (x[0] - x[1]).abs() / 2, 1e-12)
    assert_close(h[3], x[3] + (h[2] - x[0]).abs() / 2, 1e-12)
    assert torch.autograd.gradcheck(lambda x: nn.Recurrent(Spread(), gs.Rounds(2))(x, dag), x)


@pytest.mark.parametrize("p", [0, -1, True, "2", torch.nan])
def test_slips(p):
    with pytest.raises(gs.GraphError, match="`p`: expected a number above 0, or a tensor"):
        gs.PowerMean(p)
