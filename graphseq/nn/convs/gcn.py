"""The graph convolution of Kipf & Welling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core import aggregate
from ...errors import expected
from ...messages import COPY, SCALE
from ...ops.library import is_transformed
from ...spectral import gcn_norm
from ...topology import Topology
from ..cells.base import set_norms
from ._common import check_features, check_flow, check_weight, is_bare, linear, project, structure_of
from .sparse import SparseFeatures


class GCNConv(nn.Module):
    """Graph convolution: ``X' = D^{-1/2} (A + I) D^{-1/2} X W + b``, the first-order Chebyshev filter.

    Kipf & Welling (2017), Semi-supervised classification with graph convolutional networks, eq. 2. Arguments, call and
    parameters (`lin.weight` `[F', F]`, `bias` `[F']`) are those of PyG's layer.

    Args:
        in_channels: F; -1 to infer it from the first call.
        out_channels: F'.
        improved: ``A + 2I``, with or without weights (PyG 2.8 ignores it without them).
        cached: ignored; for PyG compatibility. What depends only on the structure is always computed once.
        add_self_loops: whether to add I; by default if `normalize` is True. A loop that is there keeps its weight,
            also in a sparse matrix, to which PyG 2.8 adds a second one.
        normalize: False uses A with its weights, not normalised.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: inputs that don't fit the layer or the structure.

    >>> conv = GCNConv(3, 4)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, improved: bool = False, cached: bool = False,
        add_self_loops: bool | None = None, normalize: bool = True, bias: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        if add_self_loops and not normalize:
            raise expected("add_self_loops", "False or None where `normalize` is False", add_self_loops)
        self.in_channels, self.out_channels, self.improved, self.cached = in_channels, out_channels, improved, cached
        self.normalize, self.flow = normalize, check_flow(flow)
        self.add_self_loops = normalize if add_self_loops is None else add_self_loops
        self.lin = linear(in_channels, out_channels, bias=False)
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        self.lin.reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x: Tensor | SparseFeatures, edge_index: Tensor | Topology, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Return X', `[N, F']`.

        Args:
            x: `[N, F]`; :class:`SparseFeatures` where most of them are zeros.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries.
            edge_weight: `[E]`.
        """
        topology, weight = structure_of(edge_index, x, edge_weight, self.flow)
        check_features(x, self.in_channels, self.lin)
        check_weight(weight, topology, x)
        if self.normalize:
            topology, weight = gcn_norm(
                topology, weight, improved=self.improved, add_self_loops=self.add_self_loops, dtype=x.dtype
            )
        form, wide = COPY if weight is None else SCALE, x.size(1)
        own = is_bare(self.lin) and self.lin.bias is None and not isinstance(self.lin, nn.LazyLinear)
        if isinstance(x, SparseFeatures):
            sent = project(self.lin, x)
        elif own and (wide < self.out_channels or (wide == self.out_channels and not x.requires_grad)):
            set_norms(self.lin)
            (merged,) = aggregate(topology, (x,), message=form, edge_attr=weight)
            return nn.functional.linear(merged, self.lin.weight, self.bias)  # (ÂX) W, the cheaper way
        else:
            sent = self.lin(x)
        (out,) = aggregate(topology, (sent,), message=form, edge_attr=weight)
        if self.bias is None or is_transformed():
            return out if self.bias is None else out + self.bias
        return out.add_(self.bias)  # in place, in memory owned by this call

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}"
