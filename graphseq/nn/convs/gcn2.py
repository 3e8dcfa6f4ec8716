"""The deep graph convolution GCNII of Chen et al."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...errors import expected
from ...spectral import gcn_norm
from ...topology import Topology
from ..cells.base import check_sizes
from ._common import check_features, check_flow, check_weight, glorot, merged, structure_of


class GCN2Conv(nn.Module):
    """Graph convolution for deep networks, with shares of the first layer's features and of the identity:

        X' = ((1 - α) Â X + α X_0) ((1 - β) I + β W_1),   Â = D^{-1/2} (A + I) D^{-1/2},   β = log(θ / layer + 1)
        without `shared_weights`  X' = (1 - α) Â X ((1 - β) I + β W_1) + α X_0 ((1 - β) I + β W_2)

    Chen, Wei, Huang, Ding & Li (2020), Simple and deep graph convolutional networks, eqs. 5 and 6. Arguments, call and
    parameters (`weight1`, `weight2`, `[F, F]`) are those of PyG's layer.

    Args:
        channels: F.
        alpha: α.
        theta: θ.
        layer: which layer this is, from 1; without θ and it β is 1.
        shared_weights: whether W_2 is W_1.
        cached: ignored; for PyG compatibility. What depends only on the structure is always computed once.
        add_self_loops: whether to add I.
        normalize: False uses A with its weights, neither normalised nor with loops.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv, x = GCN2Conv(3, alpha=0.1, theta=0.5, layer=1), torch.zeros(2, 3)
    >>> conv(x, x, torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 3])
    """

    weight2: nn.Parameter | None

    def __init__(
        self, channels: int, alpha: float, theta: float | None = None, layer: int | None = None,
        shared_weights: bool = True, cached: bool = False, add_self_loops: bool = True, normalize: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(channels=channels)
        if (theta is None) != (layer is None):
            name, other = ("theta", "layer") if theta is None else ("layer", "theta")
            raise expected(name, f"a number, since `{other}` is given", None)
        if layer is not None:
            check_sizes(layer=layer)
        for name, value in (("alpha", alpha), ("theta", theta)):
            if not (isinstance(value, int | float) or (name == "theta" and value is None)):
                raise expected(name, "a number", value)
        if not 0 <= alpha <= 1:
            raise expected("alpha", "a share from 0 to 1", alpha)
        if theta is not None and layer is not None and theta <= -layer:
            raise expected("theta", f"a number above {-layer}, since β is log(θ / layer + 1)", theta)
        self.channels, self.alpha, self.cached = channels, alpha, cached
        self.beta = 1.0 if theta is None or layer is None else math.log(theta / layer + 1)
        self.normalize, self.add_self_loops, self.flow = normalize, add_self_loops, check_flow(flow)
        self.weight1 = nn.Parameter(torch.empty(channels, channels))
        own = None if shared_weights else nn.Parameter(torch.empty(channels, channels))
        self.register_parameter("weight2", own)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        glorot(self.weight1)
        if self.weight2 is not None:
            glorot(self.weight2)

    def forward(
        self, x: Tensor, x_0: Tensor, edge_index: Tensor | Topology, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Return X', `[N, F]`.

        Args:
            x: `[N, F]`.
            x_0: `[N, F]`, the features that the first layer got.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries.
            edge_weight: `[E]`.
        """
        topology, weight = structure_of(edge_index, x, edge_weight, self.flow)
        check_features(x, self.channels, self.weight1)
        check_weight(weight, topology, x)
        if not isinstance(x_0, Tensor) or x_0.shape != x.shape:
            raise expected("x_0", f"shape [{x.size(0)}, {self.channels}], as `x` has", x_0)
        if self.normalize:
            topology, weight = gcn_norm(topology, weight, add_self_loops=self.add_self_loops, dtype=x.dtype)
        h, first = (1 - self.alpha) * merged(topology, x, weight), self.alpha * x_0
        if self.weight2 is None:
            return self._map(h + first, self.weight1)
        return self._map(h, self.weight1) + self._map(first, self.weight2)

    def _map(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return ``H ((1 - β) I + β W)``."""
        return (1 - self.beta) * h + self.beta * (h @ weight)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.channels}, alpha={self.alpha}, beta={self.beta}"
