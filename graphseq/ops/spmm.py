"""Sum over neighbours (sparse times dense), and its gradient by the edges' weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._direct import is_plain, is_transformed
from ._library import define, full_precision


class Sparse(NamedTuple):
    """A matrix's pattern by rows and by columns; entries are known by their edge, whatever the order.

    Attributes:
        ptr: `[R + 1]`, row → its entries.
        columns: `[E]`, each entry's column.
        edge: `[E]`, each entry's edge.
        t_ptr: `[C + 1]`, the same of the transpose.
        t_columns: `[E]`.
        t_edge: `[E]`.
    """

    ptr: Tensor
    columns: Tensor
    edge: Tensor
    t_ptr: Tensor
    t_columns: Tensor
    t_edge: Tensor

    def transpose(self) -> Sparse:
        """Return the transposed matrix; nothing is computed."""
        return Sparse(*self[3:], *self[:3])


def _rows(ptr: Tensor) -> Tensor:
    count = ptr.numel() - 1
    return torch.repeat_interleave(torch.arange(count, device=ptr.device), ptr.diff())


def _native(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def _spmm_forward(
    weight: Tensor | None, x: Tensor, ptr: Tensor, index: Tensor, edge: Tensor, t_ptr: Tensor, t_index: Tensor,
    t_edge: Tensor,
) -> Tensor:  # fmt: skip
    out = x.new_empty(ptr.numel() - 1, x.size(1))
    if _native(x):
        from ._numba import array
        from ._rows import plain_sum, weighted_sum

        x, work = x.contiguous(), index.numel() * x.size(1)
        if weight is None:
            plain_sum(work, array(ptr), array(index), array(x), array(out))
        else:
            weighted_sum(work, *map(array, (ptr, index, edge, weight.contiguous(), x, out)))
        return out
    sent = x.index_select(0, index)
    if weight is not None:
        sent = sent * weight.index_select(0, edge)[:, None]
    return out.zero_().index_add_(0, _rows(ptr), sent)


def _spmm_fake(weight: Tensor | None, x: Tensor, ptr: Tensor, *pattern: Tensor) -> Tensor:
    return x.new_empty(ptr.size(0) - 1, x.size(1))


def _dots_forward(
    a: Tensor,
    b: Tensor,
    ptr: Tensor,
    index: Tensor,
    edge: Tensor,
    t_ptr: Tensor,
    t_index: Tensor,
    t_edge: Tensor,
) -> Tensor:
    out = a.new_empty(index.numel())
    if a.size(1) == 0:
        return out.zero_()
    if _native(a):
        from ._numba import array
        from ._rows import dots

        dots(index.numel() * a.size(1), *map(array, (ptr, index, edge, a.contiguous(), b.contiguous(), out)))
        return out
    out[edge] = (a.index_select(0, _rows(ptr)) * b.index_select(0, index)).sum(1)
    return out


def _dots_fake(a: Tensor, b: Tensor, ptr: Tensor, index: Tensor, *pattern: Tensor) -> Tensor:
    return a.new_empty(index.size(0))


_PATTERN = "Tensor ptr, Tensor index, Tensor edge, Tensor t_ptr, Tensor t_index, Tensor t_edge"
_spmm = define(f"spmm(Tensor? weight, Tensor x, {_PATTERN}) -> Tensor", _spmm_forward, _spmm_fake)
_dots = define(f"edge_dots(Tensor a, Tensor b, {_PATTERN}) -> Tensor", _dots_forward, _dots_fake)
for _name in ("spmm", "edge_dots"):
    full_precision(_name)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _spmm_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    weight, x, *pattern = ctx.saved_tensors
    matrix = Sparse(*pattern)
    by_weight = edge_dots(matrix, grad, x) if ctx.needs_input_grad[0] else None
    by_x = spmm(matrix.transpose(), weight, grad) if ctx.needs_input_grad[1] else None
    return by_weight, by_x, *[None] * 6


def _dots_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    a, b, *pattern = ctx.saved_tensors
    matrix = Sparse(*pattern)
    by_a = spmm(matrix, grad, b) if ctx.needs_input_grad[0] else None
    by_b = spmm(matrix.transpose(), grad, a) if ctx.needs_input_grad[1] else None
    return by_a, by_b, *[None] * 6


class _Direct(torch.autograd.Function):
    """The operator without the dispatcher."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor | None, x: Tensor, *pattern: Tensor) -> Tensor:
        ctx.save_for_backward(weight, x, *pattern)
        return _spmm_forward(weight, x, *pattern)

    backward = staticmethod(_spmm_backward)


torch.library.register_autograd("graphseq::spmm", _spmm_backward, setup_context=_save)
torch.library.register_autograd("graphseq::edge_dots", _dots_backward, setup_context=_save)


def spmm(matrix: Sparse, weight: Tensor | None, x: Tensor) -> Tensor:
    """Multiply a sparse matrix with a dense one: ``out[v] = Σ_{e: u → v} weight[e] · x[u]``.

    Args:
        matrix: the pattern, R by C; rows are receivers, columns senders.
        weight: `[E]` in the order of the edges, or None for ones.
        x: `[C, F]`.

    Returns:
        `[R, F]`. Its gradients are again of this form, over the transpose, so derivatives of any order work, and
        no `[E, F]` tensor is made on the CPU.
    """
    if is_plain(x):
        if torch.is_grad_enabled() and (x.requires_grad or (weight is not None and weight.requires_grad)):
            direct: Tensor = _Direct.apply(weight, x, *matrix)  # type: ignore[no-untyped-call]
            return direct
        return _spmm_forward(weight, x, *matrix)
    if is_transformed():
        sent = x.index_select(0, matrix.columns)
        if weight is not None:
            sent = sent * weight.index_select(0, matrix.edge)[:, None]
        return x.new_zeros(matrix.ptr.size(0) - 1, x.size(1)).index_add(0, _rows(matrix.ptr), sent)
    result: Tensor = _spmm(weight, x, *matrix)
    return result


def edge_dots(matrix: Sparse, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a[v] · b[u]`` `[E]` for every edge u → v of the pattern, in the order of the edges."""
    result: Tensor = _dots(a, b, *matrix)
    return result
