"""Loaders of data sets: those that are built in, and those that are read from a data root."""

from graphseq.datasets.digits import digits
from graphseq.datasets.karate import karate
from graphseq.datasets.molecules import molecules
from graphseq.datasets.planetoid import planetoid
from graphseq.datasets.roots import cache_folder, data_roots
from graphseq.datasets.sst import SENTIMENTS, SST, Phrases
from graphseq.datasets.status import SetStatus, status
from graphseq.datasets.stdlib import VERBS, FunctionTrees, bag_of_kinds, stdlib_functions
from graphseq.datasets.treebank import Treebank, treebank
from graphseq.datasets.tudataset import tudataset

__all__ = [
    "SENTIMENTS",
    "SST",
    "VERBS",
    "FunctionTrees",
    "Phrases",
    "SetStatus",
    "Treebank",
    "bag_of_kinds",
    "cache_folder",
    "data_roots",
    "digits",
    "karate",
    "molecules",
    "planetoid",
    "status",
    "stdlib_functions",
    "treebank",
    "tudataset",
]
