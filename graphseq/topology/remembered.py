"""What is made of a caller's tensor, kept for as long as the tensor lives unchanged."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..ops.library import apart, is_transformed
from .links import Links

__all__ = ["remembered"]

_SEEN: dict[int, tuple[Any, Any, dict[Any, Any]]] = {}


def remembered(given: Any, key: Any, make: Callable[[Tensor], Any]) -> Any:
    """Return the cached result of `make` for a caller's tensor, if the tensor has not changed since.

    Its values are compared with a copy each time, so that every change is noticed.
    """
    if torch.compiler.is_compiling() or not isinstance(given, Tensor) or is_transformed():
        return make(given)
    name = id(given)
    seen = _SEEN.get(name)
    if seen is not None and seen[0]() is given and _equal(seen[1], given):
        if key not in seen[2]:
            seen[2][key] = make(given)
        return seen[2][key]
    made = apart(lambda: make(given))
    own = made.edge_index if isinstance(made, Links) else given.detach().clone()  # links have copied it already
    forget = _SEEN.pop  # as the interpreter exits, tensors outlive the names of this module
    _SEEN[name] = weakref.ref(given, lambda _: forget(name, None)), own, {key: made}
    return made


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.layout == torch.strided or a.layout != b.layout:
        return a.layout == b.layout and torch.equal(a, b)
    a, b = (t.to_sparse_coo().coalesce() for t in (a, b))
    return a.shape == b.shape and torch.equal(a.indices(), b.indices())
