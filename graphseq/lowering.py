"""The table of lowerings: fused operators that replace the equations of cells, where one applies.

A cell's equations are written once, in its `update`. A lowering computes the same for one kind of cell, message, merge
and device; it is found by exact type, so anything that overrides a part (a subclass, a mixin, a method set on an
object, another message or merge) is not in the table and runs by the equations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.parametrize import type_before_parametrizations

from .cell import Cell
from .messages import Merge, Message, State, find_merge
from .ops.levels import Structure
from .ops.library import Operator, is_batched, is_transformed
from .walk import Plan, walk

__all__ = ["Inputs", "SweepOperator", "disabled", "find", "lower"]

_METHODS = ("project", "update", "begin", "given")
_MERGES = ("empty", "reduce", "fill")
_TABLE: dict[tuple[Any, ...], tuple[Callable[..., State | None], tuple[Any, ...]]] = {}
_OFF = 0


@contextmanager
def disabled() -> Iterator[None]:
    """Run everything by its equations within the context; for tests and comparisons."""
    global _OFF
    _OFF += 1
    try:
        yield
    finally:
        _OFF -= 1


def lower(cell: type[Cell] | None, message: Any, merge: Any, device: str) -> Callable[..., Any]:
    """Register a function in the table.

    Args:
        cell: of a sweep, called as `(cell, inputs, structure, start)`; None for an aggregation, called as
            `(links, state, edge_attr)`. It may return None if it does not apply.
        message: the message or its type; for a method of the cell's class, the function.
        merge: the merge, its name or its type.
        device: its type, such as "cpu"; "any" if its operators support all of them.
    """

    said = message if isinstance(message, type | FunctionType) else type(message)
    kind = merge if isinstance(merge, type) else type(find_merge(merge))

    def enter(function: Callable[..., State | None]) -> Callable[..., State | None]:
        _TABLE[cell, said, kind, device] = function, _said(cell, kind)
        return function

    return enter


def find(cell: Cell | None, message: Message, merge: Merge, device: torch.device) -> Callable[..., State | None] | None:
    """Return the lowering for exactly this, or None."""
    if _OFF or is_transformed():
        return None
    said: Any
    if cell is None:
        found = _TABLE.get((None, type(message), type(merge), "any"))
        found = found or _TABLE.get((None, type(message), type(merge), device.type))
        return None if found is None or _has_own(merge, _MERGES) or found[1][-1] is not type(merge).reduce else found[0]
    kind: Any = type_before_parametrizations(cell)
    said = message if "message" in vars(cell) else kind.message  # a method as the class has it
    # In tracing, an operator of any device can be used, since its body supports all of them.
    where = "cpu" if torch.compiler.is_compiling() else device.type
    found = _TABLE.get((kind, said if isinstance(said, FunctionType) else type(said), type(merge), where))
    if found is None or _has_own(merge, _MERGES) or _has_own(cell, _METHODS):
        return None
    return found[0] if found[1] == _said(kind, type(merge)) else None


def _has_own(thing: object, methods: Sequence[str]) -> bool:
    """Return whether such a method is set on the object."""
    return any(name in vars(thing) for name in methods)  # what dynamo traces, which does not trace `vars(…).keys()`


def _said(cell: type[Cell] | None, merge: type[Merge]) -> tuple[Any, ...]:
    """Return what defines a cell and a merge, so that changes to a class are noticed."""
    own = () if cell is None else tuple(getattr(cell, name) for name in _METHODS)
    return *own, merge.empty, merge.reduce


class Inputs(NamedTuple):
    """The inputs of a sweep: `[N, F]`, packed; or those of some nodes only, while those of all others are 0.

    Attributes:
        x: `[M, F]`.
        at: int64 `[M]`, the packed positions of those nodes; None for the first M.
        num_nodes: N.
    """

    x: Tensor
    at: Tensor | None
    num_nodes: int

    def rest(self, cell: Cell) -> Tensor:
        """Return the projected input of the other nodes, `[1, P]`."""
        return cell.project(self.x.new_zeros(1, self.x.size(1)))

    def project(self, cell: Cell) -> Tensor:
        """Project the inputs of all nodes at once, `[N, P]`."""
        p, given = cell.project(self.x), self.x.size(0)
        if given == self.num_nodes and self.at is None:
            return p
        rest = self.rest(cell)
        if self.at is None:
            return torch.cat([p, rest.expand(self.num_nodes - given, -1)])
        return rest.to(p.dtype).expand(self.num_nodes, -1).index_copy(0, self.at, p)


class SweepOperator:
    """A whole sweep as one operator, and its gradient as another.

    On CPU tensors in float32 they run by kernels; elsewhere, and for derivatives of higher order, by the equations.

    Args:
        name: of the operator.
        inputs: its schema before the structure, such as "Tensor p, Tensor weight, Tensor? h0".
        states: number of tensors of states that it returns.
        saved: number of tensors that it returns for its gradient, after the states.
        kernel: `(*inputs, structure)` → states and saved.
        gradient: `(inputs, structure, grads, outputs)` → a gradient for each input, an empty tensor for a missing one.
            A gradient that is not needed is None.
        equations: `(*inputs, structure)` → the cell that reads them, p `[N, P]` and the initial states or None.
        layout: `(inputs, structure, size)` → outputs whose numbers don't matter, where `size()` is an unknown size.
    """

    def __init__(
        self, name: str, inputs: str, *, states: int, saved: int, kernel: Callable[..., State],
        gradient: Callable[..., State], equations: Callable[..., tuple[Any, Tensor, State | None]],
        layout: Callable[..., State],
    ) -> None:  # fmt: skip
        self.states, self.equations, self.layout = states, equations, layout
        self.kernel, self.gradient = kernel, gradient
        n = self.inputs = inputs.count(",") + 1
        structure = ", ".join(f"Tensor{'?' * (field == 'slot')} {field}" for field in Structure._fields)
        extra = [f"Tensor? g{i}" for i in range(states)] + [f"Tensor o{i}" for i in range(states + saved)]
        results, by_inputs = (", ".join(["Tensor"] * k) for k in (states + saved, n))
        self.backward = Operator(
            f"{name}_backward({inputs}, {structure}, {', '.join(extra)}) -> ({by_inputs})",
            self._backward_body, self._backward_fake, cpu=self._backward_cpu, full_precision=True,
        )  # fmt: skip
        self.forward = Operator(
            f"{name}({inputs}, {structure}) -> ({results})", self._body, self._fake, cpu=self._cpu,
            save=self._save, backward=self._differentiate, full_precision=True,
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

    def _split(self, given: Sequence[Any]) -> tuple[list[Any], Structure, Sequence[Any]]:
        end = self.inputs + len(Structure._fields)
        detached = [t if t is None else t.detach() for t in given[: self.inputs]]  # so that kernels may read memory
        return detached, Structure(*given[self.inputs : end]), given[end:]

    def reference(self, tensors: Sequence[Any], structure: Structure) -> State:
        """Return the states by the cell's equations."""
        cell, p, start = self.equations(*tensors, structure)
        return walk(cell, Plan(structure), p, None, start)

    def _body(self, *given: Any) -> State:
        tensors, structure, _ = self._split(given)
        blank = self.layout(tensors, structure, int)
        return *self.reference(tensors, structure), *(t.zero_() for t in blank[self.states :])

    def _cpu(self, *given: Any) -> State:
        tensors, structure, _ = self._split(given)
        return self.kernel(*tensors, structure) if tensors[0].dtype == torch.float32 else self._body(*given)

    def _fake(self, *given: Any) -> State:
        tensors, structure, _ = self._split(given)
        return self.layout(tensors, structure, torch.library.get_ctx().new_dynamic_size)

    def _backward_body(self, *given: Any) -> State:
        tensors, structure, rest = self._split(given)
        with _autograd():
            leaves = [t if t is None else t.requires_grad_() for t in tensors]
            found = gradients(self.reference(leaves, structure), leaves, rest[: self.states], create_graph=False)
        pairs = zip(found, tensors, strict=True)
        return tuple(self._missing(given[0], t) if g is None else g.contiguous() for g, t in pairs)

    def _backward_cpu(self, *given: Any) -> State:
        tensors, structure, rest = self._split(given)
        if tensors[0].dtype != torch.float32:
            return self._backward_body(*given)
        kept = [t if t is None else t.detach() for t in rest]
        return self.gradient(tensors, structure, kept[: self.states], kept[self.states :])

    def _backward_fake(self, *given: Any) -> State:
        return tuple(self._missing(given[0], t) for t in given[: self.inputs])

    def _missing(self, like: Tensor, t: Tensor | None) -> Tensor:
        return like.new_empty(0) if t is None else torch.zeros_like(t, memory_format=torch.contiguous_format)

    def _save(self, ctx: Any, inputs: tuple[Any, ...], output: State) -> None:
        ctx.save_for_backward(*inputs, *output)
        ctx.mark_non_differentiable(*output[self.states :])
        ctx.set_materialize_grads(False)

    def _differentiate(self, ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        end, wanted = self.inputs + len(Structure._fields), ctx.needs_input_grad
        kept = ctx.saved_tensors
        given, outputs = kept[:end], kept[end:]
        again = torch.is_grad_enabled()  # the gradient is to be differentiated
        if again or is_batched(*grads):
            with torch.enable_grad():
                fresh = [t if t is None else t.view_as(t) for t in given[: self.inputs]]  # detached from their graph
                if not again:
                    pairs = zip(fresh, wanted, strict=False)
                    fresh = [t if t is None else t.detach().requires_grad_(w) for t, w in pairs]
                made = self.reference(fresh, Structure(*given[self.inputs :]))
            found = gradients(made, fresh, grads[: self.states], create_graph=again)
        else:
            found = list(self.backward(*given, *grads[: self.states], *outputs))
        return *(g if w else None for g, w in zip(found, wanted, strict=False)), *[None] * len(Structure._fields)


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
