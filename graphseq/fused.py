"""Operators that replace equations: a fused forward and backward pass, with the equations for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from .ops.library import Operator, is_batched

__all__ = ["FusedOperator", "gradients"]

State = tuple[Tensor, ...]


def _type(kind: Any) -> str:
    """Return the type of a structure's part in a schema; annotations are kept as texts."""
    return {"Tensor": "Tensor", "Tensor | None": "Tensor?", "int": "int", "float": "float"}[kind.__forward_arg__]


class FusedOperator:
    """An operator over a structure that replaces equations, and its gradient as another operator.

    On CPU tensors in float32, and with `cuda` on those of CUDA, they run by kernels; elsewhere, and for derivatives of
    higher order, by the equations.

    Args:
        name: of the operator.
        inputs: its schema before the structure, such as "Tensor p, Tensor weight, Tensor? h0".
        structure: the named tuple of what follows, which has no gradient: tensors, tensors or None, and numbers.
        states: number of tensors that it returns.
        saved: number of tensors that it returns for its gradient, after these.
        kernel: `(*inputs, structure)` → states and saved.
        gradient: `(inputs, structure, grads, outputs)` → a gradient for each input, an empty tensor for a missing one.
            A gradient that is not needed is None.
        reference: `(*inputs, structure)` → the states by the equations.
        layout: `(inputs, structure, size)` → outputs whose numbers don't matter, where `size()` is an unknown size.
        cuda: kernel and gradient for CUDA.
    """

    def __init__(
        self, name: str, inputs: str, structure: Any, *, states: int, saved: int, kernel: Callable[..., State],
        gradient: Callable[..., State], reference: Callable[..., State], layout: Callable[..., State],
        cuda: tuple[Callable[..., State], Callable[..., State]] | None = None,
    ) -> None:  # fmt: skip
        self.structure, self.states, self.layout, self.reference = structure, states, layout, reference
        n = self.inputs = inputs.count(",") + 1
        schema = ", ".join(f"{_type(kind)} {field}" for field, kind in structure.__annotations__.items())
        extra = [f"Tensor? g{i}" for i in range(states)] + [f"Tensor o{i}" for i in range(states + saved)]
        results, by_inputs = (", ".join(["Tensor"] * k) for k in (states + saved, n))
        self.backward = Operator(
            f"{name}_backward({inputs}, {schema}, {', '.join(extra)}) -> ({by_inputs})",
            self._backward_body, self._backward_fake, cpu=self._backward(gradient),
            cuda=None if cuda is None else self._backward(cuda[1]), full_precision=True,
        )  # fmt: skip
        self.forward = Operator(
            f"{name}({inputs}, {schema}) -> ({results})", self._body, self._fake, cpu=self._forward(kernel),
            cuda=None if cuda is None else self._forward(cuda[0]), save=self._save, backward=self._differentiate,
            full_precision=True,
        )  # fmt: skip

    def over(self, p: Tensor, *given: Any) -> State | None:
        """Return the states, or None if the kernels don't apply; called with the inputs and the structure."""
        fits = p.dtype == torch.float32 or torch.is_autocast_enabled(p.device.type) or torch.compiler.is_compiling()
        return self(p, *given) if fits else None

    def __call__(self, p: Tensor, *given: Any) -> State:
        """Return the states, whatever the dtype and the device; called with the inputs and the structure."""
        *tensors, structure = given
        result: State = self.forward(p.contiguous(), *tensors, *structure)
        return result[: self.states]

    def _split(self, given: Sequence[Any]) -> tuple[list[Any], Any, Sequence[Any]]:
        end = self.inputs + len(self.structure._fields)
        detached = [t if t is None else t.detach() for t in given[: self.inputs]]  # so that kernels may read memory
        return detached, self.structure(*given[self.inputs : end]), given[end:]

    def _body(self, *given: Any) -> State:
        tensors, structure, _ = self._split(given)
        blank = self.layout(tensors, structure, int)
        return *self.reference(*tensors, structure), *(t.zero_() for t in blank[self.states :])

    def _forward(self, kernel: Callable[..., State]) -> Callable[..., State]:
        def forward(*given: Any) -> State:
            tensors, structure, _ = self._split(given)
            return kernel(*tensors, structure) if tensors[0].dtype == torch.float32 else self._body(*given)

        return forward

    def _fake(self, *given: Any) -> State:
        tensors, structure, _ = self._split(given)
        return self.layout(tensors, structure, torch.library.get_ctx().new_dynamic_size)

    def _backward_body(self, *given: Any) -> State:
        tensors, structure, rest = self._split(given)
        with _autograd():
            leaves = [t if t is None else t.requires_grad_() for t in tensors]
            found = gradients(self.reference(*leaves, structure), leaves, rest[: self.states], create_graph=False)
        pairs = zip(found, tensors, strict=True)
        return tuple(self._missing(given[0], t) if g is None else g.contiguous() for g, t in pairs)

    def _backward(self, gradient: Callable[..., State]) -> Callable[..., State]:
        def backward(*given: Any) -> State:
            tensors, structure, rest = self._split(given)
            if tensors[0].dtype != torch.float32:
                return self._backward_body(*given)
            kept = [t if t is None else t.detach() for t in rest]
            return gradient(tensors, structure, kept[: self.states], kept[self.states :])

        return backward

    def _backward_fake(self, *given: Any) -> State:
        return tuple(self._missing(given[0], t) for t in given[: self.inputs])

    def _missing(self, like: Tensor, t: Tensor | None) -> Tensor:
        return like.new_empty(0) if t is None else torch.zeros_like(t, memory_format=torch.contiguous_format)

    def _save(self, ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        numbers = {i: value for i, value in enumerate(inputs) if isinstance(value, int | float)}
        ctx.save_for_backward(*(None if i in numbers else value for i, value in enumerate(inputs)), *output)
        ctx.numbers = numbers
        ctx.mark_non_differentiable(*output[self.states :])
        ctx.set_materialize_grads(False)

    def _differentiate(self, ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        wanted, end = ctx.needs_input_grad, self.inputs + len(self.structure._fields)
        kept = [ctx.numbers.get(i, value) for i, value in enumerate(ctx.saved_tensors)]
        given, outputs = kept[:end], kept[end:]
        again = torch.is_grad_enabled()  # the gradient is to be differentiated
        if again or is_batched(*grads):
            with torch.enable_grad():
                fresh = [t if t is None else t.view_as(t) for t in given[: self.inputs]]  # detached from their graph
                if not again:
                    pairs = zip(fresh, wanted, strict=False)
                    fresh = [t if t is None else t.detach().requires_grad_(w) for t, w in pairs]
                made = self.reference(*fresh, self.structure(*given[self.inputs :]))
            found = gradients(made, fresh, grads[: self.states], create_graph=again)
        else:
            found = list(self.backward(*given, *grads[: self.states], *outputs))
        return *(g if w else None for g, w in zip(found, wanted, strict=False)), *[None] * (end - self.inputs)


@contextmanager
def _autograd() -> Iterator[None]:
    """Let autograd record inside an operator, where PyTorch has switched it off."""
    keys = torch._C.DispatchKey
    with ExitStack() as stack:
        for key in (keys.AutogradFunctionality, keys.AutogradOther, keys.AutogradCPU, keys.AutogradCUDA):
            stack.enter_context(torch._C._SetExcludeDispatchKeyGuard(key, False))
        stack.enter_context(torch._C._SetExcludeDispatchKeyGuard(keys.ADInplaceOrView, False))
        stack.enter_context(torch.enable_grad())
        yield


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor | None], grads: Sequence[Tensor | None], *, create_graph: bool
) -> list[Tensor | None]:
    """Differentiate `outputs` by those `inputs` that require it."""
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    pairs = [(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None and o.requires_grad]
    if not wanted or not pairs:
        return [None] * len(inputs)
    heads, seeds = zip(*pairs, strict=True)
    made = torch.autograd.grad(heads, wanted, seeds, create_graph=create_graph, allow_unused=True)
    found = iter(made)
    return [next(found) if t is not None and t.requires_grad else None for t in inputs]
