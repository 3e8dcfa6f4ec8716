"""Whole models, made of the layers."""

from .graph import GraphClassifier
from .library import cells, convolutions, make_cell, make_conv, takes_weights
from .node import NodeClassifier
from .sequence import SequenceClassifier, TextClassifier, sequence_layers
from .tree import TreeClassifier

__all__ = [
    "GraphClassifier",
    "NodeClassifier",
    "SequenceClassifier",
    "TextClassifier",
    "TreeClassifier",
    "cells",
    "convolutions",
    "make_cell",
    "make_conv",
    "sequence_layers",
    "takes_weights",
]
