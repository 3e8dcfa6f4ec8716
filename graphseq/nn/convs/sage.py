"""GraphSAGE."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import expected
from ...messages import Merge
from ...topology import Links
from ._common import bipartite, check_aggr, check_features, check_flow, linear, merged_map, pair, project, reset
from ._lstm import LSTMAggregation
from .sparse import SparseFeatures


class SAGEConv(nn.Module):
    """GraphSAGE: each node's own features and the mean of its neighbours', by a linear map each:

        x_v' = W_l mean_{u→v} z_u + b + W_r x_v,   z_u = x_u;   with `project`  z_u = relu(W x_u + c)

    Hamilton, Ying & Leskovec (2017), Inductive representation learning on large graphs, algorithm 1 and eq. 3.
    Arguments, call and parameters (`lin_l.*`, `lin_r.weight`, `lin.*` with `project`) are those of PyG's layer.

    Args:
        in_channels: F; -1 to infer it from the first call; or a pair, of senders and receivers.
        out_channels: F'.
        aggr: "mean", "max", "min", "add" (or "sum"), "var", "std", "softmax" or a :class:`graphseq.Merge`; or
            "lstm", the last state of an LSTM over the neighbours in the order of the edges (parameters
            `aggr_module.lstm.*`), 0 without any. (PyG's pads neighbours and runs over the padding, so that its results
            equal these only at nodes of maximal degree.)
        normalize: whether each x_v' is divided by its Euclidean norm.
        root_weight: whether the node's own features are added.
        project: whether neighbours' features go through a layer of their own first.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> import torch
    >>> conv = SAGEConv(3, 4)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, aggr: str | Merge = "mean",
        normalize: bool = False, root_weight: bool = True, project: bool = False, bias: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        left, right = pair(in_channels)
        if (project or aggr == "lstm") and left < 1:
            what = "`project`" if project else "an LSTM"
            raise expected("in_channels", f"a known width of the senders for {what}", in_channels)
        self.in_channels, self.out_channels, self.aggr = in_channels, out_channels, aggr
        self._merge = check_aggr("add" if aggr == "lstm" else aggr, "lstm")
        self.aggr_module = LSTMAggregation(left, left) if aggr == "lstm" else None
        self.normalize, self.root_weight, self.project, self.flow = normalize, root_weight, project, check_flow(flow)
        if project:
            self.lin = linear(left, left, bias=True, uniform=True)
        self.lin_l = linear(left, out_channels, bias, uniform=True)
        if root_weight:
            self.lin_r = linear(right, out_channels, bias=False, uniform=True)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for module in self.children():
            reset(module)

    def forward(
        self, x: Tensor | SparseFeatures | tuple[Tensor, Tensor | None], edge_index: Tensor | Links,
        size: tuple[int, int] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, of the senders `[S, F]` and the receivers `[R, F]`, which may be None.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t`, whose entries scale what neighbours
                send; for a pair an edge list or links.
            size: S and R, of a pair without receivers' features.
        """
        links, sent, own, weight = bipartite(x, edge_index, size, self.flow)
        left, right = pair(self.in_channels)
        check_features(sent, left, self.lin_l)
        if self.project:
            sent = project(self.lin, sent).relu()
        if self.aggr_module is not None:
            dense = sent if isinstance(sent, Tensor) else sent.dense()
            out: Tensor = self.lin_l(self.aggr_module(dense, links, weight))
        else:
            out = merged_map(self.lin_l, links, sent, weight, self._merge)
        if self.root_weight and own is not None:
            check_features(own, right, self.lin_r)
            out = out + project(self.lin_r, own)
        return nn.functional.normalize(out, dim=-1) if self.normalize else out

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr!r}"
