"""`torch.compile` sees one graph, forward and backward, and changes no number."""

import pytest
import torch

import graphseq as gs
from graphseq.nn import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell, Recurrent
from tests.core.cells import Blend
from tests.oracles import assert_agree, leaf, tensors

CELLS = {
    "elman": lambda: ElmanCell(3, 3),
    "relu": lambda: ElmanCell(3, 3, nonlinearity="relu"),
    "gru": lambda: GRUCell(3, 3),
    "lstm": lambda: LSTMCell(3, 3),
    "child-sum": lambda: ChildSumTreeLSTMCell(3, 3),
    "2-ary": lambda: NaryTreeLSTMCell(3, 3),
}
GENERIC = {
    "peephole": lambda: LSTMCell(3, 3, peephole=True),
    "user": lambda: Blend(3, 4, "sum", "copy"),
    "user max": lambda: Blend(3, 4, "max", "copy"),
    "user slots": lambda: Blend(3, 4, "slots", "copy", 2),
}


@pytest.fixture(autouse=True)
def _fresh_compiler():
    """Each test compiles anew; gradients are asked for twice, so compiled graphs keep their buffers."""
    torch.compiler.reset()
    with torch._functorch.config.patch(donated_buffer=False):
        yield
    torch.compiler.reset()


def tree(shift: int = 0) -> gs.Topology:
    """A binary tree of five nodes and, as another graph, a chain of `shift` more."""
    edges = [(v, u) for v, u in enumerate([2, 2, 4, 4, -1]) if u >= 0] + [(5 + k, 6 + k) for k in range(shift - 1)]
    return gs.Topology.from_edge_index(
        torch.tensor(edges).t().contiguous(), batch=torch.tensor([0] * 5 + [1] * shift), num_graphs=2
    )


def compiled_parts(t: gs.Topology) -> gs.Topology:
    t.slot, t.batch, t.matrix, t.in_degree  # noqa: B018
    if t.is_acyclic:
        t.packed  # noqa: B018
    return t


def run(layer, *given, **options):
    return torch.compile(layer, fullgraph=True, backend="aot_eager")(*given, **options)


@pytest.mark.parametrize("ready", [True, False], ids=["compiled topology", "fresh topology"])
@pytest.mark.parametrize("name", CELLS)
def test_a_sweep(name, ready):
    layer, t, x = Recurrent(CELLS[name]()).double(), tree(3), leaf(8, 3)
    wanted = layer(x, tree(3))
    assert_agree(run(layer, x, compiled_parts(t) if ready else t), wanted, [x, *layer.parameters()])


@pytest.mark.parametrize("name", GENERIC)
def test_a_cell_without_an_operator_on_a_compiled_topology(name):
    layer, t, x = Recurrent(GENERIC[name]()).double(), compiled_parts(tree(3)), leaf(8, 3)
    assert_agree(run(layer, x, t), layer(x, tree(3)), [x, *layer.parameters()])


@pytest.mark.parametrize("ready", [True, False], ids=["compiled topology", "fresh topology"])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_reversed_sweep_with_initial_states(name, ready):
    layer, t, x = Recurrent(CELLS[name](), gs.Sweep(reverse=True)).double(), tree(3), leaf(8, 3)
    state = tuple(leaf(2, 3) for _ in layer.cell.state_sizes)
    if ready:
        compiled_parts(t)
        compiled_parts(t.reverse())
    assert_agree(run(layer, x, t, state), layer(x, tree(3), state), [x, *state, *layer.parameters()])


@pytest.mark.parametrize("ready", [True, False], ids=["compiled topology", "fresh topology"])
@pytest.mark.parametrize("name", CELLS)
def test_rounds(name, ready):
    ring = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    layer, t, x = Recurrent(CELLS[name](), gs.Rounds(2)).double(), gs.Topology.from_edge_index(ring), leaf(4, 3)
    wanted = layer(x, gs.Topology.from_edge_index(ring))
    assert_agree(run(layer, x, compiled_parts(t) if ready else t), wanted, [x, *layer.parameters()])


def test_a_topology_that_is_made_inside():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Recurrent(GRUCell(3, 3))

        def forward(self, x, edge_index):
            return self.layer(x, gs.Topology.from_edge_index(edge_index, x.size(0)))

    model, x, edges = Model().double(), leaf(6, 3), tree().edge_index
    assert_agree(run(model, x, edges), model(x, edges), [x, *model.parameters()])


def test_structures_of_many_sizes_with_one_compiled_model():
    model = Recurrent(GRUCell(3, 3)).double()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    for shift in (1, 2, 5, 3):
        x = leaf(5 + shift, 3)
        assert_agree(compiled(x, compiled_parts(tree(shift))), model(x, tree(shift)), [x, *model.parameters()])


def test_what_a_compiled_call_leaves_in_a_fresh_topology_is_usable():
    model, t, x = Recurrent(GRUCell(3, 3)).double(), tree(2), leaf(7, 3)
    wanted = tensors(model(x, tree(2)))[0]
    assert_agree(run(model, x, t), wanted)
    assert_agree(model(x, t), wanted, [x, *model.parameters()])
    assert t.num_levels == 3
    assert t == tree(2)


def test_a_cycle_is_found_when_there_are_values():
    ring = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]))
    with pytest.raises(gs.GraphError, match=r"`topology`: .* cycle"):
        run(Recurrent(GRUCell(3, 3)), torch.zeros(3, 3), ring)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_too_many_children_are_found_when_there_are_values(dtype):
    star = gs.Topology.tree([3, 3, 3, 6, 6, 4, -1])
    with pytest.raises(gs.GraphError, match=r"`topology`: .*at most 2 slots"):
        run(Recurrent(NaryTreeLSTMCell(3, 3, dtype=dtype)), torch.zeros(7, 3, dtype=dtype), star)


def test_edges_out_of_range_are_found_when_there_are_values():
    layer = Recurrent(GRUCell(3, 3))

    def model(x, edge_index):
        return layer(x, gs.Topology.from_edge_index(edge_index, x.size(0)))

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with pytest.raises(gs.GraphError, match=r"`edge_index`: .*got 5 at edge 0"):
        compiled(torch.zeros(3, 3), torch.tensor([[0], [5]]))
