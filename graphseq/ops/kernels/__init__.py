"""Compiled CPU kernels; only imported inside functions, since Numba is slow to load."""
