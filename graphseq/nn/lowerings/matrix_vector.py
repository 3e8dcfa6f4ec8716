"""Matrix-vector recursion over packed levels, on the CPU, for two children.

    c_k = h_k + M_{3-k} h_k,  h = tanh(p_h + W c),  M = p_M + W_m [M_1; M_2]

For each level some products of PyTorch's; only the states are kept for the gradient, which computes the rest again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import Copy, Slots, State
from ...ops.levels import Structure
from ..cells import MatrixVectorCell
from ..cells.base import bare
from .lstm import check_slots


class _Children:
    """The children of a level's nodes: vectors `[M, 2, H]`, matrices `[M, 2, H, H]`, and what these change."""

    def __init__(self, scan: Any, level: Any, h: Tensor, m: Tensor, room: tuple[Tensor, Tensor]) -> None:
        count, n = level.b - level.a, h.size(1)
        scan.gather(level, h, room[0], level.a)
        scan.gather(level, m, room[1], level.a)
        self.h, self.m = room[0][:count].view(-1, 2, n), room[1][:count].view(-1, 2, n, n)
        self.sibling = self.m.flip(1).view(-1, n, n)
        self.changed = torch.baddbmm(self.h.reshape(-1, n, 1), self.sibling, self.h.reshape(-1, n, 1)).view(count, -1)


def _rooms(scan: Any, n: int) -> tuple[Tensor, Tensor]:
    return scan.room("merged", 2 * n), scan.room("merged matrices", 2 * n * n)


def _kernel(p: Tensor, weight: Tensor, weight_m: Tensor, s: Structure) -> State:
    from ...ops.kernels.scan import Scan

    n, scan = weight.size(0), Scan(s)
    check_slots(s, 2)
    h, m, rooms = p.new_empty(p.size(0), n), p.new_empty(p.size(0), n * n), _rooms(scan, n)
    for level in scan.levels:
        a, b, *_, before = level
        if before < 0:
            torch.tanh(p[a:b, :n], out=h[a:b])
            m[a:b] = p[a:b, n:]
            continue
        c = _Children(scan, level, h, m, rooms)
        torch.tanh(torch.addmm(p[a:b, :n], c.changed, weight.t()), out=h[a:b])
        torch.add(p[a:b, n:], (weight_m @ c.m.flatten(1, 2)).view(b - a, -1), out=m[a:b])
    return h, m


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.scan import Scan, own

    (p, weight, weight_m), (h, m) = given, outputs
    n, scan = weight.size(0), Scan(s)
    dh, dm, rooms = own("dh", grads[0], h), own("dm", grads[1], m), _rooms(scan, n)
    dp, dw, dwm = torch.empty_like(p), torch.zeros_like(weight), torch.zeros_like(weight_m)
    for level in reversed(scan.levels):
        a, b, *_, before = level
        dz = dh[a:b] * (1 - h[a:b] ** 2)
        dp[a:b, :n], dp[a:b, n:] = dz, dm[a:b]
        if before < 0:
            continue
        c, matrices = _Children(scan, level, h, m, rooms), dm[a:b].view(-1, n, n)
        dw.addmm_(dz.t(), c.changed)
        dwm.addmm_(matrices.transpose(0, 1).reshape(n, -1), c.m.flatten(1, 2).transpose(1, 2).reshape(-1, 2 * n))
        dc = (dz @ weight).view(-1, n, 1)
        by_sibling = (dc @ c.h.reshape(-1, 1, n)).view(-1, 2, n, n).flip(1)
        below = (weight_m.t() @ matrices).view(-1, 2, n, n).add_(by_sibling)
        scan.scatter(level, torch.baddbmm(dc, c.sibling.transpose(1, 2), dc).view(b - a, -1), dh)
        scan.scatter(level, below.view(b - a, -1), dm)
    return dp, dw, dwm


def _equations(
    p: Tensor, weight: Tensor, weight_m: Tensor, s: Structure
) -> tuple[MatrixVectorCell, Tensor, State | None]:
    n = weight.size(0)
    check_slots(s, 2)
    return bare(MatrixVectorCell, weight_hh=weight, weight_m=weight_m, hidden_size=n, state_sizes=(n, n * n)), p, None


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, n = given[0], given[1].size(0)
    return p.new_empty(p.size(0), n), p.new_empty(p.size(0), n * n)


SWEEP = SweepOperator(
    "matrix_vector_sweep", "Tensor p, Tensor weight, Tensor weight_m", states=2, saved=0,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(MatrixVectorCell, Copy, Slots, "cpu")
def matrix_vector(cell: MatrixVectorCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep matrix-vector recursion that starts without states."""
    if start is not None:
        return None
    return SWEEP.over(inputs.project(cell), cell.weight_hh, cell.weight_m, structure)
