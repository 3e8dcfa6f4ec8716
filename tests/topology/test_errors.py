"""Bad structure is an error that names the argument, says what was expected, and what came."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Data

from graphseq import GraphError, Topology, batch, unbatch

EDGE = torch.tensor([[0, 1], [1, 2]])
MEMBERS = torch.tensor([0, 0, 1])

BAD_EDGE_INDEX = [
    (EDGE.float(), r"expected int64 of shape \[2, E\], got float32 of shape \[2, 2\]"),
    (EDGE.int(), "got int32"),
    (EDGE.t().tolist(), "got list"),
    (EDGE[0], r"got int64 of shape \[2\]"),
    (torch.zeros(3, 2, dtype=torch.int64), r"got int64 of shape \[3, 2\]"),
    (torch.zeros(3, 2, dtype=torch.int64), r"transpose it: edge_index\.t\(\)"),
    (EDGE.numpy(), r"got a NumPy array, int64 of shape \[2, 2\]; torch\.from_numpy\(…\) makes a tensor of it"),
    (EDGE[None], r"got int64 of shape \[1, 2, 2\]"),
    (None, "got None"),
]


@pytest.mark.parametrize(("value", "message"), BAD_EDGE_INDEX)
def test_edge_index_of_another_kind(value, message):
    with pytest.raises(GraphError, match=f"`edge_index`: .*{message}"):
        Topology.from_edge_index(value)


@pytest.mark.parametrize(("num_nodes", "edges", "wrong"), [(2, EDGE, "2"), (3, EDGE - 1, "-1"), (0, EDGE, "1")])
def test_edges_out_of_range(num_nodes, edges, wrong):
    with pytest.raises(GraphError, match=f"`edge_index`: .*got {wrong} at edge"):
        Topology.from_edge_index(edges, num_nodes)
    with pytest.raises(GraphError, match=f"`edge_index`: .*got {wrong} at edge"):
        Topology.from_edge_index(edges, batch=torch.zeros(num_nodes, dtype=torch.int64))


def test_indices_that_are_counted_from_1():
    hint = r"got 3( at edge 1)?; are they counted from 1\?"
    with pytest.raises(GraphError, match=hint):
        Topology.from_edge_index(EDGE + 1, 3)
    with pytest.raises(GraphError, match=hint):
        Topology.chain([4]).coarsen(torch.tensor([1, 2, 2, 3]), 3)
    with pytest.raises(GraphError, match=r"got 3 at edge 1$"):
        Topology.from_edge_index(torch.tensor([[0, 1], [1, 3]]), 3)


@pytest.mark.parametrize("num_nodes", [-1, 2.0, "3", True])
def test_num_nodes(num_nodes):
    with pytest.raises(GraphError, match="`num_nodes`: expected a whole number ≥ 0"):
        Topology.from_edge_index(EDGE, num_nodes)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (MEMBERS.float(), r"int64 of shape \[N\], got float32"),
        (MEMBERS[None], r"int64 of shape \[N\], got int64 of shape \[1, 3\]"),
        (MEMBERS.tolist(), r"int64 of shape \[N\], got list"),
        (MEMBERS.flip(0), "ascending"),
        (MEMBERS - 1, "got -1"),
        (MEMBERS.to("meta"), "a tensor on cpu, as `edge_index` is, got .* on meta"),
    ],
)
@pytest.mark.parametrize("num_nodes", [3, None])
def test_batch_vector(members, message, num_nodes):
    edges = torch.empty(2, 0, dtype=torch.int64)
    with pytest.raises(GraphError, match=f"`batch`: .*{message}"):
        Topology.from_edge_index(edges, num_nodes, batch=members)


def test_batch_vector_of_another_length():
    with pytest.raises(GraphError, match=r"`batch`: .*\[3\], one entry a node, got int64 of shape \[2\]"):
        Topology.from_edge_index(EDGE, 3, MEMBERS[:2])


def test_edges_across_graphs():
    with pytest.raises(GraphError, match=r"`edge_index`: .* the edge 1 → 2 between two"):
        Topology.from_edge_index(EDGE, batch=MEMBERS)


def test_num_graphs():
    with pytest.raises(GraphError, match=r"`batch`: .*got 1$"):
        Topology.from_edge_index(EDGE[:, :1], batch=MEMBERS, num_graphs=1)
    with pytest.raises(GraphError, match="`num_graphs`: expected a whole number"):
        Topology.from_edge_index(EDGE[:, :1], batch=MEMBERS, num_graphs=2.5)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([2, -1], "numbers ≥ 0, got -1"),
        (torch.tensor([-3]), "numbers ≥ 0, got -3"),
        (torch.tensor([1.0]), "got float32"),
        (torch.tensor([[1]]), r"got int64 of shape \[1, 1\]"),
        (torch.tensor(3), r"got int64 of shape \[\]"),
        ([1.5], "got list"),
        ([True], "got list"),
        (4, "got 4"),
        (np.array([[1]]), r"got a NumPy array, int64 of shape \[1, 1\]"),
    ],
)
def test_lengths(lengths, message):
    with pytest.raises(GraphError, match=f"`lengths`: .*{message}"):
        Topology.chain(lengths)


@pytest.mark.parametrize(
    ("parent", "message"),
    [([3, -1, 0], "got 3"), ([-2], "got -2"), (torch.tensor([-1.0]), "got float32"), (None, "None")],
)
def test_parents(parent, message):
    with pytest.raises(GraphError, match=f"`parent`: .*{message}"):
        Topology.tree(parent)


@pytest.mark.parametrize(
    ("parent", "cycle"),
    [([1, 0], "0 → 1 → 0|1 → 0 → 1"), ([0], "0 → 0"), ([1, 2, 1, -1], "1 → 2 → 1|2 → 1 → 2")],
)
def test_a_cycle_of_parents(parent, cycle):
    with pytest.raises(GraphError, match=cycle) as caught:
        Topology.tree(parent)
    assert "`parent`" in str(caught.value)


@pytest.mark.parametrize(
    ("slot", "message"),
    [
        ([0, 0, 0], "two siblings in one"),
        ([0, -1, 0], "numbers ≥ 0, got -1"),
        ([0, 1], r"int64 of shape \[3\]"),
        (torch.tensor([0.0, 1.0, 0.0]), "got float32"),
        (torch.tensor([0, 1, 0], device="meta"), "on meta"),
    ],
)
def test_slots(slot, message):
    with pytest.raises(GraphError, match=f"`slot`: .*{message}"):
        Topology.tree([2, 2, -1], slot)


@pytest.mark.parametrize("data", [None, 3, "graph", EDGE])
def test_from_data_of_something_else(data):
    with pytest.raises(GraphError, match="`data`"):
        Topology.from_data(data)


def test_from_data_with_bad_edges():
    with pytest.raises(GraphError, match=r"`edge_index`: .*got 5"):
        Topology.from_data(Data(edge_index=torch.tensor([[0], [5]]), num_nodes=2))
    with pytest.raises(GraphError, match=r"`data`: .*number of nodes"):
        Topology.from_data(Data())


@pytest.mark.parametrize("graph", [None, EDGE, [(0, 1)], sp.eye(2)])
def test_from_networkx_of_something_else(graph):
    with pytest.raises(GraphError, match="`graph`: expected a networkx graph"):
        Topology.from_networkx(graph)


@pytest.mark.parametrize("adjacency", [None, np.eye(2), sp.coo_matrix((2, 3)), nx.path_graph(2)])
def test_from_scipy_of_something_else(adjacency):
    with pytest.raises(GraphError, match="`adjacency`: expected a square SciPy sparse matrix"):
        Topology.from_scipy(adjacency)


def test_batch_of_something_else():
    chain = Topology.chain([2])
    with pytest.raises(GraphError, match=r"`topologies\[1\]`: expected a Topology, got int64"):
        batch([chain, EDGE])
    with pytest.raises(GraphError, match=r"`topologies\[2\]`: expected a Topology on cpu, .* got meta"):
        batch([chain, chain, chain.to("meta")])


def test_taking_apart_what_is_no_topology():
    with pytest.raises(GraphError, match="`topology`: expected a Topology, got 3"):
        unbatch(3)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:x", *([] if torch.cuda.is_available() else ["cuda"])])
def test_devices_that_are_not_there(device):
    for value in (Topology.chain([3]), Topology.chain([3]).reverse()):
        with pytest.raises(GraphError, match=f"`device`: expected a device that PyTorch sees, got {device!r}"):
            value.to(device)
