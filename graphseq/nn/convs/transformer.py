"""The graph transformer layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...core import aggregate
from ...errors import Words, expected
from ...messages import FIRST, Message, Softmax, State, check_share
from ...topology import Links
from ..attention import Dot
from ..cells.base import set_norms
from ._attend import check_attention, check_edges, coefficients
from ._common import bipartite, check_features, check_flow, linear, pair, project
from .sparse import SparseFeatures

Features = Tensor | SparseFeatures | tuple[Tensor, Tensor]


class TransformerConv(nn.Module):
    """Attention by scaled dot products of queries and keys, over the edges of any graph:

        α_uv = exp(q_v · (k_u + W_e e_uv) / √D) / Σ_{u'→v} …,   q, k, w = W_q x, W_k x, W_v x
        m_v = Σ_{u→v} α_uv (w_u + W_e e_uv)
        x_v' = m_v + W_s x_v;   with `beta`  β W_s x_v + (1 - β) m_v,  β = σ(W_β [m_v, W_s x_v, m_v - W_s x_v])

    Shi, Huang, Feng, Zhong, Wang & Sun (2021), Masked label prediction: unified message passing model for
    semi-supervised classification, eqs. 2 to 5. Arguments, call and parameters (`lin_key.*`, `lin_query.*`,
    `lin_value.*`, `lin_skip.*`, `lin_edge.weight`, `lin_beta.weight`) are those of PyG's layer. :meth:`attention`
    returns the α. Edges with features need a tensor `[E, heads · D]`.

    Args:
        in_channels: F; -1 to infer it from the first call; or a pair, of senders and receivers.
        out_channels: D, of each head.
        heads: number of heads.
        concat: whether heads are concatenated, `[N, heads · D]`, or averaged, `[N, D]`.
        beta: whether a gate mixes the node's own features with the message.
        dropout: share of the α that are set to 0 in training.
        edge_dim: the number of features of an edge; None for edges without any.
        bias: whether the maps have biases.
        root_weight: whether the node's own features are added.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = TransformerConv(3, 4, heads=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 8])
    """

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, heads: int = 1, concat: bool = True,
        beta: bool = False, dropout: float = 0.0, edge_dim: int | None = None, bias: bool = True,
        root_weight: bool = True, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_attention(heads, out_channels, edge_dim)
        self.in_channels, self.out_channels, self.heads = in_channels, out_channels, heads
        self.concat, self.dropout, self.edge_dim = concat, check_share(dropout), edge_dim
        self.beta, self.root_weight, self.flow = beta and root_weight, root_weight, check_flow(flow)
        wide, total = heads * out_channels, heads * out_channels if concat else out_channels
        left, right = pair(in_channels)
        self.lin_key, self.lin_query = linear(left, wide, bias, uniform=True), linear(right, wide, bias, uniform=True)
        self.lin_value = linear(left, wide, bias, uniform=True)
        self.lin_edge = None if edge_dim is None else nn.Linear(edge_dim, wide, bias=False)
        self.lin_skip = linear(right, total, bias, uniform=True)
        self.lin_beta = nn.Linear(3 * total, 1, bias=False) if self.beta else None

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for module in self.children():
            module.reset_parameters()  # type: ignore[operator]

    def forward(self, x: Features, edge_index: Tensor | Links, edge_attr: Tensor | None = None) -> Tensor:
        """Return x', `[N, heads · D]` or `[N, D]`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, of the senders `[S, F]` and the receivers `[R, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`, whose entries are `edge_attr` if
                the layer has `edge_dim`, and ignored otherwise; for a pair an edge list or links.
            edge_attr: `[E, edge_dim]`, required if the layer has `edge_dim`.
        """
        links, sent, own, queries, keys, edges = self._scored(x, edge_index, edge_attr)
        merge = Softmax(Dot(self.heads), dropout=self.dropout if self.training else 0.0)
        message: Message = FIRST if edges is None else _plus_edge
        state = (project(self.lin_value, sent), keys)
        (out,) = aggregate(links, state, message=message, merge=merge, received=queries, edge_attr=edges)
        if not self.concat:
            out = out.view(-1, self.heads, self.out_channels).mean(1)
        if not self.root_weight:
            if isinstance(self.lin_skip, nn.LazyLinear):
                project(self.lin_skip, own[:0])  # so that its weights can be stored, and loaded into PyG's layer
            return out
        skip = project(self.lin_skip, own)
        if self.lin_beta is None:
            return out + skip
        beta = torch.sigmoid(self.lin_beta(torch.cat([out, skip, out - skip], 1)))
        return beta * skip + (1 - beta) * out

    def attention(
        self, x: Features, edge_index: Tensor | Links, edge_attr: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the edges and the α of each, `[E, heads]`, without dropout.

        Args:
            x: and the others as of :meth:`forward`.
        """
        set_norms(self)
        links, _, _, queries, keys, edges = self._scored(x, edge_index, edge_attr)
        return coefficients(links, Dot(self.heads), (keys, keys), queries, edges)

    def _scored(self, x: Any, edge_index: Any, edge_attr: Any) -> tuple[Any, ...]:
        """Return links, the features of senders and receivers, queries, keys, and the projected edges."""
        if isinstance(x, tuple) and len(x) == 2 and x[1] is None:
            raise expected("x", "a pair of tensors, since the scores read the receivers", Words("a pair with None"))
        links, sent, own, weight = bipartite(x, edge_index, None, self.flow)
        left, right = pair(self.in_channels)
        check_features(sent, left, self.lin_key)
        check_features(own, right, self.lin_query)
        edge_attr = weight if edge_attr is None and self.edge_dim is not None else edge_attr
        edge_attr = check_edges(edge_attr, links, self.edge_dim, sent)
        if edge_attr is None and self.lin_edge is not None:
            raise expected("edge_attr", f"shape [{links.num_edges}, {self.edge_dim}] for a layer with edge_dim", None)
        edges = None if edge_attr is None or self.lin_edge is None else self.lin_edge(edge_attr)
        return links, sent, own, project(self.lin_query, own), project(self.lin_key, sent), edges

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, heads={self.heads}"


def _plus_edge(sent: State, received: Any, edge: Tensor | None) -> State:
    """Return the sender's value plus what the edge says."""
    return sent[:1] if edge is None else (sent[0] + edge,)
