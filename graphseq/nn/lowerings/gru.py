"""The gated recurrent cell over packed levels, on the CPU: for each level a product, and a pass over the gates.

s_v = Σ_{u→v} h_u
r = σ(p_r + W_r s + b_r),  z = σ(p_z + W_z s + b_z),  n = tanh(p_n + r ∘ (W_n s + b_n))
h = (1 - z) ∘ n + z ∘ s
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import Copy, State, Sum
from ...ops.levels import Structure
from ..cells import GRUCell
from ..cells.base import bare


def _kernel(p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure) -> State:
    from ...ops.kernels.gates import gru_forward
    from ...ops.kernels.scan import Scan

    scan, (h, w_n) = Scan(s), (p.new_empty(p.size(0), weight.size(1)) for _ in range(2))
    wt, gates, merged = scan.transposed(weight), torch.empty_like(p), scan.room("merged", h.size(1))
    start = h.new_zeros(scan.first, h.size(1)) if h0 is None else h0.contiguous()
    p_, b_, start_, merged_ = p.numpy(), bias.contiguous().numpy(), start.numpy(), merged.numpy()
    gates_, w_n_, h_ = gates.numpy(), w_n.numpy(), h.numpy()
    for level in scan.levels:
        a, b, *_, before = level
        scan.product(level, h, wt, merged, gates[a:b], None if h0 is None else start)
        below = (start_, 0) if before < 0 else (h_, before) if scan.aligned else (merged_, 0)
        gru_forward((b - a) * h.size(1) * 30, a, b, below[1], p_, b_, below[0], gates_, w_n_, h_)
    return h, gates, w_n


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import gru_backward
    from ...ops.kernels.scan import Scan, own, workspace

    (p, weight, _, h0), (h, gates, w_n) = given, outputs
    scan, dh, dp = Scan(s), own("dh", grads[0], h), torch.empty_like(gates)
    dr, ds = workspace("dr", *gates.shape), scan.room("ds", h.size(1))
    merged = h[:0] if scan.aligned else scan.merged(h, h.size(1))
    start = h.new_zeros(scan.first, h.size(1)) if h0 is None else h0.contiguous()
    dh0 = torch.zeros_like(start)
    h_, gates_, w_n_, merged_, start_ = (t.numpy() for t in (h, gates, w_n, merged, start))
    dh_, dp_, dr_, ds_, dh0_ = (t.numpy() for t in (dh, dp, dr, ds, dh0))
    for level in reversed(scan.levels):
        a, b, *_, before = level
        if before < 0:
            previous, into, into_, at = start_, dh0, dh0_, 0
        elif scan.aligned:
            previous, into, into_, at = h_, dh, dh_, before
        else:
            previous, into, into_, at = merged_[a - scan.first :], ds, ds_, 0
            ds[: b - a] = 0
        gru_backward((b - a) * h.size(1) * 10, a, b, at, gates_, w_n_, previous, dh_, dp_, dr_, into_)
        if before >= 0 or h0 is not None:
            into[at : at + b - a].addmm_(dr[a:b], weight)
        if before >= 0 and not scan.aligned:
            scan.scatter(level, ds, dh)
    dw = scan.weight_gradient(dr, h, h.size(1), h0)
    return dp, dw, dr.sum(0), p.new_empty(0) if h0 is None else dh0


def _equations(
    p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure
) -> tuple[GRUCell, Tensor, State | None]:
    cell = bare(GRUCell, weight_hh=weight, bias_hh=bias, state_sizes=(weight.size(1),))
    return cell, p, None if h0 is None else (h0,)


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, weight, *_ = given
    h, w_n = (p.new_empty(p.size(0), weight.size(1)) for _ in range(2))
    return h, torch.empty_like(p), w_n


SWEEP = SweepOperator(
    "gru_sweep", "Tensor p, Tensor weight, Tensor bias, Tensor? h0", states=1, saved=2,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(GRUCell, Copy, Sum, "cpu")
def gru(cell: GRUCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a gated recurrent cell whose predecessors are summed."""
    weight = cell.weight_hh
    bias = weight.new_zeros(weight.size(0)) if cell.bias_hh is None else cell.bias_hh
    return SWEEP.over(inputs.project(cell), weight, bias, None if start is None else start[0], structure)
