"""Bad calls of a layer and of the core are errors that name the argument."""

import pytest
import torch

import graphseq as gs
from graphseq import GraphError, core
from graphseq.nn import GRU, ChildSumTreeLSTMCell, GRUCell, LSTMCell, NaryTreeLSTMCell
from tests.core.cells import Blend
from tests.tiers import Recurrent

T = gs.Topology.chain([3, 1])
X = torch.zeros(4, 3)
LAYER = Recurrent(GRUCell(3, 5))
RING = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 0]]))


def test_a_cycle_under_a_sweep_is_named():
    for fast in (True, False):
        for schedule in (gs.Sweep(), gs.Sweep(reverse=True)):
            with pytest.raises(GraphError, match=r"`topology`: .*the cycle \d → \d → \d → \d$"):
                Recurrent(GRUCell(3, 5), schedule, fast=fast)(torch.zeros(3, 3), RING)


@pytest.mark.parametrize("topology", [None, T.edge_index, [T], "chain"])
def test_something_else_than_a_topology(topology):
    for schedule in (gs.Sweep(), gs.Rounds(1)):
        with pytest.raises(GraphError, match=r"`topology`: expected a graphseq\.Topology"):
            Recurrent(GRUCell(3, 3), schedule)(X, topology)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5, 3), r"4 rows, one for each node, got float32 of shape \[5, 3\]"),
        (torch.zeros(3, 3), "4 rows"),
        (torch.zeros(4, 2), r"inputs of width 3, the cell's input_size, got float32 of shape \[4, 2\]"),
        (torch.zeros(4), r"a floating-point tensor of shape \[N, F\]"),
        (torch.zeros(1, 4, 3), r"shape \[N, F\]"),
        (torch.zeros(4, 3, dtype=torch.int64), "a floating-point tensor"),
        ([[0.0] * 3] * 4, "a floating-point tensor"),
        (torch.zeros(4, 3, dtype=torch.float64), "float32 on cpu, as the layer's weight is, got float64 on cpu"),
        (torch.zeros(4, 3, dtype=torch.bfloat16), "got bfloat16"),
    ],
)
def test_inputs(x, message):
    narrow = isinstance(x, torch.Tensor) and x.dtype == torch.float32 and x.shape == (4, 2)  # rounds fill it up
    in_rounds = [] if narrow else [Recurrent(GRUCell(3, 3), gs.Rounds(1))]
    for layer in (LAYER, *in_rounds, Recurrent(LSTMCell(3, 5), fast=False)):
        with pytest.raises(GraphError, match=f"`x`: expected .*{message}"):
            layer(x, T)


ROWS, EDGES = torch.zeros(4, 3).numpy(), torch.tensor([[0, 1], [1, 2]])
WITH_ARRAYS = {
    "x": [
        lambda: LAYER(ROWS, T),
        lambda: GRUCell(3, 5)(ROWS),
        lambda: GRU(3, 5)(ROWS),
        lambda: gs.nn.GCNConv(3, 5)(ROWS, EDGES),
        lambda: gs.nn.readout(ROWS, T),
    ],
    "hx": [lambda: GRU(3, 3)(X, ROWS[None, :1]), lambda: gs.nn.LSTM(3, 3)(X, (ROWS, ROWS))],
    "state": [lambda: LAYER(X, T, ROWS), lambda: GRUCell(3, 3)(X, ROWS)],
    "edge_index": [lambda: gs.nn.GCNConv(3, 5)(X, EDGES.numpy()), lambda: gs.Links.between(EDGES.numpy(), 3, 3)],
    "edge_weight": [lambda: gs.nn.GCNConv(3, 5)(X, EDGES, ROWS[0, :2]), lambda: gs.spectral.gcn_norm(T, ROWS[0, :2])],
    "nodes": [lambda: LAYER(X, T, nodes=EDGES[0].numpy())],
    "edge_attr": [lambda: LAYER(X, T, edge_attr=ROWS[:2])],
}


@pytest.mark.parametrize("argument", WITH_ARRAYS)
def test_arrays_where_tensors_belong(argument):
    for call in WITH_ARRAYS[argument]:
        with pytest.raises(GraphError, match=rf"`{argument}`: expected .* NumPy array, .*torch\.from_numpy"):
            call()
    with pytest.raises(GraphError, match="`x`: expected a pair of tensors"):
        gs.nn.GINConv(torch.nn.Identity())((ROWS, None), EDGES)


def test_devices():
    with pytest.raises(GraphError, match=r"`topology`: expected a Topology on meta, as `x` is, got one on cpu"):
        LAYER(X.to("meta"), T)
    with pytest.raises(GraphError, match=r"`topology`: expected a Topology on cpu, as `x` is, got one on meta"):
        LAYER(X, T.to("meta"))
    with pytest.raises(GraphError, match=r"`x`: expected float32 on meta, as the layer's weight is"):
        Recurrent(GRUCell(3, 5, device="meta"))(X, T)
    with pytest.raises(GraphError, match=r"`state\[0\]`: expected float32 on cpu, as `x` is, got float32 on meta"):
        LAYER(X, T, torch.zeros(2, 5, device="meta"))


def test_devices_of_what_belongs_to_edges_and_nodes():
    with pytest.raises(GraphError, match=r"`edge_attr`: .*meta"):
        Recurrent(Blend(3, 5, "sum", "edge"))(X, T, edge_attr=torch.zeros(2, 2, device="meta"))
    with pytest.raises(GraphError, match=r"`nodes`: .*meta"):
        LAYER(X[:1], T, nodes=torch.zeros(1, dtype=torch.int64, device="meta"))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.zeros(4, 2), r"`state\[0\]`: expected a tensor of width 3, got float32 of shape \[4, 2\]"),
        (torch.zeros(3, 3), r"`state\[0\]`: expected shape \[{rows}, .*3\], one"),
        (torch.zeros(3), r"`state\[0\]`: expected shape \[{rows}, .*3\], one"),
        (torch.zeros(1, 4, 3), r"`state\[0\]`"),
        (torch.zeros(4, 3).double(), r"`state\[0\]`: expected float32 on cpu, as `x` is, got float64"),
        ((torch.zeros(4, 3), torch.zeros(4, 3)), "`state`: expected 1 tensors, got 2"),
        ((), "`state`: expected 1 tensors, got 0"),
        (3, "`state`"),
        ([[0.0] * 3] * 4, "`state"),
    ],
)
def test_states(state, message):
    for schedule, rows in ((gs.Sweep(), 2), (gs.Rounds(1), 4)):
        with pytest.raises(GraphError, match=message.replace("{rows}", str(rows))):
            Recurrent(GRUCell(3, 3), schedule)(X, T, state)


def test_states_of_a_sweep_with_a_row_a_node():
    with pytest.raises(GraphError, match=r"expected shape \[2, 3\], one row a graph, or \[4, 1, 3\], one a node and"):
        Recurrent(GRUCell(3, 3))(X, T, torch.zeros(4, 3))


def test_states_of_an_lstm():
    layer, h = Recurrent(LSTMCell(3, 5)), torch.zeros(2, 5)
    with pytest.raises(GraphError, match="`state`: expected 2 tensors, got 1"):
        layer(X, T, h)
    with pytest.raises(GraphError, match=r"`state\[1\]`: expected a tensor of width 5"):
        layer(X, T, (h, h[:, :4]))
    with pytest.raises(GraphError, match=r"`state\[1\]`: expected float32"):
        layer(X, T, (h, h.double()))


@pytest.mark.parametrize(
    ("edge_attr", "message"),
    [
        (torch.zeros(3), "2 rows, one for each edge"),
        (torch.zeros(()), "2 rows, one for each edge"),
        ([1.0, 2.0], "a tensor with 2 rows, one for each edge"),
    ],
)
def test_features_of_edges(edge_attr, message):
    for layer in (Recurrent(Blend(3, 3, "sum", "scale")), Recurrent(GRUCell(3, 3), gs.Rounds(1))):
        with pytest.raises(GraphError, match=f"`edge_attr`: expected {message}"):
            layer(X, T, edge_attr=edge_attr)


@pytest.mark.parametrize("edge_attr", [torch.zeros(2, 2), torch.zeros(2, 1, 1), torch.zeros(3), None])
def test_weights_of_edges_of_another_shape(edge_attr):
    with pytest.raises(GraphError, match="`edge_attr`"):
        core.aggregate(T, (X,), message=gs.SCALE, edge_attr=edge_attr)


@pytest.mark.parametrize("rows", [3, 5])
@pytest.mark.parametrize("merge", ["sum", "max"])
def test_states_with_another_number_of_rows_than_nodes(rows, merge):
    with pytest.raises(GraphError, match="`state"):
        core.aggregate(T, (torch.zeros(rows, 3),), merge=merge)


@pytest.mark.parametrize(
    "nodes", [torch.tensor([4]), torch.tensor([-1]), torch.tensor([0.0]), torch.tensor([[0]]), [0]]
)
def test_nodes(nodes):
    with pytest.raises(GraphError, match="`nodes`"):
        LAYER(X[:1], T, nodes=nodes)


def test_nodes_beside_inputs():
    with pytest.raises(GraphError, match="`x`: expected 1 rows, one for each entry of `nodes`"):
        LAYER(X, T, nodes=torch.tensor([0]))
    with pytest.raises(GraphError, match="`nodes`: expected None in rounds"):
        Recurrent(GRUCell(3, 3), gs.Rounds(1))(X[:1], T, nodes=torch.tensor([0]))


def test_more_predecessors_than_slots():
    t = gs.Topology.tree([3, 3, 3, -1])
    for fast in (True, False):
        with pytest.raises(GraphError, match="`topology`: expected at most 2 slots, the cell's arity, got 3"):
            Recurrent(NaryTreeLSTMCell(3, 5), fast=fast)(X, t)
        with pytest.raises(GraphError, match="`topology`: expected at most 1 slots"):
            Recurrent(Blend(3, 5, "slots", "copy"), fast=fast)(X, t)
    sparse = gs.Topology.tree([1, -1], slot=[2, 0])
    with pytest.raises(GraphError, match="at most 2 slots, the cell's arity, got 3"):
        Recurrent(NaryTreeLSTMCell(3, 5))(X[:2], sparse)


@pytest.mark.parametrize("kind", [GRUCell, LSTMCell, ChildSumTreeLSTMCell])
def test_rounds_of_a_cell_whose_sizes_differ(kind):
    with pytest.raises(GraphError, match=r"`cell`: expected the same input_size as hidden_size.*3 and hidden_size 5"):
        Recurrent(kind(3, 5), gs.Rounds(2))(X, T)


@pytest.mark.parametrize("k", [-1, 1.0, "2", None, True])
def test_rounds_of_no_number(k):
    with pytest.raises(GraphError, match="`k`: expected a whole number ≥ 0"):
        gs.Rounds(k)


def test_parts_of_another_kind():
    with pytest.raises(GraphError, match=r"`cell`: expected a graphseq\.Cell, got"):
        Recurrent(torch.nn.GRUCell(3, 5))
    with pytest.raises(GraphError, match=r"`cell`: expected a graphseq\.Cell, got the class GRUCell"):
        Recurrent(GRUCell)
    for schedule in ("sweep", 3, gs.Sweep):
        with pytest.raises(GraphError, match="`schedule`: expected"):
            Recurrent(GRUCell(3, 5), schedule)


@pytest.mark.parametrize("merge", ["average", "minimum", None])
def test_an_unknown_merge(merge):
    """A word that stands for no merge is not taken for a sum."""
    cell = GRUCell(3, 3)
    cell.merge = merge
    for schedule in (gs.Sweep(), gs.Rounds(1)):
        with pytest.raises(GraphError, match="merge"):
            Recurrent(cell, schedule)(X, T)
    with pytest.raises(GraphError, match="`merge`"):
        core.aggregate(T, (X,), merge=merge)
    tree = gs.Topology.tree([3, 3, 3, -1])
    with pytest.raises(GraphError, match="merge"):
        Recurrent(cell)(X, tree)


@pytest.mark.parametrize(
    "new", [lambda p: p, lambda p: None, lambda p: (p, p), lambda p: (p[:1],), lambda p: (p[:, :1],), lambda p: [p]]
)
def test_a_cell_whose_update_returns_something_else(new):
    class Wrong(gs.Cell):
        state_sizes = (3,)

        def update(self, p, state):
            return new(p)

    for schedule in (gs.Sweep(), gs.Rounds(1)):
        with pytest.raises(GraphError, match=r"`update"):
            Recurrent(Wrong(), schedule)(X, T)


def test_a_cell_that_says_too_little():
    class Silent(gs.Cell):
        def update(self, p, state):
            return state

    with pytest.raises(GraphError, match="`cell`: expected state_sizes"):
        Recurrent(Silent())
    with pytest.raises(GraphError, match="`reverse`: expected True or False"):
        gs.Sweep(reverse="False")
    with pytest.raises(TypeError, match="abstract"):
        gs.Cell()


def test_slots_that_do_not_suffice_for_an_aggregation():
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1], [2, 2]]), 5)
    for call in (core.aggregate, core.reduce):
        rows = torch.ones(5 if call is core.aggregate else 2, 1)
        with pytest.raises(GraphError, match="`merge`: expected at least 2 slots"):
            call(t, (rows,), merge=gs.Slots(1))
    with pytest.raises(GraphError, match="`count`"):
        gs.Slots(0)


def test_a_score_that_returns_nothing():
    with pytest.raises(GraphError, match="`score`"):
        core.aggregate(T, (X,), merge=gs.Softmax(lambda sent, received, edge: None))


@pytest.mark.parametrize("state", [X, 3, None])
def test_states_that_are_no_tuple(state):
    for call in (core.aggregate, core.messages):
        with pytest.raises(GraphError, match="`state`: expected a tuple of tensors"):
            call(T, state)
    with pytest.raises(GraphError, match="`links`"):
        core.aggregate(T.edge_index, (X,))
    with pytest.raises(GraphError, match="`message`"):
        core.aggregate(T, (X,), message="copy")


def test_a_schedule_that_returns_something_else():
    class Wrong(gs.Schedule):
        def run(self, cell, x, topology, state=None, *, edge_attr=None, nodes=None):
            return x

    with pytest.raises(GraphError, match="`schedule`: expected to return a tuple"):
        Recurrent(GRUCell(3, 5), Wrong())(X, T)


def test_a_topology_in_the_place_of_initial_states():
    with pytest.raises(GraphError, match="`hx`: expected initial states; a topology is passed as topology="):
        GRU(3, 5)(X, T)
