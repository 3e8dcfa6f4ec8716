"""Neural networks on chains, trees, DAGs and graphs through one message-passing core."""

from . import nn, recipes, train
from .cell import Cell
from .errors import GraphError
from .messages import COPY, SCALE, Max, Mean, Merge, Messages, Min, Segments, Slots, Softmax, Sum
from .recipes import load
from .schedule import Rounds, Schedule, Sweep
from .topology import Links, Topology, batch, unbatch

__version__ = "0.1.0"
__all__ = [
    "COPY",
    "SCALE",
    "Cell",
    "GraphError",
    "Links",
    "Max",
    "Mean",
    "Merge",
    "Messages",
    "Min",
    "Rounds",
    "Schedule",
    "Segments",
    "Slots",
    "Softmax",
    "Sum",
    "Sweep",
    "Topology",
    "batch",
    "load",
    "nn",
    "recipes",
    "train",
    "unbatch",
]
