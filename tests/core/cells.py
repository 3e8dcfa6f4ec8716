"""Cells to run, each with the step of its oracle: those of the library, and some that a user might write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import graphseq as gs
from graphseq.nn import (
    AttentiveTreeLSTMCell,
    ChildSumTreeLSTMCell,
    ElmanCell,
    GRUCell,
    LSTMCell,
    MatrixVectorCell,
    NaryTreeGRUCell,
    NaryTreeLSTMCell,
    RecursiveCell,
    RNTNCell,
    TreeGRUCell,
)
from tests import oracles
from tests.oracles import Sent, State, Step


class Kind(NamedTuple):
    """A kind of cell: `make(F, H)`, the step that its oracle takes, and its number of slots (0 for any number)."""

    name: str
    make: Callable[..., Any]
    step: Callable[[Any], Step]
    slots: int = 0

    def __repr__(self) -> str:
        return self.name


BUILT_IN = [
    Kind("elman", ElmanCell, oracles.elman),
    Kind("elman relu", lambda f, h: ElmanCell(f, h, nonlinearity="relu"), oracles.elman),
    Kind("elman no bias", lambda f, h: ElmanCell(f, h, bias=False), oracles.elman),
    Kind("gru", GRUCell, oracles.gru),
    Kind("gru no bias", lambda f, h: GRUCell(f, h, bias=False), oracles.gru),
    Kind("lstm", LSTMCell, oracles.lstm),
    Kind("lstm no bias", lambda f, h: LSTMCell(f, h, bias=False), oracles.lstm),
    Kind("lstm peephole", lambda f, h: LSTMCell(f, h, peephole=True), oracles.lstm),
    Kind("lstm coupled", lambda f, h: LSTMCell(f, h, coupled=True), oracles.lstm),
    Kind("lstm no forget gate", lambda f, h: LSTMCell(f, h, peephole=True, forget_gate=False), oracles.lstm),
    Kind("child-sum", ChildSumTreeLSTMCell, oracles.child_sum),
    Kind("child-sum no bias", lambda f, h: ChildSumTreeLSTMCell(f, h, bias=False), oracles.child_sum),
    Kind("1-ary", lambda f, h: NaryTreeLSTMCell(f, h, arity=1), oracles.nary, 1),
    Kind("2-ary", NaryTreeLSTMCell, oracles.nary, 2),
    Kind("3-ary no bias", lambda f, h: NaryTreeLSTMCell(f, h, arity=3, bias=False), oracles.nary, 3),
    Kind("recursive", RecursiveCell, oracles.recursive, 2),
    Kind("recursive relu 3", lambda f, h: RecursiveCell(f, h, 3, nonlinearity="relu"), oracles.recursive, 3),
    Kind("recursive no bias", lambda f, h: RecursiveCell(f, h, 1, bias=False), oracles.recursive, 1),
    Kind("rntn", RNTNCell, oracles.recursive, 2),
    Kind("matrix-vector", MatrixVectorCell, oracles.matrix_vector, 2),
    Kind("tree-gru", TreeGRUCell, oracles.tree_gru),
    Kind("tree-gru no bias", lambda f, h: TreeGRUCell(f, h, bias=False), oracles.tree_gru),
    Kind("2-ary gru", NaryTreeGRUCell, oracles.nary_gru, 2),
    Kind("3-ary gru no bias", lambda f, h: NaryTreeGRUCell(f, h, arity=3, bias=False), oracles.nary_gru, 3),
    Kind("attentive", AttentiveTreeLSTMCell, oracles.attentive),
]
EDGE = 2  # width of the edges' features


class Blend(gs.Cell):
    """Two states of different widths, any merge; its message may be a form or read edges and receivers."""

    def __init__(self, input_size: int, hidden_size: int, merge: gs.core.Merge, message: str, slots: int = 1) -> None:
        super().__init__()
        self.input_size, self.merge, self.slots = input_size, merge, slots
        self.state_sizes = (hidden_size, 2)
        wide = slots * (hidden_size + 2)
        self.inner = nn.Linear(input_size, hidden_size)
        self.u = nn.Parameter(torch.randn(hidden_size, wide) / wide**0.5)
        self.v = nn.Parameter(torch.randn(2, wide) / wide**0.5)
        self.gate = nn.Parameter(torch.randn(EDGE))
        if message != "edge":
            self.message = gs.COPY if message == "copy" else gs.SCALE

    def project(self, x: Tensor) -> Tensor:
        return self.inner(x)

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        h, g = sent
        attention = torch.sigmoid(received[:, :1] + (0 if edge is None else edge @ self.gate[:, None]))
        return attention * h, g - h[:, :1] * attention

    def update(self, p: Tensor, state: State) -> State:
        z = torch.cat([s.flatten(1) for s in state], 1)
        return torch.tanh(p + z @ self.u.t()), torch.sin(z @ self.v.t()) + p[:, :2]


def blend_step(w: Any) -> Step:
    """One node of :class:`Blend`, vectors at a time."""

    def message(s: Sent, p: Tensor) -> State:
        h, g = s.state
        if w.message is gs.COPY or s.edge is None:  # a state that is given comes by no edge
            return h, g
        if w.message is gs.SCALE:
            return s.edge * h, s.edge * g
        attention = torch.sigmoid(p[0] + (0 if s.edge is None else torch.dot(s.edge, w.gate)))
        return attention * h, g - h[0] * attention

    def merge(parts: list[Tensor], places: list[int], width: int, like: Tensor) -> Tensor:
        if w.merge == "slots":
            by_place = dict(zip(places, parts, strict=True))
            empty = like.new_zeros(width)
            return torch.stack([by_place.get(k, empty) for k in range(w.slots)]).flatten()
        if not parts:
            return like.new_zeros(width)
        stacked = torch.stack(parts)
        return {"sum": stacked.sum, "mean": stacked.mean, "max": stacked.amax}[w.merge](0)

    def step(x: Tensor, sent: list[Sent]) -> State:
        p = w.inner.weight @ x + w.inner.bias
        messages, places = [message(s, p) for s in sent], [s.slot for s in sent]
        z = torch.cat([merge([m[i] for m in messages], places, size, x) for i, size in enumerate(w.state_sizes)])
        return torch.tanh(p + w.u @ z), torch.sin(w.v @ z) + p[:2]

    return step


WRITTEN = [
    Kind(f"{merge} {message}", lambda f, h, a=merge, m=message: Blend(f, h, a, m), blend_step)
    for merge in ("sum", "mean", "max")
    for message in ("copy", "scale", "edge")
] + [
    Kind(f"{slots} slots {message}", lambda f, h, m=message, k=slots: Blend(f, h, "slots", m, k), blend_step, slots)
    for slots, message in ((1, "copy"), (2, "scale"), (3, "edge"))
]


def edge_features(kind: Kind, topology: gs.Topology, dtype: torch.dtype = torch.float64) -> Tensor | None:
    """Random features as the kind's message wants them."""
    shape = {"scale": (topology.num_edges,), "edge": (topology.num_edges, EDGE)}.get(kind.name.split()[-1])
    return None if shape is None else torch.randn(*shape, dtype=dtype, requires_grad=True)


def made(kind: Kind, input_size: int = 3, hidden_size: int = 4, dtype: torch.dtype = torch.float64) -> Any:
    """A cell with random weights of a dtype."""
    return kind.make(input_size, hidden_size).to(dtype)


def random_state(cell: Any, rows: int, dtype: torch.dtype = torch.float64) -> State:
    """Initial states that want gradients."""
    return tuple(torch.randn(rows, size, dtype=dtype, requires_grad=True) for size in cell.state_sizes)


def placed(cell: Any, topology: gs.Topology, state: State | None) -> State | None:
    """States with a row a node as a sweep takes them: in the first slot of nodes without predecessors."""
    if state is None:
        return None
    if cell.merge != "slots":
        return tuple(s[:, None] for s in state)
    bare = (topology.in_degree == 0)[:, None, None]
    return tuple(torch.cat([s[:, None] * bare, s.new_zeros(s.size(0), cell.slots - 1, s.size(1))], 1) for s in state)
