"""A call of a model: its arguments, made of random graphs, and the tensors that come back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import expected
from .find import Made
from .samples import Family, Sample, draw, pick

__all__ = ["Form", "Kind", "Probe", "Role", "arguments", "call", "dtype_of", "shapes"]

Role = Literal[
    "x", "edge_index", "topology", "batch", "edge_attr", "edge_weight", "edge_type", "data", "num_nodes", "num_graphs"
]
Kind = Literal["node", "graph", "root", "edge", "whole", "other"]

SIZES = (4, 6, 3)  # nodes of each graph, unless said; N = 13, B = 3 and E all differ


@dataclass(frozen=True)
class Form:
    """A way to call a model.

    Attributes:
        roles: of forward's parameters, by name; names are empty where only the order counts.
        features: F.
        symbols: how many there are, where x holds symbols; else 0.
        edge: D of edges' features, 0 for weights, None without.
        types: how many types of edges there are, where forward takes them; else 0.
        family: what structures it takes.
    """

    roles: tuple[tuple[str, Role], ...]
    features: int
    symbols: int
    edge: int | None
    types: int
    family: Family

    def has(self, *roles: Role) -> bool:
        """Say whether forward takes one of these."""
        return any(role in roles for _, role in self.roles)

    @property
    def knows_graphs(self) -> bool:
        """Whether the model is told which graph a node belongs to."""
        return self.has("batch", "topology", "data")

    def __str__(self) -> str:
        """Return the call, with shapes."""
        x = "x int64 [N]" if self.symbols else f"x [N, {self.features}]"
        edge = "" if self.edge is None else " [E]" if self.edge == 0 else f" [E, {self.edge}]"
        kinds = f"edge_type int64 [E] below {self.types}"
        names = {"x": x, "edge_type": kinds, "edge_attr": f"edge_attr{edge}", "edge_weight": f"edge_weight{edge}",
                 "data": f"data with {x}"}  # fmt: skip
        return f"model({', '.join(names.get(role, role) for _, role in self.roles)})"


@dataclass(frozen=True)
class Probe:
    """A model that is known to run, in eval mode, and how it is called.

    Attributes:
        made: the model as it came.
        model: a copy of it that the checks may use; they don't change it but copy it again.
        form: how it is called.
        kinds: of each tensor that it returns: one row a node, a graph, a root, an edge, one for the whole, or something
            else.
        refused: what it said to structures of an earlier family, or "".
        seed: of all that is random.
    """

    made: Made
    model: nn.Module
    form: Form
    kinds: tuple[Kind, ...]
    refused: str
    seed: int

    def sample(self, sizes: tuple[int, ...] = SIZES, *, shift: int = 0, linked: bool = True) -> Sample:
        """Draw graphs that the model takes, real features in its dtype."""
        form = self.form
        made = draw(sizes, form.family, form.features, symbols=form.symbols, edge=form.edge, types=form.types,
                    seed=self.seed + shift, linked=linked)  # fmt: skip
        return made.to(dtype_of(self.model))

    def run(self, sample: Sample) -> list[Tensor]:
        """Call the model, without gradients."""
        with torch.no_grad():
            return call(self.model, self.form, sample)

    def copy(self) -> nn.Module:
        """Return a copy to do anything with."""
        return copy.deepcopy(self.model)


def dtype_of(model: nn.Module) -> torch.dtype:
    """Return the dtype of the model's parameters, or PyTorch's default."""
    real = (t.dtype for t in [*model.parameters(), *model.buffers()] if t.is_floating_point())
    return next(real, torch.get_default_dtype())


def arguments(form: Form, sample: Sample) -> tuple[list[Any], dict[str, Any]]:
    """Return a call's arguments, made of copies, so that a model can't change the sample."""
    given: dict[str, Any] = {}
    if form.has("data"):
        given["data"] = _data(sample)
    else:
        given = {"x": sample.x.clone(), "edge_index": sample.edge_index.clone(), "batch": sample.batch,
                 "num_nodes": sample.num_nodes, "num_graphs": sample.num_graphs}  # fmt: skip
        edge = None if sample.edge is None else sample.edge.clone()
        given |= {"edge_attr": edge, "edge_weight": edge, "edge_type": edge}
        if form.has("topology"):
            given["topology"] = sample.topology
    ordered = [given[role] for name, role in form.roles if not name]
    return ordered, {name: given[role] for name, role in form.roles if name}


def _data(sample: Sample) -> Any:
    """Return a PyG Batch, as a loader gives it."""
    from torch_geometric.data import Batch, Data

    parts = []
    for i in range(sample.num_graphs):
        part = pick(sample, i)
        data = Data(x=part.x, edge_index=part.edge_index)
        if part.edge is not None:
            data["edge_weight" if part.edge.dim() == 1 else "edge_attr"] = part.edge
        parts.append(data)
    if not parts:
        data = Data(x=sample.x.clone(), edge_index=sample.edge_index.clone())
        data.batch = sample.batch
        return data
    return Batch.from_data_list(parts)


def call(model: nn.Module, form: Form, sample: Sample) -> list[Tensor]:
    """Return the real tensors that a model returns: one, or those of a tuple, a list or a dict.

    Raises:
        GraphError: it returns none.
    """
    ordered, named = arguments(form, sample)
    result = model(*ordered, **named)
    found = list(_tensors(result))
    if not found:
        raise expected("model", "to return a tensor of real numbers, or a tuple or dict of such", result)
    return found


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        if result.is_floating_point():
            yield result
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from _tensors(part)
    elif isinstance(result, dict):
        for part in result.values():
            yield from _tensors(part)


def shapes(results: list[Tensor]) -> str:
    """Return the shapes of results, for a message."""
    return ", ".join(str(list(t.shape)) for t in results)
