"""Cells: the step of one kind of network, which a sweep or rounds repeat."""

from .attentive import AttentiveTreeLSTMCell
from .elman import ElmanCell
from .gru import GRUCell
from .lstm import LSTMCell
from .matrix_vector import MatrixVectorCell
from .recursive import RecursiveCell
from .rntn import RNTNCell
from .tree_gru import NaryTreeGRUCell, TreeGRUCell
from .tree_lstm import ChildSumTreeLSTMCell, NaryTreeLSTMCell
from .typed import DependencyTreeLSTMCell, TypedRecursiveCell

__all__ = [
    "AttentiveTreeLSTMCell",
    "ChildSumTreeLSTMCell",
    "DependencyTreeLSTMCell",
    "ElmanCell",
    "GRUCell",
    "LSTMCell",
    "MatrixVectorCell",
    "NaryTreeGRUCell",
    "NaryTreeLSTMCell",
    "RNTNCell",
    "RecursiveCell",
    "TreeGRUCell",
    "TypedRecursiveCell",
]
