"""The N-ary Tree-GRU over packed levels, on the CPU: for each level a product, and a pass over the gates.

    s = [h_1; …; h_A],  r = σ(p_r + W_r s + b_r),  q = W_n s + b_n,  n = tanh(p_n + r ∘ q)
    z = softmax(p_z + W_z1 s + b_z, …, p_z + W_zA s + b_z, 0),  h = Σ_k z_k ∘ h_k + z_{A+1} ∘ n
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import Copy, Slots, State
from ...ops.levels import Structure
from ..cells import NaryTreeGRUCell
from ..cells.base import bare
from .lstm import check_slots


def _hidden(weight: Tensor) -> int:
    return (weight.size(0) - weight.size(1)) // 2


def _kernel(p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure) -> State:
    from ...ops.kernels.scan import Scan
    from ...ops.kernels.tree_gates import nary_gru_forward

    scan, rows, hidden = Scan(s), p.size(0), _hidden(weight)
    check_slots(s, weight.size(1) // hidden)
    (h, q), gates = (p.new_empty(rows, hidden) for _ in range(2)), p.new_empty(rows, weight.size(0))
    wt, merged = scan.transposed(weight), scan.room("merged", weight.size(1))
    start = (p[:0] if h0 is None else h0.contiguous()).numpy()
    arrays = (t.numpy() for t in (p, bias.contiguous()))
    p_, b_ = arrays
    gates_, q_, h_ = gates.numpy(), q.numpy(), h.numpy()
    for level in scan.levels:
        a, b, *_ = level
        scan.product(level, h, wt, merged, gates[a:b], h0)
        nary_gru_forward((b - a) * gates.size(1) * 10, a, b, *scan.edge_arrays, p_, b_, start, gates_, q_, h_)
    return h, gates, q


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.scan import Scan, own, workspace
    from ...ops.kernels.tree_gates import nary_gru_backward

    (p, weight, _, h0), (h, gates, q) = given, outputs
    scan, hidden, width = Scan(s), h.size(1), weight.size(1)
    dh, dp, dg = own("dh", grads[0], h), torch.empty_like(p), workspace("dg", *gates.shape)
    ds, dstart = scan.room("ds", width), h[:0].clone() if h0 is None else torch.empty_like(h0).contiguous()
    start = (p[:0] if h0 is None else h0.contiguous()).numpy()
    arrays = (start, *(t.numpy() for t in (gates, q, h, dh, dg, dp, dstart)))
    for level in reversed(scan.levels):
        a, b, *_ = level
        work = (b - a) * gates.size(1) * 4 if scan.forest else 0
        nary_gru_backward(work, a, b, *scan.edge_arrays, *arrays)
        scan.product_backward(level, dg[a:b], weight, ds, dh)
    dw = scan.weight_gradient(dg, h, width, h0)
    db = torch.cat([dp[:, : 2 * hidden].sum(0), dg[:, -hidden:].sum(0)])
    return dp, dw, db, p.new_empty(0) if h0 is None else dstart.addmm_(dg[: scan.first], weight[:, :hidden])


def _equations(
    p: Tensor, weight: Tensor, bias: Tensor, h0: Tensor | None, s: Structure
) -> tuple[NaryTreeGRUCell, Tensor, State | None]:
    hidden = _hidden(weight)
    slots = weight.size(1) // hidden
    check_slots(s, slots)
    cell = bare(
        NaryTreeGRUCell, weight_hh=weight, bias_hh=bias, slots=slots, state_sizes=(hidden,), hidden_size=hidden
    )
    return cell, p, None if h0 is None else (h0,)


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, weight, *_ = given
    h, q = (p.new_empty(p.size(0), _hidden(weight)) for _ in range(2))
    return h, p.new_empty(p.size(0), weight.size(0)), q


SWEEP = SweepOperator(
    "nary_gru_sweep", "Tensor p, Tensor weight, Tensor bias, Tensor? h0", states=1, saved=2,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(NaryTreeGRUCell, Copy, Slots, "cpu")
def nary_gru(cell: NaryTreeGRUCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep an N-ary Tree-GRU, unless slots start from states of their own."""
    if start is not None and start[0].dim() == 3:
        return None
    bias = cell.weight_hh.new_zeros(3 * cell.hidden_size) if cell.bias_hh is None else cell.bias_hh
    return SWEEP.over(inputs.project(cell), cell.weight_hh, bias, None if start is None else start[0], structure)
