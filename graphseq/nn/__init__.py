"""Layers: cells, recurrent and tree layers, graph convolutions, readouts, models."""

from . import lowerings
from .cells import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell
from .convs import GATConv, GatedGraphConv, GATv2Conv, GCNConv, GINConv, GraphNetwork, SparseFeatures, TransformerConv
from .models import GraphClassifier, NodeClassifier, SequenceClassifier, TextClassifier, TreeClassifier
from .pool import readout
from .recurrent import GRU, LSTM, RNN, Recurrent, TreeLSTM

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ChildSumTreeLSTMCell",
    "ElmanCell",
    "GATConv",
    "GATv2Conv",
    "GCNConv",
    "GINConv",
    "GRUCell",
    "GatedGraphConv",
    "GraphClassifier",
    "GraphNetwork",
    "LSTMCell",
    "NaryTreeLSTMCell",
    "NodeClassifier",
    "Recurrent",
    "SequenceClassifier",
    "SparseFeatures",
    "TextClassifier",
    "TransformerConv",
    "TreeClassifier",
    "TreeLSTM",
    "lowerings",
    "readout",
]
