"""The Chebyshev filter of Defferrard et al."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...ops.library import is_transformed
from ...spectral import NORMALIZATIONS, scaled_laplacian
from ...topology import Topology
from ..cells.base import check_sizes
from ._common import FLOWS, check_features, check_flow, check_weight, linear, merged, narrows, project, structure_of
from .sparse import SparseFeatures


class ChebConv(nn.Module):
    """A filter that is a polynomial of the Laplacian, in Chebyshev's basis:

        X' = Σ_{k<K} T_k(L̂) X W_k + b,   L̂ = 2 L / λ - I
        T_0 = I,   T_1 = L̂,   T_k = 2 L̂ T_{k-1} - T_{k-2}

    Defferrard, Bresson & Vandergheynst (2016), Convolutional neural networks on graphs with fast localized spectral
    filtering, eqs. 4 and 5. Arguments, call and parameters (`lins.*.weight`, `bias`) are those of PyG's layer. Where F'
    is smaller than F, the sum is Clenshaw's recurrence, over rows F' wide.

    Args:
        in_channels: F; -1 to infer it from the first call.
        out_channels: F'.
        K: number of terms, so that a node sees neighbours at distance K - 1.
        normalization: of L, see :func:`graphseq.spectral.laplacian`: None, "sym" or "rw".
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges; degrees are those of sources in both.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = ChebConv(3, 4, K=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, K: int, normalization: str | None = "sym", bias: bool = True, *,
        flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(K=K)
        if normalization not in NORMALIZATIONS:
            raise expected("normalization", 'None, "sym" or "rw"', normalization)
        self.in_channels, self.out_channels, self.normalization = in_channels, out_channels, normalization
        self.flow = check_flow(flow)
        self.lins = nn.ModuleList(linear(in_channels, out_channels, bias=False) for _ in range(K))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for lin in self.lins:
            lin.reset_parameters()  # type: ignore[operator]
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x: Tensor | SparseFeatures, edge_index: Tensor | Topology, edge_weight: Tensor | None = None,
        batch: Tensor | None = None, lambda_max: float | Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Return X', `[N, F']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries.
            edge_weight: `[E]`.
            batch: int64 `[N]`, the graph of each node; by default that of a topology.
            lambda_max: λ, a number, or `[B]`, one for each graph, see :func:`graphseq.spectral.lambda_max`; by default
                twice the largest entry of L: 2 with a normalization, otherwise a bound that other graphs in a batch
                change.
        """
        topology, weight = structure_of(edge_index, x, edge_weight)
        check_features(x, self.in_channels, self.lins[0])
        check_weight(weight, topology, x)
        _check_lambda(lambda_max, batch, x)
        scaled, weight = scaled_laplacian(
            topology, weight, normalization=self.normalization, top=lambda_max, batch=batch, dtype=x.dtype
        )
        links = scaled if self.flow == FLOWS[0] else scaled.reverse()
        if len(self.lins) > 1 and all(narrows(lin, x) for lin in self.lins):
            out = self._clenshaw([project(lin, x) for lin in self.lins], links, weight)
        else:
            out = self._terms(x, links, weight)
        return out if self.bias is None else out + self.bias

    def _terms(self, x: Tensor | SparseFeatures, links: Topology, weight: Tensor) -> Tensor:
        """Return ``Σ_k T_k(L̂) X W_k``, term by term."""
        before, now, out = x, x, project(self.lins[0], x)
        for k, lin in enumerate(self.lins[1:]):
            after = merged(links, now, weight)
            if k:
                after = 2 * after - before  # type: ignore[operator]
            out = out + project(lin, after)
            before, now = now, after
        return out

    @staticmethod
    def _clenshaw(rows: list[Tensor], links: Topology, weight: Tensor) -> Tensor:
        """Return ``Σ_k T_k(L̂) Y_k = Y_0 + L̂ B_1 - B_2``, ``B_k = Y_k + 2 L̂ B_{k+1} - B_{k+2}``."""
        *others, now = rows
        after: Tensor | None = None
        for k, row in reversed(list(enumerate(others))):
            sums = merged(links, now, weight)
            made = torch.add(row, sums, alpha=2 if k else 1)
            now, after = made if after is None else made - after, now
        return now

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, K={len(self.lins)}, normalization={self.normalization!r}"


def _check_lambda(top: float | Tensor | None, batch: Tensor | None, x: Tensor | SparseFeatures) -> None:
    """Check λ, and the graphs that it is of.

    Raises:
        GraphError: a wrong type, shape or device.
    """
    if batch is not None and not (
        isinstance(batch, Tensor) and batch.dtype == torch.int64 and batch.shape == (x.size(0),)
    ):
        raise expected("batch", f"int64 of shape [{x.size(0)}], the graph of each node", batch)
    number = isinstance(top, int | float) and not isinstance(top, bool)
    if number and not 0 <= top < math.inf:  # type: ignore[operator]
        raise expected("lambda_max", "a number of at least 0", top)
    plain = not (torch.compiler.is_compiling() or is_transformed())
    here = isinstance(top, Tensor) and top.device.type == "cpu" and plain
    if here and not bool(((top >= 0) & (top < math.inf)).all()):  # type: ignore[operator, union-attr]
        raise expected("lambda_max", "numbers of at least 0", top)
    if not (top is None or number or isinstance(top, Tensor)):
        raise expected("lambda_max", "a number, or a tensor with one for each graph", top)
    for name, given in (("batch", batch), ("lambda_max", top)):
        if isinstance(given, Tensor) and given.device != x.device and given.dim():
            raise expected(name, f"a tensor on {x.device}, as `x` is", Words(f"one on {given.device}"))
