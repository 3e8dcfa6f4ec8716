"""What the engine can say without being touched: each model in a few lines, through public names alone.

Everything between the two rules is a model; a test reads its source. Below them stands what each should compute,
written densely or one node at a time.
"""

import ast
import inspect
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

import graphseq as gs
from graphseq import core, nn
from tests.oracles import adjacency, assert_agree, leaf, recursion
from tests.strategies import acyclic, any_graph, examples

CHAINS = gs.Topology.chain([3, 0, 2])
FOREST = gs.batch([gs.Topology.tree([2, 2, 3, -1]), gs.Topology.tree([]), gs.Topology.tree([1, -1])])
DAG = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1, 1], [1, 2, 3, 3, 4, 4]]), 6)
RING = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 2, 0, 3, 3], [1, 2, 0, 3, 2, 3, 1]]), 5)

# ---------------------------------------------------------------------------------------------------------- the models


class MultiHeadAttention(torch.nn.Module):
    """Every node attends to its predecessors (Vaswani et al. 2017, with the graph as the mask)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (torch.nn.Linear(width, width) for _ in range(4))

    def forward(self, x, topology):
        q, k, v = (f(x).unflatten(1, (self.heads, -1)) for f in (self.query, self.key, self.value))

        def score(sent, received, edge):
            return (received * sent[0]).sum(-1) / received.size(-1) ** 0.5

        def message(sent, received, edge):
            return sent[1:]

        (read,) = core.aggregate(topology, (k, v), message=message, merge=gs.Softmax(score), received=q)
        return self.out(read.flatten(1))


class Attending(gs.Cell):
    """A GRU whose steps read the encoder's states of their own graph (Luong et al. 2015); `memory` is `[B, T, H]`.

    An input ends with the number of its graph.
    """

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.state_sizes, self.memory = (hidden_size,), None
        self.gru = torch.nn.GRUCell(input_size + hidden_size, hidden_size)

    def update(self, p, state):
        (h,), memory = state, self.memory[p[:, -1].long()]
        weights = torch.softmax((memory @ h[:, :, None])[:, :, 0], 1)
        read = (weights[:, None] @ memory)[:, 0]
        return (self.gru(torch.cat([p[:, :-1], read], 1), h),)


class EncoderDecoder(torch.nn.Module):
    """Encode sequences, then decode along any structure."""

    def __init__(self, width):
        super().__init__()
        self.encoder, self.decoder = nn.GRU(width, width, batch_first=True), nn.Recurrent(Attending(width, width))

    def forward(self, source, x, topology):
        self.decoder.cell.memory, _ = self.encoder(source)
        return self.decoder(torch.cat([x, topology.batch[:, None].to(x.dtype)], 1), topology)


class GraphNetworkBlock(torch.nn.Module):
    """Edges, nodes and graphs are updated in this order (Battaglia et al. 2018, algorithm 1, with sums)."""

    def __init__(self, edge, node, whole):
        super().__init__()
        self.edge, self.node, self.whole = edge, node, whole

    def forward(self, x, edge_attr, u, topology):
        def message(sent, received, edge):
            return (self.edge(torch.cat([edge, received, sent[0]], 1)),)

        ours = torch.cat([x, u[topology.batch]], 1)
        edges = core.messages(topology, (x,), message=message, received=ours, edge_attr=edge_attr).state
        (merged,) = core.reduce(topology, edges)
        x = self.node(torch.cat([merged, ours], 1))
        of_edges, of_nodes = nn.readout(merged, topology), nn.readout(x, topology)
        return x, edges[0], self.whole(torch.cat([of_edges, of_nodes, u], 1))


class Carrying(gs.Cell):
    """Edges have a state of their own, which every round renews."""

    def __init__(self, width, edge_width):
        super().__init__()
        self.state_sizes = (width,)
        self.edge, self.send = torch.nn.Linear(edge_width + 2 * width, edge_width), torch.nn.Linear(edge_width, width)
        self.node = torch.nn.GRUCell(width, width)

    def message(self, sent, received, edge):
        new = torch.tanh(self.edge(torch.cat([edge, received, sent[0]], 1)))
        return gs.Messages((self.send(new),), new)

    def update(self, p, state):
        return (self.node(p, state[0]),)


class Typed(gs.Cell):
    """A tree whose edges are of several relations, each with a matrix of its own (Socher et al. 2014)."""

    def __init__(self, input_size, hidden_size, relations):
        super().__init__()
        self.state_sizes = (hidden_size,)
        self.inner = torch.nn.Linear(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(relations, hidden_size, hidden_size) / hidden_size)

    def project(self, x):
        return self.inner(x)

    def message(self, sent, received, edge):
        return ((self.weight[edge] @ sent[0][:, :, None])[:, :, 0],)

    def update(self, p, state):
        return (torch.tanh(p + state[0]),)


class Narx(gs.Cell):
    """``h_t = tanh(W x_t + Σ_k U_k h_{t-k})`` (Lin et al. 1996), over steps joined to the k that follow."""

    merge = "slots"

    def __init__(self, input_size, hidden_size, k):
        super().__init__()
        self.slots, self.state_sizes = k, (hidden_size,)
        self.inner = torch.nn.Linear(input_size, hidden_size)
        self.past = torch.nn.Linear(k * hidden_size, hidden_size, bias=False)

    @staticmethod
    def steps(count, k):
        pairs = [(t - j, t) for t in range(count) for j in range(1, k + 1) if t >= j]
        return gs.Topology.from_edge_index(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t(), count)

    def project(self, x):
        return self.inner(x)

    def update(self, p, state):
        return (torch.tanh(p + self.past(state[0].flatten(1))),)


class Bipartite(torch.nn.Module):
    """Receivers read senders of another kind: their mean, their maximum, and what they attend to."""

    def __init__(self, senders, receivers, width):
        super().__init__()
        self.key, self.query = torch.nn.Linear(senders, width), torch.nn.Linear(receivers, width)

    def forward(self, sent, received, links):
        def score(sent, received, edge):
            return (self.key(sent[0]) * received).sum(1)

        each = {"mean": "mean", "max": "max", "softmax": gs.Softmax(score)}
        read = self.query(received)
        return {name: core.aggregate(links, (sent,), merge=m, received=read)[0] for name, m in each.items()}


@dataclass(frozen=True)
class FixedPoint(gs.Schedule):
    """``h = update(project(x), merge of h's messages)``, found by going round; its gradient is found so too."""

    tolerance: float
    max_rounds: int

    def solve(self, step, h):
        for _ in range(self.max_rounds):
            h, old = step(h), h
            if float((h - old).abs().max()) <= self.tolerance:
                break
        return h

    def run(self, cell, x, topology, state=None, *, edge_attr=None, nodes=None):
        p = cell.project(x)
        given = {"message": cell.message, "merge": cell.merger, "received": p, "edge_attr": edge_attr}

        def step(h):
            return torch.cat(cell.update(p, core.aggregate(topology, h.split(cell.state_sizes, 1), **given)), 1)

        with torch.no_grad():
            found = self.solve(step, x.new_zeros(x.size(0), sum(cell.state_sizes)))
        h = step(found)
        if h.requires_grad:
            again = step(at := found.clone().requires_grad_())
            vjp = lambda g: torch.autograd.grad(again, at, g, retain_graph=True)[0]  # noqa: E731
            h.register_hook(lambda g: None if g is None else self.solve(lambda y: g + vjp(y), g))
        return h.split(cell.state_sizes, 1)


class LogSumExp(gs.Merge):
    """A smooth maximum."""

    def reduce(self, rows, segments, scores):
        top = segments.max(rows.detach())
        return segments.sum((rows - segments.spread(top)).exp()).log() + top


class PowerMean(gs.Merge):
    """``(mean |row|^p)^(1/p)``, from the mean to the maximum; p is learnt."""

    def __init__(self, power):
        self.power = power

    def reduce(self, rows, segments, scores):
        return (segments.mean(rows.abs() ** self.power) + 1e-6) ** (1 / self.power)


# ------------------------------------------------------------------------------------------------------ what they show

MODELS = [
    MultiHeadAttention, Attending, EncoderDecoder, GraphNetworkBlock, Carrying, Typed, Narx, Bipartite, FixedPoint,
    LogSumExp, PowerMean,
]  # fmt: skip
PUBLIC = {"gs": gs, "nn": nn, "core": core}


def names_of(source):
    """Dotted names in Python's source, each from its first name on: ``core.aggregate``."""
    for node in ast.walk(ast.parse(source)):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts:
            yield [node.id if isinstance(node, ast.Name) else "", *reversed(parts)]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_it_takes_few_lines_and_public_names_alone(model):
    source = inspect.getsource(model)
    assert len(source.splitlines()) <= 30
    for first, *rest in names_of(source):
        assert all(not name.startswith("_") or name.endswith("__") for name in rest), rest
        if first in PUBLIC:
            assert rest[0] in PUBLIC[first].__all__, f"{first}.{rest[0]}"


def test_models_know_the_library_by_its_public_modules():
    """And what stands in this file besides is a model, a test, or what a model should compute."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    known = {"graphseq", "graphseq core", "graphseq nn"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert all(a.name in known or not a.name.startswith("graphseq") for a in node.names)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("graphseq"):
            assert all(f"{node.module} {a.name}" in known for a in node.names)
    here = vars(sys.modules[__name__]).values()
    made = [v for v in here if inspect.isclass(v) and v.__module__ == __name__]
    assert set(made) == set(MODELS)


def of_model(model):
    return list(model.parameters())


def check(call, *leaves):
    """Gradients against differences, by inputs and parameters."""
    assert gradcheck(call, [v for v in leaves if v is not None], fast_mode=True)


# (a) attention over a graph


def dense_attention(model, x, topology):
    """Softmax under a mask; an edge that stands twice is attended to twice, a node without edges reads 0."""
    count = adjacency(topology.edge_index, topology.num_nodes)
    shape = x.size(0), model.heads, x.size(1) // model.heads
    q, k, v = (f(x).view(shape).transpose(0, 1) for f in (model.query, model.key, model.value))
    powers = count * torch.exp(q @ k.transpose(1, 2) / math.sqrt(shape[-1]))
    weights = powers / powers.sum(-1, keepdim=True).clamp(min=1e-300)
    return model.out((weights @ v).transpose(0, 1).reshape(x.shape))


@pytest.mark.parametrize("heads", [1, 2])
@given(t=any_graph())
@examples(20)
def test_attention_is_a_masked_softmax(heads, t):
    model, x = MultiHeadAttention(4, heads).double(), leaf(t.num_nodes, 4)
    assert_agree(model(x, t), dense_attention(model, x, t), [x, *of_model(model)])


def test_attention_over_a_complete_graph_is_that_of_torch():
    n, width, heads = 5, 6, 3
    model, x = MultiHeadAttention(width, heads).double(), leaf(n, width)
    q, k, v = (f(x).view(n, heads, -1).transpose(0, 1) for f in (model.query, model.key, model.value))
    read = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    complete = gs.Topology.from_edge_index(torch.cartesian_prod(torch.arange(n), torch.arange(n)).t(), n)
    wanted = model.out(read.transpose(0, 1).reshape(n, width))
    assert_agree(model(x, complete), wanted, [x, *of_model(model)])


@given(t=any_graph())
@examples(20)
def test_heads_divide_the_width_of_a_row(t):
    """Rows may lie flat, `[E, heads · D]`; then each head weighs its own part."""
    h, logit, weight = leaf(t.num_nodes, 4), leaf(t.num_edges, 2), leaf(t.num_edges, 2)
    (out,) = core.aggregate(t, (h,), message=gs.SCALE, edge_attr=weight)
    dense = [adjacency(t.edge_index, t.num_nodes, w) for w in weight.unbind(1)]
    assert_agree(out, torch.cat([d @ p for d, p in zip(dense, h.chunk(2, 1), strict=True)], 1), [h, weight])
    (out,) = core.aggregate(t, (h,), merge=gs.Softmax(lambda sent, received, edge: edge), edge_attr=logit)
    dense = [adjacency(t.edge_index, t.num_nodes, w) for w in logit.exp().unbind(1)]
    dense = [d / torch.where(d.sum(1) > 0, d.sum(1), 1.0)[:, None] for d in dense]
    assert_agree(out, torch.cat([d @ p for d, p in zip(dense, h.chunk(2, 1), strict=True)], 1), [h, logit])


def test_derivatives_of_attention():
    model = MultiHeadAttention(4, 2).double()
    check(lambda x, *_: model(x, RING), leaf(5, 4), *of_model(model))


# (b) a decoder that attends to an encoder's states


@pytest.mark.parametrize("t", [CHAINS, FOREST], ids=["chains", "trees"])
def test_a_decoder_reads_the_encoder(t):
    width = 3
    model, source, x = EncoderDecoder(width).double(), leaf(3, 4, width), leaf(t.num_nodes, width)
    encoder = torch.nn.GRU(width, width, batch_first=True).double()
    encoder.load_state_dict(model.encoder.state_dict())
    memory, cell, graph = encoder(source)[0], model.decoder.cell, t.batch.tolist()

    def step(numbered, sent):
        v = int(numbered[-1])
        h = sum((s.state[0] for s in sent), x.new_zeros(width))
        weights = torch.softmax(memory[graph[v]] @ h, 0)
        read = sum(w * m for w, m in zip(weights, memory[graph[v]], strict=True))
        return (cell.gru(torch.cat([x[v], read])[None], h[None])[0],)

    numbers = torch.arange(t.num_nodes, dtype=x.dtype)[:, None]
    wanted = recursion(step, numbers, t.edge_index, (width,))[0]
    out, leaves = model(source, x, t), [source, x, *cell.parameters()]
    assert_agree(out, wanted, leaves)
    weights = torch.randn_like(out)
    ours = torch.autograd.grad((out * weights).sum(), of_model(model.encoder), retain_graph=True)
    theirs = torch.autograd.grad((wanted * weights).sum(), of_model(encoder))
    assert all(float(g.abs().max()) > 0 for g in ours)
    assert_agree(ours, theirs)
    check(lambda source, x, *_: model(source, x, t), source, x, *of_model(model))


# (c) edges and graphs with states of their own


def dense_block(model, x, edge_attr, u, topology):
    """Algorithm 1, one edge, node and graph at a time."""
    graph, pairs = topology.batch.tolist(), topology.edge_index.t().tolist()
    edges = [model.edge(torch.cat([e, x[v], u[graph[v]], x[w]])) for e, (w, v) in zip(edge_attr, pairs, strict=True)]
    zero_e, zero_x = model.edge.bias.new_zeros(model.edge.out_features), x.new_zeros(model.node.out_features)
    nodes = []
    for v in range(topology.num_nodes):
        merged = sum((e for e, (_, w) in zip(edges, pairs, strict=True) if w == v), zero_e)
        nodes.append(model.node(torch.cat([merged, x[v], u[graph[v]]])))
    graphs = []
    for b in range(topology.num_graphs):
        of_edges = sum((e for e, (_, v) in zip(edges, pairs, strict=True) if graph[v] == b), zero_e)
        of_nodes = sum((h for h, g in zip(nodes, graph, strict=True) if g == b), zero_x)
        graphs.append(model.whole(torch.cat([of_edges, of_nodes, u[b]])))
    sizes = [(nodes, zero_x), (edges, zero_e), (graphs, model.whole.bias)]
    return [torch.stack(rows) if rows else like.new_zeros(0, like.size(0)) for rows, like in sizes]


def a_block():
    """Nodes of width 3 → 2, edges 2 → 4, graphs 1 → 3."""
    linear = torch.nn.Linear
    return GraphNetworkBlock(linear(2 + 3 + 1 + 3, 4), linear(4 + 3 + 1, 2), linear(4 + 2 + 1, 3)).double()


@given(any_graph())
@examples(25)
def test_a_graph_network_block(t):
    model, x, e, u = a_block(), leaf(t.num_nodes, 3), leaf(t.num_edges, 2), leaf(t.num_graphs, 1)
    assert_agree(model(x, e, u, t), dense_block(model, x, e, u, t), [x, e, u, *of_model(model)])


def test_derivatives_of_a_graph_network_block():
    model = a_block()
    check(lambda x, e, u, *_: model(x, e, u, RING), leaf(5, 3), leaf(7, 2), leaf(1, 1), *of_model(model))


@given(t=any_graph(), k=st.integers(0, 3))
@examples(25)
def test_edges_carry_a_state_from_round_to_round(t, k):
    cell, x, edge_attr = Carrying(3, 2).double(), leaf(t.num_nodes, 3), leaf(t.num_edges, 2)
    senders, receivers = t.edge_index
    h, edges = x, edge_attr
    for _ in range(k):
        edges = torch.tanh(cell.edge(torch.cat([edges, h[receivers], h[senders]], 1)))
        merged = torch.zeros_like(h)
        for e, v in enumerate(receivers.tolist()):
            merged = merged + torch.eye(t.num_nodes, dtype=h.dtype)[:, v, None] * cell.send(edges[e])
        h = cell.node(merged, h) if t.num_nodes else h
    leaves = [x, edge_attr, *of_model(cell)]
    assert_agree(nn.Recurrent(cell, gs.Rounds(k))(x, t, edge_attr=edge_attr), h, leaves)
    (ours,), carried = core.rounds(cell, k, t, (x,), edge_attr=edge_attr)
    assert_agree((ours, carried), (h, edges), leaves)


def test_derivatives_of_edges_that_carry_a_state():
    cell = Carrying(3, 2).double()
    layer = nn.Recurrent(cell, gs.Rounds(3))
    check(lambda x, e, *_: layer(x, RING, edge_attr=e), leaf(5, 3), leaf(7, 2), *of_model(cell))


# (d) relations


@given(t=acyclic(), data=st.data())
@examples(20)
def test_relations_have_weights_of_their_own(t, data):
    cell, x = Typed(2, 3, 4).double(), leaf(t.num_nodes, 2)
    relation = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=t.num_edges, max_size=t.num_edges)))
    relation = relation.to(torch.int64)

    def step(v, sent):
        z = cell.inner.weight @ v + cell.inner.bias
        return (torch.tanh(sum((cell.weight[int(s.edge)] @ s.state[0] for s in sent), z)),)

    wanted = recursion(step, x, t.edge_index, (3,), edge_attr=relation)
    assert_agree(nn.Recurrent(cell)(x, t, edge_attr=relation), wanted, [x, *of_model(cell)])


def test_derivatives_of_relations():
    cell, relation = Typed(2, 3, 4).double(), torch.tensor([1, 3, 0, 3])
    layer = nn.Recurrent(cell)
    check(lambda x, *_: layer(x, FOREST, edge_attr=relation), leaf(6, 2), *of_model(cell))


# (e) several steps back


@pytest.mark.parametrize("k", [1, 2, 3])
def test_narx_is_a_loop(k):
    """The history of each sequence, and of no other, stands in the slots that no step fills."""
    lengths, width = [5, 0, 2, 1], 3
    cell, t = Narx(2, width, k).double(), gs.batch([Narx.steps(n, k) for n in lengths])
    x, past = leaf(t.num_nodes, 2), leaf(len(lengths), k, width)  # past[b, j]: the state j + 1 steps before the first
    states, rows, at = [], [], 0
    for b, length in enumerate(lengths):
        done = list(past[b].flip(0))
        for step in range(length):
            recent = done[: -k - 1 : -1]
            unread = past.new_full((width,), 7.0)
            rows.append(torch.stack([past[b, j - step] if j >= step else unread for j in range(k)]))
            z = cell.inner.weight @ x[at] + cell.inner.bias
            u = cell.past.weight.view(width, k, width)
            done.append(torch.tanh(sum((u[:, j] @ h for j, h in enumerate(recent)), z)))
            at += 1
        states += done[k:]
    layer, wanted = nn.Recurrent(cell), torch.stack(states)
    assert_agree(layer(x, t, torch.stack(rows)), wanted, [x, past, *of_model(cell)])
    zero = torch.zeros(t.num_nodes, k, width, dtype=x.dtype)
    assert_agree(layer(x, t), layer(x, t, zero), [x, *of_model(cell)])


def test_derivatives_of_narx():
    cell, t = Narx(2, 3, 2).double(), gs.batch([Narx.steps(4, 2), Narx.steps(1, 2)])
    layer = nn.Recurrent(cell)
    check(lambda x, past, *_: layer(x, t, past), leaf(5, 2), leaf(5, 2, 3), *of_model(cell))


# (f) two sets of nodes


@st.composite
def links(draw):
    """Between up to 5 senders and up to 4 receivers, some edges twice."""
    s, r = draw(st.integers(0, 5)), draw(st.integers(0, 4))
    pair = st.tuples(st.integers(0, max(s - 1, 0)), st.integers(0, max(r - 1, 0)))
    pairs = draw(st.lists(pair, max_size=9)) if s and r else []
    return gs.Links.between(torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t(), s, r)


def dense_bipartite(model, sent, received, edges):
    """One receiver at a time."""
    rows = {name: [] for name in ("mean", "max", "softmax")}
    for v in range(received.size(0)):
        mine = [sent[u] for u, w in edges.edge_index.t().tolist() if w == v]
        if not mine:
            for parts in rows.values():
                parts.append(sent.new_zeros(sent.size(1)))
            continue
        mine = torch.stack(mine)
        rows["mean"].append(mine.mean(0))
        rows["max"].append(mine.max(0).values)
        rows["softmax"].append(torch.softmax(model.key(mine) @ model.query(received[v]), 0) @ mine)
    return {name: torch.stack(parts) if parts else sent.new_zeros(0, sent.size(1)) for name, parts in rows.items()}


@given(links())
@examples(25)
def test_receivers_of_another_kind(edges):
    model = Bipartite(3, 2, 4).double()
    sent, received = leaf(edges.num_senders, 3), leaf(edges.num_receivers, 2)
    ours, wanted = model(sent, received, edges), dense_bipartite(model, sent, received, edges)
    assert ours.keys() == wanted.keys()
    for name in wanted:
        assert_agree(ours[name], wanted[name], [sent, received, *of_model(model)])


def test_derivatives_by_both_kinds():
    model = Bipartite(3, 2, 4).double()
    edges = gs.Links.between(torch.tensor([[0, 3, 1, 1, 2, 0], [2, 2, 0, 2, 0, 0]]), 4, 3)
    call = lambda sent, received, *_: tuple(model(sent, received, edges).values())  # noqa: E731
    check(call, leaf(4, 3), leaf(3, 2), *of_model(model))


# (g) a schedule


def contraction(kind):
    """A cell whose states come to rest."""
    cell = kind(2, 3).double()
    cell.merge = "mean"
    with torch.no_grad():
        for p in cell.parameters():
            p.mul_(0.4)
    return cell


def unrolled(cell, x, topology, rounds):
    """The same point by going round for long, differentiated step by step."""
    dense = adjacency(topology.edge_index, topology.num_nodes)
    dense, h = dense / dense.sum(1, keepdim=True).clamp(min=1), x.new_zeros(x.size(0), 3)
    for _ in range(rounds):
        h = torch.gru_cell(x, dense @ h, *cell.parameters())
    return h


def test_a_fixed_point_and_its_gradient_are_those_of_many_rounds():
    cell, x = contraction(nn.GRUCell), leaf(5, 2)
    layer = nn.Recurrent(cell, FixedPoint(1e-13, 500))
    assert_agree(layer(x, RING), unrolled(cell, x, RING, 300), [x, *of_model(cell)], 1e-10)
    with torch.no_grad():
        assert_agree(layer(x, RING), unrolled(cell, x, RING, 300), tolerance=1e-10)
    assert not torch.allclose(layer(x, RING), unrolled(cell, x, RING, 2), atol=1e-3)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell])
@given(t=acyclic())
@examples(10)
def test_without_cycles_a_sweep_is_the_fixed_point(kind, t):
    if t.num_nodes == 0:
        return
    cell, x = kind(2, 3).double(), leaf(t.num_nodes, 2)
    assert_agree(nn.Recurrent(cell, FixedPoint(0.0, 50))(x, t), nn.Recurrent(cell)(x, t), [x, *of_model(cell)])


def test_derivatives_of_a_fixed_point():
    cell = contraction(nn.LSTMCell)
    layer = nn.Recurrent(cell, FixedPoint(1e-14, 500))
    check(lambda x, *_: layer(x, RING), leaf(5, 2), *of_model(cell))


# (h) a merge


def smooth_maximum(rows):
    return torch.logsumexp(rows, 0)


def power_mean(power):
    return lambda rows: ((rows.abs() ** power).mean(0) + 1e-6) ** (1 / power)


class_of = {"log-sum-exp": (lambda p: LogSumExp(), lambda p: smooth_maximum), "power mean": (PowerMean, power_mean)}
each_merge = pytest.mark.parametrize("name", class_of)


def merged_by_hand(t, h, merge, empty):
    rows = [[] for _ in range(t.num_nodes)]
    for u, v in t.edge_index.t().tolist():
        rows[v].append(h[u])
    return torch.stack([merge(torch.stack(r)) if r else empty for r in rows])


@each_merge
@given(t=any_graph())
@examples(20)
def test_a_merge_of_ones_own_in_an_aggregation(name, t):
    make, by_hand = class_of[name]
    power = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    h = leaf(t.num_nodes, 3)
    (out,) = core.aggregate(t, (h,), merge=make(power))
    heard = t.in_degree > 0
    if bool(heard.any()):
        assert_agree(out[heard], merged_by_hand(t, h, by_hand(power), h.new_zeros(3))[heard], [h, power])


@each_merge
@given(t=acyclic())
@examples(20)
def test_a_merge_of_ones_own_in_a_sweep(name, t):
    make, by_hand = class_of[name]
    power = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    cell, x = nn.GRUCell(2, 3).double(), leaf(t.num_nodes, 2)
    cell.merge = make(power)

    def step(v, sent):
        merged = by_hand(power)(torch.stack([s.state[0] for s in sent])) if sent else v.new_zeros(3)
        return (torch.gru_cell(v[None], merged[None], *cell.parameters())[0],)

    wanted = recursion(step, x, t.edge_index, (3,))
    assert_agree(nn.Recurrent(cell)(x, t), wanted, [x, power, *of_model(cell)])


@each_merge
def test_a_merge_of_ones_own_in_rounds(name):
    make, by_hand = class_of[name]
    power = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    ring = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0, 2], [1, 2, 0, 2, 2]]))
    cell, x = nn.GRUCell(3, 3).double(), leaf(3, 3)
    h = x
    for _ in range(2):
        h = torch.gru_cell(merged_by_hand(ring, h, by_hand(power), None), h, *cell.parameters())
    layer = nn.Recurrent(cell, gs.Rounds(2, merge=make(power)))
    assert_agree(layer(x, ring), h, [x, power, *of_model(cell)])


@each_merge
@pytest.mark.parametrize("t", [CHAINS, FOREST, DAG], ids=["chains", "trees", "dag"])
def test_derivatives_of_a_merge_of_ones_own(name, t):
    make, _ = class_of[name]
    cell = nn.GRUCell(2, 3).double()
    layer = nn.Recurrent(cell)

    def call(x, power, *_):
        cell.merge = make(power)
        return layer(x, t)

    check(call, leaf(t.num_nodes, 2), torch.tensor(2.5, dtype=torch.float64, requires_grad=True), *of_model(cell))
