"""One meaning: of ties, of initial states where N = B, of rounds, of features of edges."""

from typing import Any

import pytest
import torch
from torch import Tensor, func
from torch.nn import Linear, Parameter

import graphseq as gs
from graphseq import core, nn
from tests.core.ways import (
    CHAINS,
    DTYPES,
    RING,
    TREE,
    H,
    dtypes,
    near,
    ways,
)
from tests.oracles import Sent, assert_agree, child_sum, gru, leaf, recursion, total


class Merged(gs.Cell):
    """Its state is its input, and what the merge says."""

    state_sizes = (1,)

    def __init__(self, merge: str) -> None:
        super().__init__()
        self.merge = merge

    def update(self, p, state):
        return (p + state[0],)


HUB = torch.tensor([[2, 0, 1, 3], [4, 4, 4, 4]])  # node 2's edge is the first
# four numbers, and whose edge gets the gradient of their maximum
TIES = [
    ([5.0, 5.0, 5.0, 1.0], 2), ([5.0, 5.0, -1.0, 1.0], 0), ([0.0, 0.0, 0.0, 0.0], 2), ([0.0, -0.0, -1.0, 0.0], 0),
    ([-1.0, -1.0, -2.0, -3.0], 0), ([float("inf")] * 4, 2), ([-3.0, 4.0, 4.0, 4.0], 2),
]  # fmt: skip


def gradient_of(call: Any, x: Tensor, how: str) -> list[float]:
    if how == "torch.func":
        return func.grad(lambda z: call(z).sum())(x).flatten().tolist()
    z = x.clone().requires_grad_()
    return torch.autograd.grad(call(z).sum(), z)[0].flatten().tolist()


@pytest.mark.parametrize("how", ["autograd", "torch.func"])
@pytest.mark.parametrize("merge", ["max", "min"])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
def test_the_first_edge_of_equals_gets_the_whole_gradient(merge, how, dtype):
    star = gs.Topology.from_edge_index(HUB, 5)
    links = gs.Links.between(HUB - torch.tensor([[0], [3]]), 4, 2)
    one_graph = gs.Topology.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 4)
    layers = [nn.Recurrent(Merged(merge)), nn.Recurrent(Merged(merge), gs.Rounds(1))]
    for values, first in TIES:
        x = torch.tensor(values, dtype=dtype)[:, None] * (1 if merge == "max" else -1)
        whole, wanted = torch.cat([x, x.new_zeros(1, 1)]), [float(v == first) for v in range(4)]
        for layer in layers:
            found = gradient_of(lambda z: layer(z, star)[4], whole, how)  # noqa: B023
            assert found[:4] == wanted, (layer, values)
        for message in (gs.COPY, lambda sent, received, edge: sent):
            aggregate = lambda z: core.aggregate(links, (z,), message=message, merge=merge)[0]  # noqa: B023, E731
            assert gradient_of(aggregate, x, how) == wanted, values
        by_edge = gradient_of(lambda z: core.reduce(star, (z,), merge=merge)[0], x[HUB[0]], how)
        assert by_edge == [wanted[u] for u in HUB[0]], values
        first = int((x == x[first]).int().argmax())
        for batch in (one_graph, torch.zeros(4, dtype=torch.int64)):
            by_node = gradient_of(lambda z: nn.readout(z, batch, merge), x, how)  # noqa: B023
            assert by_node == [float(v == first) for v in range(4)], values


@pytest.mark.parametrize("how", ["autograd", "torch.func"])
@pytest.mark.parametrize("merge", ["max", "min", "sum", "mean", "softmax"])
def test_a_lone_predecessor_gets_the_whole_gradient(merge, how):
    """Whatever its state, on either side of 0 and 0 itself."""
    apart = gs.Topology.from_edge_index(torch.tensor([[0, 2, 3], [1, 4, 4]]), 5)
    layer = nn.Recurrent(Merged(merge))
    for t in (gs.Topology.chain([2]), apart):
        for dtype in DTYPES:
            for value in (0.0, -2.0, 2.0):
                x = torch.full((t.num_nodes, 1), value, dtype=dtype)
                assert float(layer(x, t)[1]) == 2 * value
                assert gradient_of(lambda z: layer(z, t)[1], x, how)[:2] == [1.0, 1.0]  # noqa: B023


@dtypes
@pytest.mark.parametrize("lengths", [[0, 2], [2, 0], [1, 1], [0, 3, 0], [3, 0, 0], [1, 0, 2]])
def test_a_row_a_graph_is_that_where_there_are_as_many_nodes(lengths, dtype):
    t, n = gs.Topology.chain(lengths), len(lengths)
    assert t.num_nodes == t.num_graphs == n
    cell, layer, twin = (make(2, H).to(dtype) for make in (nn.GRUCell, nn.GRU, torch.nn.GRU))
    layer.load_state_dict(twin.state_dict())
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in twin.state_dict().items()})
    x, h0, parts = leaf(n, 2, dtype=dtype), leaf(n, H, dtype=dtype), []
    for b, rows in enumerate(x.split(lengths)):
        parts.append(twin(rows, h0[None, b]) if len(rows) else (rows.new_zeros(0, H), h0[None, b]))
    outs, ends = zip(*parts, strict=True)
    assert_agree(nn.Recurrent(cell)(x, t, h0), torch.cat(outs), [x, h0], near(dtype))
    assert_agree(layer(x, h0[None], t), (torch.cat(outs), torch.stack(ends, 1)), [x, h0], near(dtype))
    rows = leaf(n, 1, H, dtype=dtype)  # a row a node has a dimension more
    wanted = recursion(gru(cell), x, t.edge_index, (H,), state=(rows[:, 0],))
    assert_agree(nn.Recurrent(cell)(x, t, rows), wanted, [x, rows], near(dtype))


def test_a_row_a_graph_on_other_structures_with_as_many_nodes():
    none, batch = torch.empty(2, 0, dtype=torch.int64), torch.tensor([0, 2, 2])
    for t in (
        gs.Topology.from_edge_index(none, batch=batch),
        gs.Topology.from_edge_index(torch.tensor([[2], [1]]), batch=batch),
        gs.batch([gs.Topology.tree([1, 2, -1]), gs.Topology.tree([]), gs.Topology.tree([])]),
    ):
        cell, x, h0 = nn.GRUCell(2, H).double(), leaf(3, 2), leaf(3, H)
        wanted = recursion(gru(cell), x, t.edge_index, (H,), state=(h0[t.batch],))
        assert_agree(nn.Recurrent(cell)(x, t, h0), wanted, [x, h0])


class Talks(gs.Cell):
    """Its message reads sender, receiver and edge, and is far from any state."""

    state_sizes = (H, 2)

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.w = Linear(H, H).double(), Linear(H, H).double()

    def project(self, x):
        return self.inner(x)

    def message(self, sent, received, edge):
        return (10 + sent[0] * torch.sigmoid(received) + sent[1].sum(1, keepdim=True) + edge, sent[1])

    def update(self, p, state):
        return torch.tanh(p + self.w(state[0])), state[1] + p[:, :2]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("topology", [CHAINS, TREE, RING], ids=["chains", "tree", "ring"])
def test_rounds_send_along_edges_alone_and_see_receivers_as_they_are(topology, k):
    """A node's own state goes through no message; what a message reads of a receiver is of this round."""
    cell, x, c0, edge = Talks(), leaf(7, H), leaf(7, 2), leaf(topology.num_edges, H)
    h, c, pairs = x, c0, topology.edge_index.t().tolist()
    for _ in range(k):
        received, merged = cell.inner(h), []
        for v in range(7):
            into = [(e, u) for e, (u, w) in enumerate(pairs) if w == v]
            merged.append(total((10 + h[u] * torch.sigmoid(received[v]) + c[u].sum() + edge[e] for e, u in into), H, h))
        p = cell.inner(torch.stack(merged))
        h, c = torch.tanh(p + cell.w(h)), c + p[:, :2]
    out = nn.Recurrent(cell, gs.Rounds(k))(x, topology, (x, c0), edge_attr=edge)
    assert_agree(out, (h, c), [x, c0, edge, *cell.parameters()])


def test_a_child_sum_cell_in_rounds():
    """Its own state comes as that of one child, whose forget gate reads the merged input."""
    cell, x, c0 = nn.ChildSumTreeLSTMCell(H, H).double(), leaf(7, H), leaf(7, H)
    step, h, c, pairs = child_sum(cell), x, c0, RING.edge_index.t().tolist()
    for _ in range(3):
        merged = [total((h[u] for u, w in pairs if w == v), H, h) for v in range(7)]
        new = [step(merged[v], [Sent((h[v], c[v]), 0, None)]) for v in range(7)]
        h, c = (torch.stack(part) for part in zip(*new, strict=True))
    assert_agree(nn.Recurrent(cell, gs.Rounds(3))(x, RING, (x, c0)), (h, c), [x, c0, *cell.parameters()])


def test_slots_are_summed_in_rounds_and_refused_by_name():
    cell, x = nn.NaryTreeLSTMCell(H, H, 3).double(), leaf(7, H)
    by_default, by_sum, by_max = (nn.Recurrent(cell, gs.Rounds(2, m))(x, RING) for m in (None, "sum", "max"))
    assert_agree(by_default, by_sum, [x, *cell.parameters()])
    assert not torch.allclose(by_default[0], by_max[0], atol=1e-3)
    for merge in ("slots", gs.Slots(3)):
        with pytest.raises(gs.GraphError, match="`merge`"):
            gs.Rounds(2, merge=merge)


class Counted(gs.Merge):
    """A sum that notes what it reduces."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def reduce(self, rows, segments, scores):
        self.seen.append(rows)
        return segments.sum(rows)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell, nn.NaryTreeLSTMCell, nn.ChildSumTreeLSTMCell])
def test_rounds_merge_h_alone(kind):
    cell, x, merge = kind(H, H).double(), leaf(7, H), Counted()
    out = nn.Recurrent(cell, gs.Rounds(3, merge))(x, RING)
    assert_agree(out, nn.Recurrent(cell, gs.Rounds(3))(x, RING), [x, *cell.parameters()])
    assert torch.equal(merge.seen[0], x[RING.edge_index[0][RING.edge_index[1].argsort(stable=True)]])
    assert len(merge.seen) == 3


class Relations(gs.Cell):
    """Edges are numbers of relations, or flags."""

    state_sizes = (H,)

    def __init__(self) -> None:
        super().__init__()
        self.w = Parameter(torch.randn(4, H, dtype=torch.float64))

    def message(self, sent, received, edge):
        return (sent[0] * self.w[edge.long()],)

    def update(self, p, state):
        return (torch.tanh(p + state[0]),)


@ways
def test_features_of_edges_may_be_whole_numbers(way):
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.bool):
        cell, x, t = Relations(), leaf(7, H), way.topology
        relation = torch.randint(4, (t.num_edges,)).to(dtype)

        def send(h, edge, cell=cell):
            return h if edge is None else h * cell.w[edge.long()]

        def step(v, sent, send=send):
            return (torch.tanh(v + total((send(s.state[0], s.edge) for s in sent), H, v)),)

        step.send = send
        assert_agree(way.run(cell, x, edge_attr=relation), way.by_hand(step, x, relation), [x, cell.w])
        rows = x[t.edge_index[0]] * cell.w[relation.long()]
        merged = core.aggregate(t, (x,), message=cell.message, edge_attr=relation)
        assert_agree(merged, torch.zeros_like(x).index_add(0, t.edge_index[1], rows), [x, cell.w])
