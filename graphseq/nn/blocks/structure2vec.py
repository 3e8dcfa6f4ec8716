"""The embedding of Dai et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...topology import Topology
from ..cells.base import check_sizes
from ..convs import GraphNetwork
from ._sets import Columns


class Structure2Vec(nn.Module):
    """Rounds of mean-field inference, with parameters that are learnt:

        μ_v = 0,   μ_v' = relu(W_1 x_v + W_2 Σ_{u→v} μ_u + b)

    Dai, Dai & Song (2016), Discriminative embeddings of latent variable models for structured data, eq. 10. A block of
    a graph network on nodes ``[x, μ]``, whose messages are the senders' μ.

    Args:
        in_channels: F.
        out_channels: H.
        rounds: number of rounds.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> Structure2Vec(3, 4)(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, rounds: int = 4) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels, rounds=rounds)
        f, h = in_channels, out_channels
        update = nn.Sequential(Columns(0, h + f), nn.Linear(h + f, h), nn.ReLU())  # columns of W_2, then of W_1
        self.block, self.rounds, self.out_channels = GraphNetwork(Columns(2 * f + h, 2 * f + 2 * h), update), rounds, h

    def forward(self, x: Tensor, edge_index: Tensor | Topology) -> Tensor:
        """Return μ, `[N, H]`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes.
        """
        mu = x.new_zeros(x.size(0), self.out_channels)
        for _ in range(self.rounds):
            mu, _, _ = self.block(torch.cat([x, mu], 1), edge_index)
        return mu
