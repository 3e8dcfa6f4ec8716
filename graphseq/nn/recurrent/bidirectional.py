"""Both ways over a tree: from the leaves to the root, and back with the root's view."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...errors import Words, expected
from ...schedule import Sweep
from ...topology import Topology
from .recurrent import Recurrent


class BidirectionalTree(nn.Module):
    """Sweep up, then down: each node's state knows what is below it, and by its parent what is around that.

        h↑_v = up(x_v, states of the children),   h↓_v = down(h↑_v, state of the parent),   h_v = [h↑_v; h↓_v]

    İrsoy & Cardie (2013), Bidirectional recursive neural networks for token-level labeling with structure; Teng &
    Zhang (2017), Head-lexicalized bidirectional tree LSTMs. Any directed acyclic graph will do; on a chain that is a
    second recurrent layer which reads backwards.

    Args:
        up: a cell, such as :class:`ChildSumTreeLSTMCell`.
        down: a cell whose `input_size` is the width of up's h, such as :class:`LSTMCell`: a node has one parent.

    Raises:
        GraphError: not two cells, widths that don't fit; on a call as of :class:`Recurrent`.

    >>> from graphseq.nn import LSTMCell, NaryTreeLSTMCell
    >>> layer = BidirectionalTree(NaryTreeLSTMCell(3, 4), LSTMCell(4, 5))
    >>> layer(torch.zeros(5, 3), Topology.tree([2, 2, 4, 4, -1])).shape
    torch.Size([5, 9])
    """

    def __init__(self, up: Cell, down: Cell) -> None:
        super().__init__()
        self.up, self.down = Recurrent(up), Recurrent(down, Sweep(reverse=True))
        if down.input_size not in (None, up.state_sizes[0]):
            raise expected("down", f"a cell with input_size {up.state_sizes[0]}", Words(str(down.input_size)))

    def forward(
        self, x: Tensor, topology: Topology, *, edge_attr: Tensor | None = None, nodes: Tensor | None = None
    ) -> Tensor:
        """Return the states of all nodes, `[N, H↑ + H↓]`.

        Args:
            x: `[N, F]`; with `nodes` `[M, F]`.
            topology: of N nodes.
            edge_attr: `[E, ...]`, for messages of both cells that read it.
            nodes: int64 `[M]`, the nodes that x has rows for, such as the leaves; the input of the others is 0.
        """
        h = _first(self.up(x, topology, edge_attr=edge_attr, nodes=nodes))
        return torch.cat([h, _first(self.down(h, topology, edge_attr=edge_attr))], 1)


def _first(states: Any) -> Tensor:
    h: Tensor = states[0] if isinstance(states, tuple) else states
    return h
