"""Shared by graph convolutions: their arguments checked, their linear maps, the structure behind an edge list."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook
from torch.nn.utils.parametrize import type_before_parametrizations

from ...core import aggregate
from ...errors import Words, describe, expected
from ...messages import COPY, SCALE, Merge, Slots, meant
from ...topology import Links, Topology
from ...topology.inputs import check_same_kind
from ...topology.remembered import remembered
from ..cells.base import only_sets_norms, set_norms
from .sparse import SparseFeatures

FLOWS = ("source_to_target", "target_to_source")
MERGES = {
    "add": "sum", "sum": "sum", "mean": "mean", "max": "max", "min": "min", "var": "var", "std": "std",
    "softmax": "softmax",
}  # fmt: skip

_FORWARD = nn.Linear.forward


def structure_of(
    edge_index: Tensor | Links, x: Tensor | SparseFeatures, weight: Tensor | None = None,
    flow: str = "source_to_target",
) -> tuple[Topology, Tensor | None]:  # fmt: skip
    """Return the topology that a layer is called on, checked against its inputs, and the weights of its edges.

    An edge list gets one compiled topology for as long as the tensor lives unchanged, which the layers of a model and
    all epochs share. A sparse matrix is PyG's transposed adjacency: an entry in row v and column u is
    the edge u → v with the entry as its weight.

    Raises:
        GraphError: of a wrong type, shape, range or device, weights in addition to those of a matrix.
    """
    if isinstance(x, tuple):
        raise expected("x", "one tensor, since this layer has no bipartite form", Words("a pair"))
    dense = isinstance(x, Tensor) and x.layout == torch.strided and x.dim() == 2 and x.is_floating_point()
    if not dense and not isinstance(x, SparseFeatures):
        sparse = isinstance(x, Tensor) and x.layout != torch.strided
        got = Words(f"{describe(x)}; nn.SparseFeatures.of(x) makes features of it") if sparse else x
        raise expected("x", "a floating-point tensor of shape [N, F]", got)
    edges, weight = _listed(edge_index, weight, x)
    if isinstance(edges, Tensor | Links) and edges.device != x.device:
        raise expected("edge_index", f"a structure on {x.device}, as `x` is", Words(f"one on {edges.device}"))
    n = x.size(0)
    if type(edges) is Links:
        raise expected("edge_index", "a Topology for one set of nodes", edges)
    topology = edges if isinstance(edges, Topology) else Topology.of(edges, n)
    if topology.num_nodes != n:
        raise expected("x", f"{topology.num_nodes} rows, one for each node", x)
    return topology if flow == FLOWS[0] else topology.reverse(), weight


def bipartite(
    x: Any, edge_index: Tensor | Links, size: Any, flow: str, weight: Tensor | None = None
) -> tuple[Links, Any, Any, Tensor | None]:
    """Return links, the senders' features, the receivers' or None, and the weights, given or of a sparse matrix.

    Args:
        x: the features of one set of nodes, or a pair: of the senders, and of the receivers or None.
        edge_index: as of :func:`structure_of`; for a pair an edge list or links.
        size: the numbers of senders and receivers, needed only for a pair without receivers' features.
        flow: of the layer; a pair has one direction.
        weight: of the edges, `[E]`, unless a sparse matrix has them.

    Raises:
        GraphError: parts that don't fit each other.
    """
    if not isinstance(x, tuple):
        topology, weight = structure_of(edge_index, x, weight, flow)
        if isinstance(size, Tensor):
            raise expected("size", "two numbers; this layer has no weights of edges", size)
        if size is not None and tuple(size) != (x.size(0), x.size(0)):
            raise expected("size", f"None or ({x.size(0)}, {x.size(0)})", size)
        return topology, x, x, weight
    if flow != FLOWS[0]:
        raise expected("flow", "source_to_target for a pair; edge_index.flip(0) is its reverse", flow)
    if len(x) != 2 or not all(isinstance(t, Tensor) or (t is None and i) for i, t in enumerate(x)):
        raise expected("x", "a pair of tensors, or of one and None", x)
    sent, own = x
    known = [None if t is None else t.size(0) for t in x]
    if isinstance(edge_index, Links) and own is None:
        known[1] = edge_index.num_receivers
    sizes = tuple(known if size is None else size)
    fits = len(sizes) == 2 and all(n is None or n == s for n, s in zip(known, sizes, strict=False))
    if not fits or not all(isinstance(s, int) for s in sizes):
        raise expected("size", f"the numbers of senders and receivers, here {tuple(known)}", size)
    return links_of(edge_index, sizes, sent.device), sent, own, weight


def links_of(edge_index: Any, sizes: Any, device: torch.device) -> Links:
    """Return the links between two sets of nodes, from an edge list or from links.

    Raises:
        GraphError: they don't fit the sets, or are on another device.
    """
    if isinstance(edge_index, Tensor | Links) and edge_index.device != device:
        raise expected("edge_index", f"a structure on {device}, as `x` is", Words(f"one on {edge_index.device}"))
    if isinstance(edge_index, Links):
        if (edge_index.num_senders, edge_index.num_receivers) != sizes:
            raise expected("edge_index", f"links from {sizes[0]} to {sizes[1]} nodes", edge_index)
        return edge_index
    found: Links = remembered(edge_index, sizes, lambda own: Links.between(own, *sizes))
    return found


def _listed(edge_index: Any, weight: Tensor | None, x: Tensor | SparseFeatures) -> tuple[Any, Tensor | None]:
    """Return an edge list and weights from a sparse matrix; anything else unchanged."""
    if not isinstance(edge_index, Tensor) or edge_index.layout == torch.strided:
        return edge_index, weight
    if weight is not None:
        raise expected("edge_weight", "None with a sparse matrix, whose entries are the weights", weight)
    entries = edge_index.to_sparse_coo() if edge_index.layout != torch.sparse_coo else edge_index
    entries, n = entries.coalesce(), x.size(0)
    if entries.shape != (n, n):
        raise expected("edge_index", f"a sparse matrix of shape [{n}, {n}], receivers by senders", entries)
    return remembered(edge_index, "edges", lambda _: entries.indices().flip(0)), entries.values().to(x.dtype)


def check_flow(flow: Any) -> str:
    """Check the direction of messages, and return it.

    Raises:
        GraphError: it is neither of PyG's words.
    """
    if flow not in FLOWS:
        raise expected("flow", '"source_to_target" or "target_to_source"', flow)
    return str(flow)


def check_weight(edge_weight: Tensor | None, links: Links, x: Tensor | SparseFeatures) -> None:
    """Check the weights of edges.

    Raises:
        GraphError: not one for each edge, or a dtype or device other than x's.
    """
    if edge_weight is None:
        return
    if not isinstance(edge_weight, Tensor) or edge_weight.shape != (links.num_edges,):
        raise expected("edge_weight", f"shape [{links.num_edges}], one for each edge", edge_weight)
    if edge_weight.device != x.device or not edge_weight.is_floating_point():
        raise expected("edge_weight", f"floating-point numbers on {x.device}, as `x` is", edge_weight)


def check_features(x: Tensor | SparseFeatures, in_channels: int, weight: Tensor | nn.Module | None) -> None:
    """Check the width of inputs, unless it is not yet known (-1), and that they have the weights' dtype and device.

    Args:
        x: `[N, F]`.
        in_channels: F, or -1.
        weight: a parameter, or a module, of which one is looked at: parametrized weights are not computed for this.

    Raises:
        GraphError: the wrong width, dtype or device.
    """
    if isinstance(weight, nn.Module):
        own = [p for p in weight._parameters.values() if p is not None]  # found faster than those of its modules
        known = own or weight.parameters()
        weight = next((p for p in known if not isinstance(p, nn.UninitializedParameter)), None)
    if weight is not None and not isinstance(weight, nn.UninitializedParameter):
        check_same_kind("x", x if isinstance(x, Tensor) else x.values, weight, "the layer's weight")
    if in_channels >= 0 and x.size(1) != in_channels:
        raise expected("x", f"shape [N, {in_channels}], the layer's in_channels wide", x)


def glorot(tensor: Tensor) -> None:
    """Draw from Glorot's uniform distribution, by the last two dimensions."""
    nn.init.uniform_(tensor, -(bound := math.sqrt(6 / max(1, tensor.size(-2) + tensor.size(-1)))), bound)


class Linear(nn.Linear):
    """Linear map whose weights are drawn from Glorot's uniform distribution; the bias is 0."""

    def reset_parameters(self) -> None:
        """Reset the weights."""
        bound = math.sqrt(6 / max(1, self.in_features + self.out_features))
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class LazyUniform(nn.LazyLinear):
    """A map of torch.nn's with the width of the first call's input, whose bias may have been loaded before it."""

    def initialize_parameters(self, input: Tensor) -> None:
        """Take the input's width."""
        if self.has_uninitialized_params():
            with torch.no_grad():
                self.in_features = input.size(-1)
                inputs, outputs = self.in_features, self.out_features
                for p, shape in ((self.weight, (outputs, inputs)), (self.bias, (outputs,))):
                    if isinstance(p, nn.UninitializedParameter):
                        p.materialize(shape)
                self.reset_parameters()


class LazyLinear(LazyUniform):
    """The same, with weights of Glorot's distribution."""

    cls_to_become = Linear

    def reset_parameters(self) -> None:
        """Reset the weights, once they have a shape."""
        if not self.has_uninitialized_params():
            Linear.reset_parameters(self)  # type: ignore[arg-type]


def project(layer: nn.Module, x: Tensor | SparseFeatures, *, bias: bool = True) -> Tensor:
    """Return a linear map of features, which may be sparse; without `bias` only the product with the weights."""
    if isinstance(x, Tensor) and bias:
        dense: Tensor = layer(x)
        return dense
    if isinstance(x, SparseFeatures) and not is_bare(layer):
        called: Tensor = layer(x.dense())
        return called
    if isinstance(layer, nn.LazyLinear):
        layer(torch.zeros(0, x.size(1), dtype=x.dtype, device=x.device))
    set_norms(layer)
    weight = cast(Tensor, layer.weight)
    out = nn.functional.linear(x, weight) if isinstance(x, Tensor) else x.linear(weight)
    return out if layer.bias is None or not bias else out + cast(Tensor, layer.bias)


def linear(in_channels: int, out_channels: int, bias: bool, *, uniform: bool = False) -> nn.Linear:
    """Return a linear map; with -1, the number of inputs is that of the first call.

    Args:
        in_channels: F.
        out_channels: F'.
        bias: whether it has one.
        uniform: whether weights and biases are drawn from U(-1/√F, 1/√F), as torch.nn draws them, not by Glorot.

    Raises:
        GraphError: an invalid width.
    """
    check_channels(in_channels, out_channels)
    if in_channels == -1:
        return (LazyUniform if uniform else LazyLinear)(out_channels, bias)
    return (nn.Linear if uniform else Linear)(in_channels, out_channels, bias)


def check_channels(in_channels: Any, out_channels: Any) -> None:
    """Check the widths of a layer, of which that of the input may be -1.

    Raises:
        GraphError: one is something else.
    """
    if not isinstance(in_channels, int) or in_channels < -1:
        raise expected("in_channels", "a whole number ≥ 0, or -1 to see at the first call", in_channels)
    if not isinstance(out_channels, int) or out_channels < 1:
        raise expected("out_channels", "a whole number ≥ 1", out_channels)


def pair(in_channels: Any) -> tuple[int, int]:
    """Return the widths of senders and receivers, from one for both or from a pair.

    Raises:
        GraphError: the wrong number of widths.
    """
    if not isinstance(in_channels, tuple | list):
        return in_channels, in_channels
    if len(in_channels) != 2:
        raise expected("in_channels", "one width, or a pair, of senders and receivers", in_channels)
    return in_channels[0], in_channels[1]


def check_aggr(aggr: Any, *more: str) -> str | Merge:
    """Return the name of a merge, from PyG's word for it, or a merge as it is.

    Args:
        aggr: of a layer.
        more: words that the layer takes besides.

    Raises:
        GraphError: it is none of them, or a merge whose score would read senders and receivers, or slots.
    """
    if isinstance(aggr, Merge) and not isinstance(aggr, Slots) and aggr.score is None:
        return aggr
    if not isinstance(aggr, str) or aggr not in MERGES:
        words = ", ".join(f'"{word}"' for word in (*MERGES, *more))
        raise expected("aggr", f"{words}, or a graphseq.Merge that keeps the width", meant(aggr))
    return MERGES[aggr]


def merged(
    links: Links, x: Tensor | SparseFeatures, weight: Tensor | None = None, merge: str | Merge = "sum"
) -> Tensor:
    """Return what each receiver merges of its neighbours' features, which the edges' weights scale, if any."""
    state = (x if isinstance(x, Tensor) else x.dense(),)
    return aggregate(links, state, message=COPY if weight is None else SCALE, merge=merge, edge_attr=weight)[0]


def merged_map(
    layer: nn.Module, links: Links, x: Tensor | SparseFeatures, weight: Tensor | None = None,
    merge: str | Merge = "sum",
) -> Tensor:  # fmt: skip
    """Return a linear map of what each receiver merges; of sums and means, the map first where it narrows rows."""
    if merge not in ("sum", "mean") or not narrows(layer, x):
        out: Tensor = layer(merged(links, x, weight, merge))
        return out
    out = merged(links, project(layer, x, bias=False), weight, merge)
    return out if layer.bias is None else out + cast(Tensor, layer.bias)


def narrows(layer: nn.Module, x: Tensor | SparseFeatures) -> bool:
    """Return whether to map features before they are summed: rows get narrower, by a linear map and nothing else."""
    return is_bare(layer) and (isinstance(x, SparseFeatures) or cast(nn.Linear, layer).out_features < x.size(1))


def is_bare(layer: nn.Module) -> bool:
    """Return whether a layer is a linear map and nothing else, so that its weights can be used without calling it."""
    kinds = (Linear, LazyLinear, LazyUniform, nn.Linear, nn.LazyLinear)
    return type_before_parametrizations(layer) in kinds and is_unwatched(layer)


def is_unwatched(module: nn.Module) -> bool:
    """Return whether a call of a module is its class's `forward` alone: no hook sees it but those that set weights."""
    hooks = module._forward_hooks or module._backward_hooks or module._backward_pre_hooks
    if not torch.compiler.is_compiling() and (_has_any_global_hook() or nn.Linear.forward is not _FORWARD):
        return False
    return not hooks and "forward" not in vars(module) and only_sets_norms(module)


def first_map(network: nn.Module) -> tuple[nn.Linear, list[nn.Module]] | None:
    """Return the linear map that a network is or begins with, its norms set, and what follows; None if it begins
    otherwise, or anything else happens there.
    """
    layers = [network]
    if type(network) is nn.Sequential and len(network) and is_unwatched(network):
        layers = list(network)
    if not is_bare(layers[0]) or isinstance(layers[0], nn.LazyLinear):
        return None
    set_norms(layers[0])
    return cast(nn.Linear, layers[0]), layers[1:]


def check_network(nn_: Any) -> Any:
    """Check a network inside a layer, and return it.

    Raises:
        GraphError: it is no module.
    """
    if not isinstance(nn_, nn.Module):
        raise expected("nn", "a torch.nn.Module", nn_)
    return nn_


def check_inputs(network: nn.Module, width: int) -> None:
    """Check that a network inside a layer takes rows as wide as the features, if it is or begins with a linear map.

    Raises:
        GraphError: it does not.
    """
    first = next(iter(network._modules.values()), None) if type(network) is nn.Sequential else network
    if isinstance(first, nn.Linear) and first.in_features != width and not isinstance(first, nn.LazyLinear):
        wanted = f"a first layer of {width} inputs, as many as `x` has features"
        raise expected("nn", wanted, Words(f"{first.in_features}"))


def reset(network: nn.Module) -> None:
    """Reset the parameters of a network, part by part."""
    for module in network.modules():
        again = getattr(module, "reset_parameters", None)
        if callable(again):
            again()
