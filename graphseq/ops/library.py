"""Registration of operators with PyTorch, and the modes under which they are called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

LIBRARY = torch.library.Library("graphseq", "DEF")
OPERATORS: dict[str, Operator] = {}
HALF = (torch.float16, torch.bfloat16)
HAS_TRITON = find_spec("triton") is not None

_PLAIN = {Tensor, torch.nn.Parameter, type(None), int, float}

_KEY = torch._C._TorchDispatchModeKey
_TRACERS = (_KEY.FAKE, _KEY.PROXY, _KEY.FUNCTIONAL)  # modes whose tensors are no values

Body = Callable[..., Any]
_T = TypeVar("_T")


def is_transformed() -> bool:
    """Return whether forward mode or a ``torch.func`` transform is active, for which our operators are opaque."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def has_mode() -> bool:
    """Return whether a dispatch mode is active, such as ``FakeTensorMode``."""
    return _get_current_dispatch_mode() is not None


def is_plain(*given: Any) -> bool:
    """Return whether only autograd is active: no tracing, no autocast, no dispatch mode, no subclass of Tensor.

    Then the dispatcher can be bypassed, whose Python part costs more than a small graph's sums.
    """
    return (
        _PLAIN.issuperset(map(type, given))
        and not torch.compiler.is_compiling()
        and not torch._C._is_any_autocast_enabled()
        and not has_mode()
        and torch._C._get_tracing_state() is None
        and not is_transformed()
    )


def is_batched(*tensors: Tensor | None) -> bool:
    """Return whether one of these is batched, as gradients are with ``is_grads_batched``."""
    return any(t is not None and torch._C._functorch.is_legacy_batchedtensor(t) for t in tensors)


def kept(make: Callable[[], _T]) -> _T:
    """Make a result that outlives the call, see :func:`apart`; in tracing it is part of the graph."""
    return make() if torch.compiler.is_compiling() else apart(make)


def untraced(function: Callable[..., _T]) -> Callable[..., _T]:
    """Keep ``torch.compile`` out of a function that is called below compiled code, where it would trace by itself.

    The module for this takes seconds to import, and is not imported before something is compiled.
    """
    quiet: list[Callable[..., _T]] = []

    @wraps(function)
    def call(*given: Any) -> _T:
        if "torch._dynamo" not in sys.modules:
            return function(*given)
        if not quiet:
            quiet.append(torch.compiler.disable(function))
        return quiet[0](*given)

    return call


@untraced
def apart(make: Callable[[], _T]) -> _T:
    """Make something that outlives the call: it must serve training too, even if asked for under inference mode, and
    belong to no transform of ``torch.func`` and hold no fake tensors.
    """
    modes = [key for key in _TRACERS if torch._C._get_dispatch_mode(key) is not None]
    if not (modes or torch.is_inference_mode_enabled() or is_transformed()):
        return make()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch._C._DisableFuncTorch())
        for key in modes:
            if (mode := torch._C._unset_dispatch_mode(key)) is not None:
                stack.callback(torch._C._set_dispatch_mode, mode)
        return make()


class Operator:
    """An operator `graphseq::name`, called as a function.

    Args:
        schema: such as ``"spmm(Tensor? weight, Tensor x) -> Tensor"``; the first argument, or if
            that is None the second, is a tensor and determines the device.
        body: its definition in PyTorch's operations, none of them in place: for every device, and for ``torch.func``
            transforms and forward mode, which differentiate it themselves.
        fake: only shapes, so that ``torch.compile`` does not trace into it.
        cpu: a faster body for the CPU.
        cuda: a faster body for CUDA.
        save: `(ctx, inputs, output)`, keeps what `backward` reads; None for an operator without a gradient.
        backward: `(ctx, *grads)` → a gradient for each input, made of operators again.
        full_precision: run in float32 under autocast, as long sums and long sweeps must.
    """

    def __init__(
        self, schema: str, body: Body, fake: Body, *, cpu: Body | None = None, cuda: Body | None = None,
        save: Body | None = None, backward: Body | None = None, full_precision: bool = False,
    ) -> None:  # fmt: skip
        self.name = schema.partition("(")[0]
        self.body, self.bodies = body, {"cpu": cpu or body, "cuda": cuda or body}
        LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
        for key, given in (("CompositeExplicitAutograd", body), ("CPU", cpu), ("CUDA", cuda)):
            if given is not None:
                LIBRARY.impl(self.name, untraced(given), key)
        torch.library.register_fake(f"graphseq::{self.name}", fake)
        self.differentiable = backward is not None
        if save is not None and backward is not None:
            torch.library.register_autograd(f"graphseq::{self.name}", backward, setup_context=save)
            self.direct = _direct(self, save, backward)
        if full_precision:
            for device in ("cpu", "cuda"):
                torch.library.register_autocast(f"graphseq::{self.name}", device, torch.float32)
        self.overload = getattr(torch.ops.graphseq, self.name).default  # faster to call than its packet
        OPERATORS[self.name] = self

    def __call__(self, *given: Any) -> Any:
        """Run it in the shortest way that the active modes allow."""
        first = given[0] if given[0] is not None else given[1]
        if not is_plain(*given) or is_batched(first, given[1] if isinstance(given[1], Tensor) else None):
            return self.body(*given) if is_transformed() else self.overload(*given)
        if self.differentiable and torch.is_grad_enabled():
            for t in given:
                if isinstance(t, Tensor) and t.requires_grad:
                    return self.direct.apply(*given)
        return self.on(first)(*given)

    def on(self, like: Tensor) -> Body:
        """Return the body for a tensor's device."""
        return self.bodies.get(like.device.type, self.body)


def _direct(operator: Operator, save: Body, backward: Body) -> Any:
    """Return the operator as an autograd function, without the dispatcher."""

    def forward(ctx: Any, *given: Any) -> Any:
        output = operator.on(given[0] if given[0] is not None else given[1])(*given)
        save(ctx, given, output)
        return output

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(f"Direct_{operator.name}", (torch.autograd.Function,), methods)
