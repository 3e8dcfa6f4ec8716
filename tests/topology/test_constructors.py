"""Every way to build a topology against plain counting, networkx, SciPy and PyG."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from graphseq import GraphError, Topology, batch
from tests.strategies import dags, examples, graphs, parents

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=10)


def edges_of(topology):
    return [tuple(pair) for pair in topology.edge_index.t().tolist()]


@given(PAIRS, st.integers(0, 3))
def test_from_edge_index_keeps_the_edges_and_their_order(pairs, extra):
    edge_index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    least = max((max(pair) for pair in pairs), default=-1) + 1
    assert Topology.from_edge_index(edge_index).num_nodes == least
    t = Topology.from_edge_index(edge_index, least + extra)
    assert edges_of(t) == pairs
    assert (t.num_nodes, t.num_edges, t.num_graphs) == (least + extra, len(pairs), 1)
    assert t.batch.tolist() == [0] * (least + extra)
    assert t.graph_ptr.tolist() == [0, least + extra]


def test_from_edge_index_with_a_batch_vector():
    edge_index = torch.tensor([[3, 0], [2, 1]])
    t = Topology.from_edge_index(edge_index, batch=torch.tensor([0, 0, 2, 2]), num_graphs=5)
    assert (t.num_nodes, t.num_graphs) == (4, 5)
    assert t.graph_ptr.tolist() == [0, 2, 2, 4, 4, 4]
    assert t.batch.tolist() == [0, 0, 2, 2]
    assert edges_of(t) == [(3, 2), (0, 1)]
    assert Topology.from_edge_index(edge_index, batch=torch.tensor([0, 0, 2, 2])).num_graphs == 3
    none = torch.empty(0, dtype=torch.int64)
    assert Topology.from_edge_index(torch.empty(2, 0, dtype=torch.int64), batch=none).num_graphs == 0


@given(st.lists(st.integers(0, 6), max_size=5))
def test_chains(lengths):
    t = Topology.chain(torch.tensor(lengths, dtype=torch.int64))
    pairs, at = [], 0
    for length in lengths:
        pairs += [(v - 1, v) for v in range(at + 1, at + length)]
        at += length
    assert edges_of(t) == pairs
    assert (t.num_nodes, t.num_graphs) == (sum(lengths), len(lengths))
    assert t.batch.tolist() == [b for b, length in enumerate(lengths) for _ in range(length)]
    assert t.level.tolist() == [place for length in lengths for place in range(length)]
    assert t.num_levels == max(lengths, default=0)
    assert Topology.chain(lengths) == t


@given(parents(roots=True))
def test_trees(parent):
    t = Topology.tree(parent)
    assert edges_of(t) == [(v, u) for v, u in enumerate(parent) if u >= 0]
    assert (t.num_nodes, t.num_graphs) == (len(parent), 1)
    assert t.roots.tolist() == [v for v, u in enumerate(parent) if u < 0]
    siblings = {u: [v for v, w in enumerate(parent) if w == u] for u in parent}
    assert t.slot.tolist() == [siblings[u].index(v) for v, u in enumerate(parent) if u >= 0]
    assert Topology.tree(torch.tensor(parent, dtype=torch.int64)) == t


def test_slots_of_a_tree_are_kept():
    t = Topology.tree([2, 2, -1, 2], slot=[2, 0, 7, 1])
    assert edges_of(t) == [(0, 2), (1, 2), (3, 2)]
    assert t.slot.tolist() == [2, 0, 1]
    assert t != Topology.tree([2, 2, -1, 2])


@given(st.one_of(graphs(), dags()))
def test_slots_of_other_graphs_count_the_edges_into_each_node(t):
    seen = {}
    for place, (_, v) in zip(t.slot.tolist(), edges_of(t), strict=True):
        assert place == seen.get(v, 0)
        seen[v] = place + 1


@examples(30)
@given(PAIRS, st.booleans())
def test_from_networkx(pairs, directed):
    graph = (nx.MultiDiGraph if directed else nx.Graph)()
    graph.add_nodes_from(range(5, -1, -1))  # its own order of the nodes
    graph.add_edges_from(pairs)
    t = Topology.from_networkx(graph)
    nodes = list(graph.nodes)
    turned = [] if directed else [(v, u) for u, v in graph.edges() if u != v]
    wanted = [(nodes.index(u), nodes.index(v)) for u, v in [*graph.edges(), *turned]]
    assert sorted(edges_of(t)) == sorted(wanted)
    assert t.num_nodes == 6


def test_from_networkx_takes_any_names():
    t = Topology.from_networkx(nx.DiGraph([("a", (1, 2)), ((1, 2), frozenset({3}))]))
    assert edges_of(t) == [(0, 1), (1, 2)]
    assert Topology.from_networkx(nx.Graph()).num_nodes == 0


@pytest.mark.parametrize("form", [sp.coo_matrix, sp.csr_matrix, sp.csc_array, sp.lil_matrix])
def test_from_scipy(form):
    dense = np.array([[0, 2.0, 0], [0, 0, -1.0], [1.0, 0, 3.0]])
    t = Topology.from_scipy(form(dense))
    assert sorted(edges_of(t)) == [(0, 1), (1, 2), (2, 0), (2, 2)]
    assert t.num_nodes == 3
    assert Topology.from_scipy(form((4, 4))).num_nodes == 4


def member(n, pairs):
    return Data(x=torch.zeros(n, 1), edge_index=torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t())


def test_from_data():
    t = Topology.from_data(member(4, [(0, 1), (3, 1)]))
    assert (t.num_nodes, t.num_graphs, edges_of(t)) == (4, 1, [(0, 1), (3, 1)])
    assert Topology.from_data(Data(x=torch.zeros(3, 1))).num_edges == 0
    assert Topology.from_data(Data(num_nodes=2)).num_nodes == 2


def test_from_data_with_a_batch_vector_of_its_own():
    data = member(4, [(0, 1), (3, 2)])
    data.batch = torch.tensor([0, 0, 1, 1])
    t = Topology.from_data(data)
    assert (t.num_nodes, t.num_graphs, edges_of(t)) == (4, 2, [(0, 1), (3, 2)])


def test_from_a_pyg_batch_whose_last_graph_is_empty():
    data = Batch.from_data_list([member(2, [(0, 1)]), member(0, []), member(3, [(2, 0)]), member(0, [])])
    t = Topology.from_data(data)
    assert (t.num_nodes, t.num_graphs) == (5, 4)
    assert edges_of(t) == [(0, 1), (4, 2)]
    assert torch.equal(t.batch, data.batch)
    assert torch.equal(t.graph_ptr, data.ptr)


def test_a_topology_that_data_carries_is_taken_as_it_is():
    first, second = Topology.tree([1, -1]), Topology.chain([3])
    first.packed, second.packed  # noqa: B018
    data = [Data(x=torch.zeros(t.num_nodes, 1), topology=t) for t in (first, second)]
    assert Topology.from_data(data[0]) is first
    [loaded] = DataLoader(data, batch_size=2)
    joined = Topology.from_data(loaded)
    assert joined == batch([first, second])
    assert "level" in joined._memo


def test_subgraphs_of_equal_topologies_are_equal_whoever_asked_for_slots_before():
    kept = torch.tensor([1, 2])
    fresh, asked = Topology.tree([2, 2, -1]), Topology.tree([2, 2, -1])
    asked.slot  # noqa: B018
    given = Topology.tree([2, 2, -1], slot=[0, 1, 0])
    for t in (fresh, asked, given):
        assert t.subgraph(kept).topology.slot.tolist() == [1]


def test_data_with_a_transposed_adjacency_alone():
    from torch_geometric.data import Data
    from torch_geometric.transforms import ToSparseTensor

    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    data = ToSparseTensor()(Data(edge_index=edges, num_nodes=3))
    found = Topology.from_data(data).edge_index
    assert sorted(found.t().tolist()) == sorted(edges.t().tolist())


def test_a_topology_of_edges_or_of_a_topology():
    edge_index = torch.tensor([[0, 1], [1, 2]])
    made = Topology.of(edge_index, 4)
    assert made == Topology.from_edge_index(edge_index, 4) and Topology.of(edge_index, 4) is made
    assert Topology.of(made, 4) is made
    edge_index[1, 1] = 3  # every change is noticed
    assert edges_of(Topology.of(edge_index, 4)) == [(0, 1), (1, 3)]
    with pytest.raises(GraphError, match="`edge_index`: expected a topology of 5 nodes"):
        Topology.of(made, 5)
    with pytest.raises(GraphError, match=r"`edge_index`: .*got 3"):
        Topology.of(edge_index, 3)
