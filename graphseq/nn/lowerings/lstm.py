"""Long short-term memory over packed levels, on the CPU, with one forget gate per slot.

    i = σ(p_i + W_i s),  f_k = σ(p_f + W_fk s),  g = tanh(p_g + W_g s),  o = σ(p_o + W_o s)
    c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

With one slot, s and c_1 are sums over the predecessors; with A slots, s lays the A predecessors side by side: the N-ary
Tree-LSTM. Leaves without an initial state don't use a forget gate: neither their inputs nor their gates have one.
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
    from ...ops.kernels.scan import Scan

    scan, hidden, rows = Scan(s), _hidden(weight), int(s.level_ptr[-1])
    check_slots(s, weight.size(1) // hidden)
    skip = scan.first if h0 is None and c0 is None else 0  # nodes that read no state
    h, c = (p.new_empty(rows, hidden) for _ in range(2))
    leaf, gates = p.new_empty(skip, 3 * hidden), p.new_empty(rows - skip, weight.size(0))
    wt, merged = scan.transposed(weight), scan.room("merged", weight.size(1))
    start, rest_ = (p[:0] if c0 is None else c0.contiguous()).numpy(), (p if rest is None else rest[None]).numpy()
    p_, leaf_, gates_, c_, h_ = (t.numpy() for t in (p, leaf, gates, c, h))
    for level in scan.levels:
        a, b, *_, before = level
        if b <= skip:
            leaf_forward(b * hidden * 40, a, b, p_, leaf_, c_, h_)
            continue
        scan.product(level, h, wt, merged, gates[a - skip : b - skip], h0)
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
    dg, ds = dp[skip:] if shared else workspace("dg", *gates.shape), scan.room("ds", width)
    dc0 = p[:0].clone() if c0 is None else torch.empty_like(c0, memory_format=torch.contiguous_format)
    start, dstart = (p[:0] if c0 is None else c0.contiguous()).numpy(), dc0.numpy()
    leaf_, gates_, c_, dh_, dc_, dp_, dg_ = (t.numpy() for t in (leaf, gates, c, dh, dc, dp, dg))
    for level in reversed(scan.levels):
        a, b, *_ = level
        if b <= skip:
            leaf_backward(b * hidden * 20, a, b, leaf_, c_, dh_, dc_, dp_)
            continue
        work = (b - a) * gates.size(1) * 4 if scan.forest else 0
        lstm_backward(work, a, b, skip, *scan.edge_arrays, start, gates_, c_, dh_, dc_, dg_, dstart)
        scan.product_backward(level, dg[a - skip : b - skip], weight, ds, dh)
    first = scan.first - skip
    drest = p.new_empty(0)
    if rest is not None:
        drest = _fold(dg[first:].sum(0, keepdim=True), hidden)[0]
        if first:
            dp.copy_(_fold(dg[:first], hidden))
    elif not shared:
        dp[skip:] = _fold(dg, hidden)
    dh0 = p.new_empty(0) if h0 is None else dg[:first] @ weight[:, :hidden]
    return dp, drest, scan.weight_gradient(dg, h, width, h0, skip), dh0, p.new_empty(0) if c0 is None else dc0


def _fold(d: Tensor, hidden: int) -> Tensor:
    """Return gradients of the inputs from those of the recurrent product: the slots' forget gates share one input."""
    slots = d.size(1) // hidden - 3
    i, f, rest = d.split([hidden, slots * hidden, 2 * hidden], 1)
    return torch.cat([i, f.reshape(d.size(0), slots, hidden).sum(1), rest], 1)


def check_slots(s: Structure, slots: int) -> None:
    """Check slots here as well, since a traced topology has no numbers to check before."""
    if s.slot is None or s.slot.numel() == 0:
        return
    if s.slot.device.type != "cpu":  # without waiting for another device
        torch._assert_async(s.slot.max() < slots)
    elif int(s.slot.max()) >= slots:
        raise no_slots(int(s.slot.max()) + 1, slots)


def _equations(
    p: Tensor, rest: Tensor | None, weight: Tensor, h0: Tensor | None, c0: Tensor | None, s: Structure
) -> tuple[Any, Tensor, State | None]:
    hidden, rows = _hidden(weight), s.edge_ptr.size(0) - 1
    slots = weight.size(1) // hidden
    check_slots(s, slots)
    if p.size(1) == 3 * hidden:  # leaves: their forget gate is not used
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
