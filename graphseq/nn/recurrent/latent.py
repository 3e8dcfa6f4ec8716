"""Trees that a network learns to build over a sequence."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gumbel_softmax, one_hot

from ...errors import Words, expected
from ...ops.library import kept
from ...topology import Topology
from ..cells import NaryTreeLSTMCell
from ..cells.base import check_sizes, uniform
from .recurrent import check_inputs


class Composed(NamedTuple):
    """Sequences as composed by a latent tree each.

    Attributes:
        h: `[B, H]`, the roots' h; 0 for an empty sequence.
        c: `[B, H]`.
        tree: for each sequence of T nodes its T leaves in order, then T - 1 inner nodes in the order of composition.
    """

    h: Tensor
    c: Tensor
    tree: Topology


class LatentTreeLSTM(nn.Module):
    """Gumbel Tree-LSTM: in each step the pair of neighbours with the best composition is replaced by it.

        (h~_j, c~_j) = binary Tree-LSTM of (h_j, c_j) and (h_{j+1}, c_{j+1}),   p = softmax_j(q · h~_j)

    In training j is drawn from p by the straight-through Gumbel-softmax: the step forward is discrete, its gradient
    that of the softmax. In evaluation j is the best one; of equal ones, the first. All sequences take their steps
    together. Choi, Yoo & Lee (2018), Learning to compose task-specific tree structures.

    Args:
        input_size: F; the leaves' h and c are a linear map of x.
        hidden_size: H.
        temperature: of the softmax; the gradient's noise rises as it falls.

    Raises:
        GraphError: a size below 1, a temperature that is not above 0; on a call, a topology that is not chains.

    >>> layer = LatentTreeLSTM(3, 4)
    >>> h, c, tree = layer(torch.zeros(5, 3), Topology.chain([3, 2]))
    >>> h.shape, tree.num_nodes, tree.num_graphs
    (torch.Size([2, 4]), 8, 2)
    """

    def __init__(self, input_size: int, hidden_size: int, *, temperature: float = 1.0) -> None:
        super().__init__()
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not temperature > 0:
            raise expected("temperature", "a number above 0", temperature)
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.cell = NaryTreeLSTMCell(hidden_size, hidden_size)
        self.leaf = nn.Linear(input_size, 2 * hidden_size)
        self.query = uniform((hidden_size,), hidden_size, None, None)
        self.input_size, self.hidden_size, self.temperature = input_size, hidden_size, temperature

    def forward(self, x: Tensor, topology: Topology) -> Composed:
        """Return the roots' states and the trees.

        Args:
            x: `[N, F]`.
            topology: chains of N nodes, as of :meth:`graphseq.Topology.chain`.
        """
        check_inputs(self, x, topology)
        if x.size(1) != self.input_size:
            raise expected("x", f"inputs of width {self.input_size}, the layer's input_size", x)
        lengths = topology.graph_ptr.diff()
        _check_chains(topology, lengths)
        most = int(lengths.max()) if lengths.numel() else 0
        inside = torch.arange(most, device=x.device) < lengths[:, None]  # [B, T]
        h, c = (
            part.new_zeros(*inside.shape, self.hidden_size).index_put((inside,), part)
            for part in self.leaf(x).chunk(2, 1)
        )
        trees = _Trees(lengths, inside)
        for left in range(most - 1, 0, -1):
            open_ = torch.arange(left, device=x.device) < (lengths - (most - left))[:, None]  # pairs inside, [B, left]
            pair = (torch.stack([s[:, :-1], s[:, 1:]], 2).flatten(0, 1) for s in (h, c))
            p = self.cell.project(h.new_zeros(1, self.hidden_size)).expand(open_.numel(), -1)
            new_h, new_c = (s.unflatten(0, open_.shape) for s in self.cell.update(p, tuple(pair)))
            chosen = self._choose(new_h @ self.query, open_)
            trees.merge(chosen.argmax(1), open_[:, 0])
            y = chosen[..., None]
            before, after = 1 - y.cumsum(1), y.cumsum(1) - y
            done = ~open_[:, :1, None]  # whose root is in place 0 already
            h, c = (
                torch.where(done, s[:, :-1], before * s[:, :-1] + y * new + after * s[:, 1:])
                for s, new in ((h, new_h), (c, new_c))
            )
        h, c = (s[:, 0] if most else s.new_zeros(len(lengths), self.hidden_size) for s in (h, c))
        return Composed(h, c, trees.topology())

    def _choose(self, scores: Tensor, open_: Tensor) -> Tensor:
        """Return one-hot choices `[B, T]` among the pairs that are inside; the first where none is."""
        first = torch.arange(scores.size(1), device=scores.device) == 0  # so that no row is without a choice
        scores = scores.masked_fill(~(open_ | (first & ~open_[:, :1])), -torch.inf)
        if self.training:
            return gumbel_softmax(scores, self.temperature, hard=True)
        return one_hot(scores.argmax(1), scores.size(1)).to(scores.dtype)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}, temperature={self.temperature}"


class _Trees:
    """The trees that grow: which node is in each place, and the parents so far."""

    def __init__(self, lengths: Tensor, inside: Tensor) -> None:
        self.sizes = (2 * lengths - 1).clamp(min=0)
        starts = self.sizes.cumsum(0) - self.sizes
        self.node = starts[:, None] + torch.arange(inside.size(1), device=lengths.device)
        self.next = starts + lengths
        self.parent = lengths.new_full((int(self.sizes.sum()),), -1)
        self.slot = torch.zeros_like(self.parent)
        self.starts = starts

    def merge(self, at: Tensor, done: Tensor) -> None:
        """Replace the nodes in places `at` and ``at + 1`` by a new one, in the rows that are not `done` yet."""
        rows = done.nonzero()[:, 0]
        place = torch.arange(self.node.size(1) - 1, device=at.device)
        new = torch.where(place < at[:, None], self.node[:, :-1], self.node[:, 1:])
        new[rows, at[rows]] = self.next[rows]
        for k in (0, 1):
            child = self.node[rows, at[rows] + k]
            self.parent[child], self.slot[child] = self.next[rows], k
        self.next[rows] += 1
        self.node = torch.where(done[:, None], new, self.node[:, :-1])

    def topology(self) -> Topology:
        """Return the trees."""
        child = (self.parent >= 0).nonzero()[:, 0]
        edges = torch.stack([child, self.parent[child]])
        ptr = torch.cat([self.sizes.new_zeros(1), self.sizes.cumsum(0)])
        return kept(lambda: Topology(edges.clone(), self.parent.size(0), ptr.clone(), self.slot[child]))


def _check_chains(topology: Topology, lengths: Tensor) -> None:
    """Check that every graph is one chain, in the order of its nodes."""
    u, v = topology.edge_index
    edges = lengths.clamp(min=1).sum() - len(lengths)  # one less than nodes, for each chain
    if topology.num_edges != int(edges) or not bool((v == u + 1).all()):
        raise expected("topology", "chains, as Topology.chain makes them", Words("another graph"))
