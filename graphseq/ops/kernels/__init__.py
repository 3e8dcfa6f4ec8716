"""Compiled CPU kernels; imported in functions alone, since Numba is slow to load."""
