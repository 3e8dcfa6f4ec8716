"""The structure of graphs, apart from their features: immutable, validated, compiled once.

A :class:`Topology` says which node hears which. What a layer needs of it (edges grouped by receiver and by sender,
degrees, levels) is computed when first asked for and kept; batching joins what the members have already computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import Words, expected
from ..ops.csr import csr
from ..ops.levels import Packed, find_cycle, longest_paths, name_cycle
from .compiled import Compiled
from .inputs import check_count, check_range, graph_offsets, integers, networkx_edges, offsets, scipy_edges

__all__ = ["Topology", "batch", "unbatch"]


class Topology(Compiled):
    """Nodes 0 … N - 1, directed edges between them, and the graphs that they belong to.

    Made by the class methods below. Nodes of one graph are contiguous; edges keep the order in which they came; no
    edge joins two graphs. Equal if nodes, edges, graphs and slots are equal.

    >>> Topology.chain([3, 1])
    Topology(num_nodes=4, num_edges=2, num_graphs=2)
    """

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Tensor,
        num_nodes: int | None = None,
        batch: Tensor | None = None,
        *,
        num_graphs: int | None = None,
    ) -> Topology:
        """Build from a list of edges.

        Args:
            edge_index: int64 `[2, E]`, source → target; their order is kept.
            num_nodes: N; by default as many as `batch` has entries, without it the largest index plus one.
            batch: int64 `[N]`, ascending, the graph of each node; None for one graph.
            num_graphs: B, where the last graphs are empty; by default the last entry of `batch` plus one.

        Raises:
            GraphError: wrong type, shape or device, an index out of range, an edge between two graphs.

        >>> Topology.from_edge_index(torch.tensor([[0, 1], [1, 2]])).num_nodes
        3
        """
        wrong = not isinstance(edge_index, Tensor) or edge_index.dtype != torch.int64 or edge_index.dim() != 2
        if wrong or edge_index.size(0) != 2:
            raise expected("edge_index", "int64 of shape [2, E]", edge_index)
        if batch is not None:
            if not isinstance(batch, Tensor):
                raise expected("batch", "int64 of shape [N]", batch)
            integers("batch", batch)
        elif num_graphs is not None and num_graphs != 1:
            raise expected("num_graphs", "None or 1 without `batch`", num_graphs)
        if num_nodes is None:
            largest = int(edge_index.max()) + 1 if batch is None and edge_index.numel() else 0
            num_nodes = largest if batch is None else batch.size(0)
        if (
            not torch.compiler.is_compiling()
        ):  # a traced graph has no values to look at; its operators look later
            check_count("num_nodes", num_nodes)
            check_range("edge_index", edge_index, num_nodes)
        if batch is None:
            return cls(edge_index, num_nodes, torch.tensor([0, num_nodes], device=edge_index.device))
        return cls(edge_index, num_nodes, graph_offsets(batch, num_nodes, num_graphs, edge_index))

    @classmethod
    def chain(cls, lengths: Tensor | Sequence[int]) -> Topology:
        """Build one chain for each length; its nodes are contiguous, with edges from each to the next.

        Args:
            lengths: int64 `[B]`; 0 is a chain without nodes.

        >>> Topology.chain(torch.tensor([2, 0, 3])).edge_index.tolist()
        [[0, 2, 3], [1, 3, 4]]
        """
        lengths = integers("lengths", lengths, "[B]")
        if bool((lengths < 0).any()):
            raise expected("lengths", "numbers ≥ 0", Words(f"{int(lengths.min())}"))
        ptr = offsets(lengths)
        n, device = int(ptr[-1]), lengths.device
        place = torch.arange(n, device=device) - torch.repeat_interleave(ptr[:-1], lengths, output_size=n)
        inner = place > 0
        targets = inner.nonzero()[:, 0]
        topology = cls(torch.stack([targets - 1, targets]), n, ptr)
        ones, perm = inner.long(), torch.arange(targets.numel(), device=device)
        topology._in = offsets(ones), perm
        topology._out = offsets(torch.cat([ones[1:], ones.new_zeros(min(n, 1))])), perm
        topology._level = place
        return topology

    @classmethod
    def tree(cls, parent: Tensor | Sequence[int], slot: Tensor | Sequence[int] | None = None) -> Topology:
        """Build a tree, or several as one graph, with an edge from each node to its parent.

        Args:
            parent: int64 `[N]`, -1 for a root.
            slot: int64 `[N]`, each node's place among its siblings, from 0; a root's is ignored. By default siblings
                stand in the order of their numbers.

        Raises:
            GraphError: a parent out of range, two siblings in one slot, a cycle.

        >>> Topology.tree([2, 2, -1]).num_levels
        2
        """
        parent = integers("parent", parent, "[N]")
        n = parent.numel()
        check_range("parent", parent, n, low=-1)
        child = (parent >= 0).nonzero()[:, 0]
        places = None
        if slot is not None:
            slot = integers("slot", slot, "[N]")
            if slot.shape != parent.shape or slot.device != parent.device:
                raise expected("slot", f"int64 of shape [{n}] beside `parent`", slot)
            places = slot[child]
            if bool((places < 0).any()):
                raise expected("slot", "numbers ≥ 0", Words(str(int(places.min()))))
            if len(set(zip(parent[child].tolist(), places.tolist(), strict=True))) < child.numel():
                raise expected(
                    "slot", "another slot for each child of a parent", Words("two siblings in one")
                )
        topology = cls(
            torch.stack([child, parent[child]]), n, torch.tensor([0, n], device=parent.device), places
        )
        level, acyclic = longest_paths(topology.matrix.ptr, topology.matrix.t_ptr, topology.matrix.t_columns)
        if not acyclic:
            cycle = find_cycle(level, topology.matrix.ptr, topology.matrix.columns)
            raise expected("parent", "a tree", name_cycle(cycle))
        topology._level = level
        return topology

    @classmethod
    def from_data(cls, data: Any) -> Topology:
        """Build from a PyG ``Data`` or ``Batch``.

        A `topology` attribute that holds a Topology, or after PyG's collation a list of them, is taken as it is: put
        one there when a data set is made, and its compiled parts are joined and not computed again.

        >>> from torch_geometric.data import Data
        >>> Topology.from_data(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=3)).num_nodes
        3
        """
        if not hasattr(data, "edge_index") or not hasattr(data, "num_nodes"):
            raise expected("data", "a PyG Data or Batch", data)
        ready = getattr(data, "topology", None)
        if isinstance(ready, (Topology, list)):
            made = batch(ready) if isinstance(ready, list) else ready
            edges = made.num_edges if data.edge_index is None else data.edge_index.size(1)
            if made.num_nodes != data.num_nodes or made.num_edges != edges:
                got = Words(f"{made!r} beside {data.num_nodes} nodes and {edges} edges")
                raise expected("data", "a `topology` of its own nodes and edges", got)
            return made
        num_nodes, edge_index, members = data.num_nodes, data.edge_index, getattr(data, "batch", None)
        if num_nodes is None:
            raise expected("data", "to know its number of nodes", data)
        if edge_index is None:
            edge_index = torch.empty(
                2, 0, dtype=torch.int64, device=None if members is None else members.device
            )
        ptr = getattr(data, "ptr", None)
        if isinstance(ptr, Tensor) and hasattr(data, "to_data_list") and ptr.device == edge_index.device:
            one = cls.from_edge_index(edge_index, num_nodes)  # PyG joined it: its graphs are apart
            return cls(one.edge_index, num_nodes, ptr)
        return cls.from_edge_index(
            edge_index, num_nodes, members, num_graphs=None if members is None else getattr(data, "num_graphs", None)
        )

    @classmethod
    def from_networkx(cls, graph: Any) -> Topology:
        """Build from a networkx graph; nodes are numbered in the order in which it lists them.

        An undirected edge becomes two directed ones, a self-loop one.

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

    def reverse(self) -> Topology:
        """Return the same nodes with every edge turned round; reversing that gives this one back."""
        if self._reverse is None:
            turned = Topology(self._edge_index.flip(0), self._num_nodes, self._graph_ptr)
            turned._in, turned._out, turned._members, turned._reverse = (
                self._out,
                self._in,
                self._members,
                self,
            )
            self._reverse = turned
        result: Topology = self._reverse
        return result

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Topology:
        """Return this on another device, with all that is compiled already."""
        if torch.device(device) == self.device:
            return self

        def move(value: Any) -> Any:
            if isinstance(value, Packed):
                return Packed(
                    *(v if n in ("level_ptr", "form") else move(v) for n, v in value._asdict().items())
                )
            if isinstance(value, Tensor):
                return value.to(device, non_blocking=non_blocking)
            if isinstance(value, tuple) and value and isinstance(value[0], Tensor):
                parts = [move(v) for v in value]
                return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
            return value

        moved = Topology(move(self._edge_index), self._num_nodes, move(self._graph_ptr), move(self._slot))
        for name in ("_members", "_in", "_out", "_level", "_packed"):
            setattr(moved, name, move(getattr(self, name)))
        if self._reverse is not None:
            turned = self._reverse
            there = moved.reverse()
            there._slot, there._level, there._packed = (
                move(turned._slot),
                move(turned._level),
                move(turned._packed),
            )
        return moved

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topology):
            return NotImplemented
        mine, others = (self._edge_index, self._graph_ptr), (other._edge_index, other._graph_ptr)
        return (
            self._num_nodes == other._num_nodes
            and all(
                a.shape == b.shape and a.device == b.device and torch.equal(a, b)
                for a, b in zip(mine, others, strict=True)
            )
            and ((self._slot is None and other._slot is None) or torch.equal(self.slot, other.slot))
        )

    def __hash__(self) -> int:
        return hash((self._num_nodes, self.num_edges, self.num_graphs))

    def __repr__(self) -> str:
        return (
            f"Topology(num_nodes={self._num_nodes}, num_edges={self.num_edges}, num_graphs={self.num_graphs})"
        )


def batch(topologies: Sequence[Topology]) -> Topology:
    """Join topologies into one, side by side; what all of them have compiled is joined and not computed again.

    Its number of levels is the largest of the members'. :func:`unbatch` gives the members back.

    Args:
        topologies: any number, on one device.

    >>> batch([Topology.chain([2]), Topology.chain([3])])
    Topology(num_nodes=5, num_edges=3, num_graphs=2)
    """
    if isinstance(topologies, Topology):
        raise expected("topologies", "a list of them", topologies)
    members = list(topologies)
    for i, t in enumerate(members):
        if not isinstance(t, Topology):
            raise expected(f"topologies[{i}]", "a Topology", t)
        if t.device != members[0].device:
            raise expected(
                f"topologies[{i}]",
                f"a Topology on {members[0].device}, as the first is",
                Words(str(t.device)),
            )
    if not members:
        return Topology(torch.empty(2, 0, dtype=torch.int64), 0, torch.zeros(1, dtype=torch.int64))
    device = members[0].device
    nodes, edges, graphs = (
        torch.tensor(counts, device=device)
        for counts in zip(*((t._num_nodes, t.num_edges, t.num_graphs) for t in members), strict=True)
    )
    node_at, edge_at = offsets(nodes), offsets(edges)

    def join(parts: Sequence[Tensor], shift: Tensor, counts: Tensor) -> Tensor:
        whole = torch.cat(list(parts), -1)
        return whole + torch.repeat_interleave(shift[:-1], counts, output_size=whole.size(-1))

    def join_ptr(parts: Sequence[Tensor], shift: Tensor, counts: Tensor) -> Tensor:
        return torch.cat([join([p[:-1] for p in parts], shift, counts), shift[-1:]])

    edge_index = join([t._edge_index for t in members], node_at, edges)
    slot = torch.cat([t.slot for t in members]) if any(t._slot is not None for t in members) else None
    whole = Topology(
        edge_index,
        sum(t._num_nodes for t in members),
        join_ptr([t._graph_ptr for t in members], node_at, graphs),
        slot,
    )
    whole._members = graphs
    for side in ("_in", "_out"):
        parts = [getattr(t, side) for t in members]
        if all(part is not None for part in parts):
            joined = (
                join_ptr([p[0] for p in parts], edge_at, nodes),
                join([p[1] for p in parts], edge_at, edges),
            )
            setattr(whole, side, joined)
    if all(t._level is not None for t in members):
        whole._level = torch.cat([t.level for t in members])
    turned = [t._reverse for t in members]
    if all(t is not None and t._level is not None for t in turned):
        whole.reverse()._level = torch.cat([t.level for t in turned if t is not None])
    return whole


def unbatch(topology: Topology) -> list[Topology]:
    """Take a topology apart: into what :func:`batch` joined, otherwise into its graphs.

    >>> unbatch(Topology.chain([2, 3]))
    [Topology(num_nodes=2, num_edges=1, num_graphs=1), Topology(num_nodes=3, num_edges=2, num_graphs=1)]
    """
    if not isinstance(topology, Topology):
        raise expected("topology", "a Topology", topology)
    graph_ptr = topology._graph_ptr
    graphs = torch.ones_like(graph_ptr[1:]) if topology._members is None else topology._members
    graph_at = offsets(graphs)
    node_at = graph_ptr[graph_at]
    owner = torch.repeat_interleave(torch.arange(graphs.numel(), device=topology.device), node_at.diff())
    ptr, perm = csr(owner[topology._edge_index[0]], graphs.numel())
    g, n, e = graph_at.tolist(), node_at.tolist(), ptr.tolist()
    members = []
    for i in range(len(g) - 1):
        edges = perm[e[i] : e[i + 1]]
        slot = None if topology._slot is None else topology._slot[edges]
        own = graph_ptr[g[i] : g[i + 1] + 1] - n[i]
        members.append(Topology(topology._edge_index[:, edges] - n[i], n[i + 1] - n[i], own, slot))
    return members
