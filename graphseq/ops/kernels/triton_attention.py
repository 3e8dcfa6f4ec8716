"""The kernels of attention over neighbours in Triton, for CUDA, in float32.

They compute what those of the CPU do (see :mod:`graphseq.ops.kernels.attention`). A program visits the edges of one
receiver, or of one sender, in blocks; the forward pass keeps a running maximum and total of each head (Milakov &
Gimelshein, 2018). No two programs write to the same place, so that results are the same bits every time.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_KINDS = {"additive": 0, "per_feature": 1, "dot": 2}
_ROW, _NUMBERS, _EDGES = 2048, 512, 16  # numbers of a row in a block at most, and in all of it if they are fewer; edges


@triton.jit
def _leaky(z, slope):
    return tl.where(z > 0, z, z * slope)


@triton.jit
def _block(of, row, at, size, inside, known):
    """Load rows `[E, H, W]`."""
    return tl.load(of + row[:, None, None] * size + at[None], mask=inside[:, None, None] & known[None], other=0.0)


@triton.jit
def _of_heads(of, row, h, heads, inside):
    """Load one number for each head, `[E, H]`."""
    return tl.load(of + row[:, None] * heads + h[None], mask=inside[:, None] & (h < heads)[None], other=0.0)


@triton.jit
def _forward(
    ptr, index, edge, x, s, r, b, a, keep, out, lse, heads,
    wide, slope, share, KIND: tl.constexpr, EDGED: tl.constexpr, KEPT: tl.constexpr, E: tl.constexpr,
    H: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    v = tl.program_id(0).to(tl.int64)
    h, w, size = tl.program_id(1) * H + tl.arange(0, H), tl.arange(0, W), heads * wide
    at, known = h[:, None] * wide + w[None], (h < heads)[:, None] & (w < wide)[None]
    first, end = tl.load(ptr + v), tl.load(ptr + v + 1)
    top, total = tl.full([H], float("-inf"), tl.float32), tl.zeros([H], tl.float32)
    merged = tl.zeros([H, W], tl.float32)
    if KIND == 0:
        own = tl.load(r + v * heads + h, mask=h < heads, other=0.0)
    else:
        row = tl.load(r + v * size + at, mask=known, other=0.0)
    if KIND == 1:
        vector = tl.load(a + at, mask=known, other=0.0)
    for k in range(first, end, E):
        i = k + tl.arange(0, E)
        inside = i < end
        u = tl.load(index + i, mask=inside, other=0)
        e = tl.load(edge + i, mask=inside, other=0)
        values = _block(x, u, at, size, inside, known)
        if KIND == 0:
            z = _of_heads(s, u, h, heads, inside) + own[None]
            if EDGED:
                z += _of_heads(b, e, h, heads, inside)
            z = _leaky(z, slope)
        elif KIND == 1:
            z = tl.sum(_leaky(values + row[None], slope) * vector[None], 2)
        else:
            z = tl.sum(_block(s, u, at, size, inside, known) * row[None], 2)
        z = tl.where(inside[:, None], z, float("-inf"))
        new = tl.maximum(top, tl.max(z, 0))
        shift = tl.where(new == float("-inf"), 0.0, new)
        scale, p = tl.exp(top - shift), tl.exp(z - shift[None])
        total = total * scale + tl.sum(p, 0)
        if KEPT:
            p = p * _of_heads(keep, e, h, heads, inside).to(tl.float32) * share
        merged = merged * scale[:, None] + tl.sum(p[:, :, None] * values, 0)
        top = new
    some = end > first
    merged = tl.where(some, merged / tl.where(some, total, 1.0)[:, None], 0.0)
    tl.store(out + v * size + at, merged, mask=known)
    tl.store(lse + 2 * v * heads + h, tl.where(some, top, 0.0), mask=h < heads)
    tl.store(lse + (2 * v + 1) * heads + h, tl.where(some, tl.log(total), 0.0), mask=h < heads)


@triton.jit
def _senders(
    ptr, index, edge, x, s, r, b, a, keep, lse, g, delta,
    dx, ds, dz, heads, wide, slope, share, KIND: tl.constexpr, EDGED: tl.constexpr,
    KEPT: tl.constexpr, E: tl.constexpr, H: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """The gradients of senders, and those of the scores; delta is ``g_v · out_v`` of each head."""
    u = tl.program_id(0).to(tl.int64)
    h, w, size = tl.program_id(1) * H + tl.arange(0, H), tl.arange(0, W), heads * wide
    at, known = h[:, None] * wide + w[None], (h < heads)[:, None] & (w < wide)[None]
    first, end = tl.load(ptr + u), tl.load(ptr + u + 1)
    values, by_values = tl.load(x + u * size + at, mask=known, other=0.0), tl.zeros([H, W], tl.float32)
    if KIND == 0:
        own, by_own = tl.load(s + u * heads + h, mask=h < heads, other=0.0), tl.zeros([H], tl.float32)
    elif KIND == 1:
        vector = tl.load(a + at, mask=known, other=0.0)
    else:
        key, by_key = tl.load(s + u * size + at, mask=known, other=0.0), tl.zeros([H, W], tl.float32)
    for k in range(first, end, E):
        i = k + tl.arange(0, E)
        inside = i < end
        v = tl.load(index + i, mask=inside, other=0)
        e = tl.load(edge + i, mask=inside, other=0)
        grad = _block(g, v, at, size, inside, known)
        slopes = tl.full([E, H], 1.0, tl.float32)
        if KIND == 0:
            z = _of_heads(r, v, h, heads, inside) + own[None]
            if EDGED:
                z += _of_heads(b, e, h, heads, inside)
            slopes = tl.where(z > 0, 1.0, slope)
            z = _leaky(z, slope)
        else:
            rows = _block(r, v, at, size, inside, known)
            if KIND == 1:
                rows += values[None]
                z = tl.sum(_leaky(rows, slope) * vector[None], 2)
            else:
                z = tl.sum(rows * key[None], 2)
        z = z - _of_heads(lse, 2 * v, h, heads, inside)  # in two steps, since both may be large
        p = tl.exp(z - _of_heads(lse, 2 * v + 1, h, heads, inside))
        p = tl.where(inside[:, None], p, 0.0)
        dots = tl.sum(grad * values[None], 2)
        m = p
        if KEPT:
            kept = _of_heads(keep, e, h, heads, inside).to(tl.float32) * share
            dots, m = dots * kept, p * kept
        d = p * (dots - _of_heads(delta, v, h, heads, inside)) * slopes
        by_values += tl.sum(m[:, :, None] * grad, 0)
        if KIND == 0:
            by_own += tl.sum(d, 0)
        elif KIND == 1:
            by_values += tl.sum(d[:, :, None] * tl.where(rows > 0, 1.0, slope), 0) * vector
        else:
            by_key += tl.sum(d[:, :, None] * rows, 0)
        tl.store(dz + e[:, None] * heads + h[None], d, mask=inside[:, None] & (h < heads)[None])
    tl.store(dx + u * size + at, by_values, mask=known)
    if KIND == 0:
        tl.store(ds + u * heads + h, by_own, mask=h < heads)
    elif KIND == 2:
        tl.store(ds + u * size + at, by_key, mask=known)


@triton.jit
def _receivers(
    ptr, index, edge, x, r, a, dz, dr, da, heads, wide,
    slope, KIND: tl.constexpr, E: tl.constexpr, H: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """The gradients of receivers, and each one's share of that of the attention vector; x are keys of dot products."""
    v = tl.program_id(0).to(tl.int64)
    h, w, size = tl.program_id(1) * H + tl.arange(0, H), tl.arange(0, W), heads * wide
    at, known = h[:, None] * wide + w[None], (h < heads)[:, None] & (w < wide)[None]
    first, end = tl.load(ptr + v), tl.load(ptr + v + 1)
    if KIND == 0:
        by_heads = tl.zeros([H], tl.float32)
    else:
        by_row, by_vector = tl.zeros([H, W], tl.float32), tl.zeros([H, W], tl.float32)
    if KIND == 1:
        row, vector = tl.load(r + v * size + at, mask=known, other=0.0), tl.load(a + at, mask=known, other=0.0)
    for k in range(first, end, E):
        i = k + tl.arange(0, E)
        inside = i < end
        e = tl.load(edge + i, mask=inside, other=0)
        d = _of_heads(dz, e, h, heads, inside)
        if KIND == 0:
            by_heads += tl.sum(d, 0)
        else:
            rows = _block(x, tl.load(index + i, mask=inside, other=0), at, size, inside, known)
            if KIND == 1:
                rows += row[None]
                by_row += tl.sum(d[:, :, None] * tl.where(rows > 0, 1.0, slope), 0)
                by_vector += tl.sum(d[:, :, None] * _leaky(rows, slope), 0)
            else:
                by_row += tl.sum(d[:, :, None] * rows, 0)
    if KIND == 0:
        tl.store(dr + v * heads + h, by_heads, mask=h < heads)
    elif KIND == 1:
        tl.store(dr + v * size + at, by_row * vector, mask=known)
        tl.store(da + v * size + at, by_vector, mask=known)
    else:
        tl.store(dr + v * size + at, by_row, mask=known)


def _blocks(heads: int, wide: int) -> dict[str, int]:
    """Return the sizes of a block, powers of two: of the edges, of the heads and of a head's features."""
    w = triton.next_power_of_2(wide)
    h = min(triton.next_power_of_2(heads), max(1, _ROW // w))
    return {"E": max(1, min(_EDGES, _NUMBERS // (h * w))), "H": h, "W": w}


def _launch(kernel: Any, rows: int, like: Tensor, heads: int, wide: int, given: Any, **options: Any) -> None:
    blocks = _blocks(heads, wide)
    if rows:
        with torch.cuda.device_of(like):  # which does nothing for tensors of the CPU
            kernel[rows, triton.cdiv(heads, blocks["H"])](*given, **options, **blocks)


def attention(
    kind: str, edges: Any, x: Tensor, r: Tensor, s: Tensor | None = None, b: Tensor | None = None,
    a: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the merged values and the two parts of the log-sum-exps.

    Args:
        kind: of the score: "additive", "per_feature" or "dot".
        edges: a :class:`graphseq.nn.lowerings.attend.Edges`.
        x: the senders' values.
        r: the receivers' scores, rows or queries.
        s: the senders' scores, or their keys.
        b: the edges' scores.
        a: the attention vector.
    """
    n, heads = edges.ptr.size(0) - 1, edges.heads
    wide = x.size(1) // heads
    out, lse = x.new_empty(n, x.size(1)), x.new_empty(n, 2 * heads)
    arrays = (_array(t, x) for t in (x, s, r, b, a, edges.keep))
    given = edges.ptr, edges.columns, edges.edge, *arrays, out, lse, heads, wide, edges.slope, edges.share
    options = {"KIND": _KINDS[kind], "EDGED": b is not None, "KEPT": edges.keep is not None}
    _launch(_forward, n, x, heads, wide, given, **options)
    return out, lse


def gradient(
    kind: str, edges: Any, g: Tensor, out: Tensor, lse: Tensor, x: Tensor, r: Tensor, s: Tensor | None = None,
    b: Tensor | None = None, a: Tensor | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Return the gradients of what :func:`attention` reads, given that of its values."""
    heads, g, keys = edges.heads, g.contiguous(), x if s is None or kind == "additive" else s
    wide, n = x.size(1) // heads, r.size(0)
    delta = (g * out).view(n, heads, wide).sum(2)
    dz, found = x.new_empty(edges.columns.size(0), heads), {"x": x.new_empty(x.shape), "r": r.new_empty(r.shape)}
    if s is not None:
        found["s"] = s.new_empty(s.shape)
    arrays = [_array(t, x) for t in (x, s, r, b, a, edges.keep, lse, g, delta, found["x"], found.get("s"), dz)]
    given = edges.t_ptr, edges.t_columns, edges.t_edge, *arrays, heads, wide, edges.slope, edges.share
    options = {"KIND": _KINDS[kind], "EDGED": b is not None, "KEPT": edges.keep is not None}
    _launch(_senders, x.size(0), x, heads, wide, given, **options)
    shares = r.new_empty(r.shape) if a is not None else None
    arrays = [_array(t, x) for t in (keys, r, a, dz, found["r"], shares)]
    _launch(
        _receivers, n, x, heads, wide, (edges.ptr, edges.columns, edges.edge, *arrays, heads, wide, edges.slope),
        KIND=_KINDS[kind],
    )  # fmt: skip
    return found | {"b": dz} | ({} if a is None or shares is None else {"a": shares.sum(0).view(a.shape)})


def _array(t: Tensor | None, other: Tensor) -> Tensor:
    """Return the numbers in their order; of a missing tensor any, which no kernel reads."""
    return other if t is None else t.contiguous()
