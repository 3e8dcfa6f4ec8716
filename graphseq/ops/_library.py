"""One way to register an operator with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

LIBRARY = torch.library.Library("graphseq", "DEF")


def define(schema: str, implementation: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Register `schema` as `graphseq::name` and return its overload, which is quicker to call than its packet.

    The implementation serves every device and looks itself which kernel fits its tensors; the fake one gives
    shapes alone, so that ``torch.compile`` traces past the operator.
    """
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(f"graphseq::{name}", fake)
    return getattr(torch.ops.graphseq, name).default


def full_precision(name: str) -> None:
    """Let the operator run in float32 under autocast: sums over many nodes and long sweeps lose too much in 16 bits."""
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(f"graphseq::{name}", device, torch.float32)
