"""The model under test: calls on drawn graphs, what comes back, and which nodes it depends on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .examples import Example, Kind, Spec
from .finding import Raised, user_code

__all__ = ["SIZES", "Call", "Copies", "Subject", "finite", "gap", "shapes", "tolerance"]

SIZES = (4, 6, 3)  # nodes of each graph, unless stated: N = 13 and B = 3 differ from E
Call = Callable[[nn.Module, Any], Any]
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}  # relative to the largest number of a result


class Copies:
    """What a call receives: each attribute of an example, copied when it is first read.

    So a model can't change the example, and `vars` shows afterwards what was read and what has become of it.
    """

    def __init__(self, example: Example) -> None:
        self._example = example

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._example, name)
        setattr(self, name, value.clone() if isinstance(value, Tensor) else value)
        return vars(self)[name]


@dataclass(frozen=True)
class Subject:
    """A model in eval mode, which checks copy before they change it, and how it is called.

    Attributes:
        model: the model.
        call: takes the model and a :class:`Copies`, returns the model's output.
        spec: what to draw.
        seed: of all random numbers.
        again: makes another such model; None for an instance.
        kinds: what the rows of each result stand for.
        read: which attributes of an example the call reads.
    """

    model: nn.Module
    call: Call
    spec: Spec
    seed: int
    again: Callable[[], nn.Module] | None = None
    kinds: tuple[Kind, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def knows_graphs(self) -> bool:
        """Whether the model is told which graph a node belongs to."""
        return bool({"batch", "topology", "data", "num_graphs"} & {*self.read})

    def draw(
        self, sizes: tuple[int, ...] = SIZES, *, shift: int = 0, linked: bool = True, isolated: int = 0
    ) -> Example:
        """Draw graphs that the model takes, in its dtype."""
        example = self.spec.draw(sizes, self.seed + shift, linked=linked, isolated=isolated)
        real = (t.dtype for t in [*self.model.parameters(), *self.model.buffers()] if t.is_floating_point())
        return example.to(next(real, torch.get_default_dtype()))

    def run(
        self, example: Example, model: nn.Module | None = None, *, grad: bool = False, copies: Copies | None = None
    ) -> list[Tensor]:
        """Call the model; return the real tensors of its output: one, or those of a tuple, a list or a dict.

        Raises:
            Raised: by whatever the model raises, and if there is no such tensor.
        """
        with torch.set_grad_enabled(grad), user_code():
            result = self.call(model or self.model, copies or Copies(example))
        found = list(_tensors(result))
        if not found:
            raise Raised(f"no tensor of real numbers, but {type(result).__name__}, was returned")
        return found

    def copy(self) -> nn.Module:
        """Return a copy of the model to do anything with."""
        with user_code():
            return copy.deepcopy(self.model)

    @staticmethod
    def gradients(results: list[Tensor], inputs: list[Tensor], seed: int = 0) -> list[Tensor | None]:
        """Differentiate a sum of all results, weighted at random so that nothing cancels; None where none arrives."""
        g = torch.Generator().manual_seed(seed)
        parts = [(t * torch.randn(t.shape, generator=g).to(t)).sum().double() for t in results if t.requires_grad]
        if not parts or not inputs:
            return [None] * len(inputs)
        with user_code():  # a function's own backward
            return list(torch.autograd.grad(torch.stack(parts).sum(), inputs, allow_unused=True))

    def trace(self, example: Example) -> list[tuple[str, Tensor]]:
        """Return what the model's layers return, in the order of calls, then its results, as ``(name, tensor)``."""
        seen: list[tuple[str, Tensor]] = []

        def hook(name: str) -> Callable[..., None]:
            return lambda module, given, result: seen.extend((name, t.clone()) for t in _tensors(result))

        handles = [module.register_forward_hook(hook(name)) for name, module in _layers(self.model)]
        try:
            results = self.run(example)
        finally:
            for handle in handles:
                handle.remove()
        return [*seen, *(("", t) for t in results)]

    def influence(self, example: Example) -> list[tuple[str, Kind, Tensor]]:
        """Change the features of one node after another; return which rows change, bool `[rows, N]`.

        They are rows of the layers with one row per node, in the order of calls, and of the results, whose name is "".
        """
        before, n = self.trace(example), example.num_nodes
        rows = [torch.zeros(t.size(0) if t.dim() else 1, n, dtype=torch.bool) for _, t in before]
        for node in range(n):
            x = example.x.clone()
            x[node] = (x[node] + 1) % self.spec.symbols if self.spec.symbols else x[node] * 0.5 + 1
            for (_, a), (_, b), changed in zip(before, self.trace(replace(example, x=x)), rows, strict=False):
                if a.shape == b.shape and a.numel():
                    off = (a - b).abs().reshape(len(changed), -1).amax(1)
                    changed[:, node] = (off > tolerance(a) * max(float(a.abs().max()), 1e-30)).cpu()
        layers: list[Kind] = ["node" for _ in before[len(self.kinds) :]]
        kinds = [*layers, *self.kinds]
        found = zip(before, kinds, rows, strict=True)
        return [(name, kind, changed) for (name, _), kind, changed in found if not name or len(changed) == n]


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        if result.is_floating_point():
            yield result
    elif isinstance(result, (tuple, list, dict)):
        for part in result.values() if isinstance(result, dict) else result:
            yield from _tensors(part)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers that forward itself calls: inside them nodes may be in another order."""
    for name, module in model.named_children():
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            yield from ((f"{name}.{inner}", layer) for inner, layer in _layers(module))
        else:
            yield name, module


def gap(a: Tensor, b: Tensor) -> float:
    """Return the largest difference relative to the largest number; infinite where shapes or NaNs differ.

    >>> gap(torch.tensor([4.0, 2.0]), torch.tensor([4.0, 1.0]))
    0.25
    """
    if a.shape != b.shape or not torch.equal(torch.isnan(a).cpu(), torch.isnan(b).cpu()):
        return math.inf
    if not a.numel():
        return 0.0
    a, b = (t.detach().double().cpu().nan_to_num() for t in (a, b))
    return float((a - b).abs().max()) / max(float(a.abs().max()), float(b.abs().max()), 1e-30)


def tolerance(*results: Tensor) -> float:
    """Return how large a gap between results of these dtypes may be, for another order of the same sums."""
    return max((_TOLERANCE.get(t.dtype, 3e-2) for t in results), default=0.0)


def finite(*results: Tensor) -> bool:
    """Return whether there is neither NaN nor infinity."""
    return all(bool(torch.isfinite(t).all()) for t in results)


def shapes(results: list[Tensor]) -> str:
    """Return the shapes of results, for a message."""
    return ", ".join(str(list(t.shape)) for t in results)
