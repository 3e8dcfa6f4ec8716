"""When an operator may be called past PyTorch's dispatcher, whose Python part costs more than a small graph's sums."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

_PLAIN = (Tensor, torch.nn.Parameter)


def is_plain(x: Tensor) -> bool:
    """Say whether nobody but autograd looks on: no tracing, no autocast, no transform, no subclass of Tensor."""
    return (
        type(x) in _PLAIN
        and not torch.compiler.is_compiling()
        and not torch._C._is_any_autocast_enabled()
        and _get_current_dispatch_mode() is None
        and torch._C._functorch.peek_interpreter_stack() is None
    )
