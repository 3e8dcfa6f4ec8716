"""The schedules and structures that the tests of PyTorch's machinery run on, and a loop over nodes beside each."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import Linear, Parameter
from torch_geometric.data import Batch, Data

import graphseq as gs
from graphseq import nn
from tests.oracles import Sent, leaf, recursion, tensors, total

H = 3
CHAINS = gs.Topology.chain([3, 0, 1, 3])
TREE = gs.Topology.tree([4, 4, 3, 5, 5, -1, 5])
DAG = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1, 1, 5], [1, 2, 3, 3, 4, 4, 6]]), 7)
RING = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0, 3, 3, 4, 4], [1, 2, 0, 2, 3, 4, 5, 5]]), 7)
DTYPES = torch.float32, torch.float64  # by operators, where there are any; by equations
MODES = torch.enable_grad, torch.no_grad, torch.inference_mode


class Way(NamedTuple):
    """A schedule on a structure of seven nodes."""

    name: str
    schedule: gs.Schedule
    topology: gs.Topology

    @property
    def rounds(self) -> bool:
        return isinstance(self.schedule, gs.Rounds)

    def run(self, cell: gs.Cell, x: Tensor, state: Any = None, **options: Any) -> Any:
        return nn.Recurrent(cell, self.schedule)(x, self.topology, state, **options)

    def by_hand(self, step: Any, x: Tensor, edge_attr: Tensor | None = None) -> Any:
        """Take a step for one node after another: in a sweep `step(x_v, what its predecessors are)`, in rounds
        `step(Σ step.send(a predecessor, its edge), its own state)`.
        """
        edges = self.topology.edge_index
        if not self.rounds:
            return recursion(step, x, edges, (H,), edge_attr=edge_attr)
        h = x
        for _ in range(self.schedule.k):
            h = torch.stack([step(m, [Sent((own,), 0, None)])[0] for m, own in self._merged(step, h, edge_attr)])
        return (h,)

    def _merged(self, step: Any, h: Tensor, edge_attr: Tensor | None) -> Any:
        senders, receivers = self.topology.edge_index.tolist()
        for v in range(7):
            into = [e for e, w in enumerate(receivers) if w == v]
            sent = [step.send(h[senders[e]], None if edge_attr is None else edge_attr[e]) for e in into]
            yield total(sent, h.size(1), h), h[v]

    def twice(self) -> "Way":
        """The same on two such structures, which have two rows a level at least."""
        return self._replace(topology=gs.batch([self.topology, self.topology]))


SWEEPS = [Way("chains", gs.Sweep(), CHAINS), Way("tree", gs.Sweep(), TREE), Way("dag", gs.Sweep(), DAG)]
WAYS = [*SWEEPS, Way("rounds on a tree", gs.Rounds(2), TREE), Way("rounds on a ring", gs.Rounds(3), RING)]
ways = pytest.mark.parametrize("way", WAYS, ids=[w.name for w in WAYS])
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def near(dtype: torch.dtype) -> float:
    return 2e-5 if dtype == torch.float32 else 1e-10


class Reads(gs.Cell):
    """``h = tanh(p + W Σ σ(r) ∘ h_u + r)``, where r `[H]` comes from anywhere."""

    state_sizes = (H,)

    def __init__(self, read: Callable[[], Tensor]) -> None:
        super().__init__()
        self.w = Parameter(torch.randn(H, H, dtype=torch.float64) / H)
        self.kept = [read]  # in a list, so that nothing of it is registered

    def message(self, sent, received, edge):
        return (sent[0] * torch.sigmoid(self.kept[0]()),)

    def update(self, p, state):
        return (torch.tanh(p + state[0] @ self.w.t() + self.kept[0]()),)


def reads(cell: Reads, way: Way, cut: bool = False) -> Any:
    """A node of it; with `cut`, what it is given gets no gradient."""
    read = cell.kept[0]

    def send(h, edge=None):
        return torch.sigmoid(read()) * h

    def step(x, sent):
        m = total((s.state[0] if way.rounds else send(s.state[0]) for s in sent), H, x)
        return (torch.tanh(x + cell.w @ (m.detach() if cut else m) + read()),)

    step.send = send
    return step


def a_tensor():
    r = leaf(H)
    return (lambda: r), [r]


def peephole(f: int, h: int) -> gs.Cell:
    return nn.LSTMCell(f, h, peephole=True)


def cell_on(topology: gs.Topology, kind: Any, weight: str, k: int | None = None) -> Any:
    schedule, wide = (gs.Sweep(), H) if k is None else (gs.Rounds(k), 4)

    def call(m, x):
        return tensors(m(x.repeat(1, 2)[:, :wide], topology))[-1]

    return (lambda: nn.Recurrent(kind(wide, 4), schedule)), call, f"cell.{weight}"


GRAPH = torch.tensor([[0, 1, 2, 3, 3, 6], [1, 2, 3, 0, 1, 6]])


LAYERS = {
    "RNN": (lambda: nn.RNN(H, 4), lambda m, x: m(x)[0], "weight_hh_l0"),
    "RNN on a dag": (lambda: nn.RNN(H, 4), lambda m, x: m(x, topology=DAG)[0], "weight_ih_l0"),
    "GRU": (lambda: nn.GRU(H, 4, 2), lambda m, x: m(x[:, None])[1], "weight_hh_l1"),
    "GRU on a tree": (lambda: nn.GRU(H, 4), lambda m, x: m(x, topology=TREE)[0], "weight_hh_l0"),
    "LSTM": (lambda: nn.LSTM(H, 4), lambda m, x: m(x[:, None])[0], "weight_hh_l0"),
    "LSTM both ways": (lambda: nn.LSTM(H, 4, bidirectional=True), lambda m, x: m(x)[1][1], "weight_ih_l0_reverse"),
    "LSTM on chains": (lambda: nn.LSTM(H, 4), lambda m, x: m(x, topology=CHAINS)[0], "weight_hh_l0"),
    "TreeLSTM": (lambda: nn.TreeLSTM(H, 4), lambda m, x: m(x, TREE)[0], "weight_hh"),
    "TreeLSTM nary": (lambda: nn.TreeLSTM(H, 4, "nary", 3), lambda m, x: m(x, TREE)[1], "weight_ih"),
    "Elman cell": cell_on(CHAINS, nn.ElmanCell, "weight_hh"),
    "GRU cell": cell_on(DAG, nn.GRUCell, "weight_hh"),
    "GRU cell in rounds": cell_on(RING, nn.GRUCell, "weight_ih", 2),
    "LSTM cell": cell_on(TREE, nn.LSTMCell, "weight_ih"),
    "LSTM cell in rounds": cell_on(RING, nn.LSTMCell, "weight_hh", 2),
    "peephole cell": cell_on(DAG, peephole, "weight_hh"),
    "child-sum cell": cell_on(DAG, nn.ChildSumTreeLSTMCell, "weight_hh"),
    "GCN": (lambda: nn.GCNConv(H, 2), lambda m, x: m(x, GRAPH), "lin.weight"),
    "GCN to wider": (lambda: nn.GCNConv(H, 4), lambda m, x: m(x, GRAPH), "lin.weight"),
    "GIN": (lambda: nn.GINConv(Linear(H, 4), train_eps=True), lambda m, x: m(x, GRAPH), "nn.weight"),
    "SAGE": (lambda: nn.SAGEConv(H, 2, project=True), lambda m, x: m(x, GRAPH), "lin_l.weight"),
    "SAGE max": (lambda: nn.SAGEConv(H, 4, "max"), lambda m, x: m(x, GRAPH), "lin_r.weight"),
    "graph": (lambda: nn.GraphConv(H, 2), lambda m, x: m(x, GRAPH), "lin_rel.weight"),
    "Cheb": (lambda: nn.ChebConv(H, 2, 3), lambda m, x: m(x, GRAPH), "lins.1.weight"),
    "Cheb to wider": (lambda: nn.ChebConv(H, 4, 3), lambda m, x: m(x, GRAPH), "lins.2.weight"),
    "SG": (lambda: nn.SGConv(H, 2, 2), lambda m, x: m(x, GRAPH), "lin.weight"),
    "TAG": (lambda: nn.TAGConv(H, 2, 2), lambda m, x: m(x, GRAPH), "lins.1.weight"),
    "edge": (lambda: nn.EdgeConv(Linear(2 * H, 4)), lambda m, x: m(x, GRAPH), "nn.weight"),
    "GCN2": (lambda: nn.GCN2Conv(H, 0.1, 0.5, 1), lambda m, x: m(x, x, GRAPH), "weight1"),
    "gated": (lambda: nn.GatedGraphConv(4, 2), lambda m, x: m(x, GRAPH), "rnn.weight_hh"),
    "gated max": (lambda: nn.GatedGraphConv(4, 2, "max"), lambda m, x: m(x, GRAPH), "rnn.weight_ih"),
}


layers = pytest.mark.parametrize("name", LAYERS)


def made(name: str, dtype: torch.dtype = torch.float64) -> tuple[Any, Any, Tensor]:
    make, call, _ = LAYERS[name]
    return make().to(dtype), call, torch.randn(7, H, dtype=dtype)


def by_weights(layer: Any, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*layer.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def edges_and_batch():
    edges, batch = torch.tensor([[0, 1, 3], [1, 2, 4]]), torch.tensor([0, 0, 0, 1, 1])
    return gs.Topology.from_edge_index(edges, batch=batch), [edges, batch]


def parents_and_slots():
    parent, slot = torch.tensor([2, 2, 4, 4, -1]), torch.tensor([1, 0, 1, 0, 0])
    return gs.Topology.tree(parent, slot), [parent, slot]


def lengths_of_chains():
    lengths = torch.tensor([2, 0, 3])
    return gs.Topology.chain(lengths), [lengths]


def a_data():
    data = Data(edge_index=torch.tensor([[0, 1, 3], [1, 2, 4]]), num_nodes=5)
    return gs.Topology.from_data(data), [data.edge_index]


def a_batch_of_data():
    members = [Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3) for _ in range(2)]
    batch = Batch.from_data_list(members)
    return gs.Topology.from_data(batch), [batch.edge_index, batch.ptr, batch.batch]


def links_between():
    edges = torch.tensor([[0, 1, 2], [1, 1, 0]])
    return gs.Links.between(edges, 5, 5), [edges]


def a_subgraph():
    nodes = torch.tensor([0, 1, 3])
    return gs.Topology.chain([4]).subgraph(nodes).topology, [nodes]


def a_coarser_graph():
    cluster = torch.tensor([0, 0, 1, 1])
    return gs.Topology.chain([4]).coarsen(cluster, 2).topology, [cluster]


def members_of_clusters():
    cluster = torch.tensor([0, 0, 1, 1])
    return gs.Topology.chain([4]).coarsen(cluster, 2).members, [cluster]


MAKERS = [
    edges_and_batch, parents_and_slots, lengths_of_chains, a_data, a_batch_of_data, links_between, a_subgraph,
    a_coarser_graph, members_of_clusters,
]  # fmt: skip
