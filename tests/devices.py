"""A device to test with where there is none: its tensors say that they are elsewhere, and hold numbers all the same.

Under :func:`pretence`, ``tensor.to(DEVICE)``, ``module.to(DEVICE)`` and ``torch.arange(9, device=DEVICE)`` return
tensors that refuse what those of a GPU refuse: an operation with tensors of the CPU, and their memory. Operators of the
library run by their own bodies on these tensors, so that what those mix shows too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from graphseq.ops.library import OPERATORS

# Of PyTorch's types of devices the one whose gradients are computed by a build that has no such device, and that is
# nothing special anywhere else, as "meta" is.
DEVICE = torch.device("lazy", 0)

# What returns numbers to Python, or has as many rows as the numbers say: the host waits for it. It does for copies
# between devices too.
_WAITS = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "masked_select", "nonzero", "unique_consecutive",
    "unique_dim",
}  # fmt: skip


class MixedDevices(RuntimeError):
    """An operation on tensors of both devices."""


class Pretended(Tensor):
    """A tensor on :data:`DEVICE`, with its numbers in `held`, on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        made = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE,
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a pretended device, outside of the pretence")

    def tolist(self) -> Any:
        """Return the numbers, which PyTorch refuses to subclasses, by way of the CPU."""
        return self.cpu().tolist()

    def __repr__(self) -> str:
        return f"Pretended({self.held})"


class Pretence(TorchDispatchMode):
    """Runs operations on pretended tensors.

    Attributes:
        waits: the operations for which the host would have waited, in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def clear(self) -> None:
        """Forget the waits so far."""
        self.waits.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors: list[Tensor] = []
        _each(tensors.append, (*args, *kwargs.values()))
        here = [t for t in tensors if isinstance(t, Pretended)]
        if func.namespace == "graphseq":
            if not here:
                return func(*args, **kwargs)
            with self:
                return OPERATORS[func._opname].body(*args, **kwargs)
        if here and (strangers := [t for t in tensors if not isinstance(t, Pretended) and t.dim()]):
            shapes = [list(t.shape) for t in here], [list(t.shape) for t in strangers]
            raise MixedDevices(f"{func} of shapes {shapes[0]} on {DEVICE} and {shapes[1]} on the CPU")
        there = bool(here)
        if kwargs.get("device") is not None:
            there = kwargs["device"].type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        if not here and not there:
            return func(*args, **kwargs)
        self._note(func, args, kwargs, bool(here), there)
        done = func(*_each(_held, args), **{name: _each(_held, value) for name, value in kwargs.items()})
        if not there:
            return done
        known = {id(t.held): t for t in here}  # what is written on stays the same tensor
        return _each(lambda t: known[id(t)] if id(t) in known else Pretended(t), done)

    def _note(self, func: Any, args: Any, kwargs: Any, here: bool, there: bool) -> None:
        name = func._opname
        unsized = name == "repeat_interleave" and kwargs.get("output_size") is None
        masked = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            isinstance(t, Tensor) and t.dtype == torch.bool for t in args[1]
        )
        copied = name == "_to_copy" and here != there and not kwargs.get("non_blocking")
        if name in _WAITS or unsized or masked or copied:
            self.waits.append(str(func))


class _Constructors(TorchFunctionMode):
    """Lets ``torch.tensor``, which fills its memory by itself, make pretended tensors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and kwargs.get("device") is not None:
            device = torch.device(kwargs.pop("device"))
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def _held(tensor: Tensor) -> Tensor:
    return tensor.held if isinstance(tensor, Pretended) else tensor


def _each(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Return what an operation takes or gives with each tensor replaced; PyTorch's own takes much longer."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple | list):
        return type(value)([_each(function, v) for v in value])
    return value


@contextmanager
def pretence() -> Iterator[Pretence]:
    """Let there be a device, as long as the context lasts."""
    with Pretence() as mode, _Constructors():
        yield mode


class Real:
    """A CUDA device.

    Attributes:
        waits: what PyTorch reported of each operation for which the host waited.
    """

    def __init__(self, caught: list[warnings.WarningMessage]) -> None:
        self._caught = caught

    @property
    def waits(self) -> list[str]:
        return [f"{w.filename}:{w.lineno}" for w in self._caught if "synchronizing" in str(w.message)]

    def clear(self) -> None:
        self._caught.clear()


@contextmanager
def real() -> Iterator[Real]:
    """Count the waits for CUDA as long as the context lasts, and compute in full precision."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            yield Real(caught)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.backends.cudnn.allow_tf32 = before


# Where a layer is tried: the device of the tests, and CUDA where there is one.
PLACES: dict[torch.device, Any] = {DEVICE: pretence}
if torch.cuda.is_available():
    PLACES[torch.device("cuda", 0)] = real
