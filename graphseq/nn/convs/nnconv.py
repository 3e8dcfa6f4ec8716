"""The convolution whose weights a network makes of the edges' features."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch import nn as torch_nn

from ...core import reduce
from ...errors import Words, expected
from ...messages import Merge
from ...topology import Links
from ..cells.base import check_sizes, set_norms
from ._attend import check_edges
from ._common import (
    bipartite,
    check_aggr,
    check_features,
    check_flow,
    check_network,
    is_bare,
    is_unwatched,
    linear,
    merged,
    pair,
    reset,
)

# Receivers merge rows `[R, K · F]` first, or edges have matrices `[E, F · F']`: the first is quicker if these have so
# many times more numbers.
_FEWER = 2


class NNConv(torch_nn.Module):
    """Convolution by edges: each has a matrix of its own, ``x_v' = W x_v + Σ_{u→v} x_uᵀ nn(e_uv) + b``.

    Gilmer, Schoenholz, Riley, Vinyals & Dahl (2017), Neural message passing for quantum chemistry, section 5.
    Arguments, call and parameters (`nn.*`, `lin.weight`, `bias`) are those of PyG's layer. Of a sum or mean the last
    linear map of `nn`, which makes the matrices, is applied to the receivers where that is less work, since
    ``Σ_e x_uᵀ Σ_k z_ek W_k`` is ``Σ_k (Σ_e z_ek x_u)ᵀ W_k``; then no edge has a matrix.

    Args:
        in_channels: F; -1 to infer it from the first call; or a pair, of senders and receivers.
        out_channels: F'.
        nn: maps the features of edges, `[E, D]` → `[E, F · F']`, such as a multilayer perceptron.
        aggr: "add" (or "sum"), "mean", "max", "min", "var", "std", "softmax" or a
            :class:`graphseq.Merge`.
        root_weight: whether the node's own features are added.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> conv = NNConv(3, 4, torch.nn.Linear(2, 3 * 4))
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]]), torch.zeros(2, 2)).shape
    torch.Size([2, 4])
    """

    bias: torch_nn.Parameter | None

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, nn: torch_nn.Module, aggr: str | Merge = "add",
        root_weight: bool = True, bias: bool = True, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        left, right = pair(in_channels)
        for width in (left, right):
            if width != -1:
                check_sizes(in_channels=width)
        check_sizes(out_channels=out_channels)
        self.in_channels, self.out_channels, self.nn = in_channels, out_channels, check_network(nn)
        self.aggr, self._merge, self.flow = aggr, check_aggr(aggr), check_flow(flow)
        self.root_weight = root_weight
        if root_weight:
            self.lin = linear(right, out_channels, bias=False, uniform=True)
        self.register_parameter("bias", torch_nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for module in self.children():
            reset(module)
        if self.bias is not None:
            torch_nn.init.zeros_(self.bias)

    def forward(
        self, x: Tensor | tuple[Tensor, Tensor | None], edge_index: Tensor | Links, edge_attr: Tensor | None = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:  # fmt: skip
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, `[S, F]` of the senders and `[R, F]` of the receivers, which may be None.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`; for a pair an edge list or links.
            edge_attr: `[E, D]`; None for the entries of a sparse `adj_t`.
            size: S and R, of a pair without receivers' features.
        """
        links, sent, own, weight = bipartite(x, edge_index, size, self.flow)
        if not isinstance(sent, Tensor):
            raise expected("x", "a dense tensor, since edges map it", sent)
        left, right = pair(self.in_channels)
        check_features(sent, left, self.nn)
        edges = self._edges(weight if edge_attr is None else edge_attr, links, sent)
        out = self._merged(links, sent, edges)
        if own is not None and self.root_weight:
            check_features(own, right, self.lin)
            out = out + self.lin(own)
        bias = self.bias  # once, if it is a function of others
        return out if bias is None else out + bias

    def _edges(self, edge_attr: Tensor | None, links: Links, like: Tensor) -> Tensor:
        """Return the features of edges, as wide as the network's first map if it has one."""
        first = next(iter(self.nn), self.nn) if isinstance(self.nn, torch_nn.Sequential) else self.nn
        wide = getattr(first, "in_features", 0)
        if edge_attr is None:
            raise expected("edge_attr", f"shape [{links.num_edges}, {wide or 'D'}], a row for each edge", Words("None"))
        if not wide:
            wide = edge_attr.size(1) if isinstance(edge_attr, Tensor) and edge_attr.dim() == 2 else 1
        return cast(Tensor, check_edges(edge_attr, links, wide, like))

    def _merged(self, links: Links, x: Tensor, edges: Tensor) -> Tensor:
        """Return ``merge_{u→v} x_uᵀ nn(e_uv)``."""
        shape = x.size(1), self.out_channels
        linear = self._merge in ("sum", "mean") and not torch.compiler.is_compiling()  # tracing knows no sizes
        found = _last_map(self.nn) if linear else None
        if found is None or found[1].out_features != shape[0] * shape[1] or not self._is_less(links, found[1]):
            matrices = self.nn(edges)
            if matrices.shape != (links.num_edges, shape[0] * shape[1]):
                wanted = f"a network that returns {shape[0]} · {shape[1]} numbers for each edge"
                raise expected("nn", wanted, Words(f"{list(matrices.shape)}"))
            rows = x.index_select(0, links.edge_index[0])[:, None] @ matrices.view(-1, *shape)
            return reduce(links, (rows[:, 0],), merge=self._merge)[0]
        before, last = found
        for module in before:
            edges = module(edges)
        by_feature = [merged(links, x, z, self._merge) for z in edges.t().contiguous()]  # [R, F] each
        weight = last.weight.view(*shape, -1).permute(2, 0, 1).flatten(0, 1)  # [K · F, F']
        out = torch.cat(by_feature, 1) @ weight
        return out if last.bias is None else out + merged(links, x, None, self._merge) @ last.bias.view(shape)

    def _is_less(self, links: Links, last: torch_nn.Linear) -> bool:
        """Return whether to apply the network's last map to what receivers have merged."""
        return links.num_edges * self.out_channels > _FEWER * links.num_receivers * last.in_features

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, aggr={self.aggr!r}"


def _last_map(network: torch_nn.Module) -> tuple[list[torch_nn.Module], torch_nn.Linear] | None:
    """Return what comes before the linear map that a network is or ends with, and that map, its norms set; None if it
    ends otherwise, or anything else happens there.
    """
    layers = [network]
    if type(network) is torch_nn.Sequential and len(network) and is_unwatched(network):
        layers = list(network)
    if not is_bare(layers[-1]) or isinstance(layers[-1].weight, torch_nn.UninitializedParameter):
        return None
    set_norms(layers[-1])
    return layers[:-1], cast(torch_nn.Linear, layers[-1])
