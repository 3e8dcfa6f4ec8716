"""Loaders of data sets: those that are built in, and those that are read from a data root."""

from .digits import digits
from .karate import karate
from .misuse import HiddenVariables, hidden_variables, variable_misuse
from .modules import check_parts, source_folder
from .molecules import molecules
from .names import NamedFunctions, encode_parts, function_names, named_tree
from .planetoid import planetoid
from .roots import cache_folder, data_roots
from .sst import SENTIMENTS, SST, Phrases
from .status import SetStatus, status
from .stdlib import VERBS, FunctionTrees, bag_of_kinds, stdlib_functions
from .treebank import Treebank, treebank
from .tudataset import tudataset
from .vectors import word_vectors

__all__ = [
    "SENTIMENTS", "SST", "VERBS", "FunctionTrees", "HiddenVariables", "NamedFunctions", "Phrases", "SetStatus",
    "Treebank", "bag_of_kinds", "cache_folder", "check_parts", "data_roots", "digits", "encode_parts", "function_names",
    "hidden_variables", "karate", "molecules", "named_tree", "planetoid", "source_folder", "status",
    "stdlib_functions", "treebank", "tudataset", "variable_misuse", "word_vectors",
]  # fmt: skip
