"""Long short-term memory over packed levels, with one forget gate a slot.

    i = σ(p_i + W_i s),  f_k = σ(p_f + W_fk s),  g = tanh(p_g + W_g s),  o = σ(p_o + W_o s)
    c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

With one slot, s and c_1 are sums over the predecessors; on a chain that is the standard unit (Hochreiter &
Schmidhuber 1997; Gers et al. 2000). With A slots, s lays the A predecessors side by side: the N-ary Tree-LSTM
(Tai et al. 2015, eqs 9 to 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Words, expected
from ._autograd import Tensors, own, register_scan
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


def _hidden(weight: Tensor) -> int:
    return (weight.size(0) - weight.size(1)) // 3


def _fold(d: Tensor, hidden: int) -> Tensor:
    """Return gradients of the inputs from those of the recurrent product: the slots' forget gates share one input."""
    wide = d.size(1) // hidden - 2
    i, f, rest = d.split([hidden, (wide - 1) * hidden, 2 * hidden], 1)
    return torch.cat([i, f.reshape(d.size(0), wide - 1, hidden).sum(1), rest], 1)


def _slots_of(scan: Scan, level: Level, c: Tensor, c0: Tensor | None, width: int) -> Tensor:
    """Return the c of each node's slots side by side, `[M, A H]`."""
    a, b, *_, before = level
    out = c.new_zeros(b - a, width)
    if before >= 0 and scan.aligned:
        return c[before : before + b - a]
    if before >= 0:
        scan.gather(level, c, out, a)
    elif c0 is not None:
        out[:, : c.size(1)] = c0
    return out


def _forward(
    p: Tensor, rest: Tensor | None, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure
) -> Tensors:
    scan, wt, hidden = Scan(s, p), weight.t(), _hidden(weight)
    rows, width = int(s.level_ptr[-1]), weight.size(1)
    if s.slot is not None and s.slot.numel() and int(s.slot.max()) * hidden >= width:
        got = Words(f"{int(s.slot.max()) + 1}")
        raise expected("topology", f"at most {width // hidden} slots, the cell's arity", got)
    skip = scan.first if h0 is None and c0 is None else 0  # nodes that read no state
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    leaf, gates = p.new_empty(skip, 3 * hidden), p.new_empty(rows - skip, weight.size(0))
    merged = p.new_empty(0 if scan.aligned else rows - skip, width)
    merged[: scan.first - skip] = 0
    if scan.native:
        from ._gates import leaf_forward, lstm_forward

        start = (p[:0] if c0 is None else c0).numpy()
        sources = [t.numpy() for t in (p, p if rest is None else rest[None])]
        arrays = gates.numpy(), c.numpy(), h.numpy()
    for level in scan.up():
        a, b, *_, before = level
        product = gates[a - skip : b - skip]
        if b <= skip and scan.native:
            leaf_forward(b * hidden * 40, a, b, sources[0], leaf.numpy(), c.numpy(), h.numpy())
            continue
        if before >= 0 and scan.aligned:
            torch.mm(h[before : before + b - a], wt, out=product)
        elif before >= 0:
            scan.gather(level, h, merged, skip)
            torch.mm(merged[a - skip : b - skip], wt, out=product)
        elif h0 is not None:
            torch.mm(h0, wt[:hidden], out=product)
        else:
            product.zero_()
        if scan.native:
            work = (b - a) * gates.size(1) * 10
            lstm_forward(work, a, b, skip, *scan.edge_arrays, sources[before >= 0], start, *arrays)
            continue
        inputs = p[a:b] if rest is None or before < 0 else rest.expand(b - a, -1)
        if b <= skip:
            i, *_, g, o = inputs.split(hidden, 1)
            leaf[a:b] = torch.cat([torch.sigmoid(i), torch.tanh(g), torch.sigmoid(o)], 1)
            c[a:b] = leaf[a:b, :hidden] * leaf[a:b, hidden : 2 * hidden]
            h[a:b] = leaf[a:b, 2 * hidden :] * torch.tanh(c[a:b])
        else:
            gates[a - skip : b - skip], c[a:b], h[a:b] = lstm_equations(
                inputs, product, _slots_of(scan, level, c, c0, width)
            )
    return h, c, leaf, gates, merged


def _backward(given: tuple[Any, ...], s: Structure, grads: Sequence[Tensor | None], outputs: Tensors) -> Tensors:
    (p, rest, weight, h0, c0), (h, c, leaf, gates, merged) = given, outputs
    scan, hidden, width = Scan(s, p), h.size(1), weight.size(1)
    skip = leaf.size(0)
    dh, dc = own(grads[0], h), own(grads[1], c)
    dp = torch.empty_like(p)
    shared = width == hidden and rest is None  # one slot: both gradients are the same numbers
    dg = dp[skip:] if shared else torch.empty_like(gates)
    ds = p.new_empty(0 if scan.aligned else scan.widest, width)
    dc0 = None if c0 is None else torch.empty_like(c0)
    if scan.native:
        from ._gates import leaf_backward, lstm_backward

        start = [(p[:0] if t is None else t).numpy() for t in (c0, dc0)]
        arrays = gates.numpy(), c.numpy(), dh.numpy(), dc.numpy(), dg.numpy(), start[1]
    for level in scan.down():
        a, b, *_, before = level
        product = dg[a - skip : b - skip]
        if b <= skip:
            if scan.native:
                leaf_backward(b * hidden * 20, a, b, *(t.numpy() for t in (leaf, c, dh, dc, dp)))
            else:
                padded = torch.cat([leaf[a:b, :hidden], torch.zeros_like(c[a:b]), leaf[a:b, hidden:]], 1)
                by_gates = _gradients(padded, c[a:b], torch.zeros_like(c[a:b]), dh[a:b], dc[a:b])[1]
                dp[a:b, :hidden], dp[a:b, -2 * hidden :] = by_gates[:, :hidden], by_gates[:, 2 * hidden :]
                dp[a:b, hidden : -2 * hidden] = 0
            continue
        if scan.native:
            work = (b - a) * gates.size(1) * 4 if scan.forest else 0
            lstm_backward(work, a, b, skip, *scan.edge_arrays, start[0], *arrays)
        else:
            before_c = _slots_of(scan, level, c, c0, width)
            _, product[:], direct = _gradients(gates[a - skip : b - skip], c[a:b], before_c, dh[a:b], dc[a:b])
            if before >= 0 and scan.aligned:
                dc[before : before + b - a] += direct
            elif before >= 0:
                scan.scatter(level, direct, dc, a)
            elif dc0 is not None:
                dc0.copy_(direct[:, :hidden])
        if before >= 0 and scan.aligned:
            dh[before : before + b - a].addmm_(product, weight)
        elif before >= 0:
            torch.mm(product, weight, out=ds[: b - a])
            scan.scatter(level, ds, dh, a)
    first = scan.first - skip
    drest, dh0 = p.new_empty(0), p.new_empty(0)
    if rest is not None:
        drest = _fold(dg[first:].sum(0, keepdim=True), hidden)[0]
        if first:
            dp.copy_(_fold(dg[:first], hidden))
    elif not shared:
        dp[skip:] = _fold(dg, hidden)
    dw = dg[first:].t() @ (scan.previous(h) if scan.aligned else merged[first:])
    if h0 is not None:
        dw[:, :hidden].addmm_(dg[:first].t(), h0)
        dh0 = dg[:first] @ weight[:, :hidden]
    return dp, drest, dw, dh0, p.new_empty(0) if dc0 is None else dc0


def _reference(
    p: Tensor, rest: Tensor | None, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure
) -> Tensors:
    hidden = _hidden(weight)
    slots = weight.size(1) // hidden
    if p.size(0) == 0:
        return p[:, :hidden] + 0, p[:, :hidden] + 0
    if p.size(1) == 3 * hidden:  # level 0 has no use for a forget gate
        p = torch.cat([p[:, :hidden], p.new_zeros(p.size(0), hidden), p[:, hidden:]], 1)

    def step(level: Level, sent: Tensors | None) -> Tensors:
        a, b, edge_a, edge_b, before = level
        if sent is None:
            zeros = p.new_zeros(b - a, slots * hidden)
            h, c = (
                zeros if t is None else nn.functional.pad(t, (0, (slots - 1) * hidden)) for t in (h0, c0)
            )
        else:
            receivers = s.receivers[edge_a:edge_b] - a
            slot = None if s.slot is None else s.slot[edge_a:edge_b]
            h, c = (merge_rows(t, receivers, b - a, slot, slots).reshape(b - a, -1) for t in sent)
        inputs = p[a:b] if rest is None or before < 0 else rest.expand(b - a, -1)
        return lstm_equations(inputs, h @ weight.t(), c)[:0:-1]

    return plain_sweep(s, step)


def _fake(
    p: Tensor, rest: Tensor | None, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure
) -> Tensors:
    rows, hidden = s.edge_ptr.size(0) - 1, _hidden(weight)
    size = torch.library.get_ctx().new_dynamic_size
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    leaf, gates = p.new_empty(size(), 3 * hidden), p.new_empty(size(), weight.size(0))
    return h, c, leaf, gates, p.new_empty(size(), weight.size(1))


_operator = register_scan(
    "lstm_sweep",
    inputs="Tensor p, Tensor? rest, Tensor weight, Tensor? h0, Tensor? c0",
    states=2,
    saved=3,
    forward=_forward,
    backward=_backward,
    reference=_reference,
    fake=_fake,
)


def lstm_sweep(
    p: Tensor, weight: Tensor, h0: Tensor | None, c0: Tensor | None, structure: Structure, rest: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sweep a long short-term memory over packed levels; the equations stand at the top of this file.

    Args:
        p: `[N, 4H]`, the projected inputs with all biases, packed; gates in the order i, f, g, o. With `rest`
            `[M, 4H]`, for the M nodes of level 0 alone, or `[M, 3H]` without f, which only a given c would pass.
        weight: W, `[(3 + A) H, A H]`, rows i, f_1 … f_A, g, o.
        h0: `[M, H]`, what the M nodes of level 0 start from, in slot 1; None for zeros.
        c0: `[M, H]`, likewise.
        structure: of the packed levels; its `slot` lays the predecessors side by side, without it they are summed.
        rest: `[4H]`, the projected input of every node above level 0.

    Returns:
        h and c, each `[N, H]`, packed.
    """
    h, c = _operator(p.contiguous(), rest, weight, h0, c0, structure)
    return h, c
