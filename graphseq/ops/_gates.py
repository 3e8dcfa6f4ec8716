"""CPU kernels for the gates, one pass over the rows of a level, in float32.

The exponential is a polynomial that the compiler vectorises; Numba's own is called element by element.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import prange
from numba.extending import intrinsic

from ._numba import parallel, serial

_F = np.float32
_FAST = {
    "contract",
    "nsz",
    "arcp",
    "afn",
}  # without reassociation, which would undo the exponential's two-part ln 2


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    """Read the bits of an int32 as a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return numba.types.float32(numba.types.int32), generate


_inline = numba.njit(inline="always", cache=True, fastmath=_FAST)


@_inline
def _exp(x: Any) -> Any:
    x = x if not x < _F(-87) else _F(-87)  # written so that NaN passes
    x = x if not x > _F(88) else _F(88)
    k = np.floor(x * _F(1.44269504) + _F(0.5))
    r = (x - k * _F(0.693359375)) + k * _F(2.12194440e-4)
    p = _F(1 / 5040)  # Taylor's series on |r| ≤ ln 2 / 2
    p = p * r + _F(1 / 720)
    p = p * r + _F(1 / 120)
    p = p * r + _F(1 / 24)
    p = p * r + _F(1 / 6)
    p = p * r + _F(0.5)
    p = p * r + _F(1)
    p = p * r + _F(1)
    return p * _as_float((np.int32(k) + np.int32(127)) << np.int32(23))


@_inline
def _sigmoid(x: Any) -> Any:
    return _F(1) / (_F(1) + _exp(-x))


@_inline
def _tanh(x: Any) -> Any:
    return _F(2) / (_F(1) + _exp(_F(-2) * x)) - _F(1)


# Arguments that all kernels share: rows a to b of the level; `at`, where the level's first row finds its predecessor
# in the arrays of previous states (and of their gradients, which are added to).


def _elman_forward(a: int, b: int, relu: bool, P: Any, H: Any) -> None:
    """Turn H, which holds the recurrent product, into h."""
    for t in prange(b - a):
        r = a + t
        for j in range(H.shape[1]):
            z = P[r, j] + H[r, j]
            H[r, j] = (z if not z < _F(0) else _F(0)) if relu else _tanh(z)


def _elman_backward(a: int, b: int, relu: bool, H: Any, dH: Any, dP: Any) -> None:
    for t in prange(b - a):
        r = a + t
        for j in range(H.shape[1]):
            h = H[r, j]
            dP[r, j] = dH[r, j] * ((_F(1) if h > _F(0) else _F(0)) if relu else _F(1) - h * h)


def _gru_forward(a: int, b: int, at: int, P: Any, bias: Any, S: Any, G: Any, Q: Any, H: Any) -> None:
    """Turn G, which holds the recurrent product, into the gates r, z, n; Q keeps the recurrent part of n."""
    n = H.shape[1]
    for t in prange(b - a):
        r = a + t
        for j in range(n):
            reset = _sigmoid(P[r, j] + G[r, j] + bias[j])
            keep = _sigmoid(P[r, n + j] + G[r, n + j] + bias[n + j])
            q = G[r, 2 * n + j] + bias[2 * n + j]
            new = _tanh(P[r, 2 * n + j] + reset * q)
            G[r, j], G[r, n + j], G[r, 2 * n + j], Q[r, j] = reset, keep, new, q
            H[r, j] = new + keep * (S[at + t, j] - new)


def _gru_backward(
    a: int, b: int, at: int, G: Any, Q: Any, S: Any, dH: Any, dP: Any, dR: Any, dS: Any
) -> None:
    n = dH.shape[1]
    for t in prange(b - a):
        r = a + t
        for j in range(n):
            reset, keep, new, d = G[r, j], G[r, n + j], G[r, 2 * n + j], dH[r, j]
            dnew = d * (_F(1) - keep) * (_F(1) - new * new)
            dkeep = d * (S[at + t, j] - new) * keep * (_F(1) - keep)
            dreset = dnew * Q[r, j] * reset * (_F(1) - reset)
            dP[r, j], dP[r, n + j], dP[r, 2 * n + j] = dreset, dkeep, dnew
            dR[r, j], dR[r, n + j], dR[r, 2 * n + j] = dreset, dkeep, dnew * reset
            dS[at + t, j] += d * keep


def _lstm_forward(a: int, b: int, at: int, P: Any, S: Any, G: Any, C: Any, H: Any) -> None:
    """Turn G, which holds the recurrent product, into the gates i, f_1 … f_A, g, o; S holds c_1 … c_A side by side."""
    n = H.shape[1]
    slots = G.shape[1] // n - 3
    last = (slots + 1) * n
    for t in prange(b - a):
        r = a + t
        for j in range(n):
            i = _sigmoid(P[r, j] + G[r, j])
            g = _tanh(P[r, 2 * n + j] + G[r, last + j])
            o = _sigmoid(P[r, 3 * n + j] + G[r, last + n + j])
            G[r, j], G[r, last + j], G[r, last + n + j] = i, g, o
            C[r, j] = i * g
        for k in range(slots):
            for j in range(n):
                f = _sigmoid(P[r, n + j] + G[r, (k + 1) * n + j])
                G[r, (k + 1) * n + j] = f
                C[r, j] += f * S[at + t, k * n + j]
        for j in range(n):
            H[r, j] = G[r, last + n + j] * _tanh(C[r, j])


def _lstm_backward(
    a: int, b: int, at: int, S: Any, G: Any, C: Any, dH: Any, dC: Any, dP: Any, dG: Any, dS: Any
) -> None:
    n = dH.shape[1]
    slots = G.shape[1] // n - 3
    last = (slots + 1) * n
    for t in prange(b - a):
        r = a + t
        for j in range(n):
            i, g, o, th, d = G[r, j], G[r, last + j], G[r, last + n + j], _tanh(C[r, j]), dH[r, j]
            dc = dC[r, j] + d * o * (_F(1) - th * th)
            dC[r, j] = dc
            di, dg, do = dc * g * i * (_F(1) - i), dc * i * (_F(1) - g * g), d * th * o * (_F(1) - o)
            dG[r, j], dG[r, last + j], dG[r, last + n + j] = di, dg, do
            dP[r, j], dP[r, n + j], dP[r, 2 * n + j], dP[r, 3 * n + j] = di, _F(0), dg, do
        for k in range(slots):
            for j in range(n):
                f = G[r, (k + 1) * n + j]
                df = dC[r, j] * S[at + t, k * n + j] * f * (_F(1) - f)
                dG[r, (k + 1) * n + j] = df
                dP[r, n + j] += df
                dS[at + t, k * n + j] += dC[r, j] * f


def _childsum_forward(
    a: int, b: int, edge_ptr: Any, senders: Any, P: Any, G: Any, F: Any, C: Any, H: Any
) -> None:
    """Turn G and F, which hold the recurrent products, into the gates i, g, o of nodes and f of edges."""
    n = H.shape[1]
    for t in prange(b - a):
        r = a + t
        for j in range(n):
            G[r, j] = _sigmoid(P[r, j] + G[r, j])
            G[r, n + j] = _tanh(P[r, 2 * n + j] + G[r, n + j])
            G[r, 2 * n + j] = _sigmoid(P[r, 3 * n + j] + G[r, 2 * n + j])
            C[r, j] = G[r, j] * G[r, n + j]
        for e in range(edge_ptr[r], edge_ptr[r + 1]):
            for j in range(n):
                F[e, j] = _sigmoid(P[r, n + j] + F[e, j])
                C[r, j] += F[e, j] * C[senders[e], j]
        for j in range(n):
            H[r, j] = G[r, 2 * n + j] * _tanh(C[r, j])


def _childsum_backward(
    a: int, b: int, edge_ptr: Any, senders: Any, G: Any, F: Any, C: Any, dH: Any, dC: Any, dP: Any, dG: Any, dF: Any,
    dE: Any,
) -> None:  # fmt: skip
    """Fill the gradients of the gates' sums, and dE, what each edge hands to its sender's c."""
    n = dH.shape[1]
    for t in prange(b - a):
        r = a + t
        for j in range(n):
            i, g, o, th, d = G[r, j], G[r, n + j], G[r, 2 * n + j], _tanh(C[r, j]), dH[r, j]
            dc = dC[r, j] + d * o * (_F(1) - th * th)
            dC[r, j] = dc
            di, dg, do = dc * g * i * (_F(1) - i), dc * i * (_F(1) - g * g), d * th * o * (_F(1) - o)
            dG[r, j], dG[r, n + j], dG[r, 2 * n + j] = di, dg, do
            dP[r, j], dP[r, n + j], dP[r, 2 * n + j], dP[r, 3 * n + j] = di, _F(0), dg, do
        for e in range(edge_ptr[r], edge_ptr[r + 1]):
            for j in range(n):
                f = F[e, j]
                df = dC[r, j] * C[senders[e], j] * f * (_F(1) - f)
                dF[e, j] = df
                dP[r, n + j] += df
                dE[e, j] = dC[r, j] * f


elman_forward, elman_backward = parallel(_elman_forward, _FAST), parallel(_elman_backward, _FAST)
gru_forward, gru_backward = parallel(_gru_forward, _FAST), parallel(_gru_backward, _FAST)
lstm_forward, lstm_backward = parallel(_lstm_forward, _FAST), parallel(_lstm_backward, _FAST)
childsum_forward, childsum_backward = parallel(_childsum_forward, _FAST), parallel(_childsum_backward, _FAST)


@serial
def gather_sum(a: int, b: int, edge_ptr: Any, senders: Any, X: Any, S: Any) -> None:
    """S[r] = Σ X[u] over the predecessors u of r."""
    for r in range(a, b):
        S[r, :] = 0
        for e in range(edge_ptr[r], edge_ptr[r + 1]):
            for j in range(X.shape[1]):
                S[r, j] += X[senders[e], j]


@serial
def scatter_sum(a: int, b: int, edge_ptr: Any, senders: Any, S: Any, X: Any) -> None:
    """X[u] += S[r] for the predecessors u of r; on one thread, for they may be shared."""
    for r in range(a, b):
        for e in range(edge_ptr[r], edge_ptr[r + 1]):
            for j in range(X.shape[1]):
                X[senders[e], j] += S[r, j]


@serial
def gather_slots(a: int, b: int, edge_ptr: Any, senders: Any, slot: Any, X: Any, S: Any) -> None:
    """S[r, slot] = X[u] over the predecessors u of r, each in its slot; empty slots are 0."""
    n = X.shape[1]
    for r in range(a, b):
        S[r, :] = 0
        for e in range(edge_ptr[r], edge_ptr[r + 1]):
            S[r, slot[e] * n : (slot[e] + 1) * n] = X[senders[e]]


@serial
def scatter_slots(a: int, b: int, edge_ptr: Any, senders: Any, slot: Any, S: Any, X: Any) -> None:
    """X[u] += S[r, slot] for the predecessors u of r."""
    n = X.shape[1]
    for r in range(a, b):
        for e in range(edge_ptr[r], edge_ptr[r + 1]):
            for j in range(n):
                X[senders[e], j] += S[r, slot[e] * n + j]


@serial
def gather_edges(a: int, b: int, senders: Any, X: Any, S: Any) -> None:
    """S[e] = X[sender of e] for the edges a to b."""
    for e in range(a, b):
        S[e, :] = X[senders[e]]


@serial
def scatter_edges(a: int, b: int, senders: Any, S: Any, X: Any) -> None:
    """X[sender of e] += S[e] for the edges a to b."""
    for e in range(a, b):
        for j in range(X.shape[1]):
            X[senders[e], j] += S[e, j]
