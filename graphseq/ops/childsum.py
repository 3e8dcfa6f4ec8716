"""The child-sum Tree-LSTM over packed levels.

    s_v = Σ_{u→v} h_u
    i = σ(p_i + W_i s),  f_u = σ(p_f + W_f h_u),  g = tanh(p_g + W_g s),  o = σ(p_o + W_o s)
    c = i ∘ g + Σ_{u→v} f_u ∘ c_u,  h = o ∘ tanh(c)

Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks, eqs 2 to 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._autograd import Tensors, own, register_scan
from ._scan import Level, Scan, Structure, merge_rows, plain_sweep
from .levels import FOREST


def _split(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of i, g, o, which read the sum, and those of f, which read each predecessor."""
    i, f, g, o = weight.chunk(4)
    return torch.cat([i, g, o]), f


def childsum_equations(
    p: Tensor, of_sum: Tensor, of_edges: Tensor, sent_c: Tensor, receivers: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gates i, g, o side by side, the edges' f, c and h."""
    p_i, p_f, p_g, p_o = p.chunk(4, 1)
    w_i, w_g, w_o = of_sum.chunk(3, 1)
    i, g, o = torch.sigmoid(p_i + w_i), torch.tanh(p_g + w_g), torch.sigmoid(p_o + w_o)
    f = torch.sigmoid(p_f.index_select(0, receivers) + of_edges)
    c = (i * g).index_add(0, receivers, f * sent_c)
    return torch.cat([i, g, o], 1), f, c, o * torch.tanh(c)


def _gradients(
    gates: Tensor, f: Tensor, c: Tensor, sent_c: Tensor, receivers: Tensor, dh: Tensor, dc: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of p, of the sums' product, of the edges' product and of the senders' c."""
    i, g, o = gates.chunk(3, 1)
    th = torch.tanh(c)
    dc = dc + dh * o * (1 - th * th)
    di, dg, do = dc * g * i * (1 - i), dc * i * (1 - g * g), dh * th * o * (1 - o)
    dc_edge = dc.index_select(0, receivers)
    df = dc_edge * sent_c * f * (1 - f)
    by_p = torch.cat([di, torch.zeros_like(di).index_add_(0, receivers, df), dg, do], 1)
    return by_p, torch.cat([di, dg, do], 1), df, dc_edge * f


def _forward(p: Tensor, weight: Tensor, s: Structure) -> Tensors:
    scan, (w_sum, w_edge) = Scan(s._replace(form=s.form.clamp(max=FOREST)), p), _split(weight)
    rows, edges, hidden = p.size(0), s.senders.numel(), weight.size(1)
    h, c, merged = (p.new_empty(rows, hidden) for _ in range(3))
    merged[: scan.first] = 0
    gates, f, sent = p.new_empty(rows, 3 * hidden), p.new_empty(edges, hidden), p.new_empty(edges, hidden)
    if scan.native:
        from ._gates import childsum_forward, gather_edges

        arrays = tuple(t.numpy() for t in (s.edge_ptr, s.senders, p, gates, f, c, h))
    for level in scan.up():
        a, b, edge_a, edge_b, before = level
        if before < 0:
            gates[:b] = 0
        else:
            scan.gather(level, h, merged)
            torch.mm(merged[a:b], w_sum.t(), out=gates[a:b])
            if scan.native:
                gather_edges(edge_a, edge_b, s.senders.numpy(), h.numpy(), sent.numpy())
            else:
                sent[edge_a:edge_b] = h.index_select(0, s.senders[edge_a:edge_b])
            torch.mm(sent[edge_a:edge_b], w_edge.t(), out=f[edge_a:edge_b])
        if scan.native:
            childsum_forward((b - a + edge_b - edge_a) * hidden * 20, a, b, *arrays)
        else:
            at, sent_c = s.receivers[edge_a:edge_b] - a, c.index_select(0, s.senders[edge_a:edge_b])
            gates[a:b], f[edge_a:edge_b], c[a:b], h[a:b] = childsum_equations(
                p[a:b], gates[a:b], f[edge_a:edge_b], sent_c, at
            )
    return h, c, gates, f, merged, sent


def _backward(given: tuple[Any, ...], s: Structure, grads: Sequence[Tensor | None], outputs: Tensors) -> Tensors:
    (p, weight), (h, c, gates, f, merged, sent) = given, outputs
    scan, (w_sum, w_edge) = Scan(s._replace(form=s.form.clamp(max=FOREST)), p), _split(weight)
    dh, dc = own(grads[0], h), own(grads[1], c)
    dp, dg, df, d_edge = (torch.empty_like(t) for t in (p, gates, f, f))
    ds = torch.empty_like(h)
    if scan.native:
        from ._gates import childsum_backward, scatter_edges

        arrays = tuple(t.numpy() for t in (s.edge_ptr, s.senders, gates, f, c, dh, dc, dp, dg, df, d_edge))
    for level in scan.down():
        a, b, edge_a, edge_b, before = level
        part, senders = slice(edge_a, edge_b), s.senders[edge_a:edge_b]
        if scan.native:
            childsum_backward((b - a + edge_b - edge_a) * h.size(1) * 10, a, b, *arrays)
        else:
            at = s.receivers[part] - a
            dp[a:b], dg[a:b], df[part], d_edge[part] = _gradients(
                gates[a:b], f[part], c[a:b], c.index_select(0, senders), at, dh[a:b], dc[a:b]
            )
        if before < 0:
            continue
        torch.mm(dg[a:b], w_sum, out=ds[a:b])
        scan.scatter(level, ds, dh)
        by_sent = df[part] @ w_edge
        if scan.native:
            scatter_edges(edge_a, edge_b, s.senders.numpy(), d_edge.numpy(), dc.numpy())
            scatter_edges(0, edge_b - edge_a, senders.numpy(), by_sent.numpy(), dh.numpy())
        else:
            dc.index_add_(0, senders, d_edge[part])
            dh.index_add_(0, senders, by_sent)
    by_i, by_g, by_o = (dg[scan.first :].t() @ merged[scan.first :]).chunk(3)
    return dp, torch.cat([by_i, df.t() @ sent, by_g, by_o])


def _reference(p: Tensor, weight: Tensor, s: Structure) -> Tensors:
    hidden = weight.size(1)
    if p.size(0) == 0:
        return p[:, :hidden] + 0, p[:, :hidden] + 0
    w_sum, w_edge = _split(weight)

    def step(level: Level, sent: Tensors | None) -> Tensors:
        a, b, edge_a, edge_b, _ = level
        at = s.receivers[edge_a:edge_b] - a
        h, c = (p.new_zeros(edge_b - edge_a, hidden),) * 2 if sent is None else sent
        merged = merge_rows(h, at, b - a, None, 1)
        return childsum_equations(p[a:b], merged @ w_sum.t(), h @ w_edge.t(), c, at)[:1:-1]

    return plain_sweep(s, step)


def _fake(p: Tensor, weight: Tensor, s: Structure) -> Tensors:
    rows, edges, hidden = p.size(0), s.senders.size(0), weight.size(1)
    h, c, merged = (p.new_empty(rows, hidden) for _ in range(3))
    return h, c, p.new_empty(rows, 3 * hidden), p.new_empty(edges, hidden), merged, p.new_empty(edges, hidden)


_operator = register_scan(
    "childsum_sweep",
    inputs="Tensor p, Tensor weight",
    states=2,
    saved=4,
    forward=_forward,
    backward=_backward,
    reference=_reference,
    fake=_fake,
)


def childsum_sweep(p: Tensor, weight: Tensor, structure: Structure) -> tuple[Tensor, Tensor]:
    """Sweep a child-sum Tree-LSTM over packed levels; the equations stand at the top of this file.

    Args:
        p: `[N, 4H]`, the projected inputs with their bias, packed; gates in the order i, f, g, o.
        weight: W, `[4H, H]`, rows i, f, g, o.
        structure: of the packed levels.

    Returns:
        h and c, each `[N, H]`, packed.
    """
    h, c = _operator(p.contiguous(), weight, structure)
    return h, c
