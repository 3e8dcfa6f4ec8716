"""The graph isomorphism network with features of edges."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn as torch_nn

from ...core import aggregate
from ...errors import Words, expected
from ...messages import State
from ...topology import Links
from ..cells.base import check_sizes
from ._attend import check_edges
from ._common import bipartite, check_features, check_flow, check_inputs, check_network, linear, reset


class GINEConv(torch_nn.Module):
    """Graph isomorphism network layer that reads edges: ``x_v' = nn((1 + ε) x_v + Σ_{u→v} relu(x_u + W e_uv + b))``.

    Hu, Liu, Gomes, Zitnik, Liang, Pande & Leskovec (2020), Strategies for pre-training graph neural networks, appendix
    A. Arguments, call and parameters (`nn.*`, `eps`, `lin.*` with `edge_dim`) are those of PyG's layer.

    Args:
        nn: maps features, `[N, F]` → `[N, F']`, such as a multilayer perceptron.
        eps: initial ε.
        train_eps: whether ε is learnt.
        edge_dim: the number of features of an edge; None for F, which no linear map maps.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: with `edge_dim`, a network whose number of inputs isn't known; inputs that don't fit the layer or
            the structure.

    >>> conv = GINEConv(torch.nn.Linear(3, 4), edge_dim=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]]), torch.zeros(2, 2)).shape
    torch.Size([2, 4])
    """

    eps: Tensor

    def __init__(
        self, nn: torch_nn.Module, eps: float = 0.0, train_eps: bool = False, edge_dim: int | None = None, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        if edge_dim is not None:
            check_sizes(edge_dim=edge_dim)
        self.nn, self.initial_eps, self.edge_dim, self.flow = check_network(nn), float(eps), edge_dim, check_flow(flow)
        value = torch.full((1,), self.initial_eps)
        if train_eps:
            self.eps = torch_nn.Parameter(value)
        else:
            self.register_buffer("eps", value)
        self.lin = None if edge_dim is None else linear(edge_dim, _inputs(nn), bias=True, uniform=True)

    def reset_parameters(self) -> None:
        """Reset ε and the parameters of `nn` and `lin`."""
        reset(self.nn)
        torch_nn.init.constant_(self.eps, self.initial_eps)
        if self.lin is not None:
            self.lin.reset_parameters()

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor | None], edge_index: Tensor | Links, edge_attr: Tensor | None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, `[S, F]` of the senders and `[R, F]` of the receivers, which may be None.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`; for a pair an edge list or links.
            edge_attr: `[E, edge_dim]`, or `[E, F]`; None for the entries of a sparse `adj_t`.
            size: S and R, of a pair without receivers' features.
        """
        links, sent, own, weight = bipartite(x, edge_index, size, self.flow)
        if not isinstance(sent, Tensor):
            raise expected("x", "a dense tensor, since messages are not linear", sent)
        check_features(sent, -1, self.nn)
        if self.lin is None:
            check_inputs(self.nn, sent.size(1))
        wide = sent.size(1)
        if self.lin is not None and wide != self.lin.out_features:
            raise expected("x", f"shape [N, {self.lin.out_features}], as wide as the network's inputs", sent)
        edges = check_edges(weight if edge_attr is None else edge_attr, links, self.edge_dim or wide, sent)
        if edges is None:
            raise expected("edge_attr", f"shape [{links.num_edges}, {self.edge_dim or wide}]", Words("None"))
        if self.lin is not None:
            edges = self.lin(edges)
        (out,) = aggregate(links, (sent,), message=_rectified, edge_attr=edges)
        if own is not None:
            out = out + (1 + self.eps) * own
        mapped: Tensor = self.nn(out)
        return mapped


def _rectified(sent: State, received: Tensor | None, edge: Tensor | None) -> State:
    """Return ``relu(x_u + e_uv)``."""
    return (torch.relu(sent[0] if edge is None else sent[0] + edge),)


def _inputs(network: torch_nn.Module) -> int:
    """Return the number of inputs of a network: its own, or that of the first part of a sequence.

    Raises:
        GraphError: it isn't known.
    """
    first = next(iter(network), network) if isinstance(network, torch_nn.Sequential) else network
    wide = getattr(first, "in_features", getattr(first, "in_channels", None))
    if not isinstance(wide, int) or wide < 1:
        raise expected("nn", "a network whose first layer has `in_features`, for `edge_dim`", network)
    return wide
