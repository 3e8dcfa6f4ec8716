"""Backward again, other modules inside of an update, memory of another layout, autocast."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import Tensor
from torch.nn import Linear, Sequential, functional
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import graphseq as gs
from graphseq import core, nn
from tests.core.ways import (
    DTYPES,
    RING,
    WAYS,
    H,
    Way,
    by_weights,
    layers,
    made,
    near,
    peephole,
    ways,
)
from tests.oracles import assert_agree, assert_close, gradients, leaf, tensors


@layers
def test_a_second_backward_needs_the_graph(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        x.requires_grad_()
        call(layer, x).sum().backward()  # a sum keeps nothing itself
        once, out = x.grad.clone(), call(layer, x).sum()
        out.backward(retain_graph=True)
        out.backward()
        assert_close(x.grad, 3 * once, near(dtype))
        with pytest.raises(RuntimeError, match="second time"):
            out.backward()


@pytest.mark.parametrize("form", ["padded", "packed", "one sequence", "batch first"])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_second_backward_fails_where_that_of_torch_does(kind, form):
    for dtype in DTYPES:
        makers = [getattr(home, kind) for home in (nn, torch.nn)]
        ours, theirs = (make(2, H, batch_first=form == "batch first").to(dtype) for make in makers)
        ours.load_state_dict(theirs.state_dict())
        x, found = leaf(*((4, 2) if form == "one sequence" else (4, 5, 2)), dtype=dtype), []
        for layer in (ours, theirs):
            out = layer(pack_padded_sequence(x, [4, 3, 3, 2, 1]) if form == "packed" else x)[0]
            loss = (out.data if form == "packed" else out).sum()
            first, second = (torch.autograd.grad(loss, x, retain_graph=keep)[0] for keep in (True, False))
            assert torch.equal(first, second)
            with pytest.raises(RuntimeError, match="second time"):
                torch.autograd.grad(loss, x)
            found.append(second)
        assert_close(*found, near(dtype))


class Holds(gs.Cell):
    """An update made of a module."""

    state_sizes = (H,)

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def update(self, p, state):
        return (self.inner(p + state[0]),)


def perceptron() -> Sequential:
    return Sequential(Linear(H, H), torch.nn.Tanh(), Linear(H, H), torch.nn.Sigmoid()).double()


def by_levels(inner: Any, way: Way, x: Tensor) -> Tensor:
    """The same in plain PyTorch, level by level or round by round."""
    t = way.topology
    at, ones = (t.edge_index[1], t.edge_index[0]), torch.ones(t.num_edges, dtype=x.dtype)
    dense = x.new_zeros(t.num_nodes, t.num_nodes).index_put(at, ones, accumulate=True)
    if way.rounds:
        h = x
        for _ in range(way.schedule.k):
            h = inner(dense @ h + h)
        return h
    h = torch.zeros_like(x)
    for k in range(t.num_levels):
        rows = (t.level == k).nonzero()[:, 0]
        h = h.index_copy(0, rows, inner(x[rows] + dense[rows] @ h))
    return h


def of_both_orders(out: Tensor, leaves: list[Tensor], seed: Tensor) -> list[Tensor]:
    first = gradients([out], leaves, [seed], create_graph=True)
    return [*first, *gradients([sum((g.sin() * g).sum() for g in first)], leaves, [torch.ones((), dtype=out.dtype)])]


@ways
def test_statistics_of_a_batch_norm_are_updated_once_a_call(way):
    way, inner = way.twice(), Sequential(Linear(H, H), torch.nn.BatchNorm1d(H), torch.nn.Tanh()).double()
    twin, x = copy.deepcopy(inner), leaf(14, H)
    out, wanted = way.run(Holds(inner), x), by_levels(twin, way, x)
    assert_close(out, wanted)
    seed = torch.randn_like(out)
    ours, theirs = (of_both_orders(o, [x, *m.parameters()], seed) for o, m in ((out, inner), (wanted, twin)))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, 1e-8)
    for ours, theirs in zip(inner.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


class Drops(torch.nn.Module):
    """Drops whole columns, so that the order of rows plays no part."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(H, H)

    def forward(self, z):
        return torch.tanh(self.linear(z) * functional.dropout(torch.ones_like(z[:1]), 0.5))


@ways
def test_dropout_is_the_same_in_derivatives_of_both_orders(way):
    inner, x = Drops().double(), leaf(7, H)
    torch.manual_seed(3)
    out = way.run(Holds(inner), x)
    torch.manual_seed(3)
    wanted, leaves, seed = by_levels(inner, way, x), [x, *inner.parameters()], torch.randn_like(out)
    for a, b in zip(of_both_orders(out, leaves, seed), of_both_orders(wanted, leaves, seed), strict=True):
        assert_close(a, b, 1e-10)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", ""])
@ways
def test_an_update_that_is_computed_again_in_backward(way, reentrant):
    """And a layer."""
    inner, x = perceptron(), leaf(7, H)
    leaves = [x, *inner.parameters()]
    wanted = torch.autograd.grad(by_levels(inner, way, x).sin().sum(), leaves)
    step = Holds(lambda z: checkpoint(inner, z, use_reentrant=reentrant))
    for out in (way.run(step, x), checkpoint(way.run, Holds(inner), x, use_reentrant=reentrant)):
        x.grad = None
        inner.zero_grad()
        out.sin().sum().backward()
        for p, g in zip(leaves, wanted, strict=True):
            assert_close(p.grad, g)


@pytest.fixture
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


short = settings.default.max_examples < 1000
thorough = pytest.mark.skipif(short, reason="half a minute; the thorough profile runs it")


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=thorough)])
def test_a_compiled_module_inside_of_an_update(backend):
    inner, x = perceptron(), leaf(14, H)
    cell, leaves = Holds(torch.compile(inner, backend=backend, dynamic=True)), [x, *inner.parameters()]
    for way in map(Way.twice, WAYS):
        out, wanted = way.run(cell, x), by_levels(inner, way, x)
        assert_close(out, wanted)
        ours, theirs = (torch.autograd.grad(o.sin().sum(), leaves) for o in (out, wanted))  # may give buffers away
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, 1e-10)


def columns(t: Tensor) -> Tensor:
    return t.t().contiguous().t()


def every_other_row(t: Tensor) -> Tensor:
    return torch.stack([t, t + 1], 1).flatten(0, 1)[::2]


def part_of_wider(t: Tensor) -> Tensor:
    return torch.cat([t, t], 1)[:, : t.size(1)]


def expanded(t: Tensor) -> Tensor:
    return t[:1].expand_as(t)


FORMS = [columns, every_other_row, part_of_wider, expanded]


@layers
def test_inputs_and_weights_in_memory_of_any_layout(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        x.requires_grad_()
        for form in FORMS:
            assert not form(x).is_contiguous()
            ours, wanted = call(layer, form(x)), call(layer, form(x).contiguous())
            assert_agree(ours, wanted, [x, *layer.parameters()], near(dtype))
        turned = copy.deepcopy(layer)
        for p in turned.parameters():
            p.data = columns(p.data) if p.dim() == 2 else p.data
        grads = by_weights(turned, call(turned, x).sin().sum())
        for key, g in by_weights(layer, call(layer, x).sin().sum()).items():
            assert_close(grads[key], g, near(dtype))


@pytest.mark.parametrize("kind", [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell, peephole])
@ways
def test_states_and_gradients_in_memory_of_any_layout(way, kind):
    rows = 7 if way.rounds else way.topology.num_graphs
    for dtype in DTYPES:
        cell, x = kind(H, H).to(dtype), leaf(7, H, dtype=dtype)
        states = [leaf(rows, H, dtype=dtype) for _ in cell.state_sizes]
        leaves = [x, *states, *cell.parameters()]
        for form in FORMS:
            given = tuple(form(s) for s in states)
            out, wanted = (tensors(way.run(cell, x, s)) for s in (given, tuple(g.contiguous() for g in given)))
            seeds = [form(torch.randn_like(o)) for o in out]
            ours, theirs = gradients(out, leaves, seeds), gradients(wanted, leaves, [s.contiguous() for s in seeds])
            for a, b in zip((*out, *ours), (*wanted, *theirs), strict=True):
                assert_close(a, b, near(dtype))


@pytest.mark.parametrize("merge", ["sum", "mean", "max", "softmax"])
def test_weights_of_edges_in_memory_of_any_layout(merge):
    for dtype in DTYPES:
        x, weight = leaf(7, H, dtype=dtype), leaf(RING.num_edges, 2, dtype=dtype)
        for w in (weight[:, 0], weight[:1, 1].expand(RING.num_edges), columns(weight)[:, 1]):
            for form in FORMS:
                ours, wanted = (
                    core.aggregate(RING, (z,), message=gs.SCALE, merge=merge, edge_attr=e)
                    for z, e in ((form(x), w), (form(x).contiguous(), w.contiguous()))
                )
                assert_agree(ours, wanted, [x, weight], near(dtype))


def agree_in_16_bits(call: Any, leaves: list[Tensor]) -> None:
    wanted = call()
    with torch.autocast("cpu", torch.bfloat16):
        low = call()
    seed = torch.randn_like(wanted)
    ours, theirs = gradients([low], leaves, [seed.to(low.dtype)]), gradients([wanted], leaves, [seed])
    assert_close(low.float(), wanted, 0.05)
    for a, b in zip(ours, theirs, strict=True):
        assert float(b.abs().max()) > 0
        assert_close(a, b, 0.1)


@layers
def test_layers_under_autocast(name):
    layer, call, x = made(name, torch.float32)
    agree_in_16_bits(lambda: call(layer, x), [x.requires_grad_(), *layer.parameters()])


@ways
def test_what_a_cell_captures_under_autocast(way):
    other, key, x = Linear(H, H), leaf(H, dtype=torch.float32), leaf(7, H, dtype=torch.float32)
    cell = Holds(Sequential(Linear(H, H), torch.nn.Tanh()))
    cell.message = lambda sent, received, edge: (other(sent[0]) * key,)
    agree_in_16_bits(lambda: way.run(cell, x), [x, key, *other.parameters(), *cell.parameters()])
