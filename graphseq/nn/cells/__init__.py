"""Cells: the step of one kind of network, which a sweep or rounds repeat."""

from .elman import ElmanCell
from .gru import GRUCell
from .lstm import LSTMCell
from .tree_lstm import ChildSumTreeLSTMCell, NaryTreeLSTMCell

__all__ = ["ChildSumTreeLSTMCell", "ElmanCell", "GRUCell", "LSTMCell", "NaryTreeLSTMCell"]
