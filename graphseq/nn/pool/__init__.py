"""From nodes to graphs."""

from .readout import readout

__all__ = ["readout"]
