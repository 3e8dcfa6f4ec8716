"""Loaders of data sets: those that are built in, and those that are read from a data root."""

from .digits import digits
from .karate import karate
from .molecules import molecules
from .planetoid import planetoid
from .roots import cache_folder, data_roots
from .sst import SENTIMENTS, SST, Phrases
from .status import SetStatus, status
from .stdlib import VERBS, FunctionTrees, bag_of_kinds, stdlib_functions
from .treebank import Treebank, treebank
from .tudataset import tudataset
from .vectors import word_vectors

__all__ = [
    "SENTIMENTS", "SST", "VERBS", "FunctionTrees", "Phrases", "SetStatus", "Treebank", "bag_of_kinds", "cache_folder",
    "data_roots", "digits", "karate", "molecules", "planetoid", "status", "stdlib_functions", "treebank", "tudataset",
    "word_vectors",
]  # fmt: skip
