"""How a level-scan operator, the operator of its gradient and its plain reference are tied together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ._direct import is_transformed
from ._library import define, full_precision
from ._scan import STRUCTURE, Structure

Tensors = tuple[Tensor, ...]


def own(grad: Tensor | None, like: Tensor) -> Tensor:
    """Return a gradient in memory that may be written on; a missing one is 0."""
    return torch.zeros_like(like) if grad is None else grad.clone(memory_format=torch.contiguous_format)


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor | None], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Differentiate `outputs` by those `inputs` that want it, so that the result can be differentiated again."""
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None and o.requires_grad]
    if not wanted or not pairs:
        return [None] * len(inputs)
    heads, seeds = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(heads, wanted, seeds, create_graph=True, allow_unused=True))
    return [next(found) if t is not None and t.requires_grad else None for t in inputs]


def register_scan(
    name: str,
    *,
    inputs: str,
    states: int,
    saved: int,
    forward: Callable[..., Tensors],
    backward: Callable[..., Tensors],
    reference: Callable[..., Tensors],
    fake: Callable[..., Tensors],
) -> Callable[..., Tensors]:
    """Register a level-scan operator with its derivatives of every order.

    Args:
        name: of the operator.
        inputs: its schema before the structure, such as "Tensor p, Tensor weight, Tensor? h0".
        states: number of tensors of states that it returns.
        saved: number of tensors that it returns for its gradient, after the states.
        forward: `(*inputs, structure)` → states and saved.
        backward: `(inputs, structure, grads, outputs)` → a gradient for each input, an empty tensor for a missing one.
            A gradient that nobody asked for comes as None.
        reference: `(*inputs, structure)` → states, differentiable by PyTorch itself.
        fake: as forward, shapes alone.

    Returns:
        The operator, called as `forward` is; it returns the states.
    """
    n = inputs.count(",") + 1
    end = n + len(Structure._fields)
    extra = ", ".join(
        [f"Tensor? g{i}" for i in range(states)] + [f"Tensor o{i}" for i in range(states + saved)]
    )
    results, by_inputs = (", ".join(["Tensor"] * k) for k in (states + saved, n))

    def detached(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        return [t if t is None else t.detach() for t in tensors]  # so that kernels may read their memory

    def run(*given: Any) -> Tensors:
        return forward(*detached(given[:n]), Structure(*given[n:]))

    def run_fake(*given: Any) -> Tensors:
        return fake(*given[:n], Structure(*given[n:]))

    def run_backward(*given: Any) -> Tensors:
        rest = detached(given[end:])
        return backward(detached(given[:n]), Structure(*given[n:end]), rest[:states], rest[states:])

    def fake_backward(*given: Any) -> Tensors:
        return tuple(given[0].new_empty(0) if t is None else torch.empty_like(t) for t in given[:n])

    operator = define(f"{name}({inputs}, {STRUCTURE}) -> ({results})", run, run_fake)
    gradient = define(
        f"{name}_backward({inputs}, {STRUCTURE}, {extra}) -> ({by_inputs})", run_backward, fake_backward
    )

    def save(ctx: Any, inputs: tuple[Any, ...], output: Tensors) -> None:
        ctx.save_for_backward(*inputs, *output)
        ctx.mark_non_differentiable(*output[states:])
        ctx.set_materialize_grads(False)

    def differentiate(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors
        given, outputs = kept[:end], kept[end:]
        if torch.is_grad_enabled():  # somebody wants to differentiate the gradient
            fresh = [t if t is None else t.view_as(t) for t in given[:n]]  # cut off from what made them
            found = gradients(reference(*fresh, Structure(*given[n:])), fresh, grads[:states])
        else:
            found = list(gradient(*given, *grads[:states], *outputs))
        return (
            *(g if w else None for g, w in zip(found, ctx.needs_input_grad, strict=False)),
            *[None] * (end - n),
        )

    torch.library.register_autograd(f"graphseq::{name}", differentiate, setup_context=save)
    full_precision(name)
    full_precision(f"{name}_backward")

    def call(*given: Any) -> Tensors:
        *tensors, structure = given
        if is_transformed():
            return reference(*tensors, structure)
        result: Tensors = operator(*tensors, *structure)
        return result[:states]

    return call
