"""Fused operators behind cells and aggregations: one file per lowering, registered in the table when imported."""

from .additive import additive
from .attend import attend
from .childsum import childsum
from .dependency import dependency
from .dot_product import dot_product
from .elman import elman, recursive
from .gru import gru
from .lstm import lstm, nary
from .matrix_vector import matrix_vector
from .nary_gru import nary_gru
from .neighbours import neighbour_maximum, neighbour_mean, neighbour_minimum, neighbour_sum
from .per_feature import per_feature
from .rntn import rntn
from .tree_gru import tree_gru
from .typed import typed

__all__ = [
    "additive", "attend", "childsum", "dependency", "dot_product", "elman", "gru", "lstm", "matrix_vector",
    "nary", "nary_gru", "neighbour_maximum", "neighbour_mean", "neighbour_minimum", "neighbour_sum", "per_feature",
    "recursive", "rntn", "tree_gru", "typed",
]  # fmt: skip
