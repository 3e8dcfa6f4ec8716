"""Pictures: training curves, graphs, trees, confusion matrices."""

from .confusion import confusion
from .curves import curves
from .graph import graph
from .tree import tree

__all__ = ["confusion", "curves", "graph", "tree"]
