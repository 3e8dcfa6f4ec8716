"""Whole models, made of the layers."""

from .graph import GraphClassifier
from .library import cells, convolutions, make_cell, make_conv, takes_weights
from .node import NodeClassifier
from .parser import SpanParser, SpanScores
from .sequence import SequenceClassifier, TextClassifier, sequence_layers
from .tree import TreeClassifier

__all__ = [
    "GraphClassifier",
    "NodeClassifier",
    "SequenceClassifier",
    "SpanParser",
    "SpanScores",
    "TextClassifier",
    "TreeClassifier",
    "cells",
    "convolutions",
    "make_cell",
    "make_conv",
    "sequence_layers",
    "takes_weights",
]
