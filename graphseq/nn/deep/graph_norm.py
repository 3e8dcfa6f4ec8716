"""The normalisation of Cai et al."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import expected
from ...topology import Topology
from ...topology.inputs import check_same_kind
from ..cells.base import check_sizes
from ._means import check_rows, means


class GraphNorm(nn.Module):
    """Normalise the features over the nodes of each graph, with a learnt share of the mean:

        x_v^c = x_v - α ⊙ mean_u x_u
        x_v' = γ ⊙ x_v^c / √(mean_u (x_u^c)² + ε) + β

    Cai, Luo, Xu, He, Liu & Wang (2021), GraphNorm: a principled approach to accelerating graph neural network training,
    eq. 7. Arguments, call and parameters (γ `weight`, β `bias`, α `mean_scale`, `[F]`) are those of PyG's layer.

    Args:
        in_channels: F.
        eps: ε.
        device: of the parameters.

    Raises:
        GraphError: an invalid width; features that don't fit the layer, a batch that doesn't fit them.

    >>> GraphNorm(2)(torch.tensor([[1.0, 0], [3.0, 0]]), torch.tensor([0, 0])).round(decimals=3).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """

    def __init__(self, in_channels: int, eps: float = 1e-5, device: Any = None) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels)
        self.in_channels, self.eps = in_channels, eps
        self.weight = nn.Parameter(torch.ones(in_channels, device=device))
        self.bias = nn.Parameter(torch.zeros(in_channels, device=device))
        self.mean_scale = nn.Parameter(torch.ones(in_channels, device=device))

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.mean_scale)

    def forward(self, x: Tensor, batch: Tensor | Topology | None = None, batch_size: int | None = None) -> Tensor:
        """Return x', `[N, F]`.

        Args:
            x: `[N, F]`.
            batch: int64 `[N]`, the graph of each node, or a topology; one graph by default.
            batch_size: B, by default the largest entry of `batch` plus one.
        """
        check_rows(x)
        weight = self.weight  # read once, since it may be a function of others
        check_same_kind("x", x, weight, "the layer's weight")
        if x.size(1) != self.in_channels:
            raise expected("x", f"shape [N, {self.in_channels}], the layer's in_channels wide", x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # squares exceed the range of 16 bits
        centred = wide - self.mean_scale * means(wide, batch, batch_size)
        variance = means(centred.square(), batch, batch_size)
        return (weight * centred / (variance + self.eps).sqrt() + self.bias).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the size."""
        return f"{self.in_channels}"
