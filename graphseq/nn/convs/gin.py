"""The graph isomorphism network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn as torch_nn

from ...core import aggregate
from ...topology import Topology
from ._common import check_features, structure_of


class GINConv(torch_nn.Module):
    """Graph isomorphism network layer: ``x_v' = nn((1 + ε) x_v + Σ_{u→v} x_u)``.

    Xu, Hu, Leskovec & Jegelka (2019), How powerful are graph neural networks?, eq. 4.1. Arguments, call and parameters
    (`nn.*`, `eps`) are those of PyG's layer.

    Args:
        nn: maps features, `[N, F]` → `[N, F']`, such as a multilayer perceptron.
        eps: ε at the start.
        train_eps: whether ε is learnt.

    Raises:
        GraphError: inputs that don't fit the structure.

    >>> conv = GINConv(torch.nn.Linear(3, 4))
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    eps: Tensor

    def __init__(self, nn: torch_nn.Module, eps: float = 0.0, train_eps: bool = False) -> None:
        super().__init__()
        self.nn, self.initial_eps = nn, float(eps)
        value = torch.full((1,), self.initial_eps)
        if train_eps:
            self.eps = torch_nn.Parameter(value)
        else:
            self.register_buffer("eps", value)

    def reset_parameters(self) -> None:
        """Set ε back and draw the parameters of `nn` anew."""
        for module in self.nn.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
        torch_nn.init.constant_(self.eps, self.initial_eps)

    def forward(self, x: Tensor, edge_index: Tensor | Topology) -> Tensor:
        """Return x', `[N, F']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, or a topology of N nodes.
        """
        topology = structure_of(edge_index, x)
        check_features(x, -1, next(self.nn.parameters(), None))
        (merged,) = aggregate(topology, (x,))
        if self.eps.requires_grad or self.eps.device.type != "cpu" or torch.compiler.is_compiling():
            merged = (1 + self.eps) * x + merged
        else:
            merged = merged.add_(x, alpha=1 + float(self.eps))  # into memory that is nobody else's
        out: Tensor = self.nn(merged)
        return out
