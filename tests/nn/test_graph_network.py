"""The block of a graph network equals its algorithm, written out node by node, and PyG's MetaLayer."""

from itertools import product

import pytest
import torch
from torch_geometric.nn import MetaLayer
from torch_geometric.utils import scatter

import graphseq as gs
from graphseq import nn
from tests.oracles import assert_close

N, E, B = 7, 20, 3
MERGES = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}
Perceptron = lambda a, b: torch.nn.Sequential(torch.nn.Linear(a, 6), torch.nn.Tanh(), torch.nn.Linear(6, b))  # noqa: E731


def by_hand(block, x, edge_index, edge_attr, u, batch, merge):
    """Battaglia et al., Algorithm 1, one edge and one node at a time."""

    def over(rows, width):
        rows = list(rows)
        return merge(torch.stack(rows), 0) if rows else x.new_zeros(width)

    def joined(*parts):
        return torch.cat([part for part in parts if part is not None])[None]

    def row(rows, i):
        return None if rows is None else rows[i]

    ends = list(zip(*edge_index.tolist(), strict=True))
    if block.edge_model is not None:
        edge_attr = torch.cat([
            block.edge_model(joined(row(edge_attr, k), x[v], x[a], row(u, batch[v]))) for k, (a, v) in enumerate(ends)
        ])  # fmt: skip
    wide = 0 if edge_attr is None else edge_attr.size(1)
    into = [None if edge_attr is None else over((edge_attr[k] for k, (_, v) in enumerate(ends) if v == i), wide)
            for i in range(len(x))]  # fmt: skip
    if block.node_model is not None:
        x = torch.cat([block.node_model(joined(into[i], x[i], row(u, batch[i]))) for i in range(len(x))])
    if block.global_model is not None:
        rows = []
        for b in range(int(batch.max()) + 1 if u is None else len(u)):
            edges = None
            if edge_attr is not None:
                edges = over((edge_attr[k] for k, (_, v) in enumerate(ends) if batch[v] == b), wide)
            nodes = over((x[i] for i in range(len(x)) if batch[i] == b), x.size(1))
            rows.append(block.global_model(joined(edges, nodes, row(u, b))))
        u = torch.cat(rows)
    return x, edge_attr, u


def given(edges=True, globals_=True):
    batch = torch.tensor([0, 0, 0, 2, 2, 2, 2])  # the graph in the middle has no nodes
    ends = torch.cat([torch.randint(0, 3, (2, 8)), torch.randint(3, 6, (2, 12))], 1)  # node 6 has no edges
    x = torch.randn(N, 4, dtype=torch.float64, requires_grad=True)
    e = torch.randn(E, 3, dtype=torch.float64, requires_grad=True) if edges else None
    u = torch.randn(B, 2, dtype=torch.float64, requires_grad=True) if globals_ else None
    return x, ends, e, u, batch


def block_of(make, edges=True, globals_=True, models="enu", aggregate="sum"):
    f, g = 3 * edges, 2 * globals_
    out_e = 5 if "e" in models else f
    out_n = 6 if "n" in models else 4
    return nn.GraphNetwork(
        make(f + 8 + g, 5) if "e" in models else None, make(out_e + 4 + g, 6) if "n" in models else None,
        make(out_e + out_n + g, 7) if "u" in models else None, aggregate=aggregate,
    ).double()  # fmt: skip


class Joined(torch.nn.Module):
    """Not a plain linear map at its beginning, so that the concatenation is made."""

    def __init__(self, a, b):
        super().__init__()
        self.inner = Perceptron(a, b)

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("make", [torch.nn.Linear, Perceptron, Joined])
@pytest.mark.parametrize("aggregate", MERGES)
@pytest.mark.parametrize("models", ["enu", "en", "nu", "eu", "e", "n", "u", ""])
def test_algorithm_1(make, aggregate, models):
    for edges, globals_ in product((True, False), (True, False)):
        block = block_of(make, edges, globals_, models, aggregate)
        x, ends, e, u, batch = given(edges, globals_)
        found, wanted = block(x, ends, e, u, batch), by_hand(block, x, ends, e, u, batch, MERGES[aggregate])
        leaves = [t for t in (x, e, u) if t is not None] + list(block.parameters())
        grads = []
        for outs in (found, wanted):
            assert [out is None for out in outs] == [out is None for out in wanted]
            total = sum((out * torch.arange(out.numel()).view_as(out).cos()).sum() for out in outs if out is not None)
            grads.append(torch.autograd.grad(total, leaves, allow_unused=True))
        for a, b in zip([*found, *grads[0]], [*wanted, *grads[1]], strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert_close(a, b, 1e-10)


def test_pygs_meta_layer():
    class Edges(torch.nn.Module):
        def forward(self, src, dst, edge_attr, u, batch):  # batch is that of each edge
            return block.edge_model(torch.cat([edge_attr, dst, src, u[batch]], 1))

    class Nodes(torch.nn.Module):
        def forward(self, x, edge_index, edge_attr, u, batch):
            into = scatter(edge_attr, edge_index[1], 0, x.size(0), "sum")
            return block.node_model(torch.cat([into, x, u[batch]], 1))

    class Globals(torch.nn.Module):
        def forward(self, x, edge_index, edge_attr, u, batch):
            edges = scatter(edge_attr, batch[edge_index[1]], 0, len(u), "sum")
            return block.global_model(torch.cat([edges, scatter(x, batch, 0, len(u), "sum"), u], 1))

    block = block_of(Perceptron)
    x, ends, e, u, batch = given()
    peer = MetaLayer(Edges(), Nodes(), Globals())
    for a, b in zip(block(x, ends, e, u, batch), peer(x, ends, e, u, batch), strict=True):
        assert_close(a, b, 1e-10)


def test_structures():
    block = block_of(Perceptron)
    x, ends, e, u, batch = given()
    order = torch.randperm(N)
    inverse = torch.argsort(order)
    a, b, c = block(x, ends, e, u, batch)
    d, f, g = block(x[order], inverse[ends], e, u, batch[order])
    assert_close(d, a[order], 1e-11)
    assert_close(f, b, 1e-11)
    assert_close(g, c, 1e-11)
    for n, edges in ((0, 0), (3, 0)):
        empty = block(x[:n], ends[:, :edges], e[:edges], u[:1], torch.zeros(n, dtype=torch.int64))
        assert [len(part) for part in empty] == [n, edges, 1]
    of_one = block_of(Perceptron, globals_=False, models="en")
    chain = gs.Topology.chain([3, 4])
    numbers = torch.randn(5, 3, dtype=torch.float64)
    assert_close(of_one(x, chain, numbers)[0], of_one(x, chain.edge_index, numbers)[0], 1e-12)
    with_globals = block_of(Perceptron, edges=False)
    assert with_globals(x, chain, None, u[:2])[2].shape == (2, 7)


def test_derivatives_compilation_and_norms():
    block = block_of(Perceptron, models="enu")
    x, ends, e, u, batch = given()
    assert torch.autograd.gradcheck(lambda x, e, u: block(x, ends, e, u, batch), (x, e, u))
    assert torch.autograd.gradgradcheck(lambda x, e, u: block(x, ends, e, u, batch), (x, e, u))
    torch._dynamo.reset()
    fast = torch.compile(block, fullgraph=True, backend="aot_eager")
    for a, b in zip(fast(x, ends, e, u, batch), block(x, ends, e, u, batch), strict=True):
        assert_close(a, b, 1e-9)
    torch.nn.utils.parametrizations.weight_norm(block.edge_model[0])
    torch.nn.utils.weight_norm(block.node_model[0])
    wanted = by_hand(block, x, ends, e, u, batch, torch.sum)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.mul_(1.1)
    changed = block(x, ends, e, u, batch), by_hand(block, x, ends, e, u, batch, torch.sum)
    for a, b, c in zip(*changed, wanted, strict=True):
        assert_close(a, b, 1e-9)
        assert not torch.allclose(a, c)
    seen = []
    block.edge_model[0].register_forward_hook(lambda *_: seen.append(1))
    block(x, ends, e, u, batch)
    assert seen == [1]


def test_slips():
    block = block_of(torch.nn.Linear)
    x, ends, e, u, batch = given()
    for change, message in (
        ({"edge_attr": e[:5]}, r"`edge_attr`: expected shape \[20, F\], a row for each edge"),
        ({"edge_attr": e[:, :2]}, r"`edge_model`: expected a first layer of 12 inputs.*\(edges 2, rec.*, got 13"),
        ({"u": u[:1]}, "`batch`: expected numbers from 0 to 0, one per row of `u`, got 0 to 2"),
        ({"u": u.long()}, "`u`: expected floating-point numbers on cpu"),
        ({"batch": None}, "`batch`: expected the graph of each node, since `u` has 3 rows"),
        ({"batch": batch[:5]}, r"`batch`: expected int64 of shape \[7\]"),
        ({"batch": batch - 1}, "`batch`: expected numbers from 0 to 2"),
        ({"edge_index": gs.Topology.from_edge_index(ends, N)}, "`batch`: expected None with a topology"),
        ({"x": x.long()}, "`x`: expected a floating-point tensor"),
    ):
        arguments = {"x": x, "edge_index": ends, "edge_attr": e, "u": u, "batch": batch, **change}
        with pytest.raises(gs.GraphError, match=message):
            block(**arguments)
    with pytest.raises(gs.GraphError, match=r"`node_model`: expected a torch\.nn\.Module"):
        nn.GraphNetwork(None, torch.relu)
    for wrong in ("slots", "median", gs.Softmax(lambda *_: None)):
        with pytest.raises(gs.GraphError, match=r"`aggregate`|`merge`"):
            nn.GraphNetwork(aggregate=wrong)
