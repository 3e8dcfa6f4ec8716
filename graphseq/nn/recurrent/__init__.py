"""Layers that repeat a cell over a structure."""

from .recurrent import Recurrent

__all__ = ["Recurrent"]
