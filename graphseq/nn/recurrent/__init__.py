"""Layers that repeat a cell over a structure."""

from .layers import GRU, LSTM, RNN
from .recurrent import Recurrent
from .tree_lstm import TreeLSTM

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "TreeLSTM"]
