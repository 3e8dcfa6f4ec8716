"""CPU kernels for the gates, one pass over the rows of a level, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from .functions import ORDERED, inline, sigmoid, tanh
from .jit import parallel, serial

_F = np.float32

# The kernels below run over rows a to b of a level. Each inner loop touches few arrays, since with many the compiler
# fails to prove that they don't overlap and vectorises nothing. `at` is where the level's first row finds its
# predecessor, or where an array of a part of the rows begins.


@inline
def _add_sigmoid(z: Any, p: Any) -> None:
    for j in range(len(z)):
        z[j] = sigmoid(p[j] + z[j])


@inline
def _add_tanh(z: Any, p: Any) -> None:
    for j in range(len(z)):
        z[j] = tanh(p[j] + z[j])


@inline
def _multiply(out: Any, a: Any, b: Any) -> None:
    for j in range(len(out)):
        out[j] = a[j] * b[j]


@inline
def _multiply_add(out: Any, a: Any, b: Any) -> None:
    for j in range(len(out)):
        out[j] += a[j] * b[j]


@inline
def _through_sigmoid(out: Any, grad: Any, factor: Any, gate: Any) -> None:
    """``out += grad ∘ factor ∘ σ'``."""
    for j in range(len(out)):
        out[j] += grad[j] * factor[j] * gate[j] * (_F(1) - gate[j])


@inline
def _output(h: Any, o: Any, c: Any) -> None:
    """``h = o ∘ tanh(c)``."""
    for j in range(len(h)):
        h[j] = o[j] * tanh(c[j])


@inline
def _output_backward(do: Any, dc: Any, dh: Any, o: Any, c: Any) -> None:
    """Set the gradient of o's sum and add to that of c."""
    for j in range(len(do)):
        th = tanh(c[j])
        do[j] = dh[j] * th * o[j] * (_F(1) - o[j])
        dc[j] += dh[j] * o[j] * (_F(1) - th * th)


@inline
def _input_backward(di: Any, dg: Any, dc: Any, i: Any, g: Any) -> None:
    """Set the gradients of the sums of i and g."""
    for j in range(len(di)):
        di[j] = dc[j] * g[j] * i[j] * (_F(1) - i[j])
        dg[j] = dc[j] * i[j] * (_F(1) - g[j] * g[j])


def _elman_forward(a: int, b: int, relu: bool, P: Any, H: Any) -> None:
    """Turn H, which holds the recurrent product, into h."""
    for t in prange(b - a):
        h, p = H[a + t], P[a + t]
        if relu:
            for j in range(len(h)):
                z = p[j] + h[j]
                h[j] = z if not z < _F(0) else _F(0)
        else:
            _add_tanh(h, p)


def _elman_backward(a: int, b: int, relu: bool, H: Any, dH: Any, dP: Any) -> None:
    for t in prange(b - a):
        h, dh, dp = H[a + t], dH[a + t], dP[a + t]
        if relu:
            for j in range(len(h)):
                dp[j] = dh[j] if h[j] > _F(0) else _F(0)
        else:
            for j in range(len(h)):
                dp[j] = dh[j] * (_F(1) - h[j] * h[j])


def _gru_forward(a: int, b: int, at: int, P: Any, bias: Any, S: Any, G: Any, Q: Any, H: Any) -> None:
    """Turn G, which holds the recurrent product, into the gates r, z, n; Q keeps the recurrent part of n."""
    n = H.shape[1]
    b_n = bias[2 * n :]
    for t in prange(b - a):
        p, gate, q, h, s = P[a + t], G[a + t], Q[a + t], H[a + t], S[at + t]
        r, z, new, p_n = gate[:n], gate[n : 2 * n], gate[2 * n :], p[2 * n :]
        for j in range(2 * n):
            gate[j] = sigmoid(p[j] + gate[j] + bias[j])
        for j in range(n):
            q[j] = new[j] + b_n[j]
        for j in range(n):
            new[j] = tanh(p_n[j] + r[j] * q[j])
        for j in range(n):
            h[j] = new[j] + z[j] * (s[j] - new[j])


def _gru_backward(a: int, b: int, at: int, G: Any, Q: Any, S: Any, dH: Any, dP: Any, dR: Any, dS: Any) -> None:
    n = dH.shape[1]
    for t in prange(b - a):
        gate, q, s, d, dp, dr, ds = G[a + t], Q[a + t], S[at + t], dH[a + t], dP[a + t], dR[a + t], dS[at + t]
        r, z, new = gate[:n], gate[n : 2 * n], gate[2 * n :]
        dp_r, dp_z, dp_n, dr_n = dp[:n], dp[n : 2 * n], dp[2 * n :], dr[2 * n :]
        for j in range(n):
            dp_n[j] = d[j] * (_F(1) - z[j]) * (_F(1) - new[j] * new[j])
        for j in range(n):
            dp_z[j] = d[j] * (s[j] - new[j]) * z[j] * (_F(1) - z[j])
        for j in range(n):
            dp_r[j] = dp_n[j] * q[j] * r[j] * (_F(1) - r[j])
        for j in range(2 * n):
            dr[j] = dp[j]
        _multiply(dr_n, dp_n, r)
        _multiply_add(ds, d, z)


def _leaf_forward(a: int, b: int, P: Any, G: Any, C: Any, H: Any) -> None:
    """Nodes without predecessors: G gets the gates i, g, o side by side, P has them with or without f after i."""
    n = H.shape[1]
    for t in prange(b - a):
        p, gate, c = P[a + t], G[a + t], C[a + t]
        i, g, o, p_g, p_o = gate[:n], gate[n : 2 * n], gate[2 * n :], p[len(p) - 2 * n :], p[len(p) - n :]
        for j in range(n):
            i[j] = sigmoid(p[j])
        for j in range(n):
            g[j] = tanh(p_g[j])
        for j in range(n):
            o[j] = sigmoid(p_o[j])
        _multiply(c, i, g)
        _output(H[a + t], o, c)


def _leaf_backward(a: int, b: int, G: Any, C: Any, dH: Any, dC: Any, dP: Any) -> None:
    n = dH.shape[1]
    for t in prange(b - a):
        gate, dp, dc = G[a + t], dP[a + t], dC[a + t]
        last = len(dp) - 2 * n
        dp[n:last] = _F(0)
        _output_backward(dp[last + n :], dc, dH[a + t], gate[2 * n :], C[a + t])
        _input_backward(dp[:n], dp[last : last + n], dc, gate[:n], gate[n : 2 * n])


def _lstm_forward(
    a: int, b: int, at: int, edge_ptr: Any, senders: Any, slot: Any, P: Any, C0: Any, G: Any, C: Any, H: Any
) -> None:  # fmt: skip
    """Turn G, which holds the recurrent product, into the gates i, f_1 … f_A, g, o.

    G begins at row `at`; P has one row for each node or one for all; C0 has a row for each node that starts from a c,
    which is that of slot 0.
    """
    n = H.shape[1]
    last = G.shape[1] - 2 * n
    for t in prange(b - a):
        row = a + t
        p, gate, c = P[row if P.shape[0] > 1 else 0], G[row - at], C[row]
        i, g, o = gate[:n], gate[last : last + n], gate[last + n :]
        _add_sigmoid(i, p[:n])
        for k in range(n, last, n):
            _add_sigmoid(gate[k : k + n], p[n : 2 * n])
        _add_tanh(g, p[2 * n : 3 * n])
        _add_sigmoid(o, p[3 * n :])
        _multiply(c, i, g)
        if row < C0.shape[0]:
            _multiply_add(c, gate[n : 2 * n], C0[row])
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            k = (slot[e] + 1) * n
            _multiply_add(c, gate[k : k + n], C[senders[e]])
        _output(H[row], o, c)


def _lstm_backward(
    a: int, b: int, at: int, edge_ptr: Any, senders: Any, slot: Any, C0: Any, G: Any, C: Any, dH: Any, dC: Any,
    dG: Any, dC0: Any,
) -> None:  # fmt: skip
    """Fill dG, and add to dC of the predecessors; on one thread where they are shared."""
    n = dH.shape[1]
    last = G.shape[1] - 2 * n
    for t in prange(b - a):
        row = a + t
        gate, d, dc = G[row - at], dG[row - at], dC[row]
        _output_backward(d[last + n :], dc, dH[row], gate[last + n :], C[row])
        _input_backward(d[:n], d[last : last + n], dc, gate[:n], gate[last : last + n])
        d[n:last] = _F(0)
        if row < C0.shape[0]:
            _through_sigmoid(d[n : 2 * n], dc, C0[row], gate[n : 2 * n])
            _multiply(dC0[row], dc, gate[n : 2 * n])
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            k, u = (slot[e] + 1) * n, senders[e]
            _through_sigmoid(d[k : k + n], dc, C[u], gate[k : k + n])
            _multiply_add(dC[u], dc, gate[k : k + n])


def _childsum_forward(a: int, b: int, edge_ptr: Any, senders: Any, P: Any, G: Any, F: Any, C: Any, H: Any) -> None:
    """Turn G and F, which hold the recurrent products, into the gates i, g, o of nodes and f of edges."""
    n = H.shape[1]
    for t in prange(b - a):
        row = a + t
        p, gate, c = P[row], G[row], C[row]
        i, g, o = gate[:n], gate[n : 2 * n], gate[2 * n :]
        _add_sigmoid(i, p[:n])
        _add_tanh(g, p[2 * n : 3 * n])
        _add_sigmoid(o, p[3 * n :])
        _multiply(c, i, g)
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            _add_sigmoid(F[e], p[n : 2 * n])
            _multiply_add(c, F[e], C[senders[e]])
        _output(H[row], o, c)


def _childsum_backward(
    a: int, b: int, edge_ptr: Any, senders: Any, G: Any, F: Any, C: Any, dH: Any, dC: Any, dP: Any, dG: Any, dF: Any,
    dE: Any,
) -> None:  # fmt: skip
    """Fill the gradients of the gates' sums, and dE, the gradient that each edge passes to its sender's c."""
    n = dH.shape[1]
    for t in prange(b - a):
        row = a + t
        gate, d, dp, dc = G[row], dG[row], dP[row], dC[row]
        _output_backward(d[2 * n :], dc, dH[row], gate[2 * n :], C[row])
        _input_backward(d[:n], d[n : 2 * n], dc, gate[:n], gate[n : 2 * n])
        for j in range(n):  # not a slice of a slice: Numba would compile its error message, for five seconds
            dp[j], dp[n + j], dp[2 * n + j], dp[3 * n + j] = d[j], _F(0), d[n + j], d[2 * n + j]
        for e in range(edge_ptr[row], edge_ptr[row + 1]):
            dF[e, :] = _F(0)
            _through_sigmoid(dF[e], dc, C[senders[e]], F[e])
            _multiply(dE[e], dc, F[e])
            for j in range(n):
                dp[n + j] += dF[e, j]


elman_forward, elman_backward = parallel(_elman_forward, ORDERED), parallel(_elman_backward, ORDERED)
gru_forward, gru_backward = parallel(_gru_forward, ORDERED), parallel(_gru_backward, ORDERED)
leaf_forward, leaf_backward = parallel(_leaf_forward, ORDERED), parallel(_leaf_backward, ORDERED)
lstm_forward, lstm_backward = parallel(_lstm_forward, ORDERED), parallel(_lstm_backward, ORDERED)
childsum_forward, childsum_backward = parallel(_childsum_forward, ORDERED), parallel(_childsum_backward, ORDERED)


@inline
def _add(out: Any, a: Any) -> None:
    for j in range(len(out)):
        out[j] += a[j]


def _gather(a: int, b: int, at: int, edge_ptr: Any, senders: Any, slot: Any, X: Any, S: Any) -> None:
    """S[r, slot] = Σ X[u] over the predecessors u of r in that slot; S begins at row `at`."""
    n = X.shape[1]
    for t in prange(b - a):
        row = S[a + t - at]
        row[:] = _F(0)
        for e in range(edge_ptr[a + t], edge_ptr[a + t + 1]):
            _add(row[slot[e] * n : (slot[e] + 1) * n], X[senders[e]])


def _scatter(a: int, b: int, at: int, edge_ptr: Any, senders: Any, slot: Any, S: Any, X: Any) -> None:
    """X[u] += S[r, slot] for the predecessors u of r; on one thread where they are shared."""
    n = X.shape[1]
    for t in prange(b - a):
        row = S[a + t - at]
        for e in range(edge_ptr[a + t], edge_ptr[a + t + 1]):
            _add(X[senders[e]], row[slot[e] * n : (slot[e] + 1) * n])


gather, scatter = parallel(_gather, ORDERED), parallel(_scatter, ORDERED)


@serial
def scatter_edges(a: int, b: int, senders: Any, S: Any, X: Any) -> None:
    """X[sender of e] += S[e] for the edges a to b."""
    for e in range(a, b):
        _add(X[senders[e]], S[e])
