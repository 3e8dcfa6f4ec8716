"""The dependency Tree-LSTM over packed levels, on the CPU.

    h_u' = T_{type of u→v} h_u,  s_v = Σ_{u→v} h_u',  and with these the child-sum Tree-LSTM

Within a level edges are taken type by type, with one product for each type that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...lowering import Inputs, SweepOperator, lower
from ...messages import State, Sum
from ...ops.levels import Structure
from ...topology.inputs import check_range
from ..cells import ChildSumTreeLSTMCell, DependencyTreeLSTMCell
from ..cells.base import bare
from ..cells.tree_lstm import without_f

_CHILDSUM = ChildSumTreeLSTMCell.message  # which the cell calls


class _ByType:
    """The packed edges in the order of levels and, within a level, of types.

    Attributes:
        order: int64 `[E]`, the packed edge at each place.
        senders: int64 `[E]`, its sender.
        groups: of each level, type, first place and the one past the last of the edges of each type that is there.
    """

    def __init__(self, s: Structure, count: int) -> None:
        types, ends = _types(s).numpy(), s.level_edges.numpy()
        check_range("edge_attr", _types(s), count)  # which compiled code has not checked
        levels = max(len(ends) - 1, 0)
        key = np.repeat(np.arange(levels) * count, np.diff(ends)) + types
        order = np.argsort(key, kind="stable")
        key = key[order]
        bounds = [0, *(np.flatnonzero(np.diff(key)) + 1).tolist(), len(key)] if len(key) else [0]
        self.order = torch.from_numpy(order)
        self.senders = s.senders.index_select(0, self.order)
        self.groups: list[list[tuple[int, int, int]]] = [[] for _ in range(levels)]
        for i, j in pairwise(bounds):
            level, kind = divmod(int(key[i]), count)
            self.groups[level].append((kind, i, j))


def _types(s: Structure) -> Tensor:
    return s.senders.new_empty(0) if s.types is None else s.types


def _sums(s: Structure, a: int, b: int, mapped: Tensor, out: Tensor) -> Tensor:
    """Return the sums of the edges' rows into the nodes a to b, the first rows of `out`."""
    from ...ops.kernels.gates import gather

    edges = torch.arange(mapped.size(0))
    arrays = s.edge_ptr.numpy(), edges.numpy(), torch.zeros_like(edges).numpy(), mapped.numpy(), out.numpy()
    gather((b - a) * out.size(1), a, b, a, *arrays)
    return out[: b - a]


def _kernel(p: Tensor, weight: Tensor, relations: Tensor, s: Structure) -> State:
    from ...ops.kernels.gates import childsum_forward
    from ...ops.kernels.scan import Scan, workspace

    scan, at = Scan(s), _ByType(s, relations.size(0))
    rows, edges, hidden = p.size(0), s.senders.numel(), weight.size(1)
    w_sum, w_edge = (scan.transposed(w) for w in (without_f(weight), weight.chunk(4)[1]))
    maps = [w.t() for w in relations.unbind()]
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    gates, f, mapped = p.new_empty(rows, 3 * hidden), p.new_empty(edges, hidden), p.new_empty(edges, hidden)
    merged, sent, made = workspace("merged", scan.widest, hidden), *_rooms(edges, hidden)
    edge_ptr, senders, _ = scan.edge_arrays
    arrays = edge_ptr, senders, p.numpy(), gates.numpy(), f.numpy(), c.numpy(), h.numpy()
    for (a, b, edge_a, edge_b, before), groups in zip(scan.levels, at.groups, strict=True):
        if before < 0:
            gates[:b] = 0
        else:
            torch.index_select(h, 0, at.senders[edge_a:edge_b], out=sent[edge_a:edge_b])
            for kind, i, j in groups:
                torch.mm(sent[i:j], maps[kind], out=made[i:j])
            mapped.index_copy_(0, at.order[edge_a:edge_b], made[edge_a:edge_b])
            torch.mm(_sums(s, a, b, mapped, merged), w_sum, out=gates[a:b])
            torch.mm(mapped[edge_a:edge_b], w_edge, out=f[edge_a:edge_b])
        childsum_forward((b - a + edge_b - edge_a) * hidden * 20, a, b, *arrays)
    return h, c, gates, f, mapped


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import childsum_backward, scatter_edges
    from ...ops.kernels.scan import Scan, own, workspace

    (p, weight, relations), (h, c, gates, f, mapped) = given, outputs
    scan, at, maps = Scan(s), _ByType(s, relations.size(0)), relations.unbind()
    w_sum, w_edge = without_f(weight), weight.chunk(4)[1]
    dh, dc, ds = own("dh", grads[0], h), own("dc", grads[1], c), workspace("ds", scan.widest, h.size(1))
    dp, dg, df = torch.empty_like(p), workspace("dg", *gates.shape), workspace("df", *f.shape)
    d_edge, d_mapped, (d_made, d_sent) = workspace("d_edge", *f.shape), workspace("dm", *f.shape), _rooms(*f.shape)
    edge_ptr, senders, _ = scan.edge_arrays
    dh_, dc_, d_edge_ = dh.numpy(), dc.numpy(), d_edge.numpy()
    arrays = (
        edge_ptr, senders, gates.numpy(), f.numpy(), c.numpy(), dh_, dc_, dp.numpy(), dg.numpy(), df.numpy(), d_edge_,
    )  # fmt: skip
    for level, groups in zip(reversed(scan.levels), reversed(at.groups), strict=True):
        a, b, edge_a, edge_b, before = level
        childsum_backward((b - a + edge_b - edge_a) * h.size(1) * 10, a, b, *arrays)
        if before < 0:
            continue
        torch.mm(dg[a:b], w_sum, out=ds[: b - a])
        torch.index_select(ds, 0, s.receivers[edge_a:edge_b] - a, out=d_mapped[edge_a:edge_b])
        d_mapped[edge_a:edge_b].addmm_(df[edge_a:edge_b], w_edge)
        torch.index_select(d_mapped, 0, at.order[edge_a:edge_b], out=d_made[edge_a:edge_b])
        for kind, i, j in groups:
            torch.mm(d_made[i:j], maps[kind], out=d_sent[i:j])
        scatter_edges(edge_a, edge_b, senders, d_edge_, dc_)
        scatter_edges(edge_a, edge_b, at.senders.numpy(), d_sent.numpy(), dh_)
    merged = _sums(s, scan.first, p.size(0), mapped, workspace("merged", p.size(0) - scan.first, h.size(1)))
    by_i, by_g, by_o = (dg[scan.first :].t() @ merged).chunk(3)
    return dp, torch.cat([by_i, df.t() @ mapped, by_g, by_o]), _by_relation(s, relations, d_mapped, h)


def _by_relation(s: Structure, relations: Tensor, d_mapped: Tensor, h: Tensor) -> Tensor:
    """Return the gradient of the relations' matrices, one product for each."""
    order = torch.argsort(_types(s), stable=True)
    d, sent = d_mapped.index_select(0, order), h.index_select(0, s.senders.index_select(0, order))
    sizes = torch.bincount(_types(s), minlength=relations.size(0)).tolist()
    out = torch.empty_like(relations)
    for matrix, left, right in zip(out, d.split(sizes), sent.split(sizes), strict=True):
        torch.mm(left.t(), right, out=matrix)
    return out


def _rooms(rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Return two workspaces for the edges' rows in the order of their types."""
    from ...ops.kernels.scan import workspace

    return workspace("sent", rows, width), workspace("made", rows, width)


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
    types = _types(structure)
    if start is not None or types.dtype != torch.int64 or types.dim() != 1:
        return None
    if ChildSumTreeLSTMCell.message is not _CHILDSUM:
        return None
    if not torch.compiler.is_compiling():
        check_range("edge_attr", types, cell.weight_rh.size(0))
    return SWEEP.over(inputs.project(cell), cell.weight_hh, cell.weight_rh, structure)
