"""Fused operators behind cells and aggregations: one file per lowering, registered in the table when imported."""

from .childsum import childsum
from .elman import elman
from .gru import gru
from .lstm import lstm, nary
from .neighbours import neighbour_mean, neighbour_sum

__all__ = ["childsum", "elman", "gru", "lstm", "nary", "neighbour_mean", "neighbour_sum"]
