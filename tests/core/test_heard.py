"""Whoever says anything anew, in a subclass, a mixin or on an object, is heard."""

import copy
import types
from typing import Any

import pytest
import torch
from torch import Tensor

import graphseq as gs
from graphseq import core, nn
from tests.core.ways import (
    DTYPES,
    SWEEPS,
    TREE,
    H,
    near,
)
from tests.oracles import assert_agree, leaf, tensors


def another_update(self, p, state):
    return (torch.tanh(p[:, :4] + 3 * state[0]), *state[1:])


def another_message(sent, received, edge):
    return (sent[0] / 2, *sent[1:])


def another_projection(self, x):
    return torch.cat([x, x.sin(), x.cos(), -x, x, 2 * x], 1)[:, : self.weight_ih.size(0)]


class HalfSum(gs.Sum):
    """A merge that inherits from the sum and says something else."""

    def reduce(self, rows, segments, scores):
        return super().reduce(rows, segments, scores) / 2


class Mixin:
    """An update of a class that is no cell."""

    update = another_update


class ProjectingMixin:
    """A projection of such a class."""

    project = another_projection


def set_on_object(name, value):
    def make(kind, patch):
        cell = kind(H, 4)
        setattr(cell, name, types.MethodType(value, cell) if name in ("update", "project") else value)
        return cell

    return make


def patched(name, value):
    def make(kind, patch):
        patch.setattr(kind, name, value)
        return kind(H, 4)

    return make


ANEW = {
    "a mixin": lambda kind, patch: type("Mixed", (Mixin, kind), {})(H, 4),
    "a projecting mixin": lambda kind, patch: type("Mixed", (ProjectingMixin, kind), {})(H, 4),
    "a projecting subclass": lambda kind, patch: type("Projects", (kind,), {"project": another_projection})(H, 4),
    "a subclass of a mixin": lambda kind, patch: type("Low", (type("High", (Mixin, kind), {}),), {})(H, 4),
    "an object's update": set_on_object("update", another_update),
    "an object's message": set_on_object("message", another_message),
    "an object's projection": set_on_object("project", another_projection),
    "an object's merge": set_on_object("merge", HalfSum()),
    "a patched update": patched("update", another_update),
    "a patched projection": patched("project", another_projection),
    "a patched message": patched("message", lambda self, *given: another_message(*given)),
    "a patched merge": patched("merge", HalfSum()),
}


def by_equations(cell: Any, x: Tensor, topology: gs.Topology) -> Any:
    """What the cell's own methods say, called for one node after another, and no engine."""
    p, done, pairs = cell.project(x), {}, topology.edge_index.t().tolist()
    share = 0.5 if isinstance(cell.merge, HalfSum) else 1.0
    for v in topology.level.argsort(stable=True).tolist():
        mine = p[v : v + 1]
        sent = [cell.message(done[u], mine, None) for u, w in pairs if w == v]
        merged = [sum((s[i] for s in sent), x.new_zeros(1, n)) for i, n in enumerate(cell.state_sizes)]
        done[v] = cell.update(mine, tuple(share * m for m in merged))
    return tuple(torch.cat([done[v][i] for v in range(x.size(0))]) for i in range(len(cell.state_sizes)))


@pytest.mark.parametrize("kind", [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell])
@pytest.mark.parametrize("anew", ANEW)
def test_whoever_says_anything_anew_is_heard(anew, kind):
    plain = kind(H, 4)
    for dtype in DTYPES:
        for way in SWEEPS:
            x = leaf(7, H, dtype=dtype)
            with pytest.MonkeyPatch.context() as patch:
                cell = ANEW[anew](kind, patch)
                cell.load_state_dict(plain.state_dict())
                cell.to(dtype)
                out = tensors(way.run(cell, x))
                assert_agree(out, by_equations(cell, x, way.topology), [x], near(dtype))
            assert not torch.allclose(out[0], tensors(way.run(copy.deepcopy(plain).to(dtype), x))[0], atol=1e-3)


class LogSum(gs.Merge):
    """Of no rows it would be -inf."""

    def reduce(self, rows, segments, scores):
        return segments.sum(rows.exp()).log()


def test_receivers_without_edges_get_zeros_by_any_merge():
    x = leaf(7, H)
    (out,) = core.aggregate(TREE, (x,), merge=LogSum())
    assert out[TREE.in_degree == 0].eq(0).all()
    out.sum().backward()
    assert x.grad.isfinite().all()


class Wide(gs.Cell):
    """Messages of another width than the states."""

    state_sizes, message_sizes = (H,), (2 * H,)

    def message(self, sent, received, edge):
        return (torch.cat([sent[0], -sent[0]], 1),)

    def begin(self, p, state):
        return self.message(state, p, None)

    def update(self, p, state):
        return (p + state[0][:, :H] - state[0][:, H:],)


@pytest.mark.parametrize("way", SWEEPS, ids=[w.name for w in SWEEPS])
def test_messages_of_another_width(way):
    class Twice(gs.Cell):
        state_sizes = (H,)

        def update(self, p, state):
            return (p + 2 * state[0],)

    x = leaf(7, H)
    assert_agree(way.run(Wide(), x), way.run(Twice(), x), [x])


def test_slots_as_an_object_are_slots_by_name():
    class Named(gs.Cell):
        state_sizes, merge, slots = (H,), "slots", 3

        def update(self, p, state):
            return (p + state[0].sum(1),)

    class Object(Named):
        merge, slots = gs.Slots(3), 1

    x, state = leaf(7, H), leaf(1, H)
    wanted = nn.Recurrent(Named())(x, TREE, state)
    assert_agree(nn.Recurrent(Object())(x, TREE, state), wanted, [x, state])
    wanted = nn.Recurrent(Named(), gs.Rounds(2))(x, TREE)
    assert_agree(nn.Recurrent(Object(), gs.Rounds(2))(x, TREE), wanted, [x])
