"""Elementary functions for CPU kernels, in float32: polynomials that the compiler vectorises; Numba's own are called
element by element.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

__all__ = ["ORDERED", "exp", "expm1", "inline", "sigmoid", "tanh"]

_F = np.float32
# Without reassociation, which would undo the exponential's two-part ln 2.
ORDERED = {"contract", "nsz", "arcp", "afn"}


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """Read the bits of an int32 as a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return numba.types.float32(numba.types.int32), generate


inline = numba.njit(inline="always", cache=True, fastmath=ORDERED)


@inline
def _parts(x: Any) -> Any:
    """Return a and b with ``exp(x) = a (1 + b)``, a a power of 2."""
    x = x if not x < _F(-87) else _F(-87)  # written so that NaN passes
    x = x if not x > _F(88) else _F(88)
    k = np.floor(x * _F(1.44269504) + _F(0.5))
    r = (x - k * _F(0.693359375)) + k * _F(2.12194440e-4)
    p = _F(1 / 5040)  # Taylor's series of exp(r) - 1 on |r| ≤ ln 2 / 2
    p = p * r + _F(1 / 720)
    p = p * r + _F(1 / 120)
    p = p * r + _F(1 / 24)
    p = p * r + _F(1 / 6)
    p = p * r + _F(0.5)
    p = p * r + _F(1)
    return _as_float((np.int32(k) + np.int32(127)) << np.int32(23)), p * r


@inline
def expm1(x: Any) -> Any:
    """``exp(x) - 1``, exact to a few units in the last place, also near 0."""
    a, b = _parts(x)
    return a * b + (a - _F(1))


@inline
def exp(x: Any) -> Any:
    """``exp(x)``, exact to a few units in the last place; 0 below -87."""
    a, b = _parts(x)
    return a + a * b if not x < _F(-87) else _F(0)


@inline
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``."""
    return _F(1) / (_F(2) + expm1(-x))


@inline
def tanh(x: Any) -> Any:
    """``(exp(2x) - 1) / (exp(2x) + 1)``."""
    e = expm1(_F(2) * x)
    return e / (e + _F(2))
