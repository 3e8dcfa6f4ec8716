"""Corners that an attack found: each a wrong number, or an error where none belongs."""

from functools import partial

import pytest
import torch
from torch.nn.utils import parametrizations, prune
from torch.utils._pytree import tree_map_only
from torch.utils.checkpoint import checkpoint

import graphseq as gs
from graphseq import core, nn
from tests.core.ways import TREE, H
from tests.oracles import assert_agree, assert_close, leaf

CELLS = [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell]


class Normed(gs.Cell):
    """A cell that looks at its parametrized weight where no gradient is recorded, before it uses it."""

    state_sizes = (H,)

    def __init__(self):
        super().__init__()
        self.u = parametrizations.weight_norm(torch.nn.Linear(H, H, bias=False)).double()

    def project(self, x):
        with torch.no_grad():
            self.u.weight.norm()
        return x

    def update(self, p, state):
        return (torch.tanh(p + self.u(state[0])),)


def test_a_parametrized_weight_that_is_read_without_gradients_first():
    cell = Normed()
    nn.Recurrent(cell)(leaf(7, H), TREE).sum().backward()
    assert all(p.grad is not None for p in cell.parameters())


def test_pruned_cells_train():
    cell = nn.GRUCell(H, 4)
    prune.random_unstructured(cell, "weight_hh", 0.5)
    layer, x = nn.Recurrent(cell), torch.randn(7, H)
    optimizer = torch.optim.SGD(cell.parameters(), 0.1)
    before = layer(x, TREE).detach()
    for _ in range(2):
        optimizer.zero_grad()
        layer(x, TREE).sum().backward()
        optimizer.step()
    after = layer(x, TREE)
    assert not torch.equal(before, after)
    assert torch.equal(cell.weight_hh, cell.weight_hh_orig * cell.weight_hh_mask)


INNER = {
    "lin": (nn.GCNConv, nn.SGConv),
    "lin_l": (lambda f, h: nn.SAGEConv(f, h, root_weight=False),),
    "lins.0": (lambda f, h: nn.ChebConv(f, h, 1), lambda f, h: nn.TAGConv(f, h, 0)),
    "lins.1": (partial(nn.ChebConv, K=2), partial(nn.TAGConv, K=1)),
}


@pytest.mark.parametrize("widths", [(3, 5), (5, 3)])
@pytest.mark.parametrize(("inner", "make"), [(name, make) for name, makes in INNER.items() for make in makes])
def test_a_linear_map_put_in_the_place_of_a_convolutions(inner, make, widths):
    conv, edges, x = make(*widths), torch.tensor([[0, 1], [1, 2]]), torch.randn(3, widths[0])
    first = conv.lins[0](x) if inner == "lins.1" else 0  # which stays as it is

    class Doubled(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.weight = inner, inner.weight

        def forward(self, x):
            return 2 * self.inner(x)

    plain = conv(x, edges)
    where, _, name = inner.rpartition(".")
    setattr(conv.get_submodule(where), name, Doubled(conv.get_submodule(inner)))
    assert_close(conv(x, edges), 2 * plain - first, 1e-5)


def test_a_mean_whose_sum_is_more_than_16_bits_hold():
    x, members = torch.full((1000, 1), 100.0).half(), torch.zeros(1000, dtype=torch.int64)
    assert nn.readout(x, members, "mean").item() == 100


def test_integers():
    t, x = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [0, 0, 0]])), torch.tensor([[0], [5], [7]])
    assert core.aggregate(t, (x,), merge="min")[0][0].item() == 0
    assert core.aggregate(t, (x.to(torch.uint8),), merge="min")[0][0].item() == 0
    assert core.aggregate(t, (x,), merge="mean")[0][0].item() == 4
    half = torch.full((3,), 0.5)
    assert core.aggregate(t, (x,), message=gs.SCALE, edge_attr=half)[0][0].item() == 6


def test_subclasses_of_messages_and_merges_are_heard():
    class Half(gs.messages.Copy):
        def __call__(self, sent, received, edge):
            return tuple(s / 2 for s in sent)

    x = leaf(7, H)
    (whole,) = core.aggregate(TREE, (x,))
    assert_agree(core.aggregate(TREE, (x,), message=Half()), (whole / 2,), [x])


class Power(gs.Merge, torch.nn.Module):
    """Log-sum-exp with a temperature that is learnt."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.t = torch.nn.Parameter(torch.tensor(1.5, dtype=torch.float64))

    def reduce(self, rows, segments, scores):
        r = rows * self.t
        top = segments.max(r.detach())
        return (segments.sum((r - segments.spread(top)).exp()).log() + top) / self.t


def test_a_merge_that_learns_beside_receivers_without_edges():
    merge, x = Power(), leaf(7, H)
    (out,) = core.aggregate(TREE, (x,), merge=merge)
    out.sum().backward()
    assert merge.t.grad.isfinite()
    assert x.grad.isfinite().all()


def test_hooks_on_a_state_are_not_hooks_on_the_result():
    class Clipped(gs.Cell):
        state_sizes = (H,)

        def update(self, p, state):
            if state[0].requires_grad:
                state[0].register_hook(lambda g: g / 2)
            return (torch.tanh(p + state[0]),)

    x = leaf(3, H)
    found = []
    for t, rows in ((gs.Topology.chain([3]), 3), (gs.batch([gs.Topology.chain([3]), TREE]), 10)):
        given = torch.cat([x, torch.zeros(rows - 3, H, dtype=x.dtype)])
        (grad,) = torch.autograd.grad(nn.Recurrent(Clipped())(given, t)[:3].sum(), x)
        found.append(grad)
    assert_close(*found)


def test_a_masked_single_predecessor_is_what_softmax_makes_of_it():
    score = gs.Softmax(lambda sent, received, edge: edge)
    masked = torch.full((2,), -torch.inf)
    chain = core.aggregate(gs.Topology.chain([3]), (torch.ones(3, 1),), merge=score, edge_attr=masked)[0]
    assert chain[1:].isnan().all()


@pytest.mark.parametrize("kind", CELLS)
def test_checkpoints_around_sweeps(kind):
    layer, x = nn.Recurrent(kind(H, 4)), torch.randn(7, H, requires_grad=True)

    def total(x):
        out = layer(x, TREE)
        return (out if isinstance(out, torch.Tensor) else out[0]).sum()

    wanted = torch.autograd.grad(total(x), x)
    for reentrant in (False, True):
        x.grad = None
        checkpoint(total, x, use_reentrant=reentrant).backward()
        assert_agree((x.grad,), wanted)


def test_another_default_dtype_does_not_reach_kernels():
    layer, x = nn.Recurrent(nn.GRUCell(H, 40)), torch.randn(7, H)
    wanted = layer(x, TREE)
    torch.set_default_dtype(torch.float64)
    try:
        big = nn.Recurrent(nn.GRUCell(H, 80, dtype=torch.float32))
        big(x.requires_grad_(), TREE).sum().backward()
        assert torch.equal(layer(x, TREE), wanted)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_topology_that_inference_saw_first_trains_with_any_merge():
    dag = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2], [1, 2, 3, 3]]))
    cell, x = nn.GRUCell(H, 4).double(), leaf(4, H)
    cell.merge = "mean"
    with torch.inference_mode():
        nn.Recurrent(cell)(x, dag)
    nn.Recurrent(cell)(x, dag).sum().backward()
    assert x.grad.isfinite().all()


def test_a_cell_of_ones_own_on_chains_compiles_without_a_graph_break():
    class Plain(gs.Cell):
        state_sizes = (H,)

        def update(self, p, state):
            return (torch.tanh(p + state[0]),)

    chains, x = gs.Topology.chain([3, 2]), leaf(5, H)
    chains.packed  # noqa: B018
    layer = nn.Recurrent(Plain())
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch._functorch.config.patch(donated_buffer=False):
        assert_agree(compiled(x, chains), layer(x, chains), [x])


def test_inputs_without_features_on_chains_of_one_length():
    class Counter(gs.Cell):
        state_sizes = (1,)

        def update(self, p, state):
            return (state[0] + 1,)

    out = nn.Recurrent(Counter())(torch.zeros(6, 0), gs.Topology.chain([3, 3]))
    assert out.flatten().tolist() == [1, 2, 3, 1, 2, 3]


def test_weights_that_nobody_reads_are_refused_in_rounds_too():
    ring, weight = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]])), torch.full((3,), 2.0)
    cell, x = nn.GRUCell(H, H), torch.randn(3, H)
    with pytest.raises(gs.GraphError, match="`edge_attr`: expected None"):
        core.rounds(cell, 1, ring, (x,), edge_attr=weight)
    cell.merge = gs.Softmax(lambda sent, received, edge: edge)
    with pytest.raises(gs.GraphError, match="`edge_attr`: expected None"):
        nn.Recurrent(cell, gs.Rounds(1, "sum"))(x, ring, edge_attr=weight)


def test_features_of_edges_that_the_score_of_the_rounds_reads():
    ring, edge = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]])), torch.randn(4)
    cell, x = nn.GRUCell(H, H), torch.randn(3, H)
    merge = gs.Softmax(lambda sent, received, edge: edge)
    out = nn.Recurrent(cell, gs.Rounds(2, merge))(x, ring, edge_attr=edge)
    cell.merge = merge
    assert torch.equal(out, nn.Recurrent(cell, gs.Rounds(2))(x, ring, edge_attr=edge))


class Wrapper(torch.Tensor):
    """A tensor without memory of its own."""

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.own = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        args, kwargs = tree_map_only(Wrapper, lambda t: t.own, (args, kwargs or {}))
        return tree_map_only(torch.Tensor, Wrapper, function(*args, **kwargs))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(("kind", "name"), [(c, "weight_hh") for c in CELLS] + [(nn.GRU, "weight_hh_l0")])
def test_wrappers_beside_plain_tensors(kind, name, grad):
    layer = kind(H, 4)
    run = layer if kind is nn.GRU else nn.Recurrent(layer)
    for x, weight in ((Wrapper(torch.randn(7, H)), None), (torch.randn(7, H), Wrapper)):
        wanted = run(getattr(x, "own", x), topology=TREE)
        if weight is not None:
            setattr(layer, name, torch.nn.Parameter(weight(getattr(layer, name).detach())))
        with torch.set_grad_enabled(grad):
            out = run(x, topology=TREE)
        out, wanted = (o if isinstance(o, torch.Tensor) else o[0] for o in (out, wanted))
        assert_close(out.own, wanted, 1e-6)
