"""Who looks on when an operator is called: nobody, tracing, or what only ordinary operations serve."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

_PLAIN = (Tensor, torch.nn.Parameter)


def is_transformed() -> bool:
    """Say whether forward mode or a transform of ``torch.func`` is at work, to which our operators are closed."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def is_plain(x: Tensor) -> bool:
    """Say whether nobody but autograd looks on: no tracing, no autocast, no transform, no subclass of Tensor.

    Then the dispatcher may be passed by, whose Python part costs more than a small graph's sums.
    """
    return (
        type(x) in _PLAIN
        and not torch.compiler.is_compiling()
        and not torch._C._is_any_autocast_enabled()
        and _get_current_dispatch_mode() is None
        and not is_transformed()
    )
