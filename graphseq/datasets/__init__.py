"""Loaders of data sets: those that are built in, and those that are read from a data root."""

from graphseq.datasets.digits import digits
from graphseq.datasets.karate import karate
from graphseq.datasets.planetoid import planetoid
from graphseq.datasets.roots import cache_folder, data_roots
from graphseq.datasets.sst import SENTIMENTS, SST
from graphseq.datasets.stdlib import VERBS, FunctionTrees, bag_of_kinds, stdlib_functions
from graphseq.datasets.tudataset import tudataset

__all__ = [
    "SENTIMENTS",
    "SST",
    "VERBS",
    "FunctionTrees",
    "bag_of_kinds",
    "cache_folder",
    "data_roots",
    "digits",
    "karate",
    "planetoid",
    "stdlib_functions",
    "tudataset",
]
