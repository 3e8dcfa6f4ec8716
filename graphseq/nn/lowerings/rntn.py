"""The recursive neural tensor network over packed levels, on the CPU: ``h = tanh(p + cᵀ V c + W c)``.

For each level three products of PyTorch's; only the states are kept for the gradient, which computes the rest again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import Copy, Slots, State
from ...ops.levels import Structure
from ..cells import RNTNCell
from ..cells.base import bare
from .lstm import check_slots


def _kernel(p: Tensor, weight: Tensor, tensor: Tensor, h0: Tensor | None, s: Structure) -> State:
    from ...ops.kernels.scan import Scan

    (hidden, wide), scan = weight.shape, Scan(s)
    check_slots(s, wide // hidden)
    h, wt, form = torch.empty_like(p), scan.transposed(weight), tensor.transpose(0, 1).reshape(wide, hidden * wide)
    merged = scan.room("merged", wide)
    for level in scan.levels:
        a, b, *_ = level
        c = _children(scan, level, h, merged, h0)
        if c is None:
            torch.tanh(p[a:b], out=h[a:b])
            continue
        by_unit = (c @ form).view(b - a, hidden, wide)
        z = torch.addmm(p[a:b], c, wt).add_((by_unit @ c[:, :, None])[:, :, 0])
        torch.tanh(z, out=h[a:b])
    return h, h.new_empty(0)


def _children(scan: Any, level: Any, h: Tensor, merged: Tensor, h0: Tensor | None) -> Tensor | None:
    """Return the children of a level's nodes side by side, `[M, A H]`; None where all are 0."""
    a, b, *_, before = level
    if before >= 0:
        scan.gather(level, h, merged, a)
        return merged[: b - a]
    if h0 is None:
        return None
    room: Tensor = torch.cat([h0, h0.new_zeros(b - a, merged.size(1) - h0.size(1))], 1)
    return room


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.scan import Scan, own

    (p, weight, tensor, h0), (h, _) = given, outputs
    (hidden, wide), scan = weight.shape, Scan(s)
    dh, merged = own("dh", grads[0], h), scan.room("merged", wide)
    dp, dw, dt = torch.empty_like(p), torch.zeros_like(weight), tensor.new_zeros(hidden * wide, wide)
    both = (tensor + tensor.transpose(1, 2)).reshape(hidden * wide, wide)
    dh0 = p.new_empty(0) if h0 is None else torch.zeros_like(h0)
    for level in reversed(scan.levels):
        a, b, *_, before = level
        d = torch.mul(dh[a:b], 1 - h[a:b] ** 2, out=dp[a:b])
        c = _children(scan, level, h, merged, h0)
        if c is None:
            continue
        by_unit = (d[:, :, None] * c[:, None]).flatten(1)
        dw.addmm_(d.t(), c)
        dt.addmm_(by_unit.t(), c)
        dc = (d @ weight).addmm_(by_unit, both)
        if before >= 0:
            scan.scatter(level, dc, dh)
        else:
            dh0 = dc[:, :hidden].contiguous()
    return dp, dw, dt.view_as(tensor), dh0


def _equations(
    p: Tensor, weight: Tensor, tensor: Tensor, h0: Tensor | None, s: Structure
) -> tuple[RNTNCell, Tensor, State | None]:
    hidden, wide = weight.shape
    check_slots(s, wide // hidden)
    made = {"weight_hh": weight, "weight_tensor": tensor, "slots": wide // hidden}
    return bare(RNTNCell, state_sizes=(hidden,), **made), p, None if h0 is None else (h0,)


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    return torch.empty_like(given[0]), given[0].new_empty(0)


SWEEP = SweepOperator(
    "rntn_sweep", "Tensor p, Tensor weight, Tensor tensor, Tensor? h0", states=1, saved=1,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(RNTNCell, Copy, Slots, "cpu")
def rntn(cell: RNTNCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a recursive neural tensor network, unless slots start from states of their own."""
    if start is not None and start[0].dim() == 3:
        return None
    h0 = None if start is None else start[0]
    return SWEEP.over(inputs.project(cell), cell.weight_hh, cell.weight_tensor, h0, structure)
