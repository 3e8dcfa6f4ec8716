"""The recursive cell with a matrix for each type of edge over packed levels, on the CPU.

``h_v = tanh(p_v + Σ_{u→v} W_{type of u→v} h_u)``
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import State, Sum
from ...ops.levels import Structure
from ...topology.inputs import check_range
from ..cells import TypedRecursiveCell
from ..cells.base import bare
from ._types import TypedMessages, types_of


def _kernel(p: Tensor, weight: Tensor, s: Structure) -> State:
    from ...ops.kernels.gates import elman_forward
    from ...ops.kernels.scan import Scan, workspace

    scan, messages, h = Scan(s), TypedMessages(s, weight), torch.empty_like(p)
    sent, p_, h_ = workspace("sent", s.senders.numel(), p.size(1)), p.numpy(), h.numpy()
    for k, (a, b, edge_a, edge_b, before) in enumerate(scan.levels):
        if before < 0:
            h[:b] = 0
        else:
            messages.send(k, edge_a, edge_b, h, sent)
            messages.sums(a, b, sent, h[a:b])
        elman_forward((b - a) * h.size(1) * 10, a, b, False, p_, h_)
    return h, h.new_empty(0)  # an operator that returns one tensor returns no tuple


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import elman_backward
    from ...ops.kernels.scan import Scan, own, workspace

    (p, weight), (h, _) = given, outputs
    scan, messages = Scan(s), TypedMessages(s, weight)
    dh, dp, d_sent = own("dh", grads[0], h), torch.empty_like(p), workspace("d_sent", s.senders.numel(), p.size(1))
    h_, dh_, dp_ = h.numpy(), dh.numpy(), dp.numpy()
    for k, (a, b, edge_a, edge_b, _) in reversed(list(enumerate(scan.levels))):
        elman_backward((b - a) * h.size(1) * 4, a, b, False, h_, dh_, dp_)
        torch.index_select(dp, 0, s.receivers[edge_a:edge_b], out=d_sent[edge_a:edge_b])
        messages.send_backward(k, edge_a, edge_b, d_sent, dh)
    return dp, messages.weight_gradient(d_sent, h)


def _equations(p: Tensor, weight: Tensor, s: Structure) -> tuple[TypedRecursiveCell, Tensor, None]:
    return bare(TypedRecursiveCell, weight_hh=weight, state_sizes=(weight.size(1),)), p, None


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    return torch.empty_like(given[0]), given[0].new_empty(0)


SWEEP = SweepOperator(
    "typed_sweep", "Tensor p, Tensor weight", states=1, saved=1,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(TypedRecursiveCell, TypedRecursiveCell.message, Sum, "cpu", types=True)
def typed(cell: TypedRecursiveCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a recursive cell with types, unless leaves start from a state."""
    types = types_of(structure)
    if start is not None or types.dtype != torch.int64 or types.dim() != 1:
        return None
    if not torch.compiler.is_compiling():
        check_range("edge_attr", types, cell.weight_hh.size(0))
    return SWEEP.over(inputs.project(cell), cell.weight_hh, structure)
