"""CPU kernels for the gates of Tree-GRUs, one pass over the rows of a level, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .functions import ORDERED, exp, sigmoid, tanh
from .jit import parallel

_F = np.float32

# As in gates.py: over rows a to b of a level, with inner loops that touch few arrays each.


def _nary_gru_forward(
    a: int, b: int, edge_ptr: Any, senders: Any, slot: Any, P: Any, bias: Any, S0: Any, G: Any, Q: Any, H: Any
) -> None:  # fmt: skip
    """Turn G, which holds the recurrent product, into r, z_1 … z_A, n; Q keeps the recurrent part of n.

    S0 has a row for each node that starts from a state, which is that of slot 0.
    """
    n = H.shape[1]
    last = G.shape[1] - n
    b_z, b_n = bias[n : 2 * n], bias[2 * n :]
    for t in prange(b - a):
        row = a + t
        p, gate, q, h = P[row], G[row], Q[row], H[row]
        r, new, p_z, p_n = gate[:n], gate[last:], p[n : 2 * n], p[2 * n :]
        for j in range(n):
            r[j] = sigmoid(p[j] + r[j] + bias[j])
        for j in range(n):
            q[j] = new[j] + b_n[j]
        for j in range(n):
            new[j] = -(p_z[j] + b_z[j])  # the largest score, first that of the new state
        for k in range(n, last, n):
            z = gate[k : k + n]
            for j in range(n):
                new[j] = new[j] if new[j] > z[j] else z[j]
        for j in range(n):
            h[j] = exp(-(p_z[j] + b_z[j]) - new[j])
        for k in range(n, last, n):
            z = gate[k : k + n]
            for j in range(n):
                z[j] = exp(z[j] - new[j])
            for j in range(n):
                h[j] += z[j]
        for k in range(n, last, n):
            z = gate[k : k + n]
            for j in range(n):
                z[j] /= h[j]
        for j in range(n):
            new[j] = tanh(p_n[j] + r[j] * q[j])
        for j in range(n):
            h[j] = new[j]
        for k in range(n, last, n):
            z = gate[k : k + n]
            for j in range(n):
                h[j] -= z[j] * new[j]
        if row < S0.shape[0]:
            z, s = gate[n : 2 * n], S0[row]
            for j in range(n):
                h[j] += z[j] * s[j]
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            k, s = (slot[e] + 1) * n, H[senders[e]]
            z = gate[k : k + n]
            for j in range(n):
                h[j] += z[j] * s[j]


def _nary_gru_backward(
    a: int, b: int, edge_ptr: Any, senders: Any, slot: Any, S0: Any, G: Any, Q: Any, H: Any, dH: Any, dG: Any, dP: Any,
    dS0: Any,
) -> None:  # fmt: skip
    """Fill dG and dP, and add what the gates z pass to dH of the predecessors; on one thread where they are shared."""
    n = dH.shape[1]
    last = G.shape[1] - n
    for t in prange(b - a):
        row = a + t
        gate, q, d, dg, dp = G[row], Q[row], dH[row], dG[row], dP[row]
        r, new, dg_n, dp_z, dp_n = gate[:n], gate[last:], dg[last:], dp[n : 2 * n], dp[2 * n :]
        for j in range(n):
            dp_n[j] = d[j] * (_F(1) - new[j] * new[j])
        for k in range(n, last, n):  # times the share of the new state, in two steps
            z, dz = gate[k : k + n], dg[k : k + n]
            for j in range(n):
                dz[j] = -d[j] * new[j]
        for j in range(n):
            dp_z[j] = _F(1)
        for k in range(n, last, n):
            z = gate[k : k + n]
            for j in range(n):
                dp_z[j] -= z[j]
        for j in range(n):
            dp_n[j] *= dp_z[j]
        if row < S0.shape[0]:
            z, dz, s, ds = gate[n : 2 * n], dg[n : 2 * n], S0[row], dS0[row]
            for j in range(n):
                dz[j] += d[j] * s[j]
            for j in range(n):
                ds[j] = d[j] * z[j]
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            k, s, ds = (slot[e] + 1) * n, H[senders[e]], dH[senders[e]]
            z, dz = gate[k : k + n], dg[k : k + n]
            for j in range(n):
                dz[j] += d[j] * s[j]
            for j in range(n):
                ds[j] += d[j] * z[j]
        for j in range(n):
            dp_z[j] = _F(0)
        for k in range(n, last, n):  # the softmax: dp_z is Σ z dz at first
            z, dz = gate[k : k + n], dg[k : k + n]
            for j in range(n):
                dp_z[j] += z[j] * dz[j]
        for k in range(n, last, n):
            z, dz = gate[k : k + n], dg[k : k + n]
            for j in range(n):
                dz[j] = z[j] * (dz[j] - dp_z[j])
        for j in range(n):
            dp_z[j] = _F(0)
        for k in range(n, last, n):
            dz = dg[k : k + n]
            for j in range(n):
                dp_z[j] += dz[j]
        for j in range(n):
            dp[j] = dp_n[j] * q[j] * r[j] * (_F(1) - r[j])
        for j in range(n):
            dg[j] = dp[j]
        for j in range(n):
            dg_n[j] = dp_n[j] * r[j]


def _tree_gru_forward(
    a: int, b: int, edge_ptr: Any, P: Any, bias: Any, S: Any, F: Any, Z: Any, N: Any, H: Any
) -> None:  # fmt: skip
    """Turn Z, which holds the product of the summed states S, into z; F, that of each edge's, into r and the part of n
    that it scales. A node without edges has one of state 0.
    """
    n = H.shape[1]
    b_z, b_n = bias[n : 2 * n], bias[2 * n :]
    for t in prange(b - a):
        row = a + t
        p, z, new, h, s = P[row], Z[row], N[row], H[row], S[t]
        p_z, p_n = p[n : 2 * n], p[2 * n :]
        for j in range(n):
            z[j] = sigmoid(p_z[j] + z[j] + b_z[j])
        for j in range(n):
            new[j] = p_n[j]
        if edge_ptr[row] == edge_ptr[row + 1]:
            for j in range(n):
                new[j] += sigmoid(p[j] + bias[j]) * b_n[j]
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            f = F[e]
            r, q = f[:n], f[n:]
            for j in range(n):
                r[j] = sigmoid(p[j] + r[j] + bias[j])
            for j in range(n):
                q[j] += b_n[j]
            for j in range(n):
                new[j] += r[j] * q[j]
        for j in range(n):
            new[j] = tanh(new[j])
        for j in range(n):
            h[j] = new[j] + z[j] * (s[j] - new[j])


def _tree_gru_backward(
    a: int, b: int, edge_ptr: Any, P: Any, bias: Any, S: Any, F: Any, Z: Any, N: Any, dH: Any, dP: Any, dF: Any,
    dB: Any, dS: Any,
) -> None:  # fmt: skip
    """Fill dP and dF; dS gets what z passes to the summed states, dB the gradient of b_n of each node."""
    n = dH.shape[1]
    b_n = bias[2 * n :]
    for t in prange(b - a):
        row = a + t
        p, z, new, d, dp, db, s, ds = P[row], Z[row], N[row], dH[row], dP[row], dB[row], S[t], dS[t]
        dp_z, dp_n = dp[n : 2 * n], dp[2 * n :]
        for j in range(n):
            dp_n[j] = d[j] * (_F(1) - z[j]) * (_F(1) - new[j] * new[j])
        for j in range(n):
            dp_z[j] = d[j] * (s[j] - new[j]) * z[j] * (_F(1) - z[j])
        for j in range(n):
            ds[j] = d[j] * z[j]
        for j in range(n):
            dp[j] = _F(0)
        for j in range(n):
            db[j] = _F(0)
        if edge_ptr[row] == edge_ptr[row + 1]:
            for j in range(n):
                r0 = sigmoid(p[j] + bias[j])
                db[j] = dp_n[j] * r0
                dp[j] = dp_n[j] * b_n[j] * r0 * (_F(1) - r0)
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            f, df = F[e], dF[e]
            r, q, dr, dq = f[:n], f[n:], df[:n], df[n:]
            for j in range(n):
                dr[j] = dp_n[j] * q[j] * r[j] * (_F(1) - r[j])
            for j in range(n):
                dq[j] = dp_n[j] * r[j]
            for j in range(n):
                dp[j] += dr[j]
            for j in range(n):
                db[j] += dq[j]


nary_gru_forward, nary_gru_backward = parallel(_nary_gru_forward, ORDERED), parallel(_nary_gru_backward, ORDERED)
tree_gru_forward, tree_gru_backward = parallel(_tree_gru_forward, ORDERED), parallel(_tree_gru_backward, ORDERED)
