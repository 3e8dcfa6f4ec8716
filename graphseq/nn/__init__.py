"""Layers: cells, recurrent and tree layers, graph convolutions, readouts, models."""

from .cells import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell
from .recurrent import Recurrent

__all__ = ["ChildSumTreeLSTMCell", "ElmanCell", "GRUCell", "LSTMCell", "NaryTreeLSTMCell", "Recurrent"]
