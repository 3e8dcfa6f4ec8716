"""Matrices of a graph, their eigenvalues, and the graph Fourier transform."""

from .eigenvalues import lambda_max
from .energy import dirichlet_energy
from .fourier import Basis, basis, filter, inverse, transform
from .matrices import NORMALIZATIONS, gcn_norm, laplacian, scaled_laplacian, self_loops, with_self_loops

__all__ = [
    "NORMALIZATIONS", "Basis", "basis", "dirichlet_energy", "filter", "gcn_norm", "inverse", "lambda_max", "laplacian",
    "scaled_laplacian", "self_loops", "transform", "with_self_loops",
]  # fmt: skip
