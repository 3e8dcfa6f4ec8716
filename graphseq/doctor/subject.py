"""The model under test: running it on random graphs, and comparing two runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .finding import Raised, user_code
from .graphs import Graphs, Kind, Spec

__all__ = ["SIZES", "Call", "Given", "Subject", "differ", "finite", "shapes"]

SIZES = (4, 6, 3)  # nodes of each graph, unless stated: N = 13 and B = 3 differ from E
Call = Callable[[nn.Module, Any], Any]
_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}  # for another order of the same sums


class Given:
    """What a call receives: each attribute of the graphs, copied when it is first read.

    So a model can't change the graphs, and `vars` shows afterwards what was read and how it was changed.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._graphs, name)
        setattr(self, name, value.clone() if isinstance(value, Tensor) else value)
        return vars(self)[name]

    def read(self) -> dict[str, Any]:
        """Return what was read."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Subject:
    """A model in eval mode, which checks copy before they change it, and how it is called."""

    model: nn.Module
    call: Call  # takes the model and :class:`Given` graphs, returns the model's output
    spec: Spec
    seed: int
    again: Callable[[], nn.Module]  # makes another such model
    kinds: tuple[Kind, ...] = ()  # what the rows of each result stand for
    read: tuple[str, ...] = ()  # which attributes of the graphs the call reads

    def reads(self, *names: str) -> bool:
        """Return whether the call reads one of these attributes."""
        return not {*names}.isdisjoint(self.read)

    @property
    def knows_graphs(self) -> bool:
        """Whether the model is told which graph a node belongs to."""
        return self.reads("batch", "topology", "data", "num_graphs")

    def draw(self, sizes: tuple[int, ...] = SIZES, *, shift: int = 0, isolated: int = 0) -> Graphs:
        """Draw graphs that the model takes, in its dtype."""
        real = (t.dtype for t in [*self.model.parameters(), *self.model.buffers()] if t.is_floating_point())
        return self.spec.draw(sizes, self.seed + shift, isolated).to(next(real, torch.get_default_dtype()))

    def run(self, graphs: Graphs, model: nn.Module | None = None, *, grad: bool = False,
            given: Given | None = None) -> list[Tensor]:  # fmt: skip
        """Call the model; return the real tensors of its output: one, or those of a tuple, a list or a dict.

        Raises:
            Raised: by any error of the model, and if there is no such tensor.
        """
        with torch.set_grad_enabled(grad), user_code():
            result = self.call(model or self.model, given or Given(graphs))
        found = list(_tensors(result))
        if not found:
            raise Raised(f"no tensor of real numbers, but {type(result).__name__}, was returned")
        return found

    def copy(self) -> nn.Module:
        """Return a copy of the model that may be changed."""
        with user_code():
            return copy.deepcopy(self.model)

    def gradients(self, results: list[Tensor], inputs: list[Tensor], seed: int = 0) -> list[Tensor | None]:
        """Differentiate a sum of all results, with random weights so that nothing cancels; None if there is none."""
        g = torch.Generator().manual_seed(seed)
        parts = [(t * torch.randn(t.shape, generator=g).to(t)).sum().double() for t in results if t.requires_grad]
        if not parts or not inputs:
            return [None] * len(inputs)
        with user_code():  # a function's own backward
            return list(torch.autograd.grad(torch.stack(parts).sum(), inputs, allow_unused=True))

    def affected(self, graphs: Graphs, nodes: Tensor) -> list[tuple[Kind, Tensor]]:
        """Change the features of these nodes; return which rows of each result change, bool."""
        x = graphs.x.clone()
        x[nodes] = (x[nodes] + 1) % self.spec.symbols if self.spec.symbols else x[nodes] * 0.5 + 1
        found = list[tuple[Kind, Tensor]]()
        for kind, a, b in zip(self.kinds, self.run(graphs), self.run(replace(graphs, x=x)), strict=True):
            if a.shape != b.shape or not a.numel():
                continue
            off = (a - b).nan_to_num().abs().reshape(len(a) if a.dim() else 1, -1).amax(1)
            found.append((kind, off > _TOLERANCE.get(a.dtype, 3e-2) * a.nan_to_num().abs().max()))
        return found


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor) and result.is_floating_point():
        yield result
    elif isinstance(result, (tuple, list, dict)):
        for part in result.values() if isinstance(result, dict) else result:
            yield from _tensors(part)


def differ(before: Sequence[Tensor], after: Sequence[Tensor], within: float | None = None) -> str:
    """Return how results differ, "" if only by rounding, or by less than `within` of the largest number of each.

    >>> differ([torch.tensor([4.0, 2.0])], [torch.tensor([4.0, 1.0])])
    'differ by 0.2 of the largest'
    """
    worst = 0.0
    for a, b in zip(before, after, strict=True):
        if a.shape != b.shape or not torch.equal(torch.isnan(a).cpu(), torch.isnan(b).cpu()):
            return "differ in shape" if a.shape != b.shape else "differ in which are NaN"
        allowed = _TOLERANCE.get(a.dtype, 3e-2) if within is None else within
        a, b = (t.detach().double().cpu().nan_to_num() for t in (a, b))
        off = float((a - b).abs().max() / torch.stack([a, b]).abs().max().clamp(min=1e-30)) if a.numel() else 0.0
        worst = max(worst, off if off > allowed else 0.0)
    return f"differ by {worst:.1g} of the largest" if worst else ""


def finite(*results: Tensor) -> bool:
    """Return whether there is neither NaN nor infinity."""
    return all(bool(torch.isfinite(t).all()) for t in results)


def shapes(results: list[Tensor]) -> str:
    """Return the shapes of results, for a message."""
    return ", ".join(str(list(t.shape)) for t in results)
