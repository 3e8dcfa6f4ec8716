"""Edges grouped by one of their ends: compressed sparse rows."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import Words, expected
from ._library import define


def _implementation(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    if index.is_cuda:
        perm = torch.argsort(index, stable=True)
        ptr = index.new_zeros(size + 1)
        ptr[1:] = torch.bincount(index, minlength=size).cumsum(0)
        return ptr, perm
    from ._structure import counting_sort

    ptr, perm = torch.zeros(size + 1, dtype=torch.int64), torch.empty_like(index)
    wrong = counting_sort(index.numpy(), ptr.numpy(), perm.numpy())
    if wrong >= 0:
        raise expected(
            "edge_index", f"nodes from 0 to {size - 1}", Words(f"node {int(index[wrong])} at edge {wrong}")
        )
    return ptr, perm


def _fake(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    return index.new_empty(size + 1), torch.empty_like(index)


_csr = define("csr(Tensor index, SymInt size) -> (Tensor, Tensor)", _implementation, _fake)


def csr(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Sort edges by `index`, keeping the order of equals, in time linear in edges and `size`.

    Args:
        index: int64 `[E]`, the row of each edge.
        size: number of rows.

    Returns:
        `ptr` `[size + 1]` and `perm` `[E]`: the edges of row v are ``perm[ptr[v]:ptr[v + 1]]``.

    Raises:
        GraphError: a row is out of range.
    """
    result: tuple[Tensor, Tensor] = _csr(index.contiguous(), size)
    return result
