"""Messages ``W_{type of u→v} h_u`` over packed levels, on the CPU: in each level one product for each type."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...ops.levels import Structure
from ...topology.inputs import check_range


def types_of(s: Structure) -> Tensor:
    """Return the types of the packed edges."""
    return s.senders.new_empty(0) if s.types is None else s.types


class TypedMessages:
    """The messages of a structure's edges, level by level, their sums, and the gradients of both.

    Args:
        s: a structure with types.
        weight: `[T, O, I]`, the matrices.
    """

    def __init__(self, s: Structure, weight: Tensor) -> None:
        from ...ops.kernels.scan import workspace

        check_range("edge_attr", types_of(s), weight.size(0))  # which compiled code has not checked
        self.structure, self.weights, edges = s, weight.unbind(), s.senders.numel()
        self.inner, self.outer = (workspace(name, edges, weight.size(k)) for name, k in (("inner", 2), ("outer", 1)))
        types, ends = types_of(s).numpy(), s.level_edges.numpy()
        levels = max(len(ends) - 1, 0)
        key = np.repeat(np.arange(levels) * weight.size(0), np.diff(ends)) + types
        order = np.argsort(key, kind="stable")
        self._order = torch.from_numpy(order)  # of the edges, by level and type
        self._senders = s.senders.index_select(0, self._order)
        self._groups: list[list[tuple[int, int, int]]] = [[] for _ in range(levels)]
        key = key[order]
        for i, j in pairwise([0, *(np.flatnonzero(np.diff(key)) + 1).tolist(), len(key)] if len(key) else []):
            level, kind = divmod(int(key[i]), weight.size(0))
            self._groups[level].append((kind, i, j))
        rows = torch.arange(edges)
        self._rows: Any = s.edge_ptr.numpy(), rows.numpy(), torch.zeros_like(rows).numpy()

    def send(self, level: int, a: int, b: int, h: Tensor, out: Tensor) -> None:
        """Fill the rows a to b of `out`, the edges into a level, with their messages."""
        if a == b:
            return
        torch.index_select(h, 0, self._senders[a:b], out=self.inner[a:b])
        for kind, i, j in self._groups[level]:
            torch.mm(self.inner[i:j], self.weights[kind].t(), out=self.outer[i:j])
        out.index_copy_(0, self._order[a:b], self.outer[a:b])

    def send_backward(self, level: int, a: int, b: int, grad: Tensor, dh: Tensor) -> None:
        """Add to `dh` the gradient of the senders' states; `grad` has that of all messages."""
        from ...ops.kernels.gates import scatter_edges

        if a == b:
            return
        torch.index_select(grad, 0, self._order[a:b], out=self.outer[a:b])
        for kind, i, j in self._groups[level]:
            torch.mm(self.outer[i:j], self.weights[kind], out=self.inner[i:j])
        scatter_edges(a, b, self._senders.numpy(), self.inner.numpy(), dh.numpy())

    def sums(self, a: int, b: int, messages: Tensor, out: Tensor) -> Tensor:
        """Return the sums of the messages to the nodes a to b, the first rows of `out`."""
        from ...ops.kernels.gates import gather

        gather((b - a) * out.size(1), a, b, a, *self._rows, messages.numpy(), out.numpy())
        return out[: b - a]

    def weight_gradient(self, grad: Tensor, h: Tensor) -> Tensor:
        """Return the gradient of the matrices, one product for each."""
        types, count = types_of(self.structure), len(self.weights)
        order = torch.argsort(types, stable=True)
        d, sent = grad.index_select(0, order), h.index_select(0, self.structure.senders.index_select(0, order))
        sizes = torch.bincount(types, minlength=count).tolist()
        out = grad.new_empty(count, grad.size(1), h.size(1))
        for matrix, left, right in zip(out, d.split(sizes), sent.split(sizes), strict=True):
            torch.mm(left.t(), right, out=matrix)
        return out
