"""Pictures: training curves, graphs, trees, confusion matrices."""

from ._figure import check_path
from .confusion import confusion
from .curves import curves
from .graph import graph
from .tree import tree

__all__ = ["check_path", "confusion", "curves", "graph", "tree"]
