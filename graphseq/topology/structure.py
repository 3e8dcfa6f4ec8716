"""The structure of graphs, apart from their features: immutable, validated, compiled once.

A :class:`Topology` says which nodes send to which. What layers need (edges grouped by receiver and by sender,
degrees, levels) is computed on first use and cached; batching joins what the members have already computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import Words, expected
from ..ops.levels import find_cycle, longest_paths, name_cycle
from ..ops.library import kept
from ..ops.spmm import Sparse
from .graphs import Graphs
from .inputs import (
    check_count,
    check_edges,
    check_range,
    graph_offsets,
    integers,
    networkx_edges,
    offsets,
    same_length,
    scipy_edges,
)
from .joining import join
from .links import Links, checked, lasting
from .remembered import remembered

__all__ = ["Coarser", "Subgraph", "Topology"]


class Topology(Graphs):
    """Nodes 0 … N - 1, directed edges between them, and the graphs that they belong to.

    Made by the class methods below, which copy their arguments. Nodes of one graph are contiguous; edges keep
    their order; no edge joins two graphs. Equal if nodes, edges, graphs and slots are equal.

    >>> Topology.chain([3, 1])
    Topology(num_nodes=4, num_edges=2, num_graphs=2)
    """

    @classmethod
    @lasting
    def from_edge_index(
        cls, edge_index: Tensor, num_nodes: int | None = None, batch: Tensor | None = None, *,
        num_graphs: int | None = None,
    ) -> Topology:  # fmt: skip
        """Build from a list of edges.

        Args:
            edge_index: int64 `[2, E]`, source → target; their order is kept.
            num_nodes: N; by default the length of `batch`, without it the largest index plus one.
            batch: int64 `[N]`, ascending, the graph of each node; None for one graph.
            num_graphs: B, needed if the last graphs are empty; by default the last entry of `batch` plus one.

        Raises:
            GraphError: wrong type, shape or device, an index out of range, an edge between two graphs.

        >>> Topology.from_edge_index(torch.tensor([[0, 1], [1, 2]])).num_nodes
        3
        """
        check_edges(edge_index)
        if batch is not None:
            if not isinstance(batch, Tensor):
                raise expected("batch", "int64 of shape [N]", batch)
            integers("batch", batch)
        elif num_graphs is not None and num_graphs != 1:
            raise expected("num_graphs", "None or 1 without `batch`", num_graphs)
        if num_nodes is None:
            largest = int(edge_index.max()) + 1 if batch is None and edge_index.numel() else 0
            num_nodes = largest if batch is None else batch.size(0)
        if not torch.compiler.is_compiling():
            check_count("num_nodes", num_nodes)
        own, matrix = checked(edge_index, num_nodes, num_nodes)
        if batch is None:
            ptr = torch.tensor([0, num_nodes], device=own.device)
        else:
            ptr = graph_offsets(batch, num_nodes, num_graphs, own)
        topology = cls(own, num_nodes, ptr)
        topology.know(matrix=matrix)
        return topology

    @classmethod
    def of(cls, edge_index: Tensor | Topology, num_nodes: int) -> Topology:
        """Return the topology that a layer is called on, whether it is called with a list of edges or a topology.

        A list of edges is compiled once, for as long as the tensor lives unchanged, however many layers are called with
        it.

        Args:
            edge_index: int64 `[2, E]`, source → target; or a topology, which is returned.
            num_nodes: N.

        Raises:
            GraphError: as of :meth:`from_edge_index`; a topology of another number of nodes.

        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> Topology.of(edge_index, 4) is Topology.of(edge_index, 4)
        True
        """
        if isinstance(edge_index, Topology):
            if edge_index.num_nodes != num_nodes:
                raise expected("edge_index", f"a topology of {num_nodes} nodes", edge_index)
            return edge_index
        found: Topology = remembered(edge_index, num_nodes, lambda own: cls.from_edge_index(own, num_nodes))
        return found

    @classmethod
    def chain(cls, lengths: Tensor | Sequence[int]) -> Topology:
        """Build one chain for each length; its nodes are contiguous, with edges from each to the next.

        Args:
            lengths: int64 `[B]`; 0 is a chain without nodes.

        >>> Topology.chain(torch.tensor([2, 0, 3])).edge_index.tolist()
        [[0, 2, 3], [1, 3, 4]]
        """
        if not torch.compiler.is_compiling():
            lengths = integers("lengths", lengths, "[B]")
        device = lengths.device if isinstance(lengths, Tensor) else torch.device("cpu")
        listed: list[int] = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
        if any(length < 0 for length in listed):
            raise expected("lengths", "numbers ≥ 0", Words(f"{min(listed)}"))
        return kept(lambda: cls._chain(listed, device))

    @classmethod
    def _chain(cls, listed: list[int], device: torch.device) -> Topology:
        inner = [length for length in listed if length]
        n = sum(inner)
        e = n - len(inner)
        ptr = offsets(torch.tensor(listed, dtype=torch.int64, device=device))
        node, edge = torch.arange(n, device=device), torch.arange(e, device=device)
        length = torch.tensor(inner, dtype=torch.int64, device=device)
        number = torch.arange(len(inner), device=device)
        chain = torch.repeat_interleave(number, length, output_size=n)
        senders = edge + torch.repeat_interleave(number, length - 1, output_size=e)
        topology = cls(torch.stack([senders, senders + 1]), n, ptr)
        before = node - chain  # edges whose ends come before the node
        in_ptr, out_ptr = torch.cat([before.new_zeros(1), before]), torch.cat([before, before.new_full((1,), e)])
        level = node - offsets(length)[:-1].index_select(0, chain)
        topology.know(matrix=Sparse(in_ptr, senders, edge, out_ptr, senders + 1, edge), level=level)
        return topology

    @classmethod
    @lasting
    def tree(cls, parent: Tensor | Sequence[int], slot: Tensor | Sequence[int] | None = None) -> Topology:
        """Build a tree, or several as one graph, with an edge from each node to its parent.

        Args:
            parent: int64 `[N]`, -1 for a root.
            slot: int64 `[N]`, each node's place among its siblings, from 0; a root's is ignored. By default siblings
                are in the order of their numbers.

        Raises:
            GraphError: a parent out of range, two siblings in one slot, a cycle.

        >>> Topology.tree([2, 2, -1]).num_levels
        2
        """
        parent = integers("parent", parent, "[N]")
        n = parent.numel()
        check_range("parent", parent, n, low=-1)
        child = (parent >= 0).nonzero()[:, 0]
        places = None if slot is None else _places(slot, parent, child)
        edges = torch.stack([child, parent[child]])
        topology = cls(edges, n, torch.tensor([0, n], device=parent.device), places)
        m = topology.matrix
        level, acyclic = longest_paths(m.ptr, m.t_ptr, m.t_columns)
        if not acyclic:
            raise expected("parent", "a tree", name_cycle(find_cycle(level, m.ptr, m.columns)))
        topology.know(level=level)
        return topology

    @classmethod
    @lasting
    def from_data(cls, data: Any) -> Topology:
        """Build from a PyG ``Data`` or ``Batch``.

        A `topology` attribute that holds a Topology, or after PyG's collation a list of them, is used directly: if it
        is put there when a data set is made, its compiled parts are joined instead of recomputed.

        >>> from torch_geometric.data import Data
        >>> Topology.from_data(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=3)).num_nodes
        3
        """
        if not hasattr(data, "edge_index") or not hasattr(type(data), "num_nodes"):
            raise expected("data", "a PyG Data or Batch", data)
        ready = getattr(data, "topology", None)
        if isinstance(ready, (Topology, list)):
            made = join(cls, ready) if isinstance(ready, list) else ready
            edges = made.num_edges if data.edge_index is None else data.edge_index.size(1)
            if made.num_nodes != data.num_nodes or made.num_edges != edges:
                got = Words(f"{made!r} beside {data.num_nodes} nodes and {edges} edges")
                raise expected("data", "a `topology` of its own nodes and edges", got)
            return made
        num_nodes, edge_index, members = data.num_nodes, data.edge_index, getattr(data, "batch", None)
        if num_nodes is None:
            raise expected("data", "to know its number of nodes", data)
        if edge_index is None and getattr(data, "adj_t", None) is not None:
            edge_index = _transposed(data.adj_t)
        if edge_index is None:
            device = None if members is None else members.device
            edge_index = torch.empty(2, 0, dtype=torch.int64, device=device)
        ptr = getattr(data, "ptr", None)
        if isinstance(ptr, Tensor) and hasattr(data, "to_data_list") and ptr.device == edge_index.device:
            check_edges(edge_index)
            own, matrix = checked(edge_index, num_nodes, num_nodes)
            topology = cls(own, num_nodes, ptr.clone())  # joined by PyG: its graphs are separate
            topology.know(matrix=matrix)
            return topology
        graphs = None if members is None else getattr(data, "num_graphs", None)
        return cls.from_edge_index(edge_index, num_nodes, members, num_graphs=graphs)

    @classmethod
    def from_networkx(cls, graph: Any) -> Topology:
        """Build from a networkx graph; nodes are numbered in its order.

        An undirected edge becomes two directed ones, a self-loop becomes one.

        >>> import networkx
        >>> Topology.from_networkx(networkx.path_graph(3)).num_edges
        4
        """
        return cls.from_edge_index(*networkx_edges(graph))

    @classmethod
    def from_scipy(cls, adjacency: Any) -> Topology:
        """Build from a sparse adjacency matrix: an entry in row u and column v is the edge u → v.

        >>> import scipy.sparse
        >>> Topology.from_scipy(scipy.sparse.eye(3)).num_edges
        3
        """
        return cls.from_edge_index(*scipy_edges(adjacency))

    @lasting
    def subgraph(self, nodes: Tensor) -> Subgraph:
        """Keep some nodes and the edges between them.

        Args:
            nodes: int64 `[M]`, each at most once; renumbered in this order, which must keep graphs contiguous.

        Returns:
            The topology of M nodes and the same number of graphs, some of which may be empty, and the indices of its
            edges; these keep their slots.

        >>> kept = Topology.chain([4]).subgraph(torch.tensor([0, 1, 3]))
        >>> kept.topology.edge_index.tolist(), kept.edges.tolist()
        ([[0], [1]], [0])
        """
        nodes = integers("nodes", nodes, "[M]")
        check_range("nodes", nodes, self.num_nodes)
        name = self.edge_index.new_full((self.num_nodes,), -1)
        name[nodes] = torch.arange(nodes.size(0), device=self.device)
        if int((name >= 0).sum()) != nodes.size(0):
            raise expected("nodes", "each node at most once", Words("one that comes twice"))
        ptr = graph_offsets(self.batch[nodes], nodes.size(0), self.num_graphs, None, "nodes")
        ends = name[self.edge_index]
        edges = (ends >= 0).all(0).nonzero()[:, 0]
        return Subgraph(Topology(ends[:, edges], nodes.size(0), ptr, self.slot[edges]), edges)

    @lasting
    def coarsen(self, cluster: Tensor, num_clusters: int | None = None) -> Coarser:
        """Make clusters the nodes of a coarser graph, with an edge between two if any of their nodes have one.

        Args:
            cluster: int64 `[N]`, the cluster of each node; a cluster is inside one graph, and clusters are numbered
                graph by graph.
            num_clusters: K; by default the largest entry plus one.

        Returns:
            The topology of K nodes, the links from nodes to clusters, and the coarser edge that each edge became.

        >>> coarse = Topology.chain([4]).coarsen(torch.tensor([0, 0, 1, 1]))
        >>> coarse.topology.edge_index.tolist(), coarse.edges.tolist()
        ([[0], [1]], [-1, 0, -1])
        """
        cluster = integers("cluster", cluster, "[N]")
        same_length("cluster", cluster, self.num_nodes, "node")
        least = int(cluster.max()) + 1 if cluster.numel() else 0
        count = least if num_clusters is None else check_count("num_clusters", num_clusters)
        check_range("cluster", cluster, count)
        graph = self.batch.new_zeros(count).scatter_reduce(0, cluster, self.batch, "amax")
        empty = torch.bincount(cluster, minlength=count) == 0
        graph = torch.where(empty, 0, graph).cummax(0).values if bool(empty.any()) else graph
        if not torch.equal(graph[cluster], self.batch):
            raise expected("cluster", "clusters inside one graph, numbered graph by graph", Words("one across two"))
        members = Links(torch.stack([torch.arange(self.num_nodes, device=self.device), cluster]), self.num_nodes, count)
        ends = cluster[self.edge_index]
        between = ends[0] != ends[1]
        pairs, place = torch.unique(ends[0][between] * max(count, 1) + ends[1][between], return_inverse=True)
        edges = self.edge_index.new_full((self.num_edges,), -1)
        edges[between] = place
        ptr = graph_offsets(graph, count, self.num_graphs, None, "cluster")
        made = torch.stack([pairs.div(max(count, 1), rounding_mode="floor"), pairs.remainder(max(count, 1))])
        return Coarser(Topology(made, count, ptr), members, edges)


class Subgraph(NamedTuple):
    """Some nodes of a topology with the edges between them, and the original indices of these edges, int64 `[E']`."""

    topology: Topology
    edges: Tensor


class Coarser(NamedTuple):
    """A coarser topology, the links from the finer one's nodes to its own, and the edge that each finer edge became,
    int64 `[E]`, -1 for one inside a cluster.
    """

    topology: Topology
    members: Links
    edges: Tensor


def _transposed(adj_t: Any) -> Tensor:
    """Return the edges of a transposed adjacency matrix, as PyG's ``ToSparseTensor`` makes it."""
    if not isinstance(adj_t, Tensor) or adj_t.layout == torch.strided:
        raise expected("data.adj_t", "a torch.sparse matrix", adj_t)
    edges: Tensor = adj_t.to_sparse_coo().coalesce().indices().flip(0)
    return edges


def _places(slot: Any, parent: Tensor, child: Tensor) -> Tensor:
    """Return the slots of the children, checked."""
    slot = integers("slot", slot, "[N]")
    if slot.shape != parent.shape or slot.device != parent.device:
        raise expected("slot", f"int64 of shape [{parent.numel()}] beside `parent`", slot)
    places: Tensor = slot[child]
    if bool((places < 0).any()):
        raise expected("slot", "numbers ≥ 0", Words(str(int(places.min()))))
    if torch.unique(torch.stack([parent[child], places]), dim=1).size(1) < child.numel():
        raise expected("slot", "another slot for each child of a parent", Words("two siblings in one"))
    return places
