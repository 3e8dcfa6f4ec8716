"""When two results count as equal."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["finite", "gap", "tolerance"]

_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}  # beside the largest number of a result
_COARSE = 3e-2


def gap(a: Tensor, b: Tensor) -> float:
    """Return the largest difference beside the largest number; infinite where shapes differ or NaN stands in one.

    >>> gap(torch.tensor([4.0, 2.0]), torch.tensor([4.0, 1.0]))
    0.25
    """
    if a.shape != b.shape:
        return math.inf
    if not a.numel():
        return 0.0
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    worst = float((a - b).abs().max()) / max(float(a.abs().max()), float(b.abs().max()), 1e-30)
    both = torch.equal(torch.isnan(a), torch.isnan(b))
    if math.isnan(worst):
        return gap(a.nan_to_num(), b.nan_to_num()) if both else math.inf
    return worst


def tolerance(*results: Tensor) -> float:
    """Return how large a gap between results of these dtypes may be, for another order of the same sums."""
    return max((_TOLERANCE.get(t.dtype, _COARSE) for t in results), default=0.0)


def finite(results: list[Tensor]) -> bool:
    """Say whether there is neither NaN nor infinity."""
    return all(bool(torch.isfinite(t).all()) for t in results)
