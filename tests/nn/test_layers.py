"""nn.RNN, nn.GRU and nn.LSTM stand in for torch.nn's, and run over any directed acyclic graph beside."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import graphseq as gs
from graphseq.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent
from tests.oracles import assert_agree, assert_close, copy_weights, tensors
from tests.strategies import dags, examples

PAIRS = [(RNN, nn.RNN, {}), (RNN, nn.RNN, {"nonlinearity": "relu"}), (GRU, nn.GRU, {}), (LSTM, nn.LSTM, {})]
pairs = pytest.mark.parametrize(("ours", "theirs", "options"), PAIRS, ids=["rnn", "relu", "gru", "lstm"])
both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
stacks = pytest.mark.parametrize("stack", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}], ids=str)


def twins(ours, theirs, dtype=torch.float64, **options):
    a, b = ours(3, 4, **options).to(dtype), theirs(3, 4, **options).to(dtype)
    a.load_state_dict(b.state_dict())
    b.load_state_dict(a.state_dict())
    return a, b


def flat(result):
    out, final = result
    return (getattr(out, "data", out) if not isinstance(out, torch.Tensor) else out, *tensors(final))


def start(layer, count, dtype, kind):
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    h, c = (torch.randn(rows, *count, 4, dtype=dtype, requires_grad=True) for _ in range(2))
    return (h, c) if kind is LSTM else h


def agree(a, b, x, hx, leaves):
    """Outputs and gradients by inputs, initial states and every parameter, which both layers name alike."""
    ours, theirs = flat(a(x, hx)), flat(b(x, hx))
    weights = [torch.randn_like(t) for t in theirs]
    found = []
    for result, layer in ((ours, a), (theirs, b)):
        by = [*leaves, *(p for _, p in sorted(layer.named_parameters()))]
        found.append(torch.autograd.grad(result, by, weights, retain_graph=True))
    for p, q in zip((*ours, *found[0]), (*theirs, *found[1]), strict=True):
        assert_close(p, q, 1e-11 if q.dtype == torch.float64 else 3e-6)


@both
@stacks
@pairs
@pytest.mark.parametrize("form", ["time first", "batch first", "single", "packed", "packed sorted"])
@pytest.mark.parametrize("given_state", [False, True])
def test_results_and_gradients(ours, theirs, options, stack, dtype, form, given_state):
    a, b = twins(ours, theirs, dtype, batch_first=form == "batch first", **stack, **options)
    x = torch.randn(*((5, 3) if form == "single" else (2, 5, 3)), dtype=dtype, requires_grad=True)
    count = () if form == "single" else (5,) if form == "time first" else (2,)
    data = x
    if form.startswith("packed"):
        lengths, sort = ([5, 2], True) if form == "packed sorted" else ([2, 5], False)
        data = pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=sort)
    hx = start(a, count, dtype, ours) if given_state else None
    agree(a, b, data, hx, [x, *(tensors(hx) if given_state else ())])


@pairs
def test_the_same_constructor_and_state(ours, theirs, options):
    a, b = twins(ours, theirs, num_layers=2, bidirectional=True, **options)
    assert list(a.state_dict()) == list(b.state_dict())
    assert repr(a) == repr(b)
    torch.manual_seed(3)
    a = ours(3, 4, 2, **options)
    torch.manual_seed(3)
    for p, q in zip(a.parameters(), theirs(3, 4, 2, **options).parameters(), strict=True):
        assert torch.equal(p, q)


@pairs
def test_second_derivatives(ours, theirs, options):
    for dtype in (torch.float64, torch.float32):  # of an LSTM, our operator and PyTorch's kernel
        layer = ours(2, 3, 2, bidirectional=True, **options).to(dtype)
        x = torch.randn(4, 2, 2, dtype=dtype, requires_grad=True)
        (first,) = torch.autograd.grad(layer(x)[0].pow(2).sum(), x, create_graph=True)
        second = torch.autograd.grad(first.pow(2).sum(), [x, *layer.parameters()])
        assert all(torch.isfinite(g).all() for g in second)
        if dtype == torch.float64:
            wanted = second, layer.state_dict(), x.detach()
            continue
        exact = ours(2, 3, 2, bidirectional=True, **options).double()
        exact.load_state_dict(layer.state_dict())
        xd = x.detach().double().requires_grad_()
        (g,) = torch.autograd.grad(exact(xd)[0].pow(2).sum(), xd, create_graph=True)
        for p, q in zip(second, torch.autograd.grad(g.pow(2).sum(), [xd, *exact.parameters()]), strict=True):
            assert_close(p.double(), q, 1e-5)
    assert wanted is not None


def test_dropout_falls_between_layers_alone():
    layer = GRU(3, 4, 2, dropout=0.5)
    x = torch.randn(6, 2, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    lstm = LSTM(3, 4, 2, dropout=0.5)
    (g,) = torch.autograd.grad(lstm(x.requires_grad_())[0].sum(), x, create_graph=True)
    g.sum().backward()
    assert torch.isfinite(lstm.weight_hh_l0.grad).all()


def test_projections_are_torchs_own_and_refused_by_name_elsewhere():
    a, b = twins(LSTM, nn.LSTM, proj_size=2)
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    agree(a, b, x, None, [x])
    with pytest.raises(gs.GraphError, match="`proj_size`: expected 0"):
        a(x[:, 0], topology=gs.Topology.chain([5]))


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4))
@examples(15)
def test_over_chains_as_over_a_packed_sequence(lengths):
    for ours, theirs, options in PAIRS:
        a, b = twins(ours, theirs, num_layers=2, bidirectional=True, **options)
        x = torch.randn(sum(lengths), 3, dtype=torch.float64)
        padded = nn.utils.rnn.pad_sequence(x.split(lengths))
        packed = pack_padded_sequence(padded, torch.tensor(lengths), enforce_sorted=False)
        hx = start(a, (len(lengths),), torch.float64, ours)
        out, final = a(x, hx, topology=gs.Topology.chain(lengths))
        wanted, last = b(packed, hx)
        rows = nn.utils.rnn.pad_packed_sequence(wanted)[0]
        assert_close(out, torch.cat([rows[:n, i] for i, n in enumerate(lengths)]))
        assert_agree(final, last)


@given(t=dags())
@examples(15)
def test_over_a_dag_as_its_cell_is_swept(t):
    for ours, cell in ((GRU, GRUCell), (LSTM, LSTMCell)):
        layer = ours(3, 4, bidirectional=True).double()
        x = torch.randn(t.num_nodes, 3, dtype=torch.float64)
        out, final = layer(x, topology=t)
        for i, (suffix, way) in enumerate((("_l0", t), ("_l0_reverse", t.reverse()))):
            h = tensors(Recurrent(copy_weights(cell(3, 4).double(), layer, suffix))(x, way))[0]
            assert_close(out[:, 4 * i : 4 * i + 4], h)
            ends = h[way.out_degree == 0]
            assert_close(tensors(final)[0][i].sum(0), ends.sum(0))


def test_a_chain_without_nodes_ends_where_it_started():
    layer, hx = GRU(3, 4), torch.randn(1, 3, 4)
    _, final = layer(torch.randn(3, 3), hx, topology=gs.Topology.chain([2, 0, 1]))
    assert torch.equal(final[0, 1], hx[0, 1])


@pytest.mark.parametrize("ours", [RNN, GRU, LSTM])
def test_nothing_at_all(ours):
    layer = ours(3, 4, bidirectional=True)
    out, final = layer(torch.randn(0, 3), topology=gs.Topology.chain([]))
    assert out.shape == (0, 8)
    assert tensors(final)[0].shape == (2, 0, 4)


@pytest.mark.parametrize("ours", [RNN, GRU, LSTM])
def test_bad_input(ours):
    layer, chain = ours(3, 4), gs.Topology.chain([2])
    with pytest.raises(gs.GraphError, match="`x`: expected inputs of width 3"):
        layer(torch.zeros(2, 5), topology=chain)
    with pytest.raises(gs.GraphError, match="`x`: expected 2 rows"):
        layer(torch.zeros(3, 3), topology=chain)
    with pytest.raises(gs.GraphError, match="`hx`: expected"):
        layer(torch.zeros(2, 3), torch.zeros(1, 2, 4), topology=chain)
    with pytest.raises((gs.GraphError, RuntimeError, ValueError), match="input"):
        layer(torch.zeros(2, 2, 5))
    with pytest.raises(gs.GraphError, match="`nonlinearity`"):
        RNN(3, 4, nonlinearity="sigmoid")


@pytest.mark.parametrize("ours", [RNN, GRU, LSTM])
def test_compiled(ours):
    torch._dynamo.reset()
    layer = ours(3, 4, 2, bidirectional=True)
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(5, 2, 3)
    for p, q in zip(flat(fast(x)), flat(layer(x)), strict=True):
        assert_close(p, q, 1e-5)
    found = []
    for module in (fast, layer):
        layer.zero_grad()
        sum(t.pow(2).sum() for t in flat(module(x))).backward()
        found.append([p.grad.clone() for p in layer.parameters()])
    for p, q in zip(*found, strict=True):
        assert_close(p, q, 1e-5)
