"""Sum over neighbours (sparse times dense), and its gradient with respect to the edges' weights."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import expected
from .library import HALF, Operator


class Sparse(NamedTuple):
    """A matrix's pattern by rows and by columns; entries are identified by their edge, in any order.

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


@cache
def kernels() -> tuple[Any, Any]:
    """Load the kernels on rows, once: the conversion of tensors to arrays, and their module."""
    from .kernels import rows
    from .kernels.jit import array

    return array, rows


def rows_of(ptr: Tensor, count: int) -> Tensor:
    """Return the row of each of `count` entries, int64 `[count]`, from where the rows begin."""
    rows = torch.arange(ptr.size(0) - 1, device=ptr.device)
    return torch.repeat_interleave(rows, ptr.diff(), output_size=count)


def _spmm_body(weight: Tensor | None, x: Tensor, ptr: Tensor, index: Tensor, edge: Tensor, *_: Tensor) -> Tensor:
    sent = x.index_select(0, index)
    if weight is not None:
        sent = sent * weight.index_select(0, edge)[:, None]
    return x.new_zeros(ptr.size(0) - 1, x.size(1)).index_add(0, rows_of(ptr, index.size(0)), sent)


def _spmm_cpu(weight: Tensor | None, x: Tensor, ptr: Tensor, index: Tensor, edge: Tensor, *rest: Tensor) -> Tensor:
    if x.dtype not in (torch.float32, torch.float64):
        return _spmm_body(weight, x, ptr, index, edge)
    array, rows = kernels()
    out, x, work = x.new_empty(ptr.numel() - 1, x.size(1)), x.contiguous(), index.numel() * x.size(1)
    if weight is None:
        rows.plain_sum(work, ptr.numpy(), index.numpy(), array(x), out.numpy())
    else:
        weight = weight.contiguous()
        rows.weighted_sum(work, ptr.numpy(), index.numpy(), edge.numpy(), array(weight), array(x), out.numpy())
    return out


def csr_product(weight: Tensor | None, x: Tensor, ptr: Tensor, index: Tensor, edge: Tensor, *_: Tensor) -> Tensor:
    """Multiply by PyTorch's sparse matrices: on CUDA cuSPARSE, whose sums are deterministic."""
    if not x.is_floating_point():
        return _spmm_body(weight, x, ptr, index, edge)
    values = x.new_ones(index.size(0)) if weight is None else weight.index_select(0, edge)
    with warnings.catch_warnings():
        for told in ("Sparse CSR tensor support is in beta", "Sparse invariant checks are implicitly disabled"):
            warnings.filterwarnings("ignore", told)
        matrix = torch.sparse_csr_tensor(ptr, index, values, (ptr.size(0) - 1, x.size(0)), check_invariants=False)
    product: Tensor = matrix @ x
    return product


def _spmm_fake(weight: Tensor | None, x: Tensor, ptr: Tensor, *pattern: Tensor) -> Tensor:
    return x.new_empty(ptr.size(0) - 1, x.size(1))


def _dots_body(a: Tensor, b: Tensor, ptr: Tensor, index: Tensor, edge: Tensor, *_: Tensor) -> Tensor:
    dots = (a.index_select(0, rows_of(ptr, index.size(0))) * b.index_select(0, index)).sum(1)
    return torch.zeros_like(dots).index_copy(0, edge, dots)


def _dots_cpu(a: Tensor, b: Tensor, ptr: Tensor, index: Tensor, edge: Tensor, *_: Tensor) -> Tensor:
    if a.dtype not in (torch.float32, torch.float64) or a.size(1) == 0:
        return _dots_body(a, b, ptr, index, edge)
    array, rows = kernels()
    out = a.new_empty(index.numel())
    rows.dots(index.numel() * a.size(1), *map(array, (ptr, index, edge, a.contiguous(), b.contiguous(), out)))
    return out


def _dots_fake(a: Tensor, b: Tensor, ptr: Tensor, index: Tensor, *pattern: Tensor) -> Tensor:
    return a.new_empty(index.size(0))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _spmm_save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    weight, x, *pattern = inputs
    ctx.save_for_backward(weight, None if weight is None else x, *pattern)  # x is only kept if it is read


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


_PATTERN = "Tensor ptr, Tensor index, Tensor edge, Tensor t_ptr, Tensor t_index, Tensor t_edge"
_spmm = Operator(
    f"spmm(Tensor? weight, Tensor x, {_PATTERN}) -> Tensor", _spmm_body, _spmm_fake, cpu=_spmm_cpu, cuda=csr_product,
    save=_spmm_save, backward=_spmm_backward, full_precision=True,
)  # fmt: skip
_dots = Operator(
    f"edge_dots(Tensor a, Tensor b, {_PATTERN}) -> Tensor", _dots_body, _dots_fake, cpu=_dots_cpu,
    save=_save, backward=_dots_backward, full_precision=True,
)  # fmt: skip


def spmm(matrix: Sparse, weight: Tensor | None, x: Tensor) -> Tensor:
    """Multiply a sparse matrix with a dense one: ``out[v] = Σ_{e: u → v} weight[e] · x[u]``.

    Args:
        matrix: the pattern, R by C; rows are receivers, columns senders.
        weight: `[E]` in the order of the edges, or None for ones.
        x: `[C, F]`; 16-bit numbers are summed in float32.

    Returns:
        `[R, F]`. Its gradients are again of this form, over the transpose, so derivatives of any order work, and
        no `[E, F]` tensor is made on the CPU.
    """
    if x.dtype in HALF and not torch.is_autocast_enabled(x.device.type):
        return spmm(matrix, None if weight is None else weight.float(), x.float()).to(x.dtype)
    if x.is_complex():
        raise expected("state", "real numbers", x)
    if weight is not None and weight.dtype != x.dtype:
        dtype = torch.result_type(weight, x)
        weight, x = weight.to(dtype), x.to(dtype)
    result: Tensor = _spmm(weight, x, *matrix)
    return result


def edge_dots(matrix: Sparse, a: Tensor, b: Tensor) -> Tensor:
    """Return ``a[v] · b[u]`` `[E]` for every edge u → v of the pattern, in the order of the edges."""
    result: Tensor = _dots(a, b, *matrix)
    return result
