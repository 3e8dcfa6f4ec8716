"""The gated graph neural network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core import rounds
from ...errors import expected
from ...messages import COPY, SCALE
from ...topology import Topology
from ..cells import GRUCell
from ..cells.base import ready
from ._common import check_features, check_flow, check_weight, structure_of

_MERGES = {"add": "sum", "sum": "sum", "mean": "mean", "max": "max"}


class GatedGraphConv(nn.Module):
    """Gated graph neural network: rounds of a GRU whose input are the messages of the neighbours.

        h^0 = x, padded with zeros
        m_v = Σ_{u→v} e_uv W_k h_u
        h_v' = GRU(m_v, h_v)

    Li, Tarlow, Brockschmidt & Zemel (2016), Gated graph sequence neural networks. Arguments, call and parameters
    (`weight` `[K, H, H]`, `rnn.*`) are those of PyG's layer.

    Args:
        out_channels: H.
        num_layers: K, the number of rounds, each with its own W.
        aggr: "add" (or "sum"), "mean" or "max".
        bias: whether the GRU has biases.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: another `aggr`, a size below 1; inputs wider than H, or that don't fit the structure.

    >>> conv = GatedGraphConv(4, num_layers=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, out_channels: int, num_layers: int, aggr: str = "add", bias: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        if aggr not in _MERGES:
            raise expected("aggr", '"add", "mean" or "max"', aggr)
        if not isinstance(num_layers, int) or num_layers < 1:
            raise expected("num_layers", "a whole number ≥ 1", num_layers)
        self.out_channels, self.num_layers, self.aggr = out_channels, num_layers, aggr
        self.flow = check_flow(flow)
        self.rnn = GRUCell(out_channels, out_channels, bias)
        self.weight = nn.Parameter(torch.empty(num_layers, out_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        bound = self.out_channels**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, edge_index: Tensor | Topology, edge_weight: Tensor | None = None) -> Tensor:
        """Return the states after the last round, `[N, H]`.

        Args:
            x: `[N, F]`, F at most H.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries.
            edge_weight: `[E]`.
        """
        topology, weight = structure_of(edge_index, x, edge_weight, self.flow)
        check_features(x, -1, self.weight)
        check_weight(weight, topology, x)
        if x.size(1) > self.out_channels:
            raise expected("x", f"at most {self.out_channels} features, the layer's out_channels", x)
        first = nn.functional.pad(x, (0, self.out_channels - x.size(1)))
        (h,), _ = rounds(
            ready(self.rnn), self.num_layers, topology, (first,), message=COPY if weight is None else SCALE,
            merge=_MERGES[self.aggr], edge_attr=weight, sends=lambda state, k: (state[0] @ self.weight[k],),
        )  # fmt: skip
        return h
