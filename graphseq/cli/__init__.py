"""The command line: ``graphseq train cora-gcn``."""

from .app import app, main

__all__ = ["app", "main"]
