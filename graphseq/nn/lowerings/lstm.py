"""Long short-term memory over packed levels, on the CPU, with one forget gate a slot.

    i = σ(p_i + W_i s),  f_k = σ(p_f + W_fk s),  g = tanh(p_g + W_g s),  o = σ(p_o + W_o s)
    c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

With one slot, s and c_1 are sums over the predecessors; with A slots, s lays the A predecessors side by side: the N-ary
Tree-LSTM. Leaves that start from nothing have no use for a forget gate: neither their inputs nor their gates have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...lowering import Inputs, SweepOperator, lower
from ...messages import Copy, Slots, State, Sum, no_slots
from ...ops.levels import Structure
from ..cells import LSTMCell, NaryTreeLSTMCell
from ..cells.base import bare
from ..cells.tree_lstm import without_f


def _hidden(weight: Tensor) -> int:
    return (weight.size(0) - weight.size(1)) // 3


def _kernel(
    p: Tensor, rest: Tensor | None, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure
) -> State:
    from ...ops.kernels.gates import leaf_forward, lstm_forward
    from ...ops.kernels.scan import Scan, workspace

    scan, wt, hidden = Scan(s), weight.t(), _hidden(weight)
    rows, width = int(s.level_ptr[-1]), weight.size(1)
    _check_slots(s, width // hidden)
    skip = scan.first if h0 is None and c0 is None else 0  # nodes that read no state
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    leaf, gates = p.new_empty(skip, 3 * hidden), p.new_empty(rows - skip, weight.size(0))
    merged = workspace("merged", 0 if scan.aligned else scan.widest, width)
    start = (p[:0] if c0 is None else c0.contiguous()).numpy()
    p_, rest_ = p.numpy(), (p if rest is None else rest[None]).numpy()
    leaf_, gates_, c_, h_, merged_ = (t.numpy() for t in (leaf, gates, c, h, merged))
    for level in scan.up():
        a, b, *_, before = level
        if b <= skip:
            leaf_forward(b * hidden * 40, a, b, p_, leaf_, c_, h_)
            continue
        product = gates[a - skip : b - skip]
        if before >= 0 and scan.aligned:
            torch.mm(h[before : before + b - a], wt, out=product)
        elif before >= 0:
            scan.gather(level, h_, merged_, a)
            torch.mm(merged[: b - a], wt, out=product)
        elif h0 is not None:
            torch.mm(h0, wt[:hidden], out=product)
        else:
            product.zero_()
        work = (b - a) * gates.size(1) * 10
        lstm_forward(work, a, b, skip, *scan.edge_arrays, rest_ if before >= 0 else p_, start, gates_, c_, h_)
    return h, c, leaf, gates


def _gradient(given: Any, s: Structure, grads: Any, outputs: State) -> State:
    from ...ops.kernels.gates import leaf_backward, lstm_backward
    from ...ops.kernels.scan import Scan, own, workspace

    (p, rest, weight, h0, c0), (h, c, leaf, gates) = given, outputs
    scan, hidden, width, skip = Scan(s), h.size(1), weight.size(1), leaf.size(0)
    dh, dc, dp = own("dh", grads[0], h), own("dc", grads[1], c), torch.empty_like(p)
    shared = width == hidden and rest is None  # one slot: both gradients are the same numbers
    dg = dp[skip:] if shared else workspace("dg", *gates.shape)
    ds = workspace("ds", 0 if scan.aligned else scan.widest, width)
    dc0 = p[:0].clone() if c0 is None else torch.empty_like(c0, memory_format=torch.contiguous_format)
    start, dstart = (p[:0] if c0 is None else c0.contiguous()).numpy(), dc0.numpy()
    leaf_, gates_, c_, dh_, dc_, dp_, dg_, ds_ = (t.numpy() for t in (leaf, gates, c, dh, dc, dp, dg, ds))
    for level in scan.down():
        a, b, *_, before = level
        if b <= skip:
            leaf_backward(b * hidden * 20, a, b, leaf_, c_, dh_, dc_, dp_)
            continue
        work, product = (b - a) * gates.size(1) * 4 if scan.forest else 0, dg[a - skip : b - skip]
        lstm_backward(work, a, b, skip, *scan.edge_arrays, start, gates_, c_, dh_, dc_, dg_, dstart)
        if before >= 0 and scan.aligned:
            dh[before : before + b - a].addmm_(product, weight)
        elif before >= 0:
            torch.mm(product, weight, out=ds[: b - a])
            scan.scatter(level, ds_, dh_, a)
    first = scan.first - skip
    drest, dh0 = p.new_empty(0), p.new_empty(0)
    if rest is not None:
        drest = _fold(dg[first:].sum(0, keepdim=True), hidden)[0]
        if first:
            dp.copy_(_fold(dg[:first], hidden))
    elif not shared:
        dp[skip:] = _fold(dg, hidden)
    dw = dg[first:].t() @ (scan.previous(h) if scan.aligned else scan.merged(h, width))
    if h0 is not None:
        dw[:, :hidden].addmm_(dg[:first].t(), h0)
        dh0 = dg[:first] @ weight[:, :hidden]
    return dp, drest, dw, dh0, dc0 if c0 is not None else p.new_empty(0)


def _fold(d: Tensor, hidden: int) -> Tensor:
    """Return gradients of the inputs from those of the recurrent product: the slots' forget gates share one input."""
    slots = d.size(1) // hidden - 3
    i, f, rest = d.split([hidden, slots * hidden, 2 * hidden], 1)
    return torch.cat([i, f.reshape(d.size(0), slots, hidden).sum(1), rest], 1)


def _check_slots(s: Structure, slots: int) -> None:
    """Check slots once more, for a traced topology has no numbers to check before."""
    if s.slot is None or s.slot.numel() == 0:
        return
    if s.slot.device.type != "cpu":  # nobody waits for another device
        torch._assert_async(s.slot.max() < slots)
    elif int(s.slot.max()) >= slots:
        raise no_slots(int(s.slot.max()) + 1, slots)


def _equations(
    p: Tensor, rest: Tensor | None, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure
) -> tuple[Any, Tensor, State | None]:
    hidden, rows = _hidden(weight), s.edge_ptr.size(0) - 1
    slots = weight.size(1) // hidden
    _check_slots(s, slots)
    if p.size(1) == 3 * hidden:  # leaves: nobody reads their forget gate
        p = torch.cat([p[:, :hidden], p.new_zeros(p.size(0), hidden), p[:, hidden:]], 1)
    if rest is not None:
        p = torch.cat([p, rest.expand(rows - p.size(0), -1)])
    start = None
    if h0 is not None or c0 is not None:
        zeros = p.new_zeros((h0 if c0 is None else c0).shape)  # type: ignore[union-attr]
        start = zeros if h0 is None else h0, zeros if c0 is None else c0
    if s.slot is None:
        options = {"weight_peephole": None, "coupled": False, "forget_gate": True}
        return bare(LSTMCell, weight_hh=weight, state_sizes=(hidden, hidden), **options), p, start
    return bare(NaryTreeLSTMCell, weight_hh=weight, slots=slots, state_sizes=(hidden, hidden)), p, start


def _layout(given: Any, s: Structure, size: Callable[[], int]) -> State:
    p, _, weight, *_ = given
    rows, hidden = s.edge_ptr.size(0) - 1, _hidden(weight)
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    leaf, gates = p.new_empty(size(), 3 * hidden), p.new_empty(size(), weight.size(0))
    return h, c, leaf, gates


SWEEP = SweepOperator(
    "lstm_sweep", "Tensor p, Tensor? rest, Tensor weight, Tensor? h0, Tensor? c0", states=2, saved=2,
    kernel=_kernel, gradient=_gradient, equations=_equations, layout=_layout,
)  # fmt: skip


@lower(LSTMCell, Copy, Sum, "cpu")
def lstm(cell: LSTMCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep the standard cell, where predecessors are summed."""
    if not cell.is_standard:
        return None
    return SWEEP.over(inputs.project(cell), None, cell.weight_hh, *(start or (None, None)), structure)


@lower(NaryTreeLSTMCell, Copy, Slots, "cpu")
def nary(cell: NaryTreeLSTMCell, inputs: Inputs, structure: Structure, start: State | None) -> State | None:
    """Sweep an N-ary Tree-LSTM, unless slots start from states of their own."""
    if start is not None and start[0].dim() == 3:
        return None
    h0, c0 = start or (None, None)
    if start is not None or inputs.at is not None or inputs.x.size(0) == inputs.num_nodes:
        return SWEEP.over(inputs.project(cell), None, cell.weight_hh, h0, c0, structure)
    bias = None if cell.bias is None else without_f(cell.bias)
    p = nn.functional.linear(inputs.x, without_f(cell.weight_ih), bias)
    return SWEEP.over(p, inputs.rest(cell)[0].to(p.dtype), cell.weight_hh, None, None, structure)
