"""Classify graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import expected
from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GINConv
from ..deep.stack import check_connection, check_dropout, edge_inputs, normaliser, run, takes_batch
from ..pool import readout
from .library import check_made, check_width, make_conv, taken_by
from .norms import BatchNorm, make_norm


class GraphClassifier(nn.Module):
    """Classify graphs by graph convolutions that are all read out; by default by a graph isomorphism network.

        h^0 = x,  h^k = MLP_k((1 + ε_k) h^{k-1}_v + Σ_{u→v} h^{k-1}_u)
        y = Σ_k W_k dropout(readout(h^k)) + b_k

    Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?, section 4.2. Another convolution is
    followed by batch normalisation, or another norm, and a ReLU, as at the end of GIN's perceptron. Connections are
    those of :class:`Stack`.

    Args:
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        num_layers: K.
        dropout: before the classifiers.
        reduce: the readout: "sum", "mean" or "max".
        train_eps: whether GIN's ε is learnt.
        conv: the convolution: "gin", "gcn" or another of graphseq.nn's by name, or a function of two widths that makes
            a layer, such as a layer's class, or ``functools.partial(nn.ChebConv, K=5)`` where it needs options.
        heads: of attention, concatenated, H wide together.
        norm: after each convolution: "batch", "graph", "layer" or "pair", or a function of the width that makes a
            norm; by default "batch", which "gin" has at the end of its perceptron.
        connection: "none", "residual", "dense" or "initial", around each convolution.
        alpha: α of the initial connection.

    Raises:
        GraphError: no such convolution, norm or connection, heads of a convolution that has none; on a call, weights,
            features or types of edges that the convolution doesn't take.

    >>> model = GraphClassifier(3, 4, 2)
    >>> model(torch.zeros(5, 3), Topology.chain([2, 3])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, num_classes: int, *, num_layers: int = 4, dropout: float = 0.5,
        reduce: str = "sum", train_eps: bool = False, conv: str | Callable[[int, int], nn.Module] = "gin",
        heads: int = 1, norm: str | Callable[[int], nn.Module] | None = None, connection: str = "none",
        alpha: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(num_classes=num_classes, hidden_channels=hidden_channels)
        check_connection(connection, alpha)
        if connection == "dense" and in_channels < 0:
            raise expected("in_channels", "the number of features, which dense connections have to know", in_channels)
        h, dense = hidden_channels, connection == "dense"
        sizes = [in_channels, *(in_channels + i * h if dense else h for i in range(1, num_layers + 1))]
        if conv == "gin" and heads == 1:
            made: list[nn.Module] = [GINConv(_perceptron(a, h), train_eps=train_eps) for a in sizes[:-1]]
        else:
            made = [make_conv(conv, a, h, heads=heads) for a in sizes[:-1]]
        self.convs, bare = nn.ModuleList(made), conv == "gin" and norm is None
        norms = [nn.Identity() if bare else make_norm(norm or "batch", h) for _ in made]
        self.ends = nn.ModuleList(each if bare else _End(each, nn.ReLU()) for each in norms)
        self._takes = taken_by(self.convs[0]) if len(self.convs) else frozenset()
        self._batched = takes_batch(norms)
        self.classifiers = nn.ModuleList(nn.Linear(size, num_classes) for size in sizes)
        self.widths, self.connection, self.alpha = [h] * num_layers, connection, alpha
        self.in_channels, self.dropout, self.reduce = in_channels, nn.Dropout(check_dropout(dropout)), reduce

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, batch: Tensor | None = None, edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None, edge_type: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return scores `[B, C]`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology, which knows its graphs.
            batch: int64 `[N]`, the graph of each node; one graph by default.
            edge_weight: `[E]`, where the convolution takes weights.
            edge_attr: `[E, D]`, where it takes features, such as ``functools.partial(nn.GATConv, edge_dim=D)``.
            edge_type: int64 `[E]`, where it takes types, such as ``functools.partial(nn.RGCNConv, num_relations=3)``.
        """
        check_width(x, self.in_channels)
        graphs: Tensor | Topology
        if isinstance(edge_index, Topology):
            graphs = edge_index
        else:
            graphs = torch.zeros(x.size(0), dtype=torch.int64, device=x.device) if batch is None else batch
        given = edge_inputs([self._takes], edge_weight, edge_attr, edge_type)

        def call(i: int, h: Tensor, first: Tensor) -> Tensor:
            out: Tensor = self.convs[i](h, edge_index, **given)
            check_made("conv", out, self.widths[i])
            return out

        states = run(
            x, len(self.convs), call, norm=normaliser(self.ends, self._batched, edge_index, batch), act=None,
            dropout=lambda h: h, connection=self.connection, alpha=[self.alpha] * len(self.convs),
        )  # fmt: skip
        states = [x, *states]
        read = [self.dropout(readout(h, graphs, self.reduce)) for h in states]
        return torch.stack([f(h) for f, h in zip(self.classifiers, read, strict=True)]).sum(0)


class _End(nn.Sequential):
    """A norm and what follows; the norm may read the graph of each node."""

    def forward(self, h: Tensor, *where: Any) -> Tensor:
        norm, *others = self
        h = norm(h, *where)
        for module in others:
            h = module(h)
        return h


def _perceptron(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), BatchNorm(out_channels), nn.ReLU(),
        nn.Linear(out_channels, out_channels), BatchNorm(out_channels), nn.ReLU(),
    )  # fmt: skip
