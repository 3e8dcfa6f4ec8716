"""The first-order graph network of Morris et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...topology import Links
from ._common import bipartite, check_aggr, check_features, check_flow, check_weight, linear, merged_map, pair, project
from .sparse import SparseFeatures


class GraphConv(nn.Module):
    """Graph convolution with a weight for the node itself: ``x_v' = W_rel Σ_{u→v} e_uv x_u + b + W_root x_v``.

    Morris, Ritzert, Fey, Hamilton, Lenssen, Rattan & Grohe (2019), Weisfeiler and Leman go neural: higher-order graph
    neural networks, eq. 3. Arguments, call and parameters (`lin_rel.*`, `lin_root.weight`) are those of PyG's layer.
    If the weights of the edges into a node sum to 1, it is attention that is given; :class:`GATConv` learns it.

    Args:
        in_channels: F; -1 to infer it from the first call; or a pair, of senders and receivers.
        out_channels: F'.
        aggr: of the neighbours: "add" (or "sum"), "mean", "max", "min", "var", "std", "softmax" or a
            :class:`graphseq.Merge`.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> import torch
    >>> conv = GraphConv(3, 4)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, aggr: str = "add", bias: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        left, right = pair(in_channels)
        self.in_channels, self.out_channels, self.aggr, self._merge = in_channels, out_channels, aggr, check_aggr(aggr)
        self.flow = check_flow(flow)
        self.lin_rel = linear(left, out_channels, bias, uniform=True)
        self.lin_root = linear(right, out_channels, bias=False, uniform=True)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        self.lin_rel.reset_parameters()
        self.lin_root.reset_parameters()

    def forward(
        self, x: Tensor | SparseFeatures | tuple[Tensor, Tensor | None], edge_index: Tensor | Links,
        edge_weight: Tensor | None = None, size: tuple[int, int] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, of the senders `[S, F]` and the receivers `[R, F]`, which may be None.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries; for a
                pair an edge list or links.
            edge_weight: e, `[E]`.
            size: S and R, of a pair without receivers' features.
        """
        links, sent, own, weight = bipartite(x, edge_index, size, self.flow, edge_weight)
        left, right = pair(self.in_channels)
        check_features(sent, left, self.lin_rel)
        check_weight(weight, links, sent)
        out = merged_map(self.lin_rel, links, sent, weight, self._merge)
        if own is None:
            return out
        check_features(own, right, self.lin_root)
        return out + project(self.lin_root, own)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr!r}"
