"""Classify graphs."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from ...topology import Topology
from ..convs import GINConv
from ..pool import readout


class GraphClassifier(nn.Module):
    """Classify graphs by a graph isomorphism network whose layers are all read out.

        h^0 = x,  h^k = MLP_k((1 + ε_k) h^{k-1}_v + Σ_{u→v} h^{k-1}_u)
        y = Σ_k W_k dropout(readout(h^k)) + b_k

    Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?, section 4.2.

    Args:
        in_channels: F.
        hidden_channels: H.
        num_classes: C.
        num_layers: K.
        dropout: before the classifiers.
        reduce: the readout: "sum", "mean" or "max".
        train_eps: whether ε is learnt.

    >>> model = GraphClassifier(3, 4, 2)
    >>> model(torch.zeros(5, 3), Topology.chain([2, 3])).shape
    torch.Size([2, 2])
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, num_classes: int, *, num_layers: int = 4, dropout: float = 0.5,
        reduce: str = "sum", train_eps: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = [in_channels, *[hidden_channels] * num_layers]
        self.convs = nn.ModuleList(GINConv(_perceptron(a, b), train_eps=train_eps) for a, b in pairwise(sizes))
        self.classifiers = nn.ModuleList(nn.Linear(size, num_classes) for size in sizes)
        self.dropout, self.reduce = nn.Dropout(dropout), reduce

    def forward(self, x: Tensor, edge_index: Tensor | Topology, batch: Tensor | None = None) -> Tensor:
        """Return scores `[B, C]`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology, which knows its graphs.
            batch: int64 `[N]`, the graph of each node; one graph by default.
        """
        graphs: Tensor | Topology
        if isinstance(edge_index, Topology):
            graphs = edge_index
        else:
            graphs = torch.zeros(x.size(0), dtype=torch.int64, device=x.device) if batch is None else batch
        states = [x]
        for conv in self.convs:
            states.append(conv(states[-1], edge_index))
        read = [self.dropout(readout(h, graphs, self.reduce)) for h in states]
        return torch.stack([f(h) for f, h in zip(self.classifiers, read, strict=True)]).sum(0)


def _perceptron(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU(),
        nn.Linear(out_channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU(),
    )  # fmt: skip
