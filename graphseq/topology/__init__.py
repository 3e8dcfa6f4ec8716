"""The structure of graphs, apart from their features."""

from .batching import batch, unbatch
from .graphs import Members
from .links import Links
from .structure import Coarser, Subgraph, Topology

__all__ = ["Coarser", "Links", "Members", "Subgraph", "Topology", "batch", "unbatch"]
