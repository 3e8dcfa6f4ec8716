"""Pictures: training curves, graphs, trees, confusion matrices."""

from .curves import curves

__all__ = ["curves"]
