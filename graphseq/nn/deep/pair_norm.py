"""The normalisation of Zhao & Akoglu, which keeps the distances of nodes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...topology import Topology
from ._means import check_rows, means


class PairNorm(nn.Module):
    """Keep the total of all squared distances between the nodes of a graph, so that they can't become alike:

        x_v^c = x_v - mean_u x_u
        x_v' = s x_v^c / √(ε + mean_u ‖x_u^c‖²)
        with `scale_individually`  x_v' = s x_v^c / (ε + ‖x_v^c‖)

    Zhao & Akoglu (2020), PairNorm: tackling oversmoothing in GNNs, eqs. 10 and 11. Arguments and call are those of
    PyG's layer, which has no parameters either.

    Args:
        scale: s.
        scale_individually: whether each node is scaled to the same length.
        eps: ε.

    Raises:
        GraphError: features that are not `[N, F]`, a batch that doesn't fit them.

    >>> PairNorm()(torch.tensor([[1.0, 0], [3.0, 0]]), torch.tensor([0, 0])).round(decimals=3)
    tensor([[-1.,  0.],
            [ 1.,  0.]])
    """

    def __init__(self, scale: float = 1.0, scale_individually: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale, self.scale_individually, self.eps = scale, scale_individually, eps

    def forward(self, x: Tensor, batch: Tensor | Topology | None = None, batch_size: int | None = None) -> Tensor:
        """Return x', `[N, F]`.

        Args:
            x: `[N, F]`.
            batch: int64 `[N]`, the graph of each node, or a topology; one graph by default.
            batch_size: B, by default the largest entry of `batch` plus one.
        """
        check_rows(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # squares exceed the range of 16 bits
        centred = wide - means(wide, batch, batch_size)
        if self.scale_individually:
            length: Tensor = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
            return (self.scale * centred / (self.eps + length)).to(x.dtype)
        lengths = centred.square().sum(1, keepdim=True)
        return (self.scale * centred / (self.eps + means(lengths, batch, batch_size)).sqrt()).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"scale={self.scale}, scale_individually={self.scale_individually}"
