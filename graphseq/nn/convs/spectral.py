"""Filters in the graph Fourier basis, of Bruna et al. and Henaff et al."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from ...errors import expected
from ...spectral import Basis, inverse, transform
from ...spectral.fourier import kept_basis
from ...topology import Topology
from ...topology.remembered import remembered
from ..cells.base import check_sizes
from ._common import check_channels, check_features, check_weight, glorot, structure_of

_NAMES = ("edge_index", "K")


class SpectralConv(nn.Module):
    """Filters in the graph Fourier basis ``L = U Λ Uᵀ``, one for each pair of channels:

        X' = U Ŷ + b,   ŷ_m = x̂_m G(λ_m),   X̂ = Uᵀ X
        smooth  G(λ) = Σ_{k<K} B_k(λ / λ_max) W_k,   B_k the cubic B-splines on [0, 1]
        free    G(λ_m) = W_m,   m < K

    Bruna, Zaremba, Szlam & LeCun (2014), Spectral networks and deep locally connected networks on graphs, eq. 5.2;
    Henaff, Bruna & LeCun (2015), Deep convolutional networks on graph-structured data.

    A smooth filter is a function of the eigenvalue, so it can be applied to other graphs, knows no numbering of the
    nodes, and with 4 control points is any cubic polynomial of L. A free filter has a weight for each of the K lowest
    frequencies; it removes the others, and has a meaning only on one graph and numbering (where eigenvalues are equal,
    eigenvectors are one of many choices), or on graphs that have the same ones. Signs of eigenvectors don't matter to
    either. The basis of a structure is computed once, in time cubic in its number of nodes, see
    :func:`graphseq.spectral.basis`; a :class:`ChebConv` needs none.

    Args:
        in_channels: F; -1 to infer it from the first call.
        out_channels: F'.
        K: number of the spline's control points; for free filters of frequencies.
        smooth: False for free filters.
        normalization: of L: None or "sym". λ_max is 2 with "sym", otherwise each graph's largest eigenvalue.
            Eigenvalues below 0, which negative weights may cause, count as 0.
        bias: whether to add b.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure; edges or weights that are not
            symmetric; for free filters, a graph of fewer than K nodes.

    >>> conv = SpectralConv(3, 4)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, K: int = 8, *, smooth: bool = True,
        normalization: str | None = "sym", bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        check_channels(in_channels, out_channels)
        check_sizes(K=K)
        if normalization not in (None, "sym"):
            raise expected("normalization", 'None or "sym"', normalization)
        self.in_channels, self.out_channels, self.K = in_channels, out_channels, K
        self.smooth, self.normalization = smooth, normalization
        lazy = in_channels == -1
        self.filters = LazyFilters(K, out_channels) if lazy else Filters(K, in_channels, out_channels)
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        self.filters.reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, edge_index: Tensor | Topology, edge_weight: Tensor | None = None) -> Tensor:
        """Return X', `[N, F']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]` with both directions of every edge, a topology of N nodes, or a sparse `adj_t`
                with the weights as entries. Before tracing, the basis of a topology has to be computed, by a call.
            edge_weight: `[E]`, symmetric, without a gradient.
        """
        topology, weight = structure_of(edge_index, x, edge_weight)
        if not isinstance(x, Tensor):
            raise expected("x", "a dense tensor", x)
        check_features(x, self.in_channels, next(self.filters.parameters(), None))
        check_weight(weight, topology, x)
        k = None if self.smooth else self.K
        if weight is None:
            found = kept_basis(topology, None, normalization=self.normalization, k=k, dtype=x.dtype, names=_NAMES)
        else:
            key = ("basis", topology, self.normalization, k, x.dtype)
            found = remembered(
                edge_index if edge_weight is None else edge_weight, key,
                lambda _: kept_basis(
                    topology, weight, normalization=self.normalization, k=k, dtype=x.dtype, names=_NAMES
                ),
            )  # fmt: skip
        response = bsplines(self._shares(found), self.K) if self.smooth else None
        out = inverse(self.filters(transform(x, found), response), found)
        bias = self.bias  # once, if it is a function of others
        return out if bias is None else out + bias

    def _shares(self, basis: Basis) -> Tensor:
        """Return ``λ / λ_max`` `[M]`."""
        values, ptr = basis.values, basis.ptr
        if self.normalization == "sym" or values.numel() == 0:
            return values / 2
        top = values.index_select(0, (ptr[1:] - 1).clamp(min=0))
        top = torch.repeat_interleave(top, ptr.diff(), output_size=values.size(0))
        return values / torch.where(top == 0, 1.0, top)

    def extra_repr(self) -> str:
        """Return the sizes."""
        kind = f"K={self.K}, smooth={self.smooth}, normalization={self.normalization!r}"
        return f"{self.in_channels}, {self.out_channels}, {kind}"


class Filters(nn.Module):
    """A matrix W_k `[F, F']` for each control point or frequency: `weight` `[K, F, F']`."""

    def __init__(self, count: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, in_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        glorot(self.weight)

    def forward(self, x: Tensor, response: Tensor | None) -> Tensor:
        """Return ``x̂_m Σ_k response_mk W_k``, or without a response ``x̂_m W_m``, m counted within each graph."""
        if response is not None:
            return torch.einsum("mk,mf,kfo->mo", response, x, self.weight)
        count = self.weight.size(0)
        graphs = x.reshape(x.size(0) // count, count, x.size(1))
        return torch.einsum("bkf,kfo->bko", graphs, self.weight).flatten(0, 1)


class LazyFilters(LazyModuleMixin, Filters):
    """The same, with the width of the first call's input."""

    cls_to_become = Filters
    weight: Any

    def __init__(self, count: int, out_channels: int) -> None:
        super().__init__(count, 0, out_channels)
        self.shape = count, out_channels
        self.weight = nn.UninitializedParameter()

    def reset_parameters(self) -> None:
        """Reset the parameters, once they have a shape."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, x: Tensor, response: Tensor | None) -> None:
        """Take the input's width."""
        if self.has_uninitialized_params():
            with torch.no_grad():
                self.weight.materialize((self.shape[0], x.size(1), self.shape[1]))
                self.reset_parameters()


def bsplines(t: Tensor, count: int) -> Tensor:
    """Return the values of the B-splines on [0, 1] with clamped, evenly spaced knots, cubic if there are 4 or more.

    Args:
        t: `[M]`; numbers outside of [0, 1] count as the nearest end.
        count: K.

    Returns:
        `[M, K]`; each row sums to 1 (de Boor 1978, A practical guide to splines).

    >>> bsplines(torch.tensor([0.0, 0.5, 1.0]), 4).tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.125, 0.375, 0.375, 0.125], [0.0, 0.0, 0.0, 1.0]]
    """
    degree = min(3, count - 1)
    inner = torch.linspace(0, 1, count - degree + 1, dtype=t.dtype, device=t.device)
    knots = torch.cat([inner.new_zeros(degree), inner, inner.new_ones(degree)])
    t = t.clamp(0, 1)[:, None]
    interval = (t >= inner[1:-1]).sum(1, keepdim=True) + degree
    out = (torch.arange(count + degree, device=t.device) == interval).to(t.dtype)
    for p in range(1, degree + 1):
        width = knots[p:] - knots[:-p]
        part = (t - knots[:-p]) / torch.where(width == 0, 1.0, width)
        out = part[:, :-1] * out[:, :-1] + (1 - part[:, 1:]) * out[:, 1:]
    return out
