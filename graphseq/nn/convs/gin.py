"""The graph isomorphism network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn as torch_nn

from ...core import aggregate
from ...messages import COPY, SCALE
from ...ops.library import is_plain
from ...topology import Links
from ._common import bipartite, check_features, check_flow, check_inputs, check_network, reset


class GINConv(torch_nn.Module):
    """Graph isomorphism network layer: ``x_v' = nn((1 + ε) x_v + Σ_{u→v} x_u)``.

    Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?, eq. 4.1. Arguments, call and parameters
    (`nn.*`, `eps`) are those of PyG's layer.

    Args:
        nn: maps features, `[N, F]` → `[N, F']`, such as a multilayer perceptron.
        eps: initial ε.
        train_eps: whether ε is learnt.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: inputs that don't fit the structure, or the network's first linear map.

    >>> conv = GINConv(torch.nn.Linear(3, 4))
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    eps: Tensor

    def __init__(
        self, nn: torch_nn.Module, eps: float = 0.0, train_eps: bool = False, *, flow: str = "source_to_target"
    ) -> None:
        super().__init__()
        self.nn, self.initial_eps, self.flow = check_network(nn), float(eps), check_flow(flow)
        value = torch.full((1,), self.initial_eps)
        if train_eps:
            self.eps = torch_nn.Parameter(value)
        else:
            self.register_buffer("eps", value)

    def reset_parameters(self) -> None:
        """Reset ε and the parameters of `nn`."""
        reset(self.nn)
        torch_nn.init.constant_(self.eps, self.initial_eps)

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor | None], edge_index: Tensor | Links,
        size: tuple[int, int] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, `[S, F]` of the senders and `[R, F]` of the receivers, which may be None.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`; for a pair an edge list or links.
            size: S and R, of a pair without receivers' features.
        """
        links, sent, own, weight = bipartite(x, edge_index, size, self.flow)
        check_features(sent, -1, self.nn)
        check_inputs(self.nn, sent.size(1))
        (merged,) = aggregate(links, (sent,), message=COPY if weight is None else SCALE, edge_attr=weight)
        if own is not None:
            if is_plain(merged) and self.eps.device.type == "cpu" and not self.eps.requires_grad:
                merged.add_(own, alpha=1 + float(self.eps))  # in place, in memory owned by this call
            else:
                merged = merged + (1 + self.eps) * own
        out: Tensor = self.nn(merged)
        return out
