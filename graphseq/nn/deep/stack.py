"""Layers on top of each other, and the skip connections around them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...topology import Topology
from .graph_norm import GraphNorm
from .jumping import JumpingKnowledge
from .pair_norm import PairNorm

CONNECTIONS = ("none", "residual", "dense", "initial")
_HINTS = {"edge_weight": "weights", "edge_attr": "features", "edge_type": "types"}  # of edges

Norms = nn.Module | Sequence[nn.Module] | None


class Stack(nn.Module):
    """Layers of any kind one after the other, each followed by a norm, an activation and dropout:

        none      h^l = dropout(σ(norm(f_l(h^{l-1}))))
        residual  h^l = dropout(h^{l-1} + σ(norm(f_l(h^{l-1}))))
        dense     h^l = dropout([h^{l-1}, σ(norm(f_l(h^{l-1})))])
        initial   h^l = dropout(σ(norm((1 - α) f_l(h^{l-1}) + α h^0)))

    Li, Müller, Thabet & Ghanem (2019), DeepGCNs: can GCNs go as deep as CNNs?, for residual and dense connections;
    Chen, Wei, Huang, Ding & Li (2020), Simple and deep graph convolutional networks, for the initial one. In PyG these
    are `BasicGNN` ("none"), and `DeepGCNLayer` with `block` "plain", "res" and "dense".

    A residual connection needs states of one width. Around a layer that changes the width there is none, and h^0 of the
    layers after it is what this layer returns. With dense connections every layer widens the states by its own width,
    so the next one's `in_channels` are the sum. A layer that takes `x_0` itself, such as :class:`GCN2Conv`, gets h^0,
    and nothing is added to what it returns.

    Args:
        layers: modules with a call ``(x, edge_index, …)``.
        connection: "none", "residual", "dense" or "initial".
        norm: a module that is copied for each layer, or a list with one for each; one with an argument `batch`, such
            as :class:`GraphNorm`, gets the nodes' graphs.
        act: σ; None for none.
        dropout: the probability of being dropped.
        alpha: α.
        jump: merges the states of all layers into the result: "cat", "max", or a module such as
            :class:`JumpingKnowledge`. Without it the result is the last state.

    Raises:
        GraphError: an invalid argument; features of edges that no layer takes.

    >>> from graphseq.nn import GCNConv
    >>> stack = Stack([GCNConv(3, 4), GCNConv(4, 4)], connection="residual", norm=PairNorm())
    >>> stack(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, layers: Iterable[nn.Module], *, connection: str = "none", norm: Norms = None,
        act: Callable[[Tensor], Tensor] | None = nn.ReLU(), dropout: float = 0.0, alpha: float = 0.1,  # noqa: B008
        jump: str | nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        layers = list(layers)
        if not layers or not all(isinstance(layer, nn.Module) for layer in layers):
            raise expected("layers", "one or more modules", layers)
        if act is not None and not callable(act):
            raise expected("act", "a callable or None", act)
        check_connection(connection, alpha)
        self.layers, self.norms = nn.ModuleList(layers), norms_of(norm, len(layers))
        self.connection, self.act, self.alpha = connection, act, alpha
        self.dropout = check_dropout(dropout)
        if isinstance(jump, str) and jump not in ("cat", "max"):
            raise expected("jump", '"cat", "max" or a module, such as JumpingKnowledge("lstm", channels, layers)', jump)
        self.jump = JumpingKnowledge(jump) if isinstance(jump, str) else jump
        for i, layer in enumerate(layers):
            if not _takes_edges(layer):
                got = Words(f"{type(layer).__name__}, whose call takes one argument")
                raise expected(f"layers[{i}]", "a module with a call (x, edge_index, …)", got)
        self._takes, self._batched = [arguments(layer) for layer in layers], takes_batch(self.norms)

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None, *, edge_type: Tensor | None = None, batch: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return the states of the nodes, `[N, F']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes, which knows its graphs.
            edge_weight: `[E]`, for layers that take it.
            edge_attr: `[E, D]`, for layers that take it.
            edge_type: int64 `[E]`, for layers that take it.
            batch: int64 `[N]`, the graph of each node, for norms; one graph by default.
        """
        given = edge_inputs(self._takes, edge_weight, edge_attr, edge_type)

        def call(i: int, h: Tensor, first: Tensor) -> Tensor:
            takes = self._takes[i]
            more = {name: value for name, value in given.items() if name in takes}
            out: Tensor = self.layers[i](h, *([first] if "x_0" in takes else []), edge_index, **more)
            if not isinstance(out, Tensor) or out.dim() != 2:
                got = Words(f"one that returns {list(getattr(out, 'shape', ()))}")
                raise expected(f"layers[{i}]", "a layer that returns [N, F']", got)
            return out

        states = run(
            x, len(self.layers), call, norm=normaliser(self.norms, self._batched, edge_index, batch),
            act=self.act, dropout=lambda h: nn.functional.dropout(h, self.dropout, self.training),
            connection=self.connection, alpha=[0.0 if "x_0" in takes else self.alpha for takes in self._takes],
        )  # fmt: skip
        if self.jump is None:
            return states[-1]
        merged: Tensor = self.jump(states)
        return merged

    def extra_repr(self) -> str:
        """Return the options."""
        return f"connection={self.connection!r}, dropout={self.dropout}"


def edge_inputs(
    takes: Sequence[frozenset[str]], edge_weight: Tensor | None, edge_attr: Tensor | None, edge_type: Tensor | None
) -> dict[str, Tensor]:
    """Return those inputs of edges that are given, by name.

    Args:
        takes: the names of what each layer's call takes.
        edge_weight: `[E]`, or None.
        edge_attr: `[E, D]`, or None.
        edge_type: int64 `[E]`, or None.

    Raises:
        GraphError: no layer takes one of them.
    """
    given = {"edge_weight": edge_weight, "edge_attr": edge_attr, "edge_type": edge_type}
    known = {name: value for name, value in given.items() if value is not None}
    taken = frozenset[str]().union(*takes) if known else frozenset()
    for name, value in known.items():
        if name not in taken:
            hint = "".join(f"; pass {what} as {other}=" for other, what in _HINTS.items() if other in taken)
            raise expected(name, f"None, since no layer takes {name}{hint}", value)
    return known


def run(
    x: Tensor, count: int, call: Callable[[int, Tensor, Tensor], Tensor], *, norm: Callable[[int, Tensor], Tensor],
    act: Callable[[Tensor], Tensor] | None, dropout: Callable[[Tensor], Tensor], connection: str,
    alpha: Sequence[float],
) -> list[Tensor]:  # fmt: skip
    """Return the states after each layer.

    Args:
        x: h^0.
        count: L.
        call: `(l, h, h^0)` → f_l(h).
        norm: `(l, h)` → what layer l returns, normalised.
        act: σ.
        dropout: of states.
        connection: as of :class:`Stack`.
        alpha: α of each layer; 0 for one that adds h^0 itself.
    """
    h, first, states = x, x, []
    for i in range(count):
        out = call(i, h, first)
        keeps = out.shape == first.shape
        if connection == "initial" and keeps and alpha[i]:
            out = (1 - alpha[i]) * out + alpha[i] * first
        out = norm(i, out)
        if act is not None:
            out = act(out)
        if connection == "residual" and out.shape == h.shape:
            out = h + out
        elif connection == "dense":
            out = torch.cat([h, out], 1)
        h = dropout(out)
        first = first if keeps else h
        states.append(h)
    return states


def check_connection(connection: Any, alpha: Any = 0.0) -> None:
    """Check a connection around layers, and the share of the initial one.

    Raises:
        GraphError: there is no such connection, the share is not from 0 to 1.
    """
    if connection not in CONNECTIONS:
        raise expected("connection", ", ".join(f'"{name}"' for name in CONNECTIONS), connection)
    if not isinstance(alpha, int | float) or not 0 <= alpha <= 1:
        raise expected("alpha", "a number from 0 to 1", alpha)


def check_dropout(p: Any) -> float:
    """Check a probability of being dropped, and return it.

    Raises:
        GraphError: it is out of range.
    """
    if not isinstance(p, int | float) or isinstance(p, bool) or not 0 <= p <= 1:
        raise expected("dropout", "a probability from 0 to 1", p)
    return float(p)


def norms_of(norm: Any, count: int) -> nn.ModuleList:
    """Return a norm for each layer, or an empty list.

    Raises:
        GraphError: neither a module nor one for each layer.
    """
    if norm is None:
        return nn.ModuleList()
    if isinstance(norm, str):
        raise expected("norm", "a module, such as nn.PairNorm() or nn.GraphNorm(channels)", norm)
    if isinstance(norm, nn.Module) and not isinstance(norm, nn.ModuleList):
        return nn.ModuleList(deepcopy(norm) for _ in range(count))
    listed = list(norm) if isinstance(norm, list | tuple | nn.ModuleList) else []
    if len(listed) != count or not all(isinstance(each, nn.Module) for each in listed):
        raise expected("norm", f"a module, or a list of {count}, one for each layer", norm)
    return nn.ModuleList(listed)


def takes_batch(norms: Iterable[nn.Module]) -> list[bool]:
    """Return which norms take the nodes' graphs."""
    return ["batch" in arguments(norm) for norm in norms]


def normaliser(
    norms: Sequence[nn.Module] | nn.ModuleList, batched: Sequence[bool], edge_index: Any, batch: Tensor | None
) -> Callable[[int, Tensor], Tensor]:
    """Return the function that normalises what layer i returns.

    Raises:
        GraphError: a batch vector in addition to a topology.
    """
    known = isinstance(edge_index, Topology)
    if known and batch is not None:
        raise expected("batch", "None with a topology, which knows its graphs", batch)

    def normalised(i: int, h: Tensor) -> Tensor:
        if not len(norms):
            return h
        norm = norms[i]
        if not batched[i]:
            out: Tensor = norm(h)
        elif known and isinstance(norm[0] if isinstance(norm, nn.Sequential) else norm, PairNorm | GraphNorm):
            out = norm(h, edge_index)
        else:
            out = norm(h, edge_index.batch if known else batch)
        return out

    return normalised


def _takes_edges(layer: nn.Module) -> bool:
    """Return whether a module's call takes features and edges."""
    taken = inspect.signature(layer.forward).parameters.values()
    kinds = [p.kind for p in taken]
    places = kinds.count(inspect.Parameter.POSITIONAL_ONLY) + kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return places > 1 or inspect.Parameter.VAR_POSITIONAL in kinds


def arguments(module: nn.Module) -> frozenset[str]:
    """Return the names of what a module's call takes."""
    return frozenset(inspect.signature(module.forward).parameters)
