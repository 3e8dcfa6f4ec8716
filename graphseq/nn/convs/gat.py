"""The graph attention network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...core import aggregate
from ...messages import FIRST, Softmax, check_share
from ...topology import Links
from ..attention import Additive
from ..cells.base import set_norms
from ._attend import check_attention, check_edges, check_fill, check_slope, coefficients, replace_loops
from ._common import bipartite, check_features, check_flow, glorot, linear, pair, project
from .sparse import SparseFeatures

Features = Tensor | SparseFeatures | tuple[Tensor, Tensor | None]


class GATConv(nn.Module):
    """Graph attention: each node sums its neighbours by learnt weights, in several heads.

        s_uv = leaky(a_s · W x_u + a_r · W x_v + a_e · W_e e_uv)
        α_uv = exp(s_uv) / Σ_{u'→v} exp(s_u'v)
        x_v' = Σ_{u→v} α_uv W x_u + b

    Veličković, Cucurull, Casanova, Romero, Liò & Bengio (2018), Graph attention networks, eqs. 1 to 6. Arguments, call
    and parameters (`lin.weight` or `lin_src.weight` and `lin_dst.weight`, `att_src`, `att_dst`, `lin_edge.weight`,
    `att_edge`, `res.weight`, `bias`) are those of PyG's layer. :meth:`attention` returns the α.

    With `residual` and without self-loops it is ``x_v' = W_0 x_v + Σ_{u→v} α_uv W_1 x_u + b`` with learnt α;
    :class:`GraphConv` is the same with given weights.

    Args:
        in_channels: F; -1 to infer it from the first call; or a pair, of senders and receivers with maps of their own.
        out_channels: D, of each head.
        heads: number of heads.
        concat: whether heads are concatenated, `[N, heads · D]`, or averaged, `[N, D]`.
        negative_slope: of the leaky rectifier.
        dropout: share of the α that are set to 0 in training.
        add_self_loops: whether self-loops are replaced by one for each node.
        edge_dim: the number of features of an edge; None for edges without any.
        fill_value: the features of new self-loops: a number, a tensor, or "mean", "add", "min", "max" or "mul" of the
            edges into the node, also where `flow` is reversed (in PyG of those in the second row of `edge_index`).
        bias: whether to add b.
        residual: whether to add a linear map of the node's own features.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = GATConv(3, 4, heads=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 8])
    """

    lin: nn.Linear | None
    bias: nn.Parameter | None
    att_edge: nn.Parameter | None

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, heads: int = 1, concat: bool = True,
        negative_slope: float = 0.2, dropout: float = 0.0, add_self_loops: bool = True, edge_dim: int | None = None,
        fill_value: float | Tensor | str = "mean", bias: bool = True, residual: bool = False, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_attention(heads, out_channels, edge_dim)
        self.in_channels, self.out_channels, self.heads = in_channels, out_channels, heads
        self.concat, self.negative_slope, self.dropout = concat, check_slope(negative_slope), check_share(dropout)
        self.add_self_loops, self.edge_dim, self.fill_value = add_self_loops, edge_dim, check_fill(fill_value)
        self.flow, self.residual = check_flow(flow), residual
        wide, total = heads * out_channels, heads * out_channels if concat else out_channels
        own = in_channels[1] if isinstance(in_channels, tuple) else in_channels
        if isinstance(in_channels, tuple):
            self.lin = None
            self.lin_src: nn.Linear | None = linear(in_channels[0], wide, bias=False)
            self.lin_dst: nn.Linear | None = linear(own, wide, bias=False)
        else:
            self.lin, self.lin_src, self.lin_dst = linear(in_channels, wide, bias=False), None, None
        self.att_src = nn.Parameter(torch.empty(1, heads, out_channels))
        self.att_dst = nn.Parameter(torch.empty(1, heads, out_channels))
        self.lin_edge = None if edge_dim is None else linear(edge_dim, wide, bias=False)
        of_edges = None if edge_dim is None else nn.Parameter(torch.empty(1, heads, out_channels))
        self.register_parameter("att_edge", of_edges)
        self.res = linear(own, total, bias=False) if residual else None
        self.register_parameter("bias", nn.Parameter(torch.empty(total)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for module in (self.lin, self.lin_src, self.lin_dst, self.lin_edge, self.res):
            if module is not None:
                module.reset_parameters()
        for vector in (self.att_src, self.att_dst, self.att_edge):
            if vector is not None:
                glorot(vector)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x: Features, edge_index: Tensor | Links, edge_attr: Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return x', `[N, heads · D]` or `[N, D]`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, of the senders `[S, F]` and the receivers `[R, F]`, which may be None.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`, whose entries are `edge_attr` if
                the layer has `edge_dim`, and ignored otherwise; for a pair an edge list or links.
            edge_attr: `[E, edge_dim]`.
            size: S and R, of a pair without receivers' features.
        """
        links, own, values, a, b, c = self._scored(x, edge_index, edge_attr, size)
        merge = Softmax(Additive(self.negative_slope), dropout=self.dropout if self.training else 0.0)
        (out,) = aggregate(links, (values, a), message=FIRST, merge=merge, received=b, edge_attr=c)
        if not self.concat:
            out = out.view(-1, self.heads, self.out_channels).mean(1)
        if self.res is not None and own is not None:
            out = out + project(self.res, own)
        return out if self.bias is None else out + self.bias

    def attention(
        self, x: Features, edge_index: Tensor | Links, edge_attr: Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return the edges, with self-loops if the layer adds them, and the α of each, `[E', heads]`, without dropout.

        Args:
            x: and the others as of :meth:`forward`.
        """
        set_norms(self)
        links, _, _, a, b, c = self._scored(x, edge_index, edge_attr, size)
        return coefficients(links, Additive(self.negative_slope), (a, a), b, c)

    def _scored(self, x: Any, edge_index: Any, edge_attr: Any, size: Any) -> tuple[Any, ...]:
        """Return links, the receivers' features, the senders' values, and the three parts of the scores."""
        links, sent, own, weight = bipartite(x, edge_index, size, self.flow)
        left, right = pair(self.in_channels)
        check_features(sent, left, self)
        if own is not None:
            check_features(own, right, self)
        edge_attr = weight if edge_attr is None and self.edge_dim is not None else edge_attr
        edge_attr = check_edges(edge_attr, links, self.edge_dim, sent)
        if self.add_self_loops:
            links, edge_attr = replace_loops(links, edge_attr, self.fill_value)
        return links, own, *self._parts(sent, own, links, edge_attr)

    def _parts(self, sent: Any, own: Any, links: Links, edge_attr: Tensor | None) -> tuple[Any, ...]:
        of_senders: Any = self.lin if self.lin is not None else self.lin_src
        of_receivers: Any = self.lin if self.lin is not None else self.lin_dst
        values = project(of_senders, sent)
        if own is sent and self.lin is not None:  # one product for both
            a, b = (values @ _blocks(self.att_src, self.att_dst)).chunk(2, 1)
        else:
            a = values @ _blocks(self.att_src)
            b = a.new_zeros(links.num_receivers, self.heads)
            if own is not None:
                b = project(of_receivers, own) @ _blocks(self.att_dst)
        if edge_attr is None or self.lin_edge is None or self.att_edge is None:
            return values, a, b, None
        return values, a, b, self.lin_edge(edge_attr) @ _blocks(self.att_edge)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


def _blocks(*vectors: Tensor) -> Tensor:
    """Return matrices `[heads · D, heads]`, side by side, that multiply each head with its vector, `[1, heads, D]`."""
    given = (vectors[0] if len(vectors) == 1 else torch.cat(vectors)).permute(1, 2, 0)[..., None]
    own = torch.eye(given.size(0), dtype=torch.bool, device=given.device)[:, None, None]
    return torch.where(own, given, given.new_zeros(())).flatten(2).flatten(0, 1)
