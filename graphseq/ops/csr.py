"""Edges grouped by either end: compressed sparse rows and columns."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import out_of_range
from .library import Operator
from .spmm import Sparse


def _body(edge_index: Tensor, num_senders: int, num_receivers: int) -> tuple[Tensor, ...]:
    made: list[Tensor] = []
    for end, size in ((1, num_receivers), (0, num_senders)):
        index, other = edge_index[end], edge_index[1 - end]
        ptr = torch.cat([index.new_zeros(1), torch.bincount(index, minlength=size).cumsum(0)])
        edge = torch.argsort(index, stable=True)
        made += [ptr, other.index_select(0, edge), edge]
    return tuple(made)


def _cpu(edge_index: Tensor, num_senders: int, num_receivers: int) -> tuple[Tensor, ...]:
    from .kernels.structure import group_edges

    e = edge_index.size(1)
    made = tuple(edge_index.new_empty(n) for n in (num_receivers + 1, e, e, num_senders + 1, e, e))
    wrong = group_edges(edge_index.numpy(), *(t.numpy() for t in made))
    if wrong >= 0:
        end, edge = divmod(wrong, max(e, 1))
        size, least = num_receivers if end else num_senders, int(edge_index.min())
        raise out_of_range("edge_index", int(edge_index[end, edge]), size, least=least, where=f" at edge {edge}")
    return made


def _fake(edge_index: Tensor, num_senders: int, num_receivers: int) -> tuple[Tensor, ...]:
    e = edge_index.size(1)
    return tuple(edge_index.new_empty(n) for n in (num_receivers + 1, e, e, num_senders + 1, e, e))


_csr = Operator(
    f"csr(Tensor edge_index, SymInt num_senders, SymInt num_receivers) -> ({', '.join(['Tensor'] * 6)})",
    _body, _fake, cpu=_cpu,
)  # fmt: skip


def csr(edge_index: Tensor, num_senders: int, num_receivers: int) -> Sparse:
    """Group edges by receiver and by sender, keeping the order of equals, in linear time.

    Args:
        edge_index: int64 `[2, E]`, sender → receiver.
        num_senders: S.
        num_receivers: R.

    Returns:
        The matrix whose rows are receivers and whose columns are senders.

    Raises:
        GraphError: an end is out of range.
    """
    return Sparse(*_csr(edge_index.contiguous(), num_senders, num_receivers))
