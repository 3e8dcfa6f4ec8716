"""A block of a graph network with recurrent cells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...topology import Topology
from ..cells.base import check_sizes
from ._sets import Parts, check_block, check_returned, is_cell


class RecurrentGraphNetwork(nn.Module):
    """A block whose results are the inputs of recurrent cells, which keep a state for each node, edge and graph:

        (x̂, ê, û) = block([x, h_x], [e, h_e], [u, h_u])
        h_x' = cell_x(x̂, h_x),   h_e' = cell_e(ê, h_e),   h_u' = cell_u(û, h_u)

    Battaglia et al. (2018), Relational inductive biases, deep learning, and graph networks, section 4.3 and figure 6c,
    where cells keep the states, such as :class:`GRUCell`. A part without a cell has no state, and the block's result
    isn't used.

    Args:
        block: a module with the call of a :class:`GraphNetwork`.
        nodes: the nodes' cell, a module of (input, state) with a `hidden_size`, of this library or of torch.nn.
        edges: the edges' cell; None for none.
        globals: the globals' cell; None for none.
        steps: number of steps.

    Raises:
        GraphError: an invalid argument, a part without features that has a cell; see :class:`GraphNetwork`.

    >>> from graphseq.nn import GraphNetwork, GRUCell
    >>> block = RecurrentGraphNetwork(GraphNetwork(nn.Linear(2 * 5, 4), nn.Linear(4 + 5, 6)), GRUCell(6, 2), steps=3)
    >>> block(torch.zeros(2, 3), torch.tensor([[0], [1]]))[0].shape
    torch.Size([2, 2])
    """

    def __init__(
        self, block: nn.Module, nodes: nn.Module, edges: nn.Module | None = None, globals: nn.Module | None = None, *,
        steps: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(steps=steps)
        for name, cell in (("nodes", nodes), ("edges", edges), ("globals", globals)):
            if not is_cell(cell) and (cell is not None or name == "nodes"):
                raise expected(name, "a cell with a hidden_size and one tensor of states", cell)
        self.block, self.steps = check_block("block", block), steps
        self.nodes, self.edges, self.globals = nodes, edges, globals

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, u: Tensor | None = None,
        batch: Tensor | None = None, *, state: Parts | None = None,
    ) -> Parts:  # fmt: skip
        """Return the states after the last step, None of a part without a cell.

        Args:
            x: `[N, F]`, the same at each step.
            edge_index: int64 `[2, E]`, or a topology of N nodes, which knows its graphs.
            edge_attr: `[E, F_e]`.
            u: `[B, F_u]`.
            batch: int64 `[N]`, the graph of each node; one graph by default.
            state: the states before the first step, as returned; zeros by default.
        """
        cells, given = (self.nodes, self.edges, self.globals), (x, edge_attr, u)
        for name, cell, part in zip(("x", "edge_attr", "u"), cells, given, strict=True):
            if cell is not None and part is None:
                raise expected(name, "features, since there is a cell for them", part)
        states = [_first(cell, part) for cell, part in zip(cells, given, strict=True)]
        if state is not None:
            shapes, found = _shapes(states), _shapes(state) if isinstance(state, tuple) else state
            if found != shapes:
                raise expected("state", f"states of nodes, edges and globals of shapes {shapes}", Words(str(found)))
            states = [*state]
        for _ in range(self.steps):
            nodes, edges, globals_ = (_joined(part, h) for part, h in zip(given, states, strict=True))
            made = check_returned("block", self.block(nodes, edge_index, edges, globals_, batch))
            states = [None if cell is None else cell(m, h) for cell, m, h in zip(cells, made, states, strict=True)]
        return check_returned("nodes", tuple(states))


def _first(cell: Any, part: Tensor | None) -> Any:
    return None if cell is None or part is None else part.new_zeros(part.size(0), cell.hidden_size)


def _shapes(parts: Any) -> list[list[int] | None]:
    return [list(t.shape) if isinstance(t, Tensor) else None for t in parts]


def _joined(part: Tensor | None, h: Tensor | None) -> Any:
    return part if part is None or h is None else torch.cat([part, h], 1)
