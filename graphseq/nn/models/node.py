"""Classify the nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import SparseFeatures
from ..deep.stack import check_connection, check_dropout, edge_inputs, normaliser, run, takes_batch
from .library import check_made, check_width, make_conv, taken_by
from .norms import make_norm


class NodeClassifier(nn.Module):
    """Classify nodes by graph convolutions: ``X' = relu(Â dropout(X) W)``, without relu in the last layer.

    Kipf & Welling (2017), Semi-supervised classification with graph convolutional networks, eq. 9. The layers before
    the last one can be those of any other convolution, have norms, and connections for depth, as in :class:`Stack`.

    Args:
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        num_layers: number of convolutions.
        dropout: of the inputs of each.
        conv: the convolution: "gcn", "gin" or another of graphseq.nn's by name, or a function of two widths that makes
            a layer, such as a layer's class, or ``functools.partial(nn.ChebConv, K=5)`` where it needs options.
        heads: of attention: concatenated, H wide together, and averaged in the last layer.
        norm: after each convolution but the last: "batch", "graph", "layer" or "pair", or a function of the width that
            makes a norm.
        connection: "none", "residual", "dense" or "initial", around each convolution but the last.
        alpha: α of the initial connection.

    Raises:
        GraphError: no such convolution, norm or connection, heads of a convolution that has none; on a call, weights,
            features or types of edges that the convolution doesn't take.

    >>> NodeClassifier(3, 4, 2)(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, num_classes: int, *, num_layers: int = 2, dropout: float = 0.5,
        conv: str | Callable[[int, int], nn.Module] = "gcn", heads: int = 1,
        norm: str | Callable[[int], nn.Module] | None = None, connection: str = "none", alpha: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(num_classes=num_classes, hidden_channels=hidden_channels, num_layers=num_layers)
        check_connection(connection, alpha)
        self.widths = [*[hidden_channels] * (num_layers - 1), num_classes]
        grows = connection == "dense" and in_channels >= 0  # else each layer infers its width, or it is that before it
        known = [in_channels, *[in_channels if connection == "dense" else hidden_channels] * (num_layers - 1)]
        wide = [a + i * hidden_channels if grows else a for i, a in enumerate(known)]
        self.convs = nn.ModuleList(
            make_conv(conv, a, b, heads=heads, concat=i < num_layers - 1)
            for i, (a, b) in enumerate(zip(wide, self.widths, strict=True))
        )
        made = [] if norm is None else [make_norm(norm, b) for b in self.widths[:-1]]
        self.norms, self.connection, self.alpha = nn.ModuleList(made), connection, alpha
        self._takes = taken_by(self.convs[0])
        self._batched = takes_batch(self.norms)
        self.in_channels, self.dropout = in_channels, nn.Dropout(check_dropout(dropout))

    def forward(
        self, x: Tensor | SparseFeatures, edge_index: Tensor | Topology, edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None, edge_type: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return scores `[N, C]`.

        Args:
            x: `[N, F]`; :class:`SparseFeatures` where most of them are zeros.
            edge_index: int64 `[2, E]`, or a topology.
            edge_weight: `[E]`, where the convolution takes weights.
            edge_attr: `[E, D]`, where it takes features, such as ``functools.partial(nn.GATConv, edge_dim=D)``.
            edge_type: int64 `[E]`, where it takes types, such as ``functools.partial(nn.RGCNConv, num_relations=3)``.
        """
        check_width(x, self.in_channels)
        given = edge_inputs([self._takes], edge_weight, edge_attr, edge_type)

        def call(i: int, h: Tensor, first: Tensor) -> Tensor:
            out: Tensor = self.convs[i](h, edge_index, **given)
            check_made("conv", out, self.widths[i])
            return out

        if isinstance(x, SparseFeatures):
            h: Any = x.dropout(self.dropout.p, training=self.training)
            if self.connection == "dense" or (self.connection != "none" and x.size(1) == self.widths[0]):
                h = h.dense()  # it is added or concatenated
        else:
            h = self.dropout(x)
        hidden = len(self.convs) - 1
        states = run(
            h, hidden, call, norm=normaliser(self.norms, self._batched, edge_index, None), act=torch.relu,
            dropout=self.dropout, connection=self.connection, alpha=[self.alpha] * hidden,
        )  # fmt: skip
        return call(hidden, states[-1] if states else h, h)
