"""Classify the nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import SparseFeatures
from .library import check_made, check_width, make_conv, takes_weights


class NodeClassifier(nn.Module):
    """Classify nodes by graph convolutions: ``X' = relu(Â dropout(X) W)``, without relu in the last layer.

    Kipf & Welling (2017), Semi-supervised classification with graph convolutional networks, eq. 9.

    Args:
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        num_layers: number of convolutions.
        dropout: of the inputs of each.
        conv: the convolution: "gcn", "gin" or another of graphseq.nn's by name, or a function of two widths that makes
            a layer, such as a layer's class.

    Raises:
        GraphError: no such convolution; on a call, weights of edges that the convolution doesn't take.

    >>> NodeClassifier(3, 4, 2)(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, num_classes: int, *, num_layers: int = 2, dropout: float = 0.5,
        conv: str | Callable[[int, int], nn.Module] = "gcn",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(num_classes=num_classes, hidden_channels=hidden_channels)
        sizes = [in_channels, *[hidden_channels] * (num_layers - 1), num_classes]
        self.convs = nn.ModuleList(make_conv(conv, a, b) for a, b in pairwise(sizes))
        self.widths = sizes[1:]
        self.in_channels, self.dropout = in_channels, nn.Dropout(dropout)

    def forward(
        self, x: Tensor | SparseFeatures, edge_index: Tensor | Topology, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Return scores `[N, C]`.

        Args:
            x: `[N, F]`; :class:`SparseFeatures` where most of them are zeros.
            edge_index: int64 `[2, E]`, or a topology.
            edge_weight: `[E]`.
        """
        check_width(x, self.in_channels)
        weights = () if edge_weight is None else (edge_weight,)
        if weights and not takes_weights(self.convs[0]):
            got = Words(f"weights for {type(self.convs[0]).__name__}")
            raise expected("edge_weight", "None for a convolution without weights", got)
        first, *others = self.convs
        if isinstance(x, SparseFeatures):
            h: Tensor = first(x.dropout(self.dropout.p, training=self.training), edge_index, *weights)
        else:
            h = first(self.dropout(x), edge_index, *weights)
        check_made("conv", h, self.widths[0])
        for conv, width in zip(others, self.widths[1:], strict=True):
            h = conv(self.dropout(torch.relu(h)), edge_index, *weights)
            check_made("conv", h, width)
        return h
