"""The graph attention network whose attention depends on the receiver."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...core import aggregate
from ...errors import Words, expected
from ...messages import FIRST, Softmax, check_share
from ...topology import Links
from ..attention import PerFeature
from ..cells.base import set_norms
from ._attend import check_attention, check_edges, check_fill, check_slope, coefficients, replace_loops
from ._common import bipartite, check_features, check_flow, glorot, linear, project
from .sparse import SparseFeatures

Features = Tensor | SparseFeatures | tuple[Tensor, Tensor]


class GATv2Conv(nn.Module):
    """Graph attention whose ranking of the neighbours depends on the receiver:

        s_uv = a · leaky(W_l x_u + W_r x_v + W_e e_uv)
        α_uv = exp(s_uv) / Σ_{u'→v} exp(s_u'v)
        x_v' = Σ_{u→v} α_uv W_l x_u + b

    Brody, Alon & Yahav (2022), How attentive are graph attention networks?, eq. 7. W_l and W_r have biases. Arguments,
    call and parameters (`lin_l.*`, `lin_r.*`, `att`, `lin_edge.weight`, `res.weight`, `bias`) are those of PyG's layer.
    :meth:`attention` returns the α. Edges with features need a tensor `[E, heads · D]`.

    Args:
        in_channels: F; -1 to infer it from the first call; or a pair, of senders and receivers.
        out_channels: D, of each head.
        heads: number of heads.
        concat: whether heads are concatenated, `[N, heads · D]`, or averaged, `[N, D]`.
        negative_slope: of the leaky rectifier.
        dropout: share of the α that are set to 0 in training.
        add_self_loops: whether self-loops are replaced by one for each node.
        edge_dim: the number of features of an edge; None for edges without any.
        fill_value: the features of new self-loops: a number, a tensor, or "mean", "add", "min", "max" or "mul" of the
            edges into the node.
        bias: whether there are biases.
        share_weights: whether W_r is W_l.
        residual: whether to add a linear map of the node's own features.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = GATv2Conv(3, 4, heads=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 8])
    """

    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, heads: int = 1, concat: bool = True,
        negative_slope: float = 0.2, dropout: float = 0.0, add_self_loops: bool = True, edge_dim: int | None = None,
        fill_value: float | Tensor | str = "mean", bias: bool = True, share_weights: bool = False,
        residual: bool = False, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_attention(heads, out_channels, edge_dim)
        self.in_channels, self.out_channels, self.heads = in_channels, out_channels, heads
        self.concat, self.negative_slope, self.dropout = concat, check_slope(negative_slope), check_share(dropout)
        self.add_self_loops, self.edge_dim, self.fill_value = add_self_loops, edge_dim, check_fill(fill_value)
        self.share_weights, self.flow = share_weights, check_flow(flow)
        wide, total = heads * out_channels, heads * out_channels if concat else out_channels
        self.sizes = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        self.lin_l = linear(self.sizes[0], wide, bias)
        self.lin_r = self.lin_l if share_weights else linear(self.sizes[1], wide, bias)
        self.att = nn.Parameter(torch.empty(1, heads, out_channels))
        self.lin_edge = None if edge_dim is None else linear(edge_dim, wide, bias=False)
        self.res = linear(self.sizes[1], total, bias=False) if residual else None
        self.register_parameter("bias", nn.Parameter(torch.empty(total)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for module in (self.lin_l, self.lin_r, self.lin_edge, self.res):
            if module is not None:
                module.reset_parameters()
        glorot(self.att)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Features, edge_index: Tensor | Links, edge_attr: Tensor | None = None) -> Tensor:
        """Return x', `[N, heads · D]` or `[N, D]`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, of the senders `[S, F]` and the receivers `[R, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`, whose entries are `edge_attr` if
                the layer has `edge_dim`, and ignored otherwise; for a pair an edge list or links.
            edge_attr: `[E, edge_dim]`.
        """
        links, own, left, right, edges = self._scored(x, edge_index, edge_attr)
        merge = Softmax(self._score(), dropout=self.dropout if self.training else 0.0)
        (out,) = aggregate(links, (left,), message=FIRST, merge=merge, received=right, edge_attr=edges)
        if not self.concat:
            out = out.view(-1, self.heads, self.out_channels).mean(1)
        if self.res is not None:
            out = out + project(self.res, own)
        return out if self.bias is None else out + self.bias

    def attention(
        self, x: Features, edge_index: Tensor | Links, edge_attr: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the edges, with self-loops if the layer adds them, and the α of each, `[E', heads]`, without dropout.

        Args:
            x: and the others as of :meth:`forward`.
        """
        set_norms(self)
        links, _, left, right, edges = self._scored(x, edge_index, edge_attr)
        return coefficients(links, self._score(), (left,), right, edges)

    def _score(self) -> PerFeature:
        return PerFeature(self.att[0], self.negative_slope)

    def _scored(self, x: Any, edge_index: Any, edge_attr: Any) -> tuple[Any, ...]:
        """Return links, the receivers' features, and the projections of senders, receivers and edges."""
        if isinstance(x, tuple) and len(x) == 2 and x[1] is None:
            raise expected("x", "a pair of tensors, since the scores read the receivers", Words("a pair with None"))
        links, sent, own, weight = bipartite(x, edge_index, None, self.flow)
        for features, size in zip((sent, own), self.sizes, strict=True):
            check_features(features, size, self)
        edge_attr = weight if edge_attr is None and self.edge_dim is not None else edge_attr
        edge_attr = check_edges(edge_attr, links, self.edge_dim, sent)
        if self.add_self_loops:
            links, edge_attr = replace_loops(links, edge_attr, self.fill_value)
        left = project(self.lin_l, sent)
        right = left if self.share_weights and own is sent else project(self.lin_r, own)
        return links, own, left, right, None if edge_attr is None or self.lin_edge is None else self.lin_edge(edge_attr)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"
