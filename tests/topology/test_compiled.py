"""What is compiled of a structure against networkx and plain loops."""

from itertools import pairwise

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence

from graphseq import GraphError, Topology
from graphseq.ops.levels import ALIGNED, FOREST, GENERAL
from tests.oracles import adjacency
from tests.strategies import acyclic, any_graph, chains, examples, graphs


def as_networkx(t):
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(t.num_nodes))
    graph.add_edges_from(t.edge_index.t().tolist())
    return graph


@given(any_graph())
def test_degrees_and_roots(t):
    graph = as_networkx(t)
    assert t.in_degree.tolist() == [graph.in_degree(v) for v in range(t.num_nodes)]
    assert t.out_degree.tolist() == [graph.out_degree(v) for v in range(t.num_nodes)]
    assert t.roots.tolist() == [v for v in range(t.num_nodes) if graph.out_degree(v) == 0]


@given(any_graph())
def test_edges_grouped_by_their_ends_keep_their_order(t):
    m = t.matrix
    for ptr, perm, end in ((m.t_ptr, m.t_edge, 0), (m.ptr, m.edge, 1)):
        ends = t.edge_index[end].tolist()
        groups = [perm[ptr[v] : ptr[v + 1]].tolist() for v in range(t.num_nodes)]
        assert groups == [[e for e, u in enumerate(ends) if u == v] for v in range(t.num_nodes)]
        assert ptr.numel() == t.num_nodes + 1


@given(any_graph())
def test_the_matrix_and_its_transpose(t):
    wanted = adjacency(t.edge_index, t.num_nodes)
    for m, dense in ((t.matrix, wanted), (t.matrix.transpose(), wanted.t())):
        made = torch.zeros_like(dense)
        for v in range(t.num_nodes):
            for u in m.columns[m.ptr[v] : m.ptr[v + 1]].tolist():
                made[v, u] += 1
        assert torch.equal(made, dense)
    for columns, edge, end in ((t.matrix.columns, t.matrix.edge, 0), (t.matrix.t_columns, t.matrix.t_edge, 1)):
        assert torch.equal(columns, t.edge_index[end][edge])


@given(any_graph())
def test_levels_are_topological_generations(t):
    graph = as_networkx(t)
    assert t.is_acyclic == nx.is_directed_acyclic_graph(graph)
    if not t.is_acyclic:
        with pytest.raises(GraphError, match="cycle"):
            t.num_levels  # noqa: B018
        return
    generations = list(nx.topological_generations(graph))
    assert t.num_levels == len(generations)
    level = t.level.tolist()
    by_level = [{v for v in range(t.num_nodes) if level[v] == k} for k in range(t.num_levels)]
    assert by_level == [set(nodes) for nodes in generations]


@given(graphs())
def test_the_cycle_that_an_error_names_is_one(t):
    if t.is_acyclic:
        return
    with pytest.raises(GraphError, match=r"`topology`: .*cycle") as caught:
        t.packed  # noqa: B018
    cycle = [int(word) for word in str(caught.value).rpartition("cycle ")[2].split(" → ")]
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert set(pairwise(cycle)) <= set(map(tuple, t.edge_index.t().tolist()))


def test_a_long_cycle_is_cut_in_the_message():
    n = 1000
    ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    with pytest.raises(GraphError, match=r"cycle \d+ → \d+ .*… → \d+$") as caught:
        Topology.from_edge_index(ring).level  # noqa: B018
    assert len(str(caught.value)) < 200


@given(acyclic())
def test_packed_levels(t):
    p, n = t.packed, t.num_nodes
    assert sorted(p.order.tolist()) == list(range(n))
    assert torch.equal(p.order[p.rank], torch.arange(n))
    for k in range(t.num_levels):
        assert (t.level[p.order[p.level_ptr[k] : p.level_ptr[k + 1]]] == k).all()
    assert p.level_ptr.tolist()[:1] == [0]
    assert int(p.level_ptr[-1]) == n
    assert sorted(p.edges.tolist()) == list(range(t.num_edges))
    assert torch.equal(p.order[p.senders], t.edge_index[0][p.edges])
    assert torch.equal(p.order[p.receivers], t.edge_index[1][p.edges])
    degree = t.in_degree[p.order]
    assert torch.equal(p.edge_ptr.diff(), degree)
    assert torch.equal(p.receivers, torch.repeat_interleave(torch.arange(n), degree))
    same_place = all(
        p.senders[p.edge_ptr[r]] == p.level_ptr[k - 1] + r - p.level_ptr[k] and degree[r] == 1
        for k in range(1, t.num_levels)
        for r in range(int(p.level_ptr[k]), int(p.level_ptr[k + 1]))
    )
    read_once = t.out_degree.max() <= 1 if n else True
    assert p.form == (ALIGNED if same_place else FOREST if read_once else GENERAL)


@given(acyclic())
def test_packed_edges_of_one_receiver_keep_their_order(t):
    p = t.packed
    for r in range(t.num_nodes):
        of_node = p.edges[p.edge_ptr[r] : p.edge_ptr[r + 1]].tolist()
        assert of_node == sorted(of_node)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_packed_chains_lie_as_in_a_packed_sequence(lengths):
    lengths = sorted(lengths, reverse=True)
    t = Topology.chain(lengths)
    padded = torch.full((len(lengths), max(lengths)), -1)
    for b, length in enumerate(lengths):
        padded[b, :length] = torch.arange(length) + int(t.graph_ptr[b])
    packed = pack_padded_sequence(padded, torch.tensor(lengths), batch_first=True)
    assert torch.equal(t.packed.order, packed.data)
    assert torch.equal(t.packed.level_ptr.diff(), packed.batch_sizes)
    assert t.packed.form == ALIGNED


@given(chains())
def test_chains_in_any_order_and_reversed_are_aligned(t):
    assert t.packed.form == ALIGNED
    assert torch.equal(t.level, Topology.from_edge_index(t.edge_index, batch=t.batch, num_graphs=t.num_graphs).level)


def test_what_is_compiled_is_kept():
    t = Topology.from_edge_index(torch.tensor([[0, 1, 0], [1, 2, 2]]))
    for name in ("batch", "members", "matrix", "level", "packed", "roots", "slot"):
        assert getattr(t, name) is getattr(t, name)
    made = []
    for _ in range(2):
        assert t.memo("mine", lambda: made.append(1) or 7) == 7
    assert made == [1]


@examples(30)
@given(any_graph())
def test_a_sweep_downwards_has_the_levels_of_the_reversed_graph(t):
    if t.is_acyclic:
        generations = list(nx.topological_generations(as_networkx(t).reverse()))
        assert t.reverse().num_levels == len(generations)
        assert all(t.reverse().level[v] == k for k, nodes in enumerate(generations) for v in nodes)
