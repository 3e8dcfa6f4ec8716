"""Whole models, made of the layers."""

from .graph import GraphClassifier
from .node import NodeClassifier
from .sequence import SequenceClassifier
from .tree import TreeClassifier

__all__ = ["GraphClassifier", "NodeClassifier", "SequenceClassifier", "TreeClassifier"]
