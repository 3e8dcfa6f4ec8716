"""Who writes in place: a cell on its states, a caller on what a structure was made of."""

from typing import Any

import pytest
import torch
from torch import Tensor

import graphseq as gs
from graphseq import nn
from tests.core.ways import (
    CHAINS,
    MAKERS,
    MODES,
    H,
    Way,
    ways,
)
from tests.oracles import assert_close, leaf


class Plain(gs.Cell):
    """An update that writes on nothing."""

    state_sizes = (H,)

    def message(self, sent, received, edge):
        return (sent[0] * 2 + received,)

    def update(self, p, state):
        return (torch.tanh(p + 2 * state[0]),)


class OnStates(Plain):
    """The same, done on the state itself."""

    def update(self, p, state):
        return (torch.tanh(p + state[0].mul_(2)),)


class OnStatesAsTheyCome(OnStates):
    """… which is copied from the senders."""

    message = gs.COPY


class OnInputs(Plain):
    """… on the projected inputs, which by default are the inputs."""

    def update(self, p, state):
        return (p.add_(2 * state[0]).tanh(),)


class OnSent(Plain):
    """The message writes on what is sent."""

    def message(self, sent, received, edge):
        return (sent[0].mul_(2) + received,)


class OnReceived(Plain):
    """… on what it reads of the receiver."""

    def message(self, sent, received, edge):
        return (received.add_(2 * sent[0]),)


class Copied(Plain):
    """What the one that copies should be."""

    message = gs.COPY


WRITERS = [(OnStates, Plain), (OnStatesAsTheyCome, Copied), (OnInputs, Plain), (OnSent, Plain), (OnReceived, Plain)]


def initial_states(way: Way) -> list[Tensor | None]:
    if way.rounds:
        return [None, torch.randn(7, H), leaf(7, H, dtype=torch.float32)]
    rows = way.topology.num_graphs
    return [None, torch.randn(rows, H), torch.randn(7, 1, H), leaf(rows, H, dtype=torch.float32)]


def right_or_refused(call: Any, wanted: Tensor, given: list[Tensor | None]) -> None:
    """Autograd itself refuses writing on leaves, and on parts of what was split."""
    before = [None if t is None else t.detach().clone() for t in given]
    try:
        out = call()
    except (gs.GraphError, RuntimeError):
        pass
    else:
        assert_close(out, wanted)
    assert all(b is None or torch.equal(t, b) for t, b in zip(given, before, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "plain"), WRITERS, ids=lambda k: k.__name__)
@ways
def test_a_cell_that_writes_in_place_is_right_or_refused(way, kind, plain, mode):
    with mode():
        for state in initial_states(way):
            for x in (torch.randn(7, H), leaf(7, H, dtype=torch.float32)):
                wanted = way.run(plain(), x, state)
                right_or_refused(lambda: way.run(kind(), x, state), wanted, [x, state])  # noqa: B023


class IntoBuffer(Plain):
    """A cell that returns the same memory each time."""

    message = gs.COPY

    def update(self, p, state):
        out = self.__dict__.setdefault(f"rows {p.size(0)}", torch.zeros(p.size(0), H))
        out.copy_(p)
        return (out.add_(2 * state[0]).tanh_(),)


class IntoNew(Copied):
    def update(self, p, state):
        return (torch.tanh(p + 2 * state[0]),)


class Handed(Copied):
    """A cell that returns what it was given."""

    def update(self, p, state):
        return (state[0] if p.size(0) == 2 else p,)


class HandedCopies(Copied):
    def update(self, p, state):
        return (state[0].clone() if p.size(0) == 2 else p.clone(),)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "plain"), [(IntoBuffer, IntoNew), (Handed, HandedCopies)], ids=lambda k: k.__name__)
@ways
def test_memory_that_a_cell_returns_again_is_right_or_refused(way, kind, plain, mode):
    with mode():
        for topology in (way.topology, gs.Topology.chain([4, 3]), gs.Topology.chain([7])):
            if way.topology is not topology and way.rounds:
                continue
            way, x = way._replace(topology=topology), torch.randn(7, H)
            right_or_refused(lambda: way.run(kind(), x), way.run(plain(), x), [x])  # noqa: B023


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad])
def test_who_writes_on_states_of_others_is_told_so(mode):
    with mode(), pytest.raises(gs.GraphError, match=r"`update`: .* not to write on the states"):
        nn.Recurrent(OnStatesAsTheyCome())(torch.randn(7, H), CHAINS)


@pytest.mark.parametrize("mode", MODES)
def test_one_step_of_a_cell_that_writes_in_place(mode):
    with mode():
        x, state = torch.randn(2, H), torch.randn(2, H)
        right_or_refused(lambda: OnStates()(x, state), Plain()(x, state), [state])


@pytest.mark.parametrize("ready", [False, True], ids=["fresh", "compiled"])
@pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
def test_no_structure_aliases_what_it_is_made_of(make, ready):
    def parts(made):
        found = [made.edge_index, *made.matrix, made.slot, made.in_degree]
        if isinstance(made, gs.Topology):
            found += [made.batch, made.graph_ptr, made.level, *made.packed, made.reverse().edge_index]
        return [f.clone() for f in found]

    made, given = make()
    wanted = parts(make()[0])
    if ready:
        parts(made)
    for tensor in given:
        tensor.fill_(1)
    assert all(torch.equal(a, b) for a, b in zip(parts(made), wanted, strict=True))


def test_a_layer_that_is_handed_edges_sees_that_they_change():
    conv, x, edges = nn.GINConv(torch.nn.Identity()), torch.randn(4, 2), torch.tensor([[0, 1, 2], [1, 2, 3]])
    assert_close(conv(x, edges)[3], x[3] + x[2])
    edges[0, 2] = 0
    assert_close(conv(x, edges)[3], x[3] + x[0])
    edges.data = torch.tensor([[1, 1], [3, 3]])
    assert_close(conv(x, edges)[3], x[3] + 2 * x[1])
