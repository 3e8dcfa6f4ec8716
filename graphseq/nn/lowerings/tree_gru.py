"""The child-sum Tree-GRU over packed levels, on the CPU.

    s_v = Σ_{u→v} h_u,  z = σ(p_z + W_z s + b_z),  r_u = σ(p_r + W_r h_u + b_r)
    n = tanh(p_n + Σ_{u→v} r_u ∘ (W_n h_u + b_n)),  h = (1 - z) ∘ n + z ∘ s

The gate that reads the sum takes one product for each level, those of its edges another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import State, Sum
from ...ops.levels import Structure
from ..cells import TreeGRUCell
from ..cells.base import bare


def _of_edges(rows: Tensor) -> Tensor:
    """Return the rows of r and n from those of r, z and n."""
    r, _, n = rows.chunk(3)
    return torch.cat([r, n])


def _kernel(p: Tensor, weight: Tensor, bias: Tensor, s: Structure) -> State:
    from ...ops.kernels.scan import Scan, workspace
    from ...ops.kernels.tree_gates import tree_gru_forward

    scan, rows, edges, hidden = Scan(s), p.size(0), s.senders.numel(), weight.size(1)
    w_sum, w_edge = (scan.transposed(w) for w in (weight.chunk(3)[1], _of_edges(weight)))
    h, z, new = (p.new_empty(rows, hidden) for _ in range(3))
    f, sent = p.new_empty(edges, 2 * hidden), workspace("sent", edges, hidden)
    merged = workspace("merged", max(scan.widest, scan.first), hidden)
    merged[: scan.first] = 0
    p_, b_, merged_, f_, z_, new_, h_ = (t.numpy() for t in (p, bias.contiguous(), merged, f, z, new, h))
    for level in scan.levels:
        a, b, edge_a, edge_b, before = level
        if before < 0:
            z[:b] = 0
        else:
            scan.gather(level, h, merged, a)
            torch.mm(merged[: b - a], w_sum, out=z[a:b])
            torch.index_select(h, 0, s.senders[edge_a:edge_b], out=sent[edge_a:edge_b])
            torch.mm(sent[edge_a:edge_b], w_edge, out=f[edge_a:edge_b])
        work = (b - a + 2 * (edge_b - edge_a)) * hidden * 15
        tree_gru_forward(work, a, b, scan.edge_arrays[0], p_, b_, merged_, f_, z_, new_, h_)
    return h, z, new, f


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import scatter_edges
    from ...ops.kernels.scan import Scan, own, workspace
    from ...ops.kernels.tree_gates import tree_gru_backward

    (p, weight, bias), (h, z, new, f) = given, outputs
    scan, hidden, w_sum, w_edge = Scan(s), h.size(1), weight.chunk(3)[1], _of_edges(weight)
    dh, dp, df, db = own("dh", grads[0], h), torch.empty_like(p), workspace("df", *f.shape), torch.empty_like(h)
    most = max(scan.widest, scan.first)
    merged, ds = workspace("merged", most, hidden), workspace("ds", most, hidden)
    edge_ptr, senders, _ = scan.edge_arrays
    p_, b_, merged_, f_, z_, new_, dh_ = (t.numpy() for t in (p, bias.contiguous(), merged, f, z, new, dh))
    arrays = (p_, b_, merged_, f_, z_, new_, dh_, dp.numpy(), df.numpy(), db.numpy(), ds.numpy())
    for level in reversed(scan.levels):
        a, b, edge_a, edge_b, before = level
        if before < 0:
            merged[:b] = 0
        else:
            scan.gather(level, h, merged, a)
        tree_gru_backward((b - a + 2 * (edge_b - edge_a)) * hidden * 8, a, b, edge_ptr, *arrays)
        if before < 0:
            continue
        ds[: b - a].addmm_(dp[a:b, hidden : 2 * hidden], w_sum)
        scan.scatter(level, ds, dh)
        by_sent = df[edge_a:edge_b] @ w_edge
        scatter_edges(0, edge_b - edge_a, senders[edge_a:edge_b], by_sent.numpy(), dh_)
    sent = workspace("sent", f.size(0), hidden)
    torch.index_select(h, 0, s.senders, out=sent)
    by_r, by_n = (df.t() @ sent).chunk(2)
    by_z = dp[scan.first :, hidden : 2 * hidden].t() @ scan.merged(h, hidden)
    return dp, torch.cat([by_r, by_z, by_n]), torch.cat([dp[:, : 2 * hidden].sum(0), db.sum(0)])


def _equations(p: Tensor, weight: Tensor, bias: Tensor, s: Structure) -> tuple[TreeGRUCell, Tensor, None]:
    hidden = weight.size(1)
    made = {"weight_hh": weight, "bias_hh": bias, "hidden_size": hidden, "message_sizes": (hidden, hidden)}
    return bare(TreeGRUCell, state_sizes=(hidden,), **made), p, None


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, weight, _ = given
    h, z, new = (p.new_empty(p.size(0), weight.size(1)) for _ in range(3))
    return h, z, new, p.new_empty(s.senders.size(0), 2 * weight.size(1))


SWEEP = SweepOperator(
    "tree_gru_sweep", "Tensor p, Tensor weight, Tensor bias", states=1, saved=3,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(TreeGRUCell, TreeGRUCell.message, Sum, "cpu")
def tree_gru(cell: TreeGRUCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep a child-sum Tree-GRU, unless leaves start from a state."""
    if start is not None:
        return None
    bias = cell.weight_hh.new_zeros(3 * cell.hidden_size) if cell.bias_hh is None else cell.bias_hh
    return SWEEP.over(inputs.project(cell), cell.weight_hh, bias, structure)
