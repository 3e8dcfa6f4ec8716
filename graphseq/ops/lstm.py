"""Long short-term memory over packed levels, with one forget gate a slot.

    i = σ(p_i + W_i s),  f_k = σ(p_f + W_fk s),  g = tanh(p_g + W_g s),  o = σ(p_o + W_o s)
    c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

With one slot, s and c_1 are sums over the predecessors; on a chain that is the standard unit (Hochreiter &
Schmidhuber 1997; Gers et al. 2000). With A slots, s lays the A predecessors side by side: the N-ary Tree-LSTM
(Tai et al. 2015, eqs 9 to 14).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._autograd import Tensors, register_scan
from ._scan import Level, Scan, Structure, merge_rows, plain_sweep


def lstm_equations(p: Tensor, recurrent: Tensor, c_slots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gates i, f_1 … f_A, g, o side by side, c and h."""
    hidden = p.size(1) // 4
    p_i, p_f, p_g, p_o = p.chunk(4, 1)
    w_i, *w_f, w_g, w_o = recurrent.split(hidden, 1)
    i, g, o = torch.sigmoid(p_i + w_i), torch.tanh(p_g + w_g), torch.sigmoid(p_o + w_o)
    f = [torch.sigmoid(p_f + w) for w in w_f]
    c = i * g
    for f_k, c_k in zip(f, c_slots.split(hidden, 1), strict=True):
        c = c + f_k * c_k
    return torch.cat([i, *f, g, o], 1), c, o * torch.tanh(c)


def _gradients(
    gates: Tensor, c: Tensor, c_slots: Tensor, dh: Tensor, dc: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of p, of the recurrent product and of the slots' c."""
    hidden = c.size(1)
    i, *f, g, o = gates.split(hidden, 1)
    th = torch.tanh(c)
    dc = dc + dh * o * (1 - th * th)
    di, dg, do = dc * g * i * (1 - i), dc * i * (1 - g * g), dh * th * o * (1 - o)
    df = [dc * c_k * f_k * (1 - f_k) for f_k, c_k in zip(f, c_slots.split(hidden, 1), strict=True)]
    by_p, by_product = (
        torch.cat([di, sum(df, torch.zeros_like(di)), dg, do], 1),
        torch.cat([di, *df, dg, do], 1),
    )
    return by_p, by_product, torch.cat([dc * f_k for f_k in f], 1)


def _forward(p: Tensor, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure) -> Tensors:
    scan, wt, rows, wide = Scan(s, p), weight.t(), p.size(0), weight.size(1)
    h, c = (p.new_empty(rows, p.size(1) // 4) for _ in range(2))
    gates = p.new_empty(rows, weight.size(0))
    merged_h, merged_c = (p.new_empty(0 if scan.aligned else rows, wide) for _ in range(2))
    start = p.new_zeros(scan.first, wide) if c0 is None else c0.contiguous()
    if scan.native:
        from ._gates import lstm_forward

        arrays = gates.numpy(), c.numpy(), h.numpy()
    for level in scan.up():
        a, b, *_, before = level
        if before < 0:
            previous, at = start, 0
        elif scan.aligned:
            previous, at = c, before
        else:
            scan.gather(level, h, merged_h)
            scan.gather(level, c, merged_c)
            previous, at = merged_c, a
        if before >= 0:
            torch.mm(h[at : at + b - a] if scan.aligned else merged_h[a:b], wt, out=gates[a:b])
        elif h0 is not None:
            torch.mm(h0, wt, out=gates[:b])
        else:
            gates[:b] = 0
        if scan.native:
            lstm_forward((b - a) * gates.size(1) * 10, a, b, at, p.numpy(), previous.numpy(), *arrays)
        else:
            gates[a:b], c[a:b], h[a:b] = lstm_equations(p[a:b], gates[a:b], previous[at : at + b - a])
    return h, c, gates, merged_h, merged_c


def _backward(given: tuple[Any, ...], s: Structure, grads: Tensors, outputs: Tensors) -> Tensors:
    (p, weight, h0, c0), (h, c, gates, merged_h, merged_c) = given, outputs
    scan = Scan(s, p)
    dh, dc = (g.clone(memory_format=torch.contiguous_format) for g in grads)
    dg, dp = torch.empty_like(gates), torch.empty_like(p)
    ds_h, ds_c = torch.empty_like(merged_h), torch.zeros_like(merged_c)
    start = p.new_zeros(scan.first, weight.size(1)) if c0 is None else c0.contiguous()
    dc0 = torch.zeros_like(start)
    if scan.native:
        from ._gates import lstm_backward

        kept, arrays = (gates.numpy(), c.numpy()), (dh.numpy(), dc.numpy(), dp.numpy(), dg.numpy())
    for level in scan.down():
        a, b, *_, before = level
        if before < 0:
            previous, into, at = start, dc0, 0
        elif scan.aligned:
            previous, into, at = c, dc, before
        else:
            previous, into, at = merged_c, ds_c, a
        if scan.native:
            lstm_backward(
                (b - a) * gates.size(1) * 4, a, b, at, previous.numpy(), *kept, *arrays, into.numpy()
            )
        else:
            rows = slice(at, at + b - a)
            dp[a:b], dg[a:b], direct = _gradients(gates[a:b], c[a:b], previous[rows], dh[a:b], dc[a:b])
            into[rows] += direct
        if before >= 0 and scan.aligned:
            dh[at : at + b - a].addmm_(dg[a:b], weight)
        elif before >= 0:
            torch.mm(dg[a:b], weight, out=ds_h[a:b])
            scan.scatter(level, ds_h, dh)
            scan.scatter(level, ds_c, dc)
    first, none = scan.first, p.new_empty(0)
    dw = dg[first:].t() @ (scan.previous(h) if scan.aligned else merged_h[first:])
    if h0 is not None:
        dw.addmm_(dg[:first].t(), h0)
    return dp, dw, none if h0 is None else dg[:first] @ weight, none if c0 is None else dc0


def _reference(p: Tensor, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure) -> Tensors:
    hidden = p.size(1) // 4
    slots = weight.size(1) // hidden
    if p.size(0) == 0:
        return p[:, :hidden] + 0, p[:, :hidden] + 0

    def step(level: Level, sent: Tensors | None) -> Tensors:
        a, b, edge_a, edge_b, _ = level
        zeros = p.new_zeros(b - a, slots * hidden)
        if sent is None:
            h, c = zeros if h0 is None else h0, zeros if c0 is None else c0
        else:
            receivers = s.receivers[edge_a:edge_b] - a
            slot = None if s.slot is None else s.slot[edge_a:edge_b]
            h, c = (merge_rows(t, receivers, b - a, slot, slots).reshape(b - a, -1) for t in sent)
        return lstm_equations(p[a:b], h @ weight.t(), c)[:0:-1]

    return plain_sweep(s, step)


def _fake(p: Tensor, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure) -> Tensors:
    h, c = (p.new_empty(p.size(0), p.size(1) // 4) for _ in range(2))
    size = torch.library.get_ctx().new_dynamic_size(), weight.size(1)
    return h, c, p.new_empty(p.size(0), weight.size(0)), p.new_empty(size), p.new_empty(size)


_operator = register_scan(
    "lstm_sweep",
    inputs="Tensor p, Tensor weight, Tensor? h0, Tensor? c0",
    states=2,
    saved=3,
    forward=_forward,
    backward=_backward,
    reference=_reference,
    fake=_fake,
)


def lstm_sweep(
    p: Tensor, weight: Tensor, h0: Tensor | None, c0: Tensor | None, structure: Structure
) -> tuple[Tensor, Tensor]:
    """Sweep a long short-term memory over packed levels; the equations stand at the top of this file.

    Args:
        p: `[N, 4H]`, the projected inputs with all biases, packed; gates in the order i, f, g, o.
        weight: W, `[(3 + A) H, A H]`, rows i, f_1 … f_A, g, o.
        h0: `[M, A H]`, what the M nodes of level 0 start from, or None for zeros.
        c0: `[M, A H]`, likewise.
        structure: of the packed levels; its `slot` lays the predecessors side by side, without it they are summed.

    Returns:
        h and c, each `[N, H]`, packed.
    """
    h, c = _operator(p.contiguous(), weight, h0, c0, structure)
    return h, c
