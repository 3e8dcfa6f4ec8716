"""The simple recurrent unit over packed levels.

    h_v = tanh(p_v + W Σ_{u→v} h_u)    or relu

Elman (1990), Finding structure in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ._autograd import Tensors, own, register_scan
from ._scan import Level, Scan, Structure, merge_rows, plain_sweep


def _forward(p: Tensor, weight: Tensor, h0: Tensor | None, s: Structure, *, relu: bool) -> Tensors:
    scan, wt = Scan(s, p), weight.t()
    h = torch.empty_like(p)
    merged = p[:0].clone() if scan.aligned else torch.empty_like(p)
    merged[: scan.first] = 0
    if scan.native:
        from ._gates import elman_forward

        arrays = p.numpy(), h.numpy()
    for level in scan.up():
        a, b, *_, before = level
        if before < 0:
            h[:b] = 0 if h0 is None else torch.mm(h0, wt)
        elif scan.aligned:
            torch.mm(h[before : before + b - a], wt, out=h[a:b])
        else:
            scan.gather(level, h, merged)
            torch.mm(merged[a:b], wt, out=h[a:b])
        if scan.native:
            elman_forward((b - a) * h.size(1) * 10, a, b, relu, *arrays)
        else:
            h[a:b] = torch.relu(p[a:b] + h[a:b]) if relu else torch.tanh(p[a:b] + h[a:b])
    return h, merged


def _backward(
    given: tuple[Any, ...], s: Structure, grads: Sequence[Tensor | None], outputs: Tensors, *, relu: bool
) -> Tensors:
    (p, weight, h0), (h, merged) = given, outputs
    scan, dh, dp = Scan(s, p), own(grads[0], outputs[0]), torch.empty_like(p)
    ds = p.new_empty(0) if scan.aligned else torch.empty_like(p)
    if scan.native:
        from ._gates import elman_backward

        arrays = h.numpy(), dh.numpy(), dp.numpy()
    for level in scan.down():
        a, b, *_, before = level
        if scan.native:
            elman_backward((b - a) * h.size(1) * 4, a, b, relu, *arrays)
        else:
            dp[a:b] = dh[a:b] * ((h[a:b] > 0) if relu else 1 - h[a:b] ** 2)
        if before >= 0 and scan.aligned:
            dh[before : before + b - a].addmm_(dp[a:b], weight)
        elif before >= 0:
            torch.mm(dp[a:b], weight, out=ds[a:b])
            scan.scatter(level, ds, dh)
    first = scan.first
    previous = scan.previous(h) if scan.aligned else merged[first:]
    dw = dp[first:].t() @ previous
    if h0 is None:
        return dp, dw, p.new_empty(0)
    return dp, dw.addmm_(dp[:first].t(), h0), dp[:first] @ weight


def _reference(p: Tensor, weight: Tensor, h0: Tensor | None, s: Structure, *, relu: bool) -> Tensors:
    if p.size(0) == 0:
        return (p + 0,)

    def step(level: Level, sent: Tensors | None) -> Tensors:
        a, b, edge_a, edge_b, _ = level
        z = p[a:b]
        if sent is not None:
            z = z + merge_rows(sent[0], s.receivers[edge_a:edge_b] - a, b - a, None, 1) @ weight.t()
        elif h0 is not None:
            z = z + h0 @ weight.t()
        return (torch.relu(z) if relu else torch.tanh(z),)

    return plain_sweep(s, step)


def _fake(p: Tensor, weight: Tensor, h0: Tensor | None, s: Structure) -> Tensors:
    return torch.empty_like(p), p.new_empty(torch.library.get_ctx().new_dynamic_size(), p.size(1))


_operators = {
    relu: register_scan(
        f"elman_{'relu' if relu else 'tanh'}_sweep",
        inputs="Tensor p, Tensor weight, Tensor? h0",
        states=1,
        saved=1,
        forward=partial(_forward, relu=relu),
        backward=partial(_backward, relu=relu),
        reference=partial(_reference, relu=relu),
        fake=_fake,
    )
    for relu in (False, True)
}


def elman_sweep(
    p: Tensor, weight: Tensor, h0: Tensor | None, structure: Structure, *, relu: bool = False
) -> Tensor:
    """Sweep ``h_v = tanh(p_v + W Σ_{u→v} h_u)`` (or relu) over packed levels.

    Args:
        p: `[N, H]`, the projected inputs with all biases, packed.
        weight: W, `[H, H]`.
        h0: `[M, H]`, what the M nodes of level 0 start from, or None for zeros.
        structure: of the packed levels.
        relu: relu instead of tanh.

    Returns:
        h `[N, H]`, packed.
    """
    return _operators[relu](p, weight, h0, structure)[0]
