"""The simple recurrent cell and the recursive one over packed levels, on the CPU: for each level a product and a pass.

``h = tanh(p + W s)``, or relu, where s sums the predecessors, or with A slots lays them side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import Copy, Slots, State, Sum
from ...ops.levels import Structure
from ..cells import ElmanCell, RecursiveCell
from ..cells.base import bare
from .lstm import check_slots


def _kernel(p: Tensor, weight: Tensor, h0: Tensor | None, s: Structure, *, relu: bool) -> State:
    from ...ops.kernels.gates import elman_forward
    from ...ops.kernels.scan import Scan

    scan, h = Scan(s), torch.empty_like(p)
    check_slots(s, weight.size(1) // weight.size(0))
    wt, merged = scan.transposed(weight), scan.room("merged", weight.size(1))
    p_, h_ = p.numpy(), h.numpy()
    for level in scan.levels:
        a, b, *_ = level
        scan.product(level, h, wt, merged, h[a:b], h0)
        elman_forward((b - a) * h.size(1) * 10, a, b, relu, p_, h_)
    return h, h.new_empty(0)  # an operator that returns one tensor returns no tuple


def _gradient(given: Any, s: Structure, grads: Any, outputs: State, *, relu: bool) -> State:
    from ...ops.kernels.gates import elman_backward
    from ...ops.kernels.scan import Scan, own

    (p, weight, h0), (h, _) = given, outputs
    scan, dh, dp = Scan(s), own("dh", grads[0], h), torch.empty_like(h)
    ds, h_, dh_, dp_ = scan.room("ds", weight.size(1)), h.numpy(), dh.numpy(), dp.numpy()
    for level in reversed(scan.levels):
        a, b, *_ = level
        elman_backward((b - a) * h.size(1) * 4, a, b, relu, h_, dh_, dp_)
        scan.product_backward(level, dp[a:b], weight, ds, dh)
    dh0 = p.new_empty(0) if h0 is None else dp[: scan.first] @ weight[:, : h.size(1)]
    return dp, scan.weight_gradient(dp, h, weight.size(1), h0), dh0


def _equations(
    p: Tensor, weight: Tensor, h0: Tensor | None, s: Structure, *, relu: bool
) -> tuple[Any, Tensor, State | None]:
    hidden, wide = weight.shape
    check_slots(s, wide // hidden)
    options = {"weight_hh": weight, "nonlinearity": "relu" if relu else "tanh", "state_sizes": (hidden,)}
    start = None if h0 is None else (h0,)
    if s.slot is None:
        return bare(ElmanCell, **options), p, start
    return bare(RecursiveCell, slots=wide // hidden, **options), p, start


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    return torch.empty_like(given[0]), given[0].new_empty(0)


SWEEPS = {
    relu: SweepOperator(
        f"elman_{'relu' if relu else 'tanh'}_sweep", "Tensor p, Tensor weight, Tensor? h0", states=1, saved=1,
        kernel=partial(_kernel, relu=relu), gradient=partial(_gradient, relu=relu),
        equations=partial(_equations, relu=relu), layout=_layout,
    )
    for relu in (False, True)
}  # fmt: skip


@lower(ElmanCell, Copy, Sum, "cpu")
def elman(cell: ElmanCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a simple recurrent cell whose predecessors are summed."""
    sweep = SWEEPS[cell.nonlinearity == "relu"]
    p = inputs.project(cell)
    return sweep.over(p, cell.weight_hh, None if start is None else start[0], structure)


@lower(RecursiveCell, Copy, Slots, "cpu")
def recursive(cell: RecursiveCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a recursive cell, unless slots start from states of their own."""
    if start is not None and start[0].dim() == 3:
        return None
    sweep, h0 = SWEEPS[cell.nonlinearity == "relu"], None if start is None else start[0]
    return sweep.over(inputs.project(cell), cell.weight_hh, h0, structure)
