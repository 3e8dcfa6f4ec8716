"""Norms by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ...errors import Words, expected
from ..deep import GraphNorm, PairNorm

__all__ = ["BatchNorm", "make_norm"]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation; a single row, which has no variance, is normalised by the running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the rows, normalised feature by feature."""
        if self.training and input.size(0) == 1:
            stats = (self.running_mean, self.running_var, self.weight, self.bias)
            return nn.functional.batch_norm(input, *stats, training=False, eps=self.eps)
        return super().forward(input)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": BatchNorm, "graph": GraphNorm, "layer": nn.LayerNorm, "pair": lambda width: PairNorm(),
}  # fmt: skip


def make_norm(norm: str | Callable[[int], nn.Module], width: int) -> nn.Module:
    """Return a norm of rows.

    Args:
        norm: "batch", "graph", "layer" or "pair", or a function of the width that makes one.
        width: F.

    Raises:
        GraphError: there is no such norm.
    """
    kind: Any = NORMS.get(norm) if isinstance(norm, str) else norm
    if isinstance(kind, nn.Module) or not callable(kind):
        names = ", ".join(f'"{name}"' for name in NORMS)
        raise expected("norm", f"one of {names}, or a function of the width that makes a module", norm)
    made = kind(width)
    if not isinstance(made, nn.Module):
        raise expected("norm", "a name or a function that makes a module", Words(f"one that makes {made!r}"))
    return made
