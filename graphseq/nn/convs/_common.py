"""What graph convolutions share: their arguments checked, their linear maps, the structure behind an edge list."""

from __future__ import annotations

import math
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...ops._direct import is_transformed
from ...topology import Topology
from ...topology.inputs import check_same_kind
from .sparse import SparseFeatures

_SEEN: dict[int, tuple[Any, Tensor, dict[int, Topology]]] = {}


def structure_of(edge_index: Tensor | Topology, x: Tensor | SparseFeatures) -> Topology:
    """Return the topology that a layer is called on, checked against its inputs.

    An edge list gets one compiled topology for as long as the tensor lives unchanged, so that the layers of a model and
    the epochs of a training share it.

    Raises:
        GraphError: of a wrong type, shape, range or device.
    """
    dense = isinstance(x, Tensor) and x.layout == torch.strided and x.dim() == 2 and x.is_floating_point()
    if not dense and not isinstance(x, SparseFeatures):
        raise expected("x", "a floating tensor of shape [N, F]", x)
    device = getattr(edge_index, "device", x.device)
    if device != x.device:
        raise expected("edge_index", f"a structure on {x.device}, as `x` is", Words(f"one on {device}"))
    topology = edge_index if isinstance(edge_index, Topology) else _remembered(edge_index, x.size(0))
    if topology.num_nodes != x.size(0):
        raise expected("x", f"{topology.num_nodes} rows, one for each node", x)
    return topology


def _remembered(edge_index: Tensor, num_nodes: int) -> Topology:
    if torch.compiler.is_compiling() or not isinstance(edge_index, Tensor) or is_transformed():
        return Topology.from_edge_index(edge_index, num_nodes)
    key = id(edge_index)
    seen = _SEEN.get(key)
    if seen is None or seen[0]() is not edge_index or not torch.equal(seen[1], edge_index):
        seen = weakref.ref(edge_index, lambda _: _SEEN.pop(key, None)), edge_index.detach().clone(), {}
        _SEEN[key] = seen
    if num_nodes not in seen[2]:
        seen[2][num_nodes] = Topology.from_edge_index(seen[1], num_nodes)
    return seen[2][num_nodes]


def check_weight(edge_weight: Tensor | None, topology: Topology, x: Tensor | SparseFeatures) -> None:
    """Check the weights of edges.

    Raises:
        GraphError: not one for each edge, or of another dtype or device than x.
    """
    if edge_weight is None:
        return
    if not isinstance(edge_weight, Tensor) or edge_weight.shape != (topology.num_edges,):
        raise expected("edge_weight", f"shape [{topology.num_edges}], one for each edge", edge_weight)
    if edge_weight.device != x.device or not edge_weight.is_floating_point():
        raise expected("edge_weight", f"floating numbers on {x.device}, as `x` is", edge_weight)


def check_features(x: Tensor | SparseFeatures, in_channels: int, weight: Tensor | None) -> None:
    """Check the width of inputs, unless it is still open (-1), and that they are of the weights' kind.

    Raises:
        GraphError: another width, dtype or device.
    """
    if weight is not None and not isinstance(weight, nn.UninitializedParameter):
        check_same_kind("x", x if isinstance(x, Tensor) else x.values, weight, "the layer's weight")
    if in_channels >= 0 and x.size(1) != in_channels:
        raise expected("x", f"shape [N, {in_channels}], the layer's in_channels wide", x)


class Linear(nn.Linear):
    """Linear map whose weights are drawn from Glorot's uniform distribution; the bias begins at 0."""

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        bound = math.sqrt(6 / max(1, self.in_features + self.out_features))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class LazyLinear(nn.LazyLinear):
    """The same, of a width that the first call says."""

    cls_to_become = Linear

    def reset_parameters(self) -> None:
        """Draw the weights, once they have a shape."""
        if not self.has_uninitialized_params():
            Linear.reset_parameters(self)  # type: ignore[arg-type]


def linear(in_channels: int, out_channels: int, bias: bool) -> nn.Linear:
    """Return a linear map; -1 inputs are as many as the first call has.

    Raises:
        GraphError: a width that is neither.
    """
    if not isinstance(in_channels, int) or in_channels < -1:
        raise expected("in_channels", "a whole number ≥ 0, or -1 to see at the first call", in_channels)
    if not isinstance(out_channels, int) or out_channels < 1:
        raise expected("out_channels", "a whole number ≥ 1", out_channels)
    return LazyLinear(out_channels, bias) if in_channels == -1 else Linear(in_channels, out_channels, bias)
