"""The gated recurrent unit over packed levels.

    s_v = Σ_{u→v} h_u
    r = σ(p_r + W_r s + b_r),  z = σ(p_z + W_z s + b_z),  n = tanh(p_n + r ∘ (W_n s + b_n))
    h = (1 - z) ∘ n + z ∘ s

Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, with torch.nn's place for the reset gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._autograd import Tensors, own, register_scan
from ._scan import Level, Scan, Structure, merge_rows, plain_sweep


def gru_equations(p: Tensor, recurrent: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gates side by side, the recurrent part of n, and h."""
    (p_r, p_z, p_n), (w_r, w_z, w_n) = p.chunk(3, 1), recurrent.chunk(3, 1)
    r, z = torch.sigmoid(p_r + w_r), torch.sigmoid(p_z + w_z)
    n = torch.tanh(p_n + r * w_n)
    return torch.cat([r, z, n], 1), w_n, (1 - z) * n + z * s


def _gradients(gates: Tensor, w_n: Tensor, s: Tensor, dh: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of p, of the recurrent product, and of s on the direct way."""
    r, z, n = gates.chunk(3, 1)
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (s - n) * z * (1 - z)
    dr = dn * w_n * r * (1 - r)
    return torch.cat([dr, dz, dn], 1), torch.cat([dr, dz, dn * r], 1), dh * z


def _forward(p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure) -> Tensors:
    scan, wt = Scan(s, p), weight.t()
    h, w_n = (p.new_empty(p.size(0), weight.size(1)) for _ in range(2))
    gates, merged = torch.empty_like(p), h[:0].clone() if scan.aligned else torch.empty_like(h)
    merged[: scan.first] = 0
    start = h.new_zeros(scan.first, h.size(1)) if h0 is None else h0.contiguous()
    if scan.native:
        from ._gates import gru_forward

        arrays = gates.numpy(), w_n.numpy(), h.numpy()
    for level in scan.up():
        a, b, *_, before = level
        if before < 0:
            previous, at = start, 0
        elif scan.aligned:
            previous, at = h, before
        else:
            scan.gather(level, h, merged)
            previous, at = merged, a
        if before < 0 and h0 is None:
            gates[:b] = 0
        else:
            torch.mm(previous[at : at + b - a], wt, out=gates[a:b])
        if scan.native:
            gru_forward(
                (b - a) * h.size(1) * 30, a, b, at, p.numpy(), bias.numpy(), previous.numpy(), *arrays
            )
        else:
            gates[a:b], w_n[a:b], h[a:b] = gru_equations(p[a:b], gates[a:b] + bias, previous[at : at + b - a])
    return h, gates, w_n, merged


def _backward(given: tuple[Any, ...], s: Structure, grads: Sequence[Tensor | None], outputs: Tensors) -> Tensors:
    (p, weight, _, h0), (h, gates, w_n, merged) = given, outputs
    scan, dh = Scan(s, p), own(grads[0], outputs[0])
    dp, dr = torch.empty_like(p), torch.empty_like(p)
    ds = dh[:0] if scan.aligned else torch.zeros_like(h)
    start = h.new_zeros(scan.first, h.size(1)) if h0 is None else h0.contiguous()
    dh0 = torch.zeros_like(start)
    if scan.native:
        from ._gates import gru_backward

        arrays = dh.numpy(), dp.numpy(), dr.numpy()
        kept = gates.numpy(), w_n.numpy()
    for level in scan.down():
        a, b, *_, before = level
        if before < 0:
            previous, into, at = start, dh0, 0
        elif scan.aligned:
            previous, into, at = h, dh, before
        else:
            previous, into, at = merged, ds, a
        rows = slice(at, at + b - a)
        if scan.native:
            gru_backward((b - a) * h.size(1) * 10, a, b, at, *kept, previous.numpy(), *arrays, into.numpy())
        else:
            dp[a:b], dr[a:b], direct = _gradients(gates[a:b], w_n[a:b], previous[rows], dh[a:b])
            into[rows] += direct
        if before >= 0 or h0 is not None:
            into[rows].addmm_(dr[a:b], weight)
        if before >= 0 and not scan.aligned:
            scan.scatter(level, ds, dh)
    first = scan.first
    dw = dr[first:].t() @ (scan.previous(h) if scan.aligned else merged[first:])
    if h0 is None:
        return dp, dw, dr.sum(0), p.new_empty(0)
    return dp, dw.addmm_(dr[:first].t(), h0), dr.sum(0), dh0


def _reference(p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure) -> Tensors:
    if p.size(0) == 0:
        return (p[:, : weight.size(1)] + 0,)

    def step(level: Level, sent: Tensors | None) -> Tensors:
        a, b, edge_a, edge_b, _ = level
        if sent is not None:
            previous = merge_rows(sent[0], s.receivers[edge_a:edge_b] - a, b - a, None, 1)
        else:
            previous = p.new_zeros(b - a, weight.size(1)) if h0 is None else h0
        return (gru_equations(p[a:b], previous @ weight.t() + bias, previous)[2],)

    return plain_sweep(s, step)


def _fake(p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure) -> Tensors:
    h = p.new_empty(p.size(0), weight.size(1))
    merged = p.new_empty(torch.library.get_ctx().new_dynamic_size(), weight.size(1))
    return h, torch.empty_like(p), torch.empty_like(h), merged


_operator = register_scan(
    "gru_sweep",
    inputs="Tensor p, Tensor weight, Tensor bias, Tensor? h0",
    states=1,
    saved=3,
    forward=_forward,
    backward=_backward,
    reference=_reference,
    fake=_fake,
)


def gru_sweep(p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, structure: Structure) -> Tensor:
    """Sweep a gated recurrent unit over packed levels; the equations stand at the top of this file.

    Args:
        p: `[N, 3H]`, the projected inputs with their bias, packed; gates in the order r, z, n.
        weight: W, `[3H, H]`.
        bias: b, `[3H]`.
        h0: `[M, H]`, what the M nodes of level 0 start from, or None for zeros.
        structure: of the packed levels.

    Returns:
        h `[N, H]`, packed.
    """
    return _operator(p.contiguous(), weight, bias, h0, structure)[0]
