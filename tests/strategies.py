"""Random small structures, as `Topology`, for Hypothesis."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import settings
from hypothesis import strategies as st

from graphseq import Topology, batch

Structures = st.SearchStrategy[Topology]


def examples(count: int) -> settings:
    """Settings with `count` examples, and as many times more as the profile has more than 100."""
    return settings(max_examples=max(count, count * settings.default.max_examples // 100))


def chains(max_graphs: int = 4, max_length: int = 5) -> Structures:
    """Batches of chains, some of length 0."""
    return st.lists(st.integers(0, max_length), max_size=max_graphs).map(Topology.chain)


@st.composite
def parents(draw: st.DrawFn, max_nodes: int = 9, *, roots: bool = False) -> list[int]:
    """The parent of each node of a tree, or of a forest, under any numbering."""
    n = draw(st.integers(0 if roots else 1, max_nodes))
    above = [draw(st.integers(-1 if roots or v == 0 else 0, v - 1)) for v in range(n)]
    return _renumbered(above, draw(st.permutations(range(n))))


def _renumbered(above: list[int], name: list[int]) -> list[int]:
    parent = [-1] * len(above)
    for v, u in enumerate(above):
        parent[name[v]] = -1 if u < 0 else name[u]
    return parent


def trees(max_nodes: int = 9) -> Structures:
    """Trees with one root."""
    return parents(max_nodes).map(Topology.tree)


def forests(max_nodes: int = 9) -> Structures:
    """Any number of trees, none too, as one graph."""
    return parents(max_nodes, roots=True).map(Topology.tree)


@st.composite
def slotted_trees(draw: st.DrawFn, arity: int, max_nodes: int = 9) -> Topology:
    """Trees of at most `arity` children a node, each child in a slot of its own, with gaps."""
    n = draw(st.integers(1, max_nodes))
    free = [(0, place) for place in range(arity)]
    above, place = [-1], [0]
    for v in range(1, n):
        u, k = free.pop(draw(st.integers(0, len(free) - 1)))
        above.append(u)
        place.append(k)
        free += [(v, k) for k in range(arity)]
    name = draw(st.permutations(range(n)))
    slot = [0] * n
    for v in range(n):
        slot[name[v]] = place[v]
    return Topology.tree(_renumbered(above, name), slot)


def _edges(pairs: list[tuple[int, int]]) -> torch.Tensor:
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t().contiguous()


@st.composite
def dags(draw: st.DrawFn, max_nodes: int = 8, max_edges: int = 14) -> Topology:
    """Directed acyclic graphs under any numbering, with edges in any order, some twice, and isolated nodes."""
    n = draw(st.integers(0, max_nodes))
    name = draw(st.permutations(range(n)))
    pair = st.tuples(st.integers(0, max(n - 1, 0)), st.integers(0, max(n - 1, 0))).filter(lambda p: p[0] < p[1])
    pairs = draw(st.lists(pair, max_size=max_edges)) if n > 1 else []
    return Topology.from_edge_index(_edges([(name[u], name[v]) for u, v in pairs]), n)


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 7, max_edges: int = 14) -> Topology:
    """Any directed graphs: cycles, loops, edges twice."""
    n = draw(st.integers(0, max_nodes))
    node = st.integers(0, max(n - 1, 0))
    pairs = draw(st.lists(st.tuples(node, node), max_size=max_edges)) if n else []
    return Topology.from_edge_index(_edges(pairs), n)


@st.composite
def grouped(draw: st.DrawFn, members: Structures, max_graphs: int = 3) -> Topology:
    """One `edge_index` with a `batch` vector, edges of several graphs in any order, empty graphs anywhere."""
    parts = draw(st.lists(members, max_size=max_graphs))
    pairs, of_node, at = [], [], 0
    for g, part in enumerate(parts):
        pairs += [(u + at, v + at) for u, v in part.edge_index.t().tolist()]
        of_node += [g] * part.num_nodes
        at += part.num_nodes
    pairs = draw(st.permutations(pairs))
    return Topology.from_edge_index(
        _edges(pairs), batch=torch.tensor(of_node, dtype=torch.int64), num_graphs=len(parts)
    )


def batches(members: Structures, max_members: int = 3) -> Structures:
    """What `graphseq.batch` makes of several members."""
    return st.lists(members, max_size=max_members).map(batch)


def acyclic() -> Structures:
    """Whatever a sweep runs over."""
    one = st.one_of(chains(), trees(), forests(), dags())
    return st.one_of(one, grouped(dags(5, 7)), batches(one))


def any_graph() -> Structures:
    """Whatever rounds run over."""
    return st.one_of(graphs(), acyclic(), grouped(graphs(4, 7)), batches(graphs(4, 7)))


def structure_for(slots: int, one: Callable[[], Structures] = acyclic) -> Structures:
    """Structures for a cell with so many slots; 0 for one that takes any number of predecessors."""
    if slots == 0:
        return one()
    return st.one_of(slotted_trees(slots), batches(slotted_trees(slots, 5)), chains())
