"""What networks of many layers need: norms, dropped edges, connections past layers."""

from .drop_edge import DropEdge, drop_edge
from .graph_norm import GraphNorm
from .jumping import JumpingKnowledge
from .pair_norm import PairNorm
from .stack import Stack

__all__ = ["DropEdge", "GraphNorm", "JumpingKnowledge", "PairNorm", "Stack", "drop_edge"]
