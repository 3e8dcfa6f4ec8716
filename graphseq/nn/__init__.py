"""Layers: cells, recurrent and tree layers, graph convolutions, readouts, models."""

from .cells import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell
from .recurrent import GRU, LSTM, RNN, Recurrent, TreeLSTM

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ChildSumTreeLSTMCell",
    "ElmanCell",
    "GRUCell",
    "LSTMCell",
    "NaryTreeLSTMCell",
    "Recurrent",
    "TreeLSTM",
]
