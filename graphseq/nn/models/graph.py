"""Classify graphs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GINConv
from ..pool import readout
from .library import check_made, check_width, make_conv, takes_weights


class GraphClassifier(nn.Module):
    """Classify graphs by graph convolutions that are all read out; by default by a graph isomorphism network.

        h^0 = x,  h^k = MLP_k((1 + ε_k) h^{k-1}_v + Σ_{u→v} h^{k-1}_u)
        y = Σ_k W_k dropout(readout(h^k)) + b_k

    Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?, section 4.2. Another convolution is
    followed by batch normalisation and a ReLU, as at the end of GIN's perceptron.

    Args:
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        num_layers: K.
        dropout: before the classifiers.
        reduce: the readout: "sum", "mean" or "max".
        train_eps: whether GIN's ε is learnt.
        conv: the convolution: "gin", "gcn" or another of graphseq.nn's by name, or a function of two widths that makes
            a layer, such as a layer's class.

    Raises:
        GraphError: no such convolution; on a call, weights of edges that the convolution doesn't take.

    >>> model = GraphClassifier(3, 4, 2)
    >>> model(torch.zeros(5, 3), Topology.chain([2, 3])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, num_classes: int, *, num_layers: int = 4, dropout: float = 0.5,
        reduce: str = "sum", train_eps: bool = False, conv: str | Callable[[int, int], nn.Module] = "gin",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(num_classes=num_classes, hidden_channels=hidden_channels)
        sizes = [in_channels, *[hidden_channels] * num_layers]
        if conv == "gin":
            self.convs = nn.ModuleList(GINConv(_perceptron(a, b), train_eps=train_eps) for a, b in pairwise(sizes))
        else:
            self.convs = nn.ModuleList(make_conv(conv, a, b) for a, b in pairwise(sizes))
        ends = (nn.Identity() if conv == "gin" else nn.Sequential(_Norm(b), nn.ReLU()) for b in sizes[1:])
        self.ends = nn.ModuleList(ends)
        self.classifiers = nn.ModuleList(nn.Linear(size, num_classes) for size in sizes)
        self.widths = sizes[1:]
        self.in_channels, self.dropout, self.reduce = in_channels, nn.Dropout(dropout), reduce

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, batch: Tensor | None = None, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Return scores `[B, C]`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology, which knows its graphs.
            batch: int64 `[N]`, the graph of each node; one graph by default.
            edge_weight: `[E]`, where the convolution takes weights.
        """
        check_width(x, self.in_channels)
        graphs: Tensor | Topology
        if isinstance(edge_index, Topology):
            graphs = edge_index
        else:
            graphs = torch.zeros(x.size(0), dtype=torch.int64, device=x.device) if batch is None else batch
        weights = () if edge_weight is None else (edge_weight,)
        if weights and not takes_weights(self.convs[0]):
            got = Words(f"weights for {type(self.convs[0]).__name__}")
            raise expected("edge_weight", "None for a convolution without weights", got)
        states = [x]
        for conv, end, width in zip(self.convs, self.ends, self.widths, strict=True):
            h = conv(states[-1], edge_index, *weights)
            check_made("conv", h, width)
            states.append(end(h))
        read = [self.dropout(readout(h, graphs, self.reduce)) for h in states]
        return torch.stack([f(h) for f, h in zip(self.classifiers, read, strict=True)]).sum(0)


def _perceptron(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), _Norm(out_channels), nn.ReLU(),
        nn.Linear(out_channels, out_channels), _Norm(out_channels), nn.ReLU(),
    )  # fmt: skip


class _Norm(nn.BatchNorm1d):
    """Batch normalisation; a single row, which has no variance, is normalised by the running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.size(0) == 1:
            stats = (self.running_mean, self.running_var, self.weight, self.bias)
            return nn.functional.batch_norm(input, *stats, training=False, eps=self.eps)
        return super().forward(input)
