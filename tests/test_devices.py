"""No operation mixes devices, no step waits for one: every layer on a device that the tests only pretend to have.

What runs there runs by the equations and by the operators' portable bodies; values and gradients are those on the CPU.
Where there is CUDA, the same tests run on it too.
Below, what operators do on CUDA alone is held to the same, on tensors of the CPU.
"""

from copy import deepcopy
from functools import partial
from itertools import product

import pytest
import torch
from torch import nn as torch_nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils._pytree import tree_leaves

import graphseq as gs
from graphseq import core, lowering, nn, parsing, spectral
from graphseq.nn.recurrent import layers
from graphseq.ops.csr import csr
from graphseq.ops.levels import Packed
from graphseq.ops.library import OPERATORS, Operator
from tests.devices import DEVICE, PLACES, MixedDevices, Pretended, pretence
from tests.oracles import assert_close, gradients, leaf

F, H, EDGE = 3, 4, 2
CHAINS = gs.Topology.chain([3, 0, 4, 1])
TREE = gs.Topology.tree([2, 2, 4, 4, 6, 6, -1], slot=[1, 0, 1, 0, 0, 1, 0])
DAG = gs.Topology.from_edge_index(
    torch.tensor([[3, 0, 1, 5, 0, 2], [4, 2, 3, 6, 1, 3]]), batch=torch.tensor([0, 0, 0, 0, 0, 1, 1, 3]), num_graphs=4
)
RING = gs.Topology.from_edge_index(
    torch.tensor([[0, 1, 2, 2, 0, 3, 3, 4], [1, 2, 0, 3, 2, 3, 1, 4]]), batch=torch.tensor([0, 0, 0, 0, 2, 2])
)
PAIR = gs.Links.between(torch.tensor([[0, 1, 2, 4, 4], [1, 1, 0, 3, 1]]), 5, 4)
ACYCLIC = {"chains": CHAINS, "tree": TREE, "dag": DAG}

# What sums in another order may differ by.
CLOSE = {"cuda": {torch.float32: 2e-5}}

# Structures compiled before they move, and compiled there.
BEFORE, THERE = (False, torch.float32), (True, torch.float64)
ways = pytest.mark.parametrize(("fresh", "dtype"), [BEFORE, THERE], ids=["before", "there"])


class Attending(gs.Cell):
    """What a user might write: two heads of attention, by the receiver, over messages that read the edges."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.state_sizes, self.merge = (hidden_size,), gs.Softmax(self.score)
        self.inner, self.edges = torch_nn.Linear(input_size, hidden_size), torch_nn.Linear(EDGE, hidden_size)

    def score(self, sent, received, edge):
        return (sent[0] * received).unflatten(1, (2, -1)).sum(2) + edge

    def message(self, sent, received, edge):
        return (sent[0] + self.edges(edge) * received,)

    def project(self, x):
        return self.inner(x)

    def update(self, p, state):
        return (torch.tanh(p + state[0]),)


class Passing(Attending):
    """One that updates the edges too, as rounds let it."""

    def message(self, sent, received, edge):
        return gs.Messages((sent[0] + self.edges(edge),), torch.tanh(edge + received[:, :EDGE]))


class Weighted(nn.ElmanCell):
    """One whose states the edges scale, and of which the largest counts."""

    message, merge = gs.SCALE, "max"


class Shares(gs.Merge):
    """A user's merge, which reads all that segments say."""

    def reduce(self, rows, segments, scores):
        shares = rows / segments.ptr.diff()[segments.index, None]
        return rows.new_zeros(segments.count, rows.size(1)).index_add(0, segments.index, shares)


class Sharing(nn.ElmanCell):
    """One that merges so."""

    merge = Shares()


CELLS = {
    "elman": nn.ElmanCell,
    "elman relu": partial(nn.ElmanCell, nonlinearity="relu"),
    "gru": nn.GRUCell,
    "gru bare": partial(nn.GRUCell, bias=False),
    "lstm": nn.LSTMCell,
    "lstm peephole": partial(nn.LSTMCell, peephole=True),
    "lstm coupled": partial(nn.LSTMCell, coupled=True, peephole=True),
    "lstm no forget gate": partial(nn.LSTMCell, forget_gate=False),
    "child-sum": nn.ChildSumTreeLSTMCell,
    "nary": nn.NaryTreeLSTMCell,
    "recursive": nn.RecursiveCell,
    "rntn": nn.RNTNCell,
    "matrix-vector": nn.MatrixVectorCell,
    "tree-gru": nn.TreeGRUCell,
    "nary gru": nn.NaryTreeGRUCell,
    "attentive": nn.AttentiveTreeLSTMCell,
    "typed": partial(nn.TypedRecursiveCell, num_types=5),
    "dependency": partial(nn.DependencyTreeLSTMCell, num_relations=5),
    "attending": Attending,
    "weighted": Weighted,
    "sharing": Sharing,
}
cells = pytest.mark.parametrize("cell", CELLS)


def features(name, topology, dtype):
    """The features of edges that a cell wants."""
    if name in ("typed", "dependency"):
        return {"edge_attr": torch.arange(topology.num_edges) % 5}
    shape = {"attending": (EDGE,), "passing": (EDGE,), "weighted": ()}.get(name)
    return {} if shape is None else {"edge_attr": leaf(topology.num_edges, *shape, dtype=dtype)}


def flat(out):
    """What a layer returns, as a list of tensors."""
    if isinstance(out, PackedSequence):
        return [out.data]
    return [out] if isinstance(out, torch.Tensor) else [t for part in out if part is not None for t in flat(part)]


def moved(value, fresh, device=DEVICE):
    """The same on another device; structures with nothing compiled where `fresh`."""
    if isinstance(value, torch.Tensor):
        return value.detach().to(device).requires_grad_(value.requires_grad)
    if isinstance(value, gs.Topology) and fresh:
        edge_index, graph_ptr = value.edge_index.to(device), value.graph_ptr.to(device)
        slot = None if value._slot is None else value.slot.to(device)
        return gs.Topology(edge_index, value.num_nodes, graph_ptr, slot)
    if isinstance(value, gs.Links) and fresh:
        return gs.Links.between(value.edge_index.to(device), value.num_senders, value.num_receivers)
    if isinstance(value, tuple):
        return tuple(moved(v, fresh, device) for v in value)
    return value.to(device) if hasattr(value, "to") else value


def run(module, call, given, seeds=None):
    """Return outputs, gradients and the seeds of those."""
    outputs = flat(call(module, **given))
    leaves = [t for t in tree_leaves(given) if isinstance(t, torch.Tensor) and t.requires_grad]
    seeds = [torch.randn_like(o) for o in outputs] if seeds is None else seeds
    return outputs, gradients(outputs, [*leaves, *module.parameters()], seeds), seeds


def called(module, **given):
    return module(**given)


def check(call, given, *, fresh, dtype, module=None, waits=False):
    """Forward and backward there give what they give here; the host does not wait, once the structure is compiled."""
    module = (torch_nn.Identity() if module is None else module).to(dtype)
    *wanted, seeds = run(deepcopy(module), call, given)
    for place, enter in PLACES.items():
        with enter() as device:
            copy, there = deepcopy(module).to(place), {k: moved(v, fresh, place) for k, v in given.items()}
            seeded = moved(tuple(seeds), fresh, place)
            if fresh:
                call(copy, **there)
            device.clear()
            *found, _ = run(copy, call, there, seeded)
            waited = list(device.waits)
        for ours, theirs in zip(found, wanted, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                assert a.device == place
                assert_close(a.held if isinstance(a, Pretended) else a.cpu(), b, CLOSE.get(place.type, {}).get(b.dtype))
        assert waits or waited == []


# ------------------------------------------------------------------------------------------------------------ the cells


def initial(kind, cell, topology, dtype):
    """Initial states: none, one row a graph, or one a node and slot."""
    slots = cell.slots if cell.merge == "slots" else 1
    shape = {"graph": (topology.num_graphs,), "node": (topology.num_nodes, slots)}.get(kind)
    return None if shape is None else tuple(leaf(*shape, size, dtype=dtype) for size in cell.state_sizes)


@ways
@pytest.mark.parametrize("reverse", [False, True], ids=["", "reverse"])
@pytest.mark.parametrize("structure", ACYCLIC)
@cells
def test_sweeps(cell, structure, reverse, fresh, dtype):
    topology = ACYCLIC[structure]
    layer = nn.Recurrent(CELLS[cell](F, H), gs.Sweep(reverse))
    for kind in ("node",) if reverse else ("none", "graph", "node"):
        given = {"x": leaf(topology.num_nodes, F, dtype=dtype), "topology": topology}
        given |= {"state": initial(kind, layer.cell, topology, dtype), **features(cell, topology, dtype)}
        check(called, given, fresh=fresh, dtype=dtype, module=layer)


@pytest.mark.parametrize("state", ["none", "graph"])
@pytest.mark.parametrize("structure", ACYCLIC)
@cells
def test_sweeps_by_the_operators_portable_bodies(monkeypatch, cell, structure, state):
    for (*key, device), entry in list(lowering._TABLE.items()):
        if device == "cpu":
            monkeypatch.setitem(lowering._TABLE, (*key, DEVICE.type), entry)
    topology, dtype = ACYCLIC[structure], torch.float32
    layer = nn.Recurrent(CELLS[cell](F, H))
    given = {"x": leaf(topology.num_nodes, F, dtype=dtype), "topology": topology}
    given |= {"state": initial(state, layer.cell, topology, dtype), **features(cell, topology, dtype)}
    check(called, given, fresh=False, dtype=dtype, module=layer)


@ways
@pytest.mark.parametrize("merge", [None, gs.Softmax()], ids=str)
@pytest.mark.parametrize("cell", [*CELLS, "passing"])
def test_rounds(cell, merge, fresh, dtype):
    layer = nn.Recurrent((CELLS | {"passing": Passing})[cell](H, H), gs.Rounds(2, merge))
    n = RING.num_nodes
    for state in (None, tuple(leaf(n, size, dtype=dtype) for size in layer.cell.state_sizes)):
        given = {"x": leaf(n, H, dtype=dtype), "topology": RING, "state": state, **features(cell, RING, dtype)}
        check(called, given, fresh=fresh, dtype=dtype, module=layer)


@ways
@pytest.mark.parametrize("structure", ACYCLIC)
@cells
def test_inputs_of_some_nodes(cell, structure, fresh, dtype):
    topology = ACYCLIC[structure]
    nodes = torch.tensor([4, 0, 2])
    given = {"x": leaf(3, F, dtype=dtype), "topology": topology, "nodes": nodes, **features(cell, topology, dtype)}
    layer = nn.Recurrent(CELLS[cell](F, H))
    check(called, given, fresh=fresh, dtype=dtype, module=layer, waits=True)


@pytest.mark.parametrize("make", [nn.TreeLSTM, lambda f, h: nn.Recurrent(nn.GRUCell(f, h))], ids=["tree", "gru"])
def test_inputs_of_some_nodes_are_not_waited_for(make):
    given = {"x": leaf(4, F, dtype=torch.float32), "topology": TREE, "nodes": torch.tensor([0, 1, 3, 5])}
    check(called, given, fresh=False, dtype=torch.float32, module=make(F, H))


@ways
@pytest.mark.parametrize("structure", ACYCLIC)
@pytest.mark.parametrize("cell", ["gru", "child-sum", "nary", "attending"])
def test_second_derivatives(cell, structure, fresh, dtype):
    topology = ACYCLIC[structure]
    given = {"x": leaf(topology.num_nodes, F, dtype=dtype), "topology": topology, **features(cell, topology, dtype)}

    def call(layer, x, **given):
        first = sum((h * h).sum() for h in flat(layer(x, **given)))
        return torch.autograd.grad(first, [x, *layer.parameters()], create_graph=True)

    check(call, given, fresh=fresh, dtype=dtype, module=nn.Recurrent(CELLS[cell](F, H)))


# ----------------------------------------------------------------------------------------------------------- the layers

MODES = {
    "rnn": nn.RNN,
    "rnn relu": partial(nn.RNN, nonlinearity="relu", bias=False),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
modes = pytest.mark.parametrize("mode", MODES)
kernels = pytest.mark.parametrize("whole", [False, True], ids=["swept", "torch's kernel"])


def stack(mode, monkeypatch, whole=False, **options):
    """A layer of two floors and directions; `whole` runs PyTorch's kernel for all of it, as CUDA does."""
    monkeypatch.setattr(layers.Stack, "_prefers_torch", lambda *_: whole)
    return MODES[mode](F, H, num_layers=2, bidirectional=True, **options)


def start(layer, graphs, dtype):
    parts = tuple(leaf(4, graphs, H, dtype=dtype) for _ in range(2 if layer.mode == "LSTM" else 1))
    return parts if len(parts) == 2 else parts[0]


@ways
@kernels
@modes
def test_padded_sequences(monkeypatch, mode, whole, fresh, dtype):
    layer = stack(mode, monkeypatch, whole, batch_first=True)
    for hx in (None, start(layer, 2, dtype)):
        given = {"x": leaf(2, 3, F, dtype=dtype), "hx": hx}
        # The chains of these lengths are compiled for a device when it first sees them.
        check(lambda layer, x, hx: layer(x, hx), given, fresh=True, dtype=dtype, module=layer)


@ways
@kernels
@modes
def test_packed_sequences(monkeypatch, mode, whole, fresh, dtype):
    layer = stack(mode, monkeypatch, whole)
    packed = pack_sequence([torch.randn(n, F, dtype=dtype) for n in (2, 4, 1)], enforce_sorted=False)

    def call(layer, data, order, rank, hx):
        return layer(PackedSequence(data, packed.batch_sizes, order, rank), hx)  # whose sizes stay on the CPU

    for hx in (None, start(layer, 3, dtype)):
        given = {"data": packed.data.clone().requires_grad_(), "hx": hx}
        given |= {"order": packed.sorted_indices, "rank": packed.unsorted_indices}
        check(call, given, fresh=True, dtype=dtype, module=layer)


@ways
@pytest.mark.parametrize("structure", ACYCLIC)
@modes
def test_recurrent_layers_over_a_topology(monkeypatch, mode, structure, fresh, dtype):
    layer, topology = stack(mode, monkeypatch), ACYCLIC[structure]
    for hx in (None, start(layer, topology.num_graphs, dtype)):
        given = {"x": leaf(topology.num_nodes, F, dtype=dtype), "hx": hx, "topology": topology}
        check(called, given, fresh=fresh, dtype=dtype, module=layer)


@ways
@pytest.mark.parametrize("leaves", [False, True], ids=["", "leaves"])
@pytest.mark.parametrize("kind", ["child-sum", "nary"])
def test_tree_lstm(kind, leaves, fresh, dtype):
    nodes = torch.tensor([0, 1, 3, 5]) if leaves else None
    given = {"x": leaf(4 if leaves else 7, F, dtype=dtype), "topology": TREE, "nodes": nodes}
    layer = nn.TreeLSTM(F, H, kind)
    check(called, given, fresh=fresh, dtype=dtype, module=layer, waits=leaves)  # as above


CONVS = {
    "gcn": lambda: nn.GCNConv(F, H),
    "gcn narrow": lambda: nn.GCNConv(F, 2, improved=True),
    "gcn without loops": lambda: nn.GCNConv(F, H, add_self_loops=False),
    "gcn as is": lambda: nn.GCNConv(F, H, normalize=False, flow="target_to_source"),
    "gat": lambda: nn.GATConv(F, H, heads=2, edge_dim=1),
    "gatv2": lambda: nn.GATv2Conv(F, H, heads=2, concat=False, edge_dim=1, residual=True),
    "transformer": lambda: nn.TransformerConv(F, H, heads=2, beta=True),
    "gin": lambda: nn.GINConv(torch_nn.Linear(F, H), train_eps=True),
    "gin fixed": lambda: nn.GINConv(torch_nn.Linear(F, H), eps=0.5, flow="target_to_source"),
    "gated": lambda: nn.GatedGraphConv(H, 2),
    "gated mean": lambda: nn.GatedGraphConv(H, 2, aggr="mean", bias=False),
    "gated max": lambda: nn.GatedGraphConv(H, 2, aggr="max"),
    "sage": lambda: nn.SAGEConv(F, 2, normalize=True, project=True),
    "sage max": lambda: nn.SAGEConv(F, H, aggr="max", flow="target_to_source"),
    "graph": lambda: nn.GraphConv(F, H),
    "graph mean": lambda: nn.GraphConv(F, 2, aggr="mean"),
    "graph max": lambda: nn.GraphConv(F, 2, aggr="max"),
    "cheb": lambda: nn.ChebConv(F, H, 3),
    "cheb narrow": lambda: nn.ChebConv(F, 2, 3, normalization=None, flow="target_to_source"),
    "cheb rw": lambda: nn.ChebConv(F, 2, 2, normalization="rw"),
    "sg": lambda: nn.SGConv(F, H, 2),
    "tag": lambda: nn.TAGConv(F, H, 2),
    "tag narrow": lambda: nn.TAGConv(F, 2, normalize=False),
    "appnp": lambda: nn.APPNP(2, 0.1),
    "arma": lambda: nn.ARMAConv(F, H, num_stacks=2, num_layers=2),
    "gine": lambda: nn.GINEConv(torch_nn.Linear(F, H), edge_dim=EDGE, train_eps=True),
    "edge": lambda: nn.EdgeConv(torch_nn.Linear(2 * F, H)),
    "gcn2": lambda: nn.GCN2Conv(F, 0.1, 0.5, 1, shared_weights=False),
    "nn": lambda: nn.NNConv(F, H, torch_nn.Sequential(torch_nn.Linear(EDGE, 5), torch_nn.Linear(5, F * H))),
    "nn max": lambda: nn.NNConv(F, H, torch_nn.Linear(EDGE, F * H), aggr="max"),
    "pna": lambda: nn.PNAConv(F, H, ["sum", "min", "std"], ["identity", "attenuation"], torch.tensor([1, 2]), EDGE, 2),
    "sage lstm": lambda: nn.SAGEConv(F, H, aggr="lstm"),
    "rgcn": lambda: nn.RGCNConv(F, H, 3, num_bases=2),
    "rgcn narrow": lambda: nn.RGCNConv(F, 2, 3, aggr="add"),
    "rgcn max": lambda: nn.RGCNConv(F, H, 3, num_blocks=1, aggr="max"),
}


@ways
@pytest.mark.parametrize("listed", [False, True], ids=["topology", "edge list"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("conv", CONVS)
def test_convolutions(conv, weighted, listed, fresh, dtype):
    given = {"x": leaf(RING.num_nodes, F, dtype=dtype), "edge_index": RING.edge_index if listed else RING}
    if conv == "gcn2":
        given["x_0"] = leaf(RING.num_nodes, F, dtype=dtype)
    if conv.startswith(("gine", "nn", "pna")):
        given["edge_attr"] = leaf(RING.num_edges, EDGE, dtype=dtype)
    if conv.startswith("rgcn"):
        given["edge_type"] = torch.arange(RING.num_edges) % 3
    if weighted and not conv.startswith(("gin", "transformer", "sage", "edge", "rgcn", "nn", "pna")):
        name = "edge_attr" if conv in ("gat", "gatv2") else "edge_weight"
        given[name] = torch.rand(RING.num_edges, dtype=dtype, requires_grad=True)
    # An edge list is compared with what it was, and so are relations.
    waits = listed or conv.startswith("rgcn")
    check(called, given, fresh=fresh, dtype=dtype, module=CONVS[conv](), waits=waits)


@ways
@pytest.mark.parametrize("listed", [False, True], ids=["links", "edge list"])
@pytest.mark.parametrize("conv", ["gin", "sage", "graph", "edge"])
def test_a_bipartite_convolution(conv, listed, fresh, dtype):
    x = leaf(5, F, dtype=dtype), leaf(4, F, dtype=dtype)
    given = {"x": x, "edge_index": PAIR.edge_index if listed else PAIR}
    check(called, given, fresh=fresh, dtype=dtype, module=CONVS[conv](), waits=listed)


@ways
def test_sparse_features(fresh, dtype):
    x = nn.SparseFeatures.of(torch.randn(RING.num_nodes, F, dtype=dtype).relu())
    given = {"x": x, "edge_index": RING}
    check(called, given, fresh=fresh, dtype=dtype, module=nn.NodeClassifier(F, H, 2, dropout=0.0))


@ways
@pytest.mark.parametrize("listed", [False, True], ids=["topology", "batch"])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min"])
def test_readout(reduce, listed, fresh, dtype):
    given = {"x": leaf(DAG.num_nodes, 2, F, dtype=dtype), "where": DAG.batch if listed else DAG}
    check(lambda _, x, where: nn.readout(x, where, reduce), given, fresh=fresh, dtype=dtype, waits=listed)


SYMMETRIC = gs.Topology.from_edge_index(
    torch.cat([RING.edge_index, RING.edge_index.flip(0)], 1), batch=RING.batch, num_graphs=RING.num_graphs
)
UNJOINED = gs.Topology.from_edge_index(SYMMETRIC.edge_index, RING.num_nodes)


@ways
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("structure", [SYMMETRIC, UNJOINED], ids=["graphs", "graph"])
def test_graph_fourier_transform(structure, weighted, fresh, dtype):
    def heat(_, x, topology, weight):
        basis = spectral.basis(topology, weight, normalization="sym", dtype=dtype)
        return spectral.filter(x, basis, lambda values: torch.exp(-values))

    weight = torch.ones(structure.num_edges, dtype=dtype) if weighted else None  # computed anew for weights
    given = {"x": leaf(structure.num_nodes, F, dtype=dtype), "topology": structure, "weight": weight}
    check(heat, given, fresh=fresh, dtype=dtype, waits=weighted)


@ways
@pytest.mark.parametrize("normalization", [None, "sym"])
@pytest.mark.parametrize("structure", [SYMMETRIC, UNJOINED], ids=["graphs", "graph"])
def test_spectral_filters(structure, normalization, fresh, dtype):
    given = {"x": leaf(structure.num_nodes, F, dtype=dtype), "edge_index": structure}
    smooth = nn.SpectralConv(F, H, normalization=normalization)
    check(called, given, fresh=fresh, dtype=dtype, module=smooth)
    if structure is UNJOINED:
        check(called, given, fresh=fresh, dtype=dtype, module=nn.SpectralConv(F, H, 3, smooth=False))


def two(conv, connection, **options):
    return nn.Stack([conv(F) for _ in range(2)], connection=connection, **options)


DEEP = {
    "pair norm": lambda: nn.PairNorm(scale_individually=True, eps=0.5),
    "graph norm": lambda: nn.GraphNorm(F, eps=0.5),
    "residual": lambda: two(lambda f: nn.GCNConv(f, f), "residual", norm=nn.PairNorm(eps=0.5), jump="max"),
    "initial": lambda: two(lambda f: nn.GCN2Conv(f, 0.1), "initial", norm=nn.GraphNorm(F, eps=0.5)),
    "lstm": lambda: two(lambda f: nn.GCNConv(f, f), "initial", jump=nn.JumpingKnowledge("lstm", F, 2)),
}


@ways
@pytest.mark.parametrize("name", DEEP)
def test_deep_networks(name, fresh, dtype):
    fresh |= name == "lstm"  # as above
    given = {"x": leaf(RING.num_nodes, F, dtype=dtype), "topology": RING}
    check(lambda m, x, topology: m(x, topology), given, fresh=fresh, dtype=dtype, module=DEEP[name]())
    check(lambda _, x, topology: spectral.dirichlet_energy(x, topology, normalization="sym"), given, fresh=fresh,
          dtype=dtype)  # fmt: skip


def test_edges_are_dropped_there():
    with pretence():
        for topology in (RING.to(DEVICE), RING.edge_index.to(DEVICE)):
            for undirected in (False, True):
                kept, mask = nn.drop_edge(topology, 0.5, undirected=undirected)
                assert kept.device == mask.device == DEVICE


BLOCKS = {
    "deep sets": lambda: nn.DeepSets(torch_nn.Linear(F, H), torch_nn.Linear(H, 2)),
    "relation": lambda: nn.RelationNetwork(torch_nn.Linear(2 * F, H), torch_nn.Linear(H, 2)),
    "communication": lambda: nn.CommNet(F, H),
    "non-local": lambda: nn.NonLocalNetwork(F, 2, H),
    "message passing": lambda: nn.MPNN(torch_nn.Linear(2 * F, H), torch_nn.Linear(H + F, F), torch_nn.Linear(F, 2)),
    "structure2vec": lambda: nn.Structure2Vec(F, H, 2),
    "recurrent": lambda: nn.RecurrentGraphNetwork(
        nn.GraphNetwork(torch_nn.Linear(2 * F + 2 * H, H), torch_nn.Linear(2 * H + F, H)), nn.GRUCell(H, H), steps=2),
    "encode": lambda: nn.EncodeProcessDecode(
        nn.GraphIndependent(None, torch_nn.Linear(F, H)),
        nn.ResidualGraphNetwork(nn.GraphNetwork(torch_nn.Linear(4 * H, H), torch_nn.Linear(3 * H, H))),
        nn.GraphIndependent(None, torch_nn.Linear(H, 2)), steps=1),
}  # fmt: skip


@ways
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks(name, fresh, dtype):
    given = {"x": leaf(RING.num_nodes, F, dtype=dtype), "topology": RING}
    check(lambda m, x, topology: m(x, topology), given, fresh=fresh, dtype=dtype, module=BLOCKS[name]())


MODELS = {
    "graphs": (lambda: nn.GraphClassifier(F, H, 2, dropout=0.0), lambda dtype: (leaf(6, F, dtype=dtype), RING)),
    "nodes": (lambda: nn.NodeClassifier(F, H, 2, dropout=0.0), lambda dtype: (leaf(6, F, dtype=dtype), RING)),
    "deep graphs": (
        lambda: nn.GraphClassifier(F, F, 2, num_layers=2, conv="gcn", norm=lambda f: nn.GraphNorm(f, eps=0.5),
                                   connection="initial", dropout=0.0),
        lambda dtype: (leaf(6, F, dtype=dtype), RING),
    ),
    "deep nodes": (
        lambda: nn.NodeClassifier(F, H, 2, num_layers=3, conv="gat", heads=2, connection="dense", dropout=0.0),
        lambda dtype: (leaf(6, F, dtype=dtype), RING),
    ),
    "sequences": (lambda: nn.SequenceClassifier(F, H, 2), lambda dtype: (leaf(2, 3, F, dtype=dtype),)),
    "trees": (lambda: nn.TreeClassifier(9, F, H, 2), lambda dtype: (torch.tensor([3, 8, -1, 0, -1, 3, -1]), TREE)),
}


@ways
@pytest.mark.parametrize("model", MODELS)
def test_models(model, fresh, dtype):
    make, given = MODELS[model]
    fresh |= model == "sequences"  # as above
    waits = model == "trees"  # the nodes that carry symbols are counted
    given = {"given": given(dtype)}
    check(lambda m, given: m(*given), given, fresh=fresh, dtype=dtype, module=make(), waits=waits)


@ways
@pytest.mark.parametrize("labels", [1, 3])
def test_a_parser(labels, fresh, dtype):
    sentences = gs.Topology.chain([4, 1, 3])
    words, affixes = torch.tensor([1, 2, 0, 3, 3, 2, 1, 4]), torch.tensor([[1, 0], [2, 3]]).repeat(4, 1)
    gold = torch.tensor([[0, 0, 4, 1], [0, 0, 2, 2], [1, 0, 1, 1], [2, 0, 3, 2], [2, 1, 3, 0]])
    singles = torch.tensor([[i, at, at + 1, 0] for i, n in enumerate([4, 1, 3]) for at in range(n) if i != 1])
    other = torch.tensor([[0, 2, 4, 0]])
    gold = torch.cat([gold, singles, other])
    gold[:, 3].clamp_(max=labels - 1)
    parser = nn.SpanParser(5, 4, labels, embedding_size=F, affix_size=2, hidden_size=H, span_size=5, dropout=0.0)
    parser.unknown = 0.0

    def call(m, words, affixes, topology, gold):
        scores = m(words, affixes, topology)
        found = [part for by in (True, False) for part in parsing.decode(scores, by_marginals=by)]
        assert all(part.device == words.device for part in found)
        decoded = torch.cat([part.flatten() for part in found]) + 0 * scores.scores.sum()
        return scores.scores, parsing.tree_crf(scores, gold), parsing.max_margin(scores, gold), decoded

    given = {"words": words, "affixes": affixes, "topology": sentences, "gold": gold}
    check(call, given, fresh=fresh, dtype=dtype, module=parser, waits=True)  # for the number of spans


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_charts_of_cuda_as_the_others(dtype):
    """What charts are on CUDA; here on tensors of the CPU, where there is none."""
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for lengths in ([9, 1, 0, 5], [0], [], [1, 2]):
        size = max(lengths, default=3) + 2
        scores, grad = (torch.randn(len(lengths), size, size, dtype=dtype) * 9 for _ in range(2))
        scores[:, 1::2] = scores[:, 1::2].round()  # with ties
        for i, n in enumerate(lengths):
            scores[i, n + 1 :] = scores[i, :, n + 1 :] = 1e4  # what is no span is never read
        n = torch.tensor(lengths, dtype=torch.int64)
        chart = OPERATORS["chart_inside"].bodies["cpu"](scores, n)
        for name, given in (("inside", (scores, n)), ("outside", (grad, scores, n, chart)), ("best", (scores, n))):
            operator = OPERATORS[f"chart_{name}"]
            kept = [t.to(place) for t in given]
            found = operator.bodies["cuda"](*kept).cpu()
            assert_close(found, operator.bodies["cpu"](*given), 2e-5 if dtype == torch.float32 else 1e-10)
            assert all(torch.equal(a.cpu(), b) for a, b in zip(kept, given, strict=True))
        split = OPERATORS["chart_best"].bodies["cpu"](scores, n)
        tree = OPERATORS["chart_tree"]
        assert torch.equal(tree.bodies["cuda"](split.to(place), n.to(place)).cpu(), tree.bodies["cpu"](split, n))


# ------------------------------------------------------------------------------------------------------ one aggregation

MERGES = {
    **{name: name for name in ("sum", "mean", "max", "min", "std", "softmax", "slots")},
    "own": Shares(),
    "attention": gs.Softmax(lambda sent, received, edge: (sent[0] * received).sum(-1)),
    "heads": gs.Softmax(lambda sent, received, edge: (sent[0] * received).unflatten(1, (2, -1)).sum(-1)),
}
FORMS = {
    "copy": (gs.COPY, None),
    "scale": (gs.SCALE, ()),
    "scale heads": (gs.SCALE, (2,)),
    "callable": (lambda sent, received, edge: (sent[0] * received + edge, sent[0]), (H,)),
}


@ways
@pytest.mark.parametrize("square", [False, True], ids=["links", "topology"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("merge", MERGES)
def test_aggregate(merge, form, square, fresh, dtype):
    links, (message, shape) = RING if square else PAIR, FORMS[form]
    edge_attr = None if shape is None else leaf(links.num_edges, *shape, dtype=dtype)
    given = {"links": links, "h": leaf(links.num_senders, H, dtype=dtype), "edge_attr": edge_attr}
    given["received"] = leaf(links.num_receivers, H, dtype=dtype)

    def call(_, links, h, received, edge_attr):
        options = {"message": message, "merge": MERGES[merge], "edge_attr": edge_attr}
        return core.aggregate(links, (h,), received=received, **options)

    check(call, given, fresh=fresh, dtype=dtype)


@ways
@pytest.mark.parametrize("square", [False, True], ids=["links", "topology"])
def test_messages_and_what_reduces_them(square, fresh, dtype):
    links = RING if square else PAIR
    given = {"links": links, "h": leaf(links.num_senders, H, dtype=dtype)}
    given |= {"received": leaf(links.num_receivers, H, dtype=dtype), "edge": leaf(links.num_edges, H, dtype=dtype)}

    def message(sent, received, edge):
        return gs.Messages((sent[0] * edge,), edge + received)

    def call(_, links, h, received, edge):
        made = core.messages(links, (h,), message=message, received=received, edge_attr=edge)
        return made, [core.reduce(links, made.state, merge=merge) for merge in ("sum", "max", "slots")]

    check(call, given, fresh=fresh, dtype=dtype)


# ------------------------------------------------------------------------------------------------------- the structures


def parts(topology):
    """All that a topology says and compiles."""
    turned, looped = topology.reverse(), spectral.gcn_norm(topology)
    both = [
        (t.edge_index, t.graph_ptr, t.batch, t.slot, t.level, *t.packed, *t.numbers, *t.matrix, t.in_degree, t.roots)
        for t in (topology, turned)
    ]
    return [*both, topology.members.edge_index, topology.root_members.edge_index, looped[0].edge_index, looped[1]]


CONSTRUCTORS = {
    "chain": (gs.Topology.chain, torch.tensor([3, 0, 4, 1])),
    "tree": (gs.Topology.tree, torch.tensor([2, 2, 4, 4, 6, 6, -1])),
    "tree with slots": (gs.Topology.tree, torch.tensor([2, 2, -1]), torch.tensor([1, 0, 0])),
    "edges": (gs.Topology.from_edge_index, DAG.edge_index),
    "edges in graphs": (gs.Topology.from_edge_index, DAG.edge_index, 8, DAG.batch),
    "batch": (
        lambda *given: gs.batch([gs.Topology.from_edge_index(index) for index in given]), DAG.edge_index,
        torch.tensor([[0, 0], [1, 2]]),
    ),
    "member": (
        lambda index, batch: gs.unbatch(gs.Topology.from_edge_index(index, batch=batch))[1], DAG.edge_index, DAG.batch,
    ),
    "subgraph": (
        lambda index, nodes: gs.Topology.from_edge_index(index).subgraph(nodes).topology, DAG.edge_index,
        torch.tensor([0, 2, 3, 5]),
    ),
    "coarser": (
        lambda index, cluster: gs.Topology.from_edge_index(index).coarsen(cluster).topology, DAG.edge_index,
        torch.tensor([0, 0, 1, 2, 2, 3, 3]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("constructor", CONSTRUCTORS)
def test_structures_made_there(constructor):
    make, *given = CONSTRUCTORS[constructor]
    wanted = parts(make(*given))
    with pretence():
        there = make(*(moved(v, False) for v in given))
        assert there.device == DEVICE
        found = parts(there)
    for a, b in zip(tree_leaves(found), tree_leaves(wanted), strict=True):
        if isinstance(a, torch.Tensor):
            assert torch.equal(a.held if isinstance(a, Pretended) else a, b)
        else:
            assert a == b
    for field, t in there.packed._asdict().items():
        assert isinstance(t, Pretended) == (field not in ("level_ptr", "level_edges", "form")), field


def use(topology, x, layer, cell):
    """Run what compiles anything, forwards and backwards."""
    layer(x, topology=topology)
    for reverse in (False, True):
        nn.Recurrent(cell, gs.Sweep(reverse))(x, topology)
    for reduce in ("sum", "mean", "max"):
        nn.readout(x, topology, reduce)
    for t in (topology, topology.reverse()):
        for improved, loops in product([False, True], [False, True]):
            spectral.gcn_norm(t, improved=improved, add_self_loops=loops, dtype=x.dtype)
        core.aggregate(t, (x,), merge="slots")


@pytest.mark.parametrize("structure", ACYCLIC)
def test_a_move_keeps_all_that_is_compiled(monkeypatch, structure):
    one = ACYCLIC[structure]
    topology = gs.Topology(one.edge_index, one.num_nodes, one.graph_ptr, one._slot)
    x, layer, cell = torch.randn(one.num_nodes, F), nn.GRU(F, H, bidirectional=True), nn.NaryTreeLSTMCell(F, H)
    use(topology, x, layer, cell)
    call = Operator.__call__

    def refuse(operator, *given):
        assert operator.name not in ("csr", "levels", "pack", "remaining_loops"), operator.name
        return call(operator, *given)

    with pretence() as device:
        there, x, layer, cell = (part.to(DEVICE) for part in (topology, x, layer, cell))
        same_tensors(there, topology, set())
        monkeypatch.setattr(Operator, "__call__", refuse)
        monkeypatch.setattr(spectral.matrices, "spmm", None)  # which sums the degrees
        device.waits.clear()
        use(there, x, layer, cell)
        assert device.waits == []
        assert there.reverse().reverse() is there
        assert there.to("cpu") == topology


def same_tensors(there, here, seen):
    """Whatever one holds on the CPU, the other holds there."""
    if id(here) in seen:
        return
    seen.add(id(here))
    if isinstance(here, Packed):
        there, here = there.structure()[2:5], here.structure()[2:5]
    if isinstance(here, torch.Tensor):
        assert isinstance(there, Pretended)
        assert torch.equal(there.held, here)
    elif isinstance(here, gs.Links):
        assert type(there) is type(here)
        for name in vars(here).keys() - {"_plans"}:
            same_tensors(getattr(there, name), getattr(here, name), seen)
    elif isinstance(here, dict):
        assert there.keys() >= here.keys()
        for key, value in here.items():
            same_tensors(there[key], value, seen)
    elif isinstance(here, tuple | list):
        for a, b in zip(there, here, strict=True):
            same_tensors(a, b, seen)
    else:
        assert there == here


# ---------------------------------------------------------------------------------------------- the device itself


def test_the_device_refuses_what_a_device_refuses():
    here = torch.randn(3, 2)
    with pretence() as device:
        there = here.to(DEVICE)
        assert there.device == DEVICE
        for mixed in (
            lambda: there + here,
            lambda: here @ there.t(),
            lambda: there[torch.tensor([0, 1])],
            lambda: here.index_select(0, torch.tensor([0, 1], device=DEVICE)),
            lambda: torch.cat([there, here]),
            lambda: there.copy_(here),
        ):
            with pytest.raises(MixedDevices):
                mixed()
        with pytest.raises((TypeError, RuntimeError)):
            there.numpy()
        assert_close((there * torch.tensor(2.0) + 1).cpu(), here * 2 + 1)
        assert torch.arange(3, device=DEVICE).tolist() == [0, 1, 2]
        device.waits.clear()
        there.sum().item()
        assert device.waits == ["aten._local_scalar_dense.default"]


def test_errors_name_tensors_of_several_devices():
    layer, chain = nn.Recurrent(nn.GRUCell(F, H)), gs.Topology.chain([2, 3])
    x, state = torch.randn(5, F), torch.randn(2, H)
    with pretence():
        there, weights = x.to(DEVICE), deepcopy(layer).to(DEVICE)
        for given, named in (
            ((layer, x, chain.to(DEVICE)), "topology"),
            ((layer, there, chain), "topology"),
            ((layer, there, chain.to(DEVICE)), "x"),
            ((weights, there, chain.to(DEVICE), state), "state"),
        ):
            with pytest.raises(gs.GraphError, match=named):
                given[0](*given[1:])
        with pytest.raises(gs.GraphError, match="topologies"):
            gs.batch([chain, chain.to(DEVICE)])


# ---------------------------------------------------------------------------------------------- bodies for CUDA


def pattern(rows, columns, r, c):
    return csr(torch.stack([columns, rows]), c, r)


PATTERNS = {
    "some": (torch.tensor([2, 0, 2, 2, 4]), torch.tensor([1, 1, 0, 1, 2]), 6, 3),
    "no edges": (torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), 3, 2),
    "no rows": (torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), 0, 2),
    "no columns": (torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), 2, 0),
    "many": (torch.arange(60) * 7 % 11, torch.arange(60) * 5 % 13, 12, 13),
}
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [0, 1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("edges", PATTERNS)
def test_cusparse_sums_over_neighbours_as_the_others_do(edges, weighted, width, dtype):
    rows, columns, r, c = PATTERNS[edges]
    spmm, given = OPERATORS["spmm"], pattern(rows, columns, r, c)
    weight = torch.randn(rows.numel(), dtype=dtype) if weighted else None
    x = torch.randn(width, c, dtype=dtype).t()
    dense = torch.zeros(r, c, dtype=dtype)
    dense.index_put_((rows, columns), torch.ones(rows.numel(), dtype=dtype) if weight is None else weight, True)
    for body in (spmm.bodies["cuda"], spmm.bodies["cpu"], spmm.body):
        assert_close(body(weight, x, *given), dense @ x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [0, 1, 3])
@pytest.mark.parametrize("lengths", [[2, 0, 3, 0], [], [0, 0], [5], [1] * 40])
def test_cusparse_sums_segments_as_the_others_do(lengths, width, dtype):
    total, ptr = OPERATORS["segment_sum"], torch.tensor([0, *lengths]).cumsum(0)
    values = torch.randn(sum(lengths), width, dtype=dtype)
    wanted = [part.sum(0) for part in values.split(lengths)]
    for body in (total.bodies["cuda"], total.bodies["cpu"], total.body):
        assert_close(body(values, ptr), torch.stack(wanted) if wanted else values.new_zeros(0, width))


@pytest.mark.parametrize("where", ["cuda", "cpu"])
def test_whole_numbers_are_summed_everywhere(where):
    x, ptr = torch.arange(6).view(3, 2), torch.tensor([0, 2, 2, 3])
    assert OPERATORS["segment_sum"].bodies[where](x, ptr).tolist() == [[2, 4], [0, 0], [4, 5]]
    given = pattern(torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]), 3, 3)
    assert OPERATORS["spmm"].bodies[where](None, x, *given).tolist() == [[2, 4], [0, 0], [4, 5]]
