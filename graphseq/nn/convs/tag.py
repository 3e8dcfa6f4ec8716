"""The topology adaptive graph convolution of Du et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...spectral import gcn_norm
from ...topology import Topology
from ...topology.inputs import check_count
from ._common import check_features, check_flow, check_weight, linear, merged, narrows, project, structure_of
from .sparse import SparseFeatures


class TAGConv(nn.Module):
    """A filter that is a polynomial of the adjacency: ``X' = Σ_{k≤K} Â^k X W_k + b``, ``Â = D^{-1/2} A D^{-1/2}``.

    Du, Zhang, Wu, Moura & Kar (2018), Topology adaptive graph convolutional networks, eq. 4. Arguments, call and
    parameters (`lins.*.weight`, `bias`) are those of PyG's layer. Where F' is smaller than F, the sum is Horner's,
    over rows F' wide.

    Args:
        in_channels: F; -1 to infer it from the first call.
        out_channels: F'.
        K: the highest power, 0 or more.
        bias: whether to add b.
        normalize: False uses A with its weights, not normalised.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = TAGConv(3, 4, K=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, K: int = 3, bias: bool = True, normalize: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_channels, self.out_channels, self.K = in_channels, out_channels, check_count("K", K)
        self.normalize, self.flow = normalize, check_flow(flow)
        self.lins = nn.ModuleList(linear(in_channels, out_channels, bias=False, uniform=True) for _ in range(K + 1))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for lin in self.lins:
            lin.reset_parameters()  # type: ignore[operator]
        if self.bias is not None:
            nn.init.zeros_(self.bias)

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
        check_features(x, self.in_channels, self.lins[0])
        check_weight(weight, topology, x)
        if self.normalize:
            topology, weight = gcn_norm(topology, weight, add_self_loops=False, dtype=x.dtype)
        if all(narrows(lin, x) for lin in self.lins):
            *others, out = (project(lin, x) for lin in self.lins)
            for row in reversed(others):
                out = row + merged(topology, out, weight)
        else:
            out, h = project(self.lins[0], x), x
            for lin in self.lins[1:]:
                h = merged(topology, h, weight)
                out = out + project(lin, h)
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, K={self.K}"
