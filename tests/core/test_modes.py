"""How it is called: under autocast, without gradients, with the graph kept; nothing of the caller's is written on."""

import pytest
import torch

import graphseq as gs
from tests.core.cells import BUILT_IN, WRITTEN, edge_features, made, placed, random_state
from tests.oracles import assert_agree, assert_close, gradients, leaf, tensors
from tests.tiers import Recurrent

KINDS = [k for k in BUILT_IN if "no" not in k.name] + WRITTEN[::3] + WRITTEN[-3:]
each = pytest.mark.parametrize("kind", KINDS, ids=repr)
tiers = pytest.mark.parametrize("fast", [True, False], ids=["fast", "generic"])


def structures_of(kind):
    t = gs.Topology.chain([3, 1, 4])
    if kind.slots == 1:
        return [t]
    tree = gs.Topology.tree([4, 4, 3, 5, 5, -1], slot=[1, 0, 1, 0, 1, 0])
    dag = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1], [1, 2, 3, 3, 4]]), 6)
    return [t, tree] if kind.slots else [t, tree, dag]


@pytest.mark.parametrize("started", [False, True], ids=["", "with initial states"])
@tiers
@each
def test_autocast(kind, fast, started):
    for t in structures_of(kind):
        cell = made(kind, dtype=torch.float32)
        x, edge_attr = leaf(t.num_nodes, 3, dtype=torch.float32), edge_features(kind, t, torch.float32)
        layer = Recurrent(cell, fast=fast)
        state = random_state(cell, t.num_nodes, torch.float32) if started else None
        with torch.autocast("cpu", torch.bfloat16):
            low = tensors(layer(x, t, placed(cell, t, state), edge_attr=edge_attr))
        leaves = [x, edge_attr, *(state or ()), *cell.parameters()]
        assert_agree([o.float() for o in low], layer(x, t, placed(cell, t, state), edge_attr=edge_attr), leaves, 0.15)


@tiers
@each
def test_autocast_around_the_backward_pass_too(kind, fast):
    for t in structures_of(kind):
        cell, x = made(kind, dtype=torch.float32), leaf(t.num_nodes, 3, dtype=torch.float32)
        edge_attr, state = edge_features(kind, t, torch.float32), random_state(cell, t.num_nodes, torch.float32)
        for start in (None, state):
            out = tensors(Recurrent(cell, fast=fast)(x, t, placed(cell, t, start), edge_attr=edge_attr))
            leaves, ones = [x, *(start or ()), *cell.parameters()], [torch.ones_like(o) for o in out]
            wanted = gradients(out, leaves, ones)
            with torch.autocast("cpu", torch.bfloat16):
                low = tensors(Recurrent(cell, fast=fast)(x, t, placed(cell, t, start), edge_attr=edge_attr))
                found = gradients(low, leaves, [one.to(o.dtype) for one, o in zip(ones, low, strict=True)])
            for a, b in zip(found, wanted, strict=True):
                assert_close(a, b, 0.15)


@tiers
@pytest.mark.parametrize("dtypes", [(torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)])
@pytest.mark.parametrize("kind", BUILT_IN, ids=repr)
def test_autocast_of_inputs_and_states_of_several_dtypes(kind, dtypes, fast):
    """As when one layer's output, in 16 bits, is another's input or its initial state."""
    t, cell = structures_of(kind)[-1], made(kind, dtype=torch.float32)
    x, state = leaf(t.num_nodes, 3, dtype=dtypes[0]), random_state(cell, t.num_nodes, dtypes[1])
    if "relu" in repr(kind):  # its gradient jumps where 16 bits round a sum to the other side of 0: all are above it
        with torch.no_grad():
            for t_ in (x, *state, *cell.parameters()):
                t_.abs_()
    with torch.autocast("cpu", torch.bfloat16):
        low = tensors(Recurrent(cell, fast=fast)(x, t, placed(cell, t, state)))
    wanted = Recurrent(cell, fast=fast)(x.float(), t, placed(cell, t, tuple(s.float() for s in state)))
    assert_agree([o.float() for o in low], wanted, [x, *state, *cell.parameters()], 0.15)


@tiers
@each
def test_autocast_in_rounds(kind, fast):
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]]))
    if kind in WRITTEN:
        return
    cell, x = made(kind, 4, 4, torch.float32), leaf(3, 4, dtype=torch.float32)
    layer = Recurrent(cell, gs.Rounds(2), fast=fast)
    with torch.autocast("cpu", torch.bfloat16):
        low = tensors(layer(x, t))
    assert_agree([o.float() for o in low], layer(x, t), [x, *cell.parameters()], 0.15)


@tiers
@each
def test_bfloat16(kind, fast):
    for t in structures_of(kind):
        cell, x = made(kind, dtype=torch.bfloat16), leaf(t.num_nodes, 3, dtype=torch.bfloat16)
        edge_attr = edge_features(kind, t, torch.bfloat16)
        out = tensors(Recurrent(cell, fast=fast)(x, t, edge_attr=edge_attr))
        sum(o.sum() for o in out).backward()
        assert all(o.dtype == torch.bfloat16 for o in out)
        wide = None if edge_attr is None else edge_attr.float()
        for a, b in zip(out, tensors(Recurrent(cell.float())(x.float(), t, edge_attr=wide)), strict=True):
            assert_close(a.float(), b, 0.1)


@tiers
@each
def test_without_gradients(kind, fast):
    for t in structures_of(kind):
        cell, x, edge_attr = made(kind), leaf(t.num_nodes, 3), edge_features(kind, t)
        layer = Recurrent(cell, fast=fast)
        wanted = tensors(layer(x, t, edge_attr=edge_attr))
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                out = tensors(layer(x, t, edge_attr=edge_attr))
            assert not any(o.requires_grad for o in out)
            assert all(torch.equal(a, b) for a, b in zip(out, wanted, strict=True))


def test_a_topology_that_is_compiled_in_inference_mode_trains_later():
    cell, x = made(BUILT_IN[3]), leaf(4, 3)
    t = gs.Topology.chain([1, 3])
    with torch.inference_mode():
        Recurrent(cell)(x, t)
        Recurrent(made(BUILT_IN[3], 3, 3), gs.Rounds(1))(x, t)
    assert_agree(Recurrent(cell)(x, t), Recurrent(cell)(x, gs.Topology.chain([1, 3])), [x, *cell.parameters()])


class Average(gs.Cell):
    """An update whose dtype is that of what is merged: a mean in float32, under autocast, of states in bfloat16."""

    state_sizes = (3,)

    def __init__(self, merge):
        super().__init__()
        self.merge, self.slots = merge, 3 if merge == "slots" else 1
        self.w, self.u = torch.nn.Linear(3, 3), torch.nn.Linear(3 * self.slots, 3)

    def project(self, x):
        return self.w(x)

    def update(self, p, state):
        s = state[0].flatten(1)
        return (torch.tanh(p + self.u(s)) + 0.5 * s[:, :3],)


@pytest.mark.parametrize("start", [None, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("merge", ["mean", "sum", "slots"])
def test_states_under_autocast_are_kept_in_float32_on_every_level(merge, start):
    for topology in (gs.Topology.chain([3, 3]), gs.Topology.chain([2, 0, 4]), gs.Topology.tree([2, 2, 4, 4, -1, 4])):
        cell, x = Average(merge), torch.randn(6, 3)
        layer, state = Recurrent(cell), None if start is None else torch.randn(6, cell.slots, 3).to(start)
        wanted = layer(x, topology, None if state is None else state.float())
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(x, topology, state)
        assert out.dtype == torch.float32
        assert_close(out, wanted, 0.05)


def test_states_have_the_dtype_of_level_0():
    class Wider(gs.Cell):
        state_sizes = (3,)

        def update(self, p, state):
            return (state[0].double() + 1 if bool(state[0].any()) else p,)

    for topology in (gs.Topology.chain([2, 2]), gs.Topology.chain([2, 0, 1]), gs.Topology.tree([2, 2, -1])):
        assert Recurrent(Wider())(torch.ones(topology.num_nodes, 3), topology).dtype == torch.float32


def test_without_gradients_nothing_is_recorded():
    recorded = []

    class Spy(gs.Cell):
        state_sizes = (2,)

        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(2))

        def update(self, p, state):
            new = p * self.w + state[0]
            recorded.append(new.requires_grad)
            return (new,)

    x, t = leaf(3, 2, dtype=torch.float32), gs.Topology.chain([3])
    with torch.no_grad():
        Recurrent(Spy())(x, t)
    assert recorded == [False] * 3
    Recurrent(Spy())(x, t)
    assert recorded[3:] == [True] * 3


@tiers
@each
def test_nothing_of_the_callers_is_written_on_and_backward_runs_twice(kind, fast):
    for t in structures_of(kind):
        for dtype in (torch.float32, torch.float64):
            cell, x = made(kind, dtype=dtype), leaf(t.num_nodes, 3, dtype=dtype)
            edge_attr, state = edge_features(kind, t, dtype), random_state(cell, t.num_nodes, dtype)
            out = tensors(Recurrent(cell, fast=fast)(x, t, placed(cell, t, state), edge_attr=edge_attr))
            leaves = [v for v in (x, edge_attr, *state, *cell.parameters()) if v is not None]
            seeds = [torch.randn_like(o) for o in out]
            kept = [*leaves, *out, *seeds, t.edge_index]
            before = [k.detach().clone() for k in kept]
            first, second = (gradients(out, leaves, seeds) for _ in range(2))
            assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
            assert all(torch.equal(a, b) for a, b in zip(kept, before, strict=True))


@tiers
@each
def test_gradients_of_several_calls_add_up(kind, fast):
    [t, *_] = structures_of(kind)
    cell, x, edge_attr = made(kind), leaf(t.num_nodes, 3), edge_features(kind, t)
    layer = Recurrent(cell, fast=fast)
    once, twice = (tensors(layer(v, t, edge_attr=edge_attr)) for v in (x, 2 * x))
    both = [a + b for a, b in zip(once, twice, strict=True)]
    seeds = [torch.randn_like(o) for o in once]
    leaves = [x, *cell.parameters()]
    parts = zip(gradients(once, leaves, seeds), gradients(twice, leaves, seeds), strict=True)
    for whole, (a, b) in zip(gradients(both, leaves, seeds), parts, strict=True):
        assert_close(whole, a + b)


def test_weights_may_be_computed():
    """A parametrization hands the cell new weights at each call."""
    t, x = gs.Topology.chain([3]), leaf(3, 3)
    cell = made(BUILT_IN[3])
    torch.nn.utils.parametrizations.weight_norm(cell, "weight_hh")
    fast, generic = Recurrent(cell)(x, t), Recurrent(cell, fast=False)(x, t)
    assert_agree(fast, generic, [x, *cell.parameters()])
