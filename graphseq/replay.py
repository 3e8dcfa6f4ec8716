"""A sweep whose gradient is taken level by level: linear in time and memory for any step.

Were the states one tensor that autograd knows, each level's slice of it would get a gradient as large as the whole.
So each level has a small graph of its own, from detached inputs to its states; the backward pass walks the levels
downwards, differentiates one graph at a time, and adds what goes to lower levels into one buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .ops._autograd import gradients
from .ops._scan import Bounds, Level, Structure, plain_sweep

State = tuple[Tensor, ...]
Step = Callable[[Level, Tensor, Tensor | None, State | None, State | None], State]


def level_by_level(
    module: nn.Module, step: Step, structure: Structure, bounds: Bounds, p: Tensor, edge: Tensor | None,
    start: State | None,
) -> State:  # fmt: skip
    """Run `step` on each level of a packed structure.

    Args:
        module: whose parameters the step reads; they get gradients.
        step: `(level, p, edge, sent, start)` → states of the level's nodes, where p, edge and sent are the level's
            rows of the projected inputs, the edges' features and the senders' states, and start is None but at level 0.
        structure: of N > 0 nodes.
        bounds: of the structure.
        p: `[N, P]`, packed.
        edge: `[E, F_e]`, packed, or None.
        start: `[M, H]` each, for the M nodes of level 0, or None.

    Returns:
        The states `[N, H]`, packed.
    """
    parameters = dict(module.named_parameters())
    state = start or ()
    result: State = _Sweep.apply(  # type: ignore[no-untyped-call]
        module, step, structure, bounds, edge is not None, len(state), tuple(parameters), p,
        *(() if edge is None else (edge,)), *state, *parameters.values(),
    )  # fmt: skip
    return result


def _leaf(tensor: Tensor, wanted: bool) -> Tensor:
    return tensor.detach().requires_grad_(wanted)


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, module: nn.Module, step: Step, structure: Structure, bounds: Bounds, has_edge: bool, states: int,
        names: tuple[str, ...], *tensors: Tensor,
    ) -> State:  # fmt: skip
        p, edge, start, _ = _sort(tensors, has_edge, states)
        wanted = any(ctx.needs_input_grad)
        needs = ctx.needs_input_grad[7:]
        need_edge = has_edge and needs[1]
        need_start = needs[1 + has_edge : 1 + has_edge + states]
        random = torch.get_rng_state(), torch.cuda.get_rng_state(p.device) if p.is_cuda else None
        buffers: State = ()
        records: list[tuple[Level, State, State]] = []
        for level in bounds.levels():
            a, b, *_, before = level
            begin, sent, part = None, None, None
            with torch.set_grad_enabled(wanted):
                rows = _leaf(p[a:b], needs[0])
                leaves: list[Tensor] = [rows]
                if edge is not None:
                    part = _leaf(edge[level.edge_a : level.edge_b], need_edge)
                    leaves.append(part)
                if before < 0 and start:
                    begin = tuple(_leaf(s, n) for s, n in zip(start, need_start, strict=True))
                    leaves += begin
                if before >= 0:
                    index = structure.senders[level.edge_a : level.edge_b]
                    sent = tuple(_leaf(s.index_select(0, index), wanted) for s in buffers)
                leaves += sent or ()
                new = step(level, rows, part, sent, begin)
            if not buffers:
                buffers = tuple(s.new_empty(bounds.ptr[-1], *s.shape[1:]) for s in new)
            for buffer, s in zip(buffers, new, strict=True):
                buffer[a:b] = s.detach()
            if wanted:
                records.append((level, tuple(leaves), new))
        ctx.save_for_backward(*tensors)
        ctx.random = random
        ctx.call = module, step, structure, bounds, has_edge, states, names
        ctx.records, ctx.shapes = records, [(b.shape, b.dtype) for b in buffers]
        return buffers

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        tensors = ctx.saved_tensors
        _, _, structure, _, has_edge, states, _ = ctx.call
        device = tensors[0].device
        seeds = [
            torch.zeros(shape, dtype=dtype, device=device) if g is None else g
            for g, (shape, dtype) in zip(grads, ctx.shapes, strict=True)
        ]
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            return (*[None] * 7, *_again(ctx.call, ctx.random, tensors, seeds))
        flow = [g.clone(memory_format=torch.contiguous_format) for g in seeds]
        p, edge, _, parameters = _sort(tensors, has_edge, states)
        wanted = [t for t in parameters if t.requires_grad]
        sums: list[Tensor | None] = [None] * len(wanted)
        by_p, by_edge = torch.zeros_like(p), None if edge is None else torch.zeros_like(edge)
        by_start: list[Tensor | None] = [None] * states
        for level, leaves, new in reversed(ctx.records):
            heads = [(s, f[level.a : level.b].to(s.dtype)) for s, f in zip(new, flow, strict=True) if s.requires_grad]
            asked = [t for t in leaves if t.requires_grad]
            if not heads or not asked + wanted:
                continue
            outs, weights = zip(*heads, strict=True)
            found = torch.autograd.grad(outs, asked + wanted, weights, retain_graph=True, allow_unused=True)
            for i, g in enumerate(found[len(asked) :]):
                if g is not None:
                    total = sums[i]
                    sums[i] = g.clone() if total is None else total.add_(g)
            of_leaf = iter(found)
            parts = [next(of_leaf) if t.requires_grad else None for t in leaves]
            if parts[0] is not None:
                by_p[level.a : level.b] = parts[0]
            if by_edge is not None and parts[1] is not None:
                by_edge[level.edge_a : level.edge_b] = parts[1]
            rest = parts[1 + has_edge :]
            if level.before < 0:
                by_start = rest or by_start
            else:
                _hand_down(level, rest, structure, flow)
        of_parameter = iter(sums)
        by_parameters = [next(of_parameter) if t.requires_grad else None for t in parameters]
        return (*[None] * 7, by_p, *([by_edge] if has_edge else []), *by_start, *by_parameters)


def _hand_down(level: Level, grads: list[Tensor | None], structure: Structure, flow: list[Tensor]) -> None:
    """Add the gradients of the senders' states to their rows of the buffers."""
    senders = structure.senders[level.edge_a : level.edge_b]
    for buffer, g in zip(flow, grads, strict=True):
        if g is not None:
            buffer.index_add_(0, senders, g.to(buffer.dtype))


def _sort(tensors: tuple[Tensor, ...], has_edge: bool, states: int) -> tuple[Tensor, Tensor | None, State, State]:
    """Return p, edge, start and the parameters."""
    at = 1 + has_edge
    return tensors[0], tensors[1] if has_edge else None, tensors[at : at + states], tensors[at + states :]


class _Inside(nn.Module):
    """Calls a function while the module's parameters are others."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[[], State]) -> State:
        return function()


def _again(
    call: tuple[Any, ...], random: tuple[Any, Any], tensors: tuple[Tensor, ...], seeds: list[Tensor]
) -> list[Tensor | None]:
    """Return the gradients as functions that can be differentiated: the sweep once more, by ordinary operations."""
    module, step, structure, bounds, has_edge, states, names = call
    fresh = tuple(t.view_as(t) for t in tensors)  # cut off from what made them
    p, edge, start, parameters = _sort(fresh, has_edge, states)

    def one(level: Level, sent: State | None) -> State:
        part = None if edge is None else edge[level.edge_a : level.edge_b]
        result: State = step(level, p[level.a : level.b], part, sent, start or None)
        return result

    swapped = {f"module.{name}": t for name, t in zip(names, parameters, strict=True)}
    with torch.random.fork_rng([p.device] if p.is_cuda else []):  # a step with dropout draws the same again
        torch.set_rng_state(random[0])
        if random[1] is not None:
            torch.cuda.set_rng_state(random[1], p.device)
        outputs = torch.func.functional_call(_Inside(module), swapped, (lambda: plain_sweep(structure, one, bounds),))
    return gradients(outputs, fresh, seeds)
