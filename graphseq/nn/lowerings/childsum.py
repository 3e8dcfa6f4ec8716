"""The child-sum Tree-LSTM over packed levels, on the CPU.

    s_v = Σ_{u→v} h_u
    i = σ(p_i + W_i s),  f_u = σ(p_f + W_f h_u),  g = tanh(p_g + W_g s),  o = σ(p_o + W_o s)
    c = i ∘ g + Σ_{u→v} f_u ∘ c_u,  h = o ∘ tanh(c)

The gates that read the sum take one product for each level, the forget gates of its edges another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import State, Sum
from ...ops.levels import Structure
from ..cells import ChildSumTreeLSTMCell
from ..cells.base import bare
from ..cells.tree_lstm import without_f


def _kernel(p: Tensor, weight: Tensor, s: Structure) -> State:
    from ...ops.kernels.gates import childsum_forward
    from ...ops.kernels.scan import Scan, workspace

    scan, rows, edges, hidden = Scan(s), p.size(0), s.senders.numel(), weight.size(1)
    w_sum, w_edge = (scan.transposed(w) for w in (without_f(weight), weight.chunk(4)[1]))
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    gates, f = p.new_empty(rows, 3 * hidden), p.new_empty(edges, hidden)
    merged, sent = workspace("merged", scan.widest, hidden), workspace("sent", edges, hidden)
    edge_ptr, senders, _ = scan.edge_arrays
    arrays = edge_ptr, senders, p.numpy(), gates.numpy(), f.numpy(), c.numpy(), h.numpy()
    for level in scan.levels:
        a, b, edge_a, edge_b, before = level
        if before < 0:
            gates[:b] = 0
        else:
            scan.gather(level, h, merged, a)
            torch.mm(merged[: b - a], w_sum, out=gates[a:b])
            torch.index_select(h, 0, s.senders[edge_a:edge_b], out=sent[edge_a:edge_b])
            torch.mm(sent[edge_a:edge_b], w_edge, out=f[edge_a:edge_b])
        childsum_forward((b - a + edge_b - edge_a) * hidden * 20, a, b, *arrays)
    return h, c, gates, f


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import childsum_backward, scatter_edges
    from ...ops.kernels.scan import Scan, own, workspace

    (p, weight), (h, c, gates, f) = given, outputs
    scan, w_sum, w_edge = Scan(s), without_f(weight), weight.chunk(4)[1]
    dh, dc, ds = own("dh", grads[0], h), own("dc", grads[1], c), workspace("ds", scan.widest, h.size(1))
    dp, dg, df = torch.empty_like(p), workspace("dg", *gates.shape), workspace("df", *f.shape)
    d_edge, sent = workspace("d_edge", *f.shape), workspace("sent", *f.shape)
    edge_ptr, senders, _ = scan.edge_arrays
    dh_, dc_, d_edge_ = dh.numpy(), dc.numpy(), d_edge.numpy()
    arrays = (
        edge_ptr, senders, gates.numpy(), f.numpy(), c.numpy(), dh_, dc_, dp.numpy(), dg.numpy(), df.numpy(), d_edge_,
    )  # fmt: skip
    for level in reversed(scan.levels):
        a, b, edge_a, edge_b, before = level
        childsum_backward((b - a + edge_b - edge_a) * h.size(1) * 10, a, b, *arrays)
        if before < 0:
            continue
        torch.mm(dg[a:b], w_sum, out=ds[: b - a])
        scan.scatter(level, ds, dh)
        by_sent = df[edge_a:edge_b] @ w_edge
        scatter_edges(edge_a, edge_b, senders, d_edge_, dc_)
        scatter_edges(0, edge_b - edge_a, senders[edge_a:edge_b], by_sent.numpy(), dh_)
    torch.index_select(h, 0, s.senders, out=sent)
    by_i, by_g, by_o = (dg[scan.first :].t() @ scan.merged(h, h.size(1))).chunk(3)
    return dp, torch.cat([by_i, df.t() @ sent, by_g, by_o])


def _equations(p: Tensor, weight: Tensor, s: Structure) -> tuple[ChildSumTreeLSTMCell, Tensor, None]:
    return bare(ChildSumTreeLSTMCell, weight_hh=weight, state_sizes=(weight.size(1),) * 2), p, None


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, weight = given
    rows, edges, hidden = p.size(0), s.senders.size(0), weight.size(1)
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    return h, c, p.new_empty(rows, 3 * hidden), p.new_empty(edges, hidden)


SWEEP = SweepOperator(
    "childsum_sweep", "Tensor p, Tensor weight", states=2, saved=2,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(ChildSumTreeLSTMCell, ChildSumTreeLSTMCell.message, Sum, "cpu")
def childsum(cell: ChildSumTreeLSTMCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a child-sum Tree-LSTM, unless leaves start from a state."""
    return None if start is not None else SWEEP.over(inputs.project(cell), cell.weight_hh, structure)
