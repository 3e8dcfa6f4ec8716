"""The structure of graphs, apart from their features."""

from .structure import Topology, batch, unbatch

__all__ = ["Topology", "batch", "unbatch"]
