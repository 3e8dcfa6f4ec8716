"""Features that are mostly zeros, such as the words of a paper, stored and multiplied as sparse matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import dropout

from ...errors import expected
from ...ops.csr import csr
from ...ops.spmm import Sparse, spmm

__all__ = ["SparseFeatures"]


class SparseFeatures:
    """A matrix of features `[N, F]` by its nonzero entries; the input of a first layer in place of a dense one.

    Cora's features are 98.7 % zeros: the products with them, XW and its gradient Xᵀ(∂/∂XW), shrink accordingly. No
    gradient flows to the features themselves.

    Args:
        values: `[E]`, the entries.
        pattern: where they are, by rows and by columns; :meth:`of` finds them in a matrix.

    Raises:
        GraphError: no pattern.

    >>> x = torch.tensor([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]])
    >>> SparseFeatures.of(x)
    SparseFeatures(shape=[3, 2], entries=2)
    >>> SparseFeatures.of(x).linear(torch.tensor([[1.0, 10.0]])).flatten().tolist()
    [20.0, 0.0, 3.0]
    """

    def __init__(self, values: Tensor, pattern: Sparse | None = None) -> None:
        if pattern is None:
            raise expected("pattern", "where the entries are; SparseFeatures.of(x) takes a matrix", None)
        self.values, self.pattern = values, pattern

    @classmethod
    def of(cls, x: Tensor) -> SparseFeatures:
        """Take the entries of a dense matrix, or of a sparse one of PyTorch's, that are not zero.

        Raises:
            GraphError: it is not a floating-point matrix.
        """
        if not isinstance(x, Tensor) or x.dim() != 2 or not x.is_floating_point():
            raise expected("x", "a floating-point tensor of shape [N, F]", x)
        entries = (x if x.layout == torch.sparse_coo else x.to_sparse_coo()).detach().coalesce()
        kept = entries.values() != 0
        (row, column), values = entries.indices()[:, kept], entries.values()[kept]
        return cls(values, csr(torch.stack([column, row]), x.size(1), x.size(0)))

    def linear(self, weight: Tensor) -> Tensor:
        """Return X Wᵀ, `[N, F']`, for a weight `[F', F]`."""
        return spmm(self.pattern, self.values, weight.t())

    def dropout(self, p: float, *, training: bool) -> SparseFeatures:
        """Zero each entry with probability p and scale up the others, as dropout of the dense matrix does."""
        return SparseFeatures(dropout(self.values, p), self.pattern) if training and p else self

    def to(self, device: torch.device | str) -> SparseFeatures:
        """Return the matrix on a device."""
        return SparseFeatures(self.values.to(device), Sparse(*(part.to(device) for part in self.pattern)))

    def dense(self) -> Tensor:
        """Return the dense matrix."""
        rows = torch.repeat_interleave(self.pattern.ptr.diff())
        out = self.values.new_zeros(self.shape)
        out[rows, self.pattern.columns] = self.values[self.pattern.edge]
        return out

    @property
    def shape(self) -> torch.Size:
        """Return N and F."""
        return torch.Size([self.pattern.ptr.numel() - 1, self.pattern.t_ptr.numel() - 1])

    def size(self, dim: int) -> int:
        """Return N or F."""
        return self.shape[dim]

    @property
    def dtype(self) -> torch.dtype:
        """Return the entries' type."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Return the device."""
        return self.values.device

    def __repr__(self) -> str:
        return f"SparseFeatures(shape={list(self.shape)}, entries={self.values.numel()})"
