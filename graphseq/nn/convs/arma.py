"""The ARMA filter of Bianchi et al."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...errors import expected
from ...messages import check_share
from ...spectral import gcn_norm
from ...topology import Topology
from ..cells.base import check_sizes
from ._common import check_features, check_flow, check_weight, glorot, merged, structure_of
from .sparse import SparseFeatures


class ARMAConv(nn.Module):
    """Rational filters, each approximated by a stack of layers that all read X; the mean of K stacks:

        X_k^{t+1} = σ(Â X_k^t W_k + X V_k + b_k),   X_k^0 = X,   X' = 1/K Σ_k X_k^T,   Â = D^{-1/2} A D^{-1/2}

    Bianchi, Grattarola, Livi & Alippi (2021), Graph neural networks with convolutional ARMA filters, eqs. 12 to 14.
    Arguments, call and parameters (`init_weight` `[K, F, F']`, `weight` `[T - 1, K, F', F']`, `root_weight`
    `[T, K, F, F']`, `bias` `[T, K, 1, F']`) are those of PyG's layer.

    Args:
        in_channels: F.
        out_channels: F'.
        num_stacks: K.
        num_layers: T.
        shared_weights: whether the layers of a stack have the same weights; the first still has its own W.
        act: σ, or None.
        dropout: share of X's entries that are set to 0 in training, where they are added.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = ARMAConv(3, 4, num_stacks=2, num_layers=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, num_stacks: int = 1, num_layers: int = 1,
        shared_weights: bool = False, act: Callable[[Tensor], Tensor] | None = nn.ReLU(),  # noqa: B008
        dropout: float = 0.0, bias: bool = True, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels, num_stacks=num_stacks, num_layers=num_layers)
        if act is not None and not callable(act):
            raise expected("act", "a callable or None", act)
        self.in_channels, self.out_channels, self.num_stacks = in_channels, out_channels, num_stacks
        self.num_layers, self.shared_weights, self.act = num_layers, shared_weights, act
        self.dropout, self.flow = check_share(dropout), check_flow(flow)
        own = 1 if shared_weights else num_layers
        self.weight = nn.Parameter(torch.empty(max(1, own - 1), num_stacks, out_channels, out_channels))
        self.init_weight = nn.Parameter(torch.empty(num_stacks, in_channels, out_channels))
        self.root_weight = nn.Parameter(torch.empty(own, num_stacks, in_channels, out_channels))
        self.register_parameter("bias", nn.Parameter(torch.empty(own, num_stacks, 1, out_channels)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for weight in (self.weight, self.init_weight, self.root_weight):
            glorot(weight)
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
        check_features(x, self.in_channels, self.init_weight)
        check_weight(weight, topology, x)
        topology, weight = gcn_norm(topology, weight, add_self_loops=False, dtype=x.dtype)
        stacks = (self.num_stacks, self.out_channels)
        wide = self.num_stacks * self.out_channels
        first = isinstance(x, SparseFeatures) or wide <= self.in_channels  # (X W), the narrower to sum
        out = merged(topology, _map(x, self.init_weight) if first else x, weight)
        if not first:
            out = _map(out, self.init_weight)
        inner, of_roots, bias = self.weight, self.root_weight, self.bias  # once, if they are functions of others
        for t in range(self.num_layers):
            at = 0 if self.shared_weights else t
            if t:
                rows = out.unflatten(1, stacks).transpose(0, 1) @ inner[0 if self.shared_weights else t - 1]
                out = merged(topology, rows.transpose(0, 1).flatten(1), weight)
            out = out + _map(self._dropped(x), of_roots[at])
            if bias is not None:
                out = out + bias[at].flatten()
            if self.act is not None:
                out = self.act(out)
        return out if self.num_stacks == 1 else out.unflatten(1, stacks).mean(1)

    def _dropped(self, x: Tensor | SparseFeatures) -> Tensor | SparseFeatures:
        if isinstance(x, SparseFeatures):
            return x.dropout(self.dropout, training=self.training)
        return nn.functional.dropout(x, self.dropout, self.training)

    def extra_repr(self) -> str:
        """Return the sizes."""
        sizes = f"num_stacks={self.num_stacks}, num_layers={self.num_layers}"
        return f"{self.in_channels}, {self.out_channels}, {sizes}"


def _map(x: Tensor | SparseFeatures, weight: Tensor) -> Tensor:
    """Return X W_k of all stacks, side by side, `[N, K · F']`, for weights `[K, F, F']`."""
    rows = weight.transpose(1, 2).flatten(0, 1)
    return x.linear(rows) if isinstance(x, SparseFeatures) else nn.functional.linear(x, rows)
