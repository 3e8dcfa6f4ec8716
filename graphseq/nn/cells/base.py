"""The shared base class of the cells with torch.nn's parameters, and cells over tensors owned by others."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ...cell import Cell
from ...errors import expected

C = TypeVar("C", bound=Cell)

_NORMS = (WeightNorm, SpectralNorm, BasePruningMethod)


def check_sizes(**sizes: int) -> None:
    """Check that every size is a whole number above 0.

    Raises:
        GraphError: one is not; the error names it.
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise expected(name, "a whole number ≥ 1", size)


def uniform(shape: tuple[int, ...], hidden_size: int, device: Any, dtype: torch.dtype | None) -> nn.Parameter:
    """Return a parameter drawn from U(-1/√H, 1/√H), as torch.nn draws those of its recurrent layers."""
    bound = 1 / math.sqrt(hidden_size)
    return nn.Parameter(torch.empty(shape, device=device, dtype=dtype).uniform_(-bound, bound))


def bare(kind: type[C], **attributes: Any) -> C:
    """Return a cell with only these attributes: the equations of a class over tensors owned by others.

    Layers with weights of their own sweep it, and operators get from it the equations that they replace. The engine
    only uses its methods and attributes; it is not a registered module and has no parameters.
    """
    cell = object.__new__(kind)
    for name, value in {"_parameters": {}, "_buffers": {}, "_modules": {}, **attributes}.items():
        cell.__dict__[name] = value  # one by one: tracing by PyTorch 2.11 knows no update of this dict
    return cell


def set_norms(module: nn.Module) -> None:
    """Compute weights that are set by a forward pre-hook of a module: the old weight norms, and pruning.

    If a module's weights are read without calling its `forward`, that hook has to be called nevertheless.
    """
    if torch.compiler.is_compiling():
        return
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, _NORMS):
            hook(module, ())


def only_sets_norms(module: nn.Module) -> bool:
    """Return whether a module has no forward pre-hooks but those that :func:`set_norms` calls."""
    return all(isinstance(hook, _NORMS) for hook in module._forward_pre_hooks.values())


def ready(cell: C) -> C:
    """Return a cell whose weights are computed once per call, in the caller's mode, if they are functions of others."""
    set_norms(cell)
    if torch.compiler.is_compiling() or not parametrize.is_parametrized(cell):
        return cell
    twin: C = object.__new__(parametrize.type_before_parametrizations(cell))
    made = {name: getattr(cell, name) for name in cell.parametrizations}  # type: ignore[union-attr]
    twin.__dict__.update(cell.__dict__, **made)
    return twin


def biases(cell: Any) -> Tensor | None:
    """Return b_ih + b_hh, for cells that only use their sum."""
    return None if cell.bias_ih is None or cell.bias_hh is None else cell.bias_ih + cell.bias_hh


class TorchCell(Cell):
    """A cell with torch.nn's parameters: weight_ih `[gH, F]`, weight_hh `[gH, H]`, bias_ih and bias_hh `[gH]`."""

    weight_ih: nn.Parameter
    weight_hh: nn.Parameter
    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, *, gates: int, states: int = 1,
        device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size: int = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.state_sizes = (hidden_size,) * states
        for name, shape in (
            ("weight_ih", (gates * hidden_size, input_size)),
            ("weight_hh", (gates * hidden_size, hidden_size)),
            ("bias_ih", (gates * hidden_size,)),
            ("bias_hh", (gates * hidden_size,)),
        ):
            made = None if name.startswith("bias") and not bias else uniform(shape, hidden_size, device, dtype)
            self.register_parameter(name, made)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"
