"""Neural networks on chains, trees, DAGs and graphs through one message-passing core."""

from . import nn, recipes, train
from .cell import COPY, SCALE, Cell
from .errors import GraphError
from .recipes import load
from .schedule import Rounds, Sweep
from .topology import Topology, batch, unbatch

__version__ = "0.1.0"
__all__ = [
    "COPY",
    "SCALE",
    "Cell",
    "GraphError",
    "Rounds",
    "Sweep",
    "Topology",
    "batch",
    "load",
    "nn",
    "recipes",
    "train",
    "unbatch",
]
