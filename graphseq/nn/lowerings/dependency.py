"""The dependency Tree-LSTM over packed levels, on the CPU.

    h_u' = T_{type of u→v} h_u,  s_v = Σ_{u→v} h_u',  and with these the child-sum Tree-LSTM

Within a level edges are taken type by type, with one product for each type that is there.
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
from ..cells import ChildSumTreeLSTMCell, DependencyTreeLSTMCell
from ..cells.base import bare
from ..cells.tree_lstm import without_f
from ._types import TypedMessages, types_of

_CHILDSUM = ChildSumTreeLSTMCell.message  # which the cell calls


def _kernel(p: Tensor, weight: Tensor, relations: Tensor, s: Structure) -> State:
    from ...ops.kernels.gates import childsum_forward
    from ...ops.kernels.scan import Scan, workspace

    scan, messages = Scan(s), TypedMessages(s, relations)
    rows, edges, hidden = p.size(0), s.senders.numel(), weight.size(1)
    w_sum, w_edge = (scan.transposed(w) for w in (without_f(weight), weight.chunk(4)[1]))
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    gates, f, sent = p.new_empty(rows, 3 * hidden), p.new_empty(edges, hidden), p.new_empty(edges, hidden)
    merged = workspace("merged", scan.widest, hidden)
    edge_ptr, senders, _ = scan.edge_arrays
    arrays = edge_ptr, senders, p.numpy(), gates.numpy(), f.numpy(), c.numpy(), h.numpy()
    for k, (a, b, edge_a, edge_b, before) in enumerate(scan.levels):
        if before < 0:
            gates[:b] = 0
        else:
            messages.send(k, edge_a, edge_b, h, sent)
            torch.mm(messages.sums(a, b, sent, merged), w_sum, out=gates[a:b])
            torch.mm(sent[edge_a:edge_b], w_edge, out=f[edge_a:edge_b])
        childsum_forward((b - a + edge_b - edge_a) * hidden * 20, a, b, *arrays)
    return h, c, gates, f, sent


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import childsum_backward, scatter_edges
    from ...ops.kernels.scan import Scan, own, workspace

    (p, weight, relations), (h, c, gates, f, sent) = given, outputs
    scan, messages, hidden = Scan(s), TypedMessages(s, relations), h.size(1)
    w_sum, w_edge = without_f(weight), weight.chunk(4)[1]
    dh, dc, ds = own("dh", grads[0], h), own("dc", grads[1], c), workspace("ds", scan.widest, hidden)
    dp, dg, df = torch.empty_like(p), workspace("dg", *gates.shape), workspace("df", *f.shape)
    d_edge, d_sent = workspace("d_edge", *f.shape), workspace("d_sent", *f.shape)
    edge_ptr, senders, _ = scan.edge_arrays
    dc_, d_edge_ = dc.numpy(), d_edge.numpy()
    arrays = (
        edge_ptr, senders, gates.numpy(), f.numpy(), c.numpy(), dh.numpy(), dc_, dp.numpy(), dg.numpy(), df.numpy(),
        d_edge_,
    )  # fmt: skip
    for k, (a, b, edge_a, edge_b, before) in reversed(list(enumerate(scan.levels))):
        childsum_backward((b - a + edge_b - edge_a) * hidden * 10, a, b, *arrays)
        if before < 0:
            continue
        torch.mm(dg[a:b], w_sum, out=ds[: b - a])
        torch.index_select(ds, 0, s.receivers[edge_a:edge_b] - a, out=d_sent[edge_a:edge_b])
        d_sent[edge_a:edge_b].addmm_(df[edge_a:edge_b], w_edge)
        messages.send_backward(k, edge_a, edge_b, d_sent, dh)
        scatter_edges(edge_a, edge_b, senders, d_edge_, dc_)
    merged = messages.sums(scan.first, p.size(0), sent, workspace("merged", p.size(0) - scan.first, hidden))
    by_i, by_g, by_o = (dg[scan.first :].t() @ merged).chunk(3)
    return dp, torch.cat([by_i, df.t() @ sent, by_g, by_o]), messages.weight_gradient(d_sent, h)


def _equations(
    p: Tensor, weight: Tensor, relations: Tensor, s: Structure
) -> tuple[DependencyTreeLSTMCell, Tensor, None]:
    sizes = (weight.size(1),) * 2
    return bare(DependencyTreeLSTMCell, weight_hh=weight, weight_rh=relations, state_sizes=sizes), p, None


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, weight, _ = given
    rows, edges, hidden = p.size(0), s.senders.size(0), weight.size(1)
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    return h, c, p.new_empty(rows, 3 * hidden), *(p.new_empty(edges, hidden) for _ in range(2))


SWEEP = SweepOperator(
    "dependency_sweep", "Tensor p, Tensor weight, Tensor relations", states=2, saved=3,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(DependencyTreeLSTMCell, DependencyTreeLSTMCell.message, Sum, "cpu", types=True)
def dependency(cell: DependencyTreeLSTMCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a dependency Tree-LSTM, unless leaves start from a state."""
    types = types_of(structure)
    if start is not None or types.dtype != torch.int64 or types.dim() != 1:
        return None
    if ChildSumTreeLSTMCell.message is not _CHILDSUM:
        return None
    if not torch.compiler.is_compiling():
        check_range("edge_attr", types, cell.weight_rh.size(0))
    return SWEEP.over(inputs.project(cell), cell.weight_hh, cell.weight_rh, structure)
