"""Grouping edges, levels and packing, as operators."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq import GraphError, Topology
from graphseq.ops.csr import csr
from graphseq.ops.levels import find_cycle, levels, longest_paths, pack

TREE = Topology.tree([2, 2, 4, 4, -1])


def arguments(t):
    m = t.matrix
    return {
        "csr": (t.edge_index, t.num_nodes, t.num_nodes),
        "levels": (m.ptr, m.columns, m.t_ptr, m.t_columns),
        "pack": (t.level, t.graph_ptr, m.ptr, m.columns, m.edge),
    }


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=12), st.integers(6, 8))
def test_csr_is_a_stable_sort_by_both_ends(pairs, size):
    edges = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    m = csr(edges, 5, size)
    for ptr, other, edge, end, count in ((*m[:3], 1, size), (*m[3:], 0, 5)):
        assert torch.equal(edge, torch.argsort(edges[end], stable=True))
        assert torch.equal(other, edges[1 - end][edge])
        assert ptr.diff().tolist() == [edges[end].tolist().count(v) for v in range(count)]
        assert ptr[0] == 0


@pytest.mark.parametrize(
    ("edges", "wrong"),
    [
        ([[0, 1, 1], [0, 3, 1]], "numbers from 0 to 2, got 3 at edge 1"),
        ([[0, 1, -1], [0, 1, 2]], "numbers from 0 to 1, got -1 at edge 2"),
    ],
)
def test_csr_of_ends_out_of_range(edges, wrong):
    with pytest.raises(GraphError, match=f"`edge_index`: expected {wrong}"):
        csr(torch.tensor(edges), 2, 3)


@pytest.mark.parametrize("t", [TREE, Topology.chain([3, 0, 1]), Topology.chain([]), Topology.tree([-1])])
@pytest.mark.parametrize("name", ["csr", "levels", "pack"])
def test_opcheck(name, t):
    torch.library.opcheck(getattr(torch.ops.graphseq, name).default, arguments(t)[name])


def test_operators_give_new_tensors():
    for name, operator in (("csr", csr), ("levels", levels), ("pack", pack)):
        given = arguments(TREE)[name]
        before = [g.clone() if isinstance(g, torch.Tensor) else g for g in given]
        operator(*given)
        assert all(torch.equal(a, b) for a, b in zip(given[:1], before[:1], strict=True))


def test_find_cycle_goes_along_the_edges():
    ring = Topology.from_edge_index(torch.tensor([[4, 1, 2, 3, 0], [1, 2, 3, 1, 4]]))
    m = ring.matrix
    level, acyclic = longest_paths(m.ptr, m.t_ptr, m.t_columns)
    assert not acyclic
    assert level.tolist() == [0, -1, -1, -1, 1]
    cycle = find_cycle(level, m.ptr, m.columns)
    assert cycle[0] == cycle[-1]
    start = cycle.index(1)
    assert [*cycle[start:-1], *cycle[:start]] == [1, 2, 3]


def test_a_loop_is_a_cycle():
    with pytest.raises(GraphError, match="cycle 1 → 1"):
        levels(*arguments(Topology.from_edge_index(torch.tensor([[0, 1], [1, 1]])))["levels"])


def test_deep_structures_need_no_stack():
    n = 200_000
    back = torch.arange(n - 1, -1, -1)
    t = Topology.from_edge_index(torch.stack([back[:-1], back[1:]]))
    assert t.num_levels == n
    ring = Topology.from_edge_index(torch.stack([torch.arange(n), (torch.arange(n) + 1) % n]))
    with pytest.raises(GraphError, match="cycle"):
        ring.level  # noqa: B018
