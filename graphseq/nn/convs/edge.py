"""The edge convolution of Wang et al."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from ...core import aggregate
from ...errors import Words, expected
from ...messages import Message, State
from ...topology import Links
from ._common import bipartite, check_aggr, check_features, check_flow, check_network, first_map, reset


class EdgeConv(torch_nn.Module):
    """Edge convolution: ``x_v' = max_{u→v} nn([x_v, x_u - x_v])``, in each feature.

    Wang, Sun, Liu, Sarma, Bronstein & Solomon (2019), Dynamic graph CNN for learning on point clouds, eqs. 7 and 8.
    Arguments, call and parameters (`nn.*`) are those of PyG's layer. Where the network is or begins with a linear map,
    this is applied to nodes, of which there are fewer than edges.

    Args:
        nn: maps features of edges, `[E, 2 F]` → `[E, F']`, such as a multilayer perceptron.
        aggr: "max", "min", "mean", "add" (or "sum"), "var", "std", "softmax" or a :class:`graphseq.Merge`.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the structure.

    >>> conv = EdgeConv(torch.nn.Linear(6, 4))
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    nn_reads = 2  # nodes: their features side by side are the inputs of `nn`

    def __init__(self, nn: torch_nn.Module, aggr: str = "max", *, flow: str = "source_to_target") -> None:
        super().__init__()
        self.nn, self.aggr, self._merge, self.flow = check_network(nn), aggr, check_aggr(aggr), check_flow(flow)

    def reset_parameters(self) -> None:
        """Reset the parameters of `nn`."""
        reset(self.nn)

    def forward(self, x: Tensor | tuple[Tensor, Tensor], edge_index: Tensor | Links) -> Tensor:
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or a pair, `[S, F]` of the senders and `[R, F]` of the receivers.
            edge_index: int64 `[2, E]`, or a topology of N nodes, or a sparse `adj_t`, whose entries are ignored; for a
                pair an edge list or links.
        """
        links, sent, own, _ = bipartite(x, edge_index, None, self.flow)
        if own is None:
            raise expected("x", "a pair of tensors, since messages read the receivers", Words("a pair with None"))
        if not isinstance(sent, Tensor):
            raise expected("x", "a dense tensor, since messages are not linear", sent)
        check_features(sent, -1, self.nn)
        if own.size(1) != sent.size(1):
            raise expected("x", f"receivers with {sent.size(1)} features, as the senders have", own)
        found = first_map(self.nn)
        if found is None:
            message: Message = self._message
        else:  # W [x_v, x_u - x_v] = (A - B) x_v + B x_u, of nodes and not of edges
            first, rest = found
            if first.in_features != 2 * sent.size(1):
                wanted = f"a first layer of {2 * sent.size(1)} inputs, twice as many as `x` has features"
                raise expected("nn", wanted, Words(f"{first.in_features}"))
            a, b = first.weight.chunk(2, 1)
            own, sent = torch_nn.functional.linear(own, a - b, first.bias), torch_nn.functional.linear(sent, b)
            message = partial(_mapped, rest)
        (out,) = aggregate(links, (sent,), message=message, merge=self._merge, received=own)
        return out

    def _message(self, sent: State, received: Any, edge: Tensor | None) -> State:
        """Return ``nn([x_v, x_u - x_v])``."""
        return (self.nn(torch.cat([received, sent[0] - received], 1)),)

    def extra_repr(self) -> str:
        """Return the aggregation."""
        return f"aggr={self.aggr!r}"


def _mapped(rest: Sequence[torch_nn.Module], sent: State, received: Any, edge: Tensor | None) -> State:
    """Return what the rest of a network makes of the sum of the two parts of its first map."""
    out = sent[0] + received
    for module in rest:
        out = module(out)
    return (out,)
