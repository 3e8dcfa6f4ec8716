"""Layers that sweep a cell: any cell, those of torch.nn, trees in one direction, in both, or built on the way."""

from .bidirectional import BidirectionalTree
from .latent import LatentTreeLSTM
from .layers import GRU, LSTM, RNN
from .recurrent import Recurrent
from .tree_lstm import TreeLSTM

__all__ = ["GRU", "LSTM", "RNN", "BidirectionalTree", "LatentTreeLSTM", "Recurrent", "TreeLSTM"]
