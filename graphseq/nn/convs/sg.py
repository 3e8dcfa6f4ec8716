"""The simplified graph convolution of Wu et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...spectral import gcn_norm
from ...topology import Topology
from ...topology.inputs import check_count
from ._common import check_features, check_flow, check_weight, linear, merged, narrows, project, structure_of
from .sparse import SparseFeatures


class SGConv(nn.Module):
    """Simplified graph convolution: ``X' = Â^K X W + b``, ``Â = D^{-1/2} (A + I) D^{-1/2}``.

    Wu, Souza, Zhang, Fifty, Yu & Weinberger (2019), Simplifying graph convolutional networks, eq. 8. Arguments, call
    and parameters (`lin.*`) are those of PyG's layer.

    Args:
        in_channels: F; -1 to infer it from the first call.
        out_channels: F'.
        K: the power, 0 or more.
        cached: ignored; for PyG compatibility. What depends only on the structure is always computed once.
        add_self_loops: whether to add I.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> import torch
    >>> conv = SGConv(3, 4, K=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, K: int = 1, cached: bool = False, add_self_loops: bool = True,
        bias: bool = True, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels, self.out_channels, self.K = in_channels, out_channels, check_count("K", K)
        self.cached, self.add_self_loops, self.flow = cached, add_self_loops, check_flow(flow)
        self.lin = linear(in_channels, out_channels, bias, uniform=True)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        self.lin.reset_parameters()

    def forward(
        self, x: Tensor | SparseFeatures, edge_index: Tensor | Topology, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Return X', `[N, F']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries.
            edge_weight: `[E]`.
        """
        topology, weight = structure_of(edge_index, x, edge_weight, self.flow)
        check_features(x, self.in_channels, self.lin)
        check_weight(weight, topology, x)
        topology, weight = gcn_norm(topology, weight, add_self_loops=self.add_self_loops, dtype=x.dtype)
        first = narrows(self.lin, x)
        h = project(self.lin, x, bias=False) if first else x
        for _ in range(self.K):
            h = merged(topology, h, weight)
        if not first:
            return project(self.lin, h)
        out: Tensor = h if self.lin.bias is None else h + self.lin.bias  # type: ignore[operator]
        return out

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, K={self.K}"
