"""Node attributes as features: computed from the training part, applied to every part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import GraphError, Words, expected
from .examples import number_of
from .graphs import Graph

__all__ = ["feature_names", "learn", "make_features"]

_MOST_DEGREES = 64  # larger degrees share one feature

Learnt = dict[str, Any]


def learn(graphs: Sequence[Graph], places: Sequence[str], rows: Tensor | None = None) -> Learnt:
    """Return how to make features, as JSON values.

    Numbers are standardised; columns of zeros and ones are left as they are. Texts, and integers that are categories,
    become one-hot with a column for unknown ones; a text that differs at every node is a name and left out. Without
    any attributes the features are the nodes' degrees, one-hot.

    Args:
        graphs: of the training part.
        places: the place of each, for messages.
        rows: the training nodes, where there is one graph.

    Raises:
        GraphError: graphs that differ in their attributes, numbers that are missing or not finite.
    """
    found: Learnt = {"x": None, "categories": None, "numbers": {}, "words": {}, "degrees": None, "left_out": []}
    first = graphs[0]
    for graph, place in zip(graphs, places, strict=True):
        _same_width(graph, None if first.x is None else first.x.size(1), place)
    if first.x is not None:
        x = torch.cat([graph.x for graph in graphs if graph.x is not None])
        x = x if rows is None else x[rows]
        if x.is_floating_point():
            found["x"] = [_mean_and_std(column) for column in x.double().t()]
        else:
            found["categories"] = [column.unique().tolist() for column in x.t()]
    for name in dict.fromkeys(name for graph in graphs for name in graph.columns):
        values = [v for graph in graphs for v in graph.columns.get(name, [None] * graph.num_nodes)]
        _learn_column(found, name, values, range(len(values)) if rows is None else rows.tolist())
    if found["x"] is None and found["categories"] is None and not found["numbers"] and not found["words"]:
        degrees = [int(_degrees(graph).max()) for graph in graphs if graph.num_nodes]
        found["degrees"] = min(max(degrees, default=0), _MOST_DEGREES)
    return found


def _same_width(graph: Graph, features: int | None, place: str) -> None:
    own = None if graph.x is None else graph.x.size(1)
    if own != features:
        words = ["no x" if n is None else f"x with {n} numbers a node" for n in (features, own)]
        raise GraphError(f"{place}: expected {words[0]}, got {words[1]}")


def _learn_column(found: Learnt, name: str, values: list[Any], rows: Sequence[int]) -> None:
    """Learn a column of the training nodes' values; whether some nodes lack one is seen from all."""
    there = [value for value in values if value is not None and value != ""]
    if any(isinstance(value, list) for value in there):
        widths = {len(value) if isinstance(value, list) else 1 for value in there}
        if len(widths) > 1:
            raise expected("data", f"lists of one length under {name!r}", Words(f"lengths {sorted(widths)}"))
        for i in range(widths.pop()):
            _learn_column(found, f"{name}[{i}]", [None if v is None else v[i] for v in values], rows)
        return
    taught = [values[i] for i in rows if values[i] is not None and values[i] != ""]
    numbers = [number_of(value) for value in taught]
    if taught and all(number is not None for number in numbers):
        if len(there) < len(values):
            found["left_out"].append(f"{name} (missing at some nodes)")
            return
        found["numbers"][name] = _mean_and_std(torch.tensor(numbers, dtype=torch.float64), name)
        return
    kinds = sorted({str(value) for value in taught})
    if len(kinds) == len(rows) > 1:
        found["left_out"].append(f"{name} (different at each node)")
    elif kinds:
        found["words"][name] = kinds


def _mean_and_std(column: Tensor, name: str = "x") -> list[float]:
    if not column.isfinite().all():
        raise expected("data", f"finite numbers under {name!r}", Words("one that is not"))
    if bool(((column == 0) | (column == 1)).all()):
        return [0.0, 1.0]
    std = float(column.std(correction=0))
    return [float(column.mean()), std if std > 0 else 1.0]


def feature_names(learnt: Learnt) -> list[str]:
    """Return the name of each of the F features."""
    found = [f"x[{i}]" for i in range(len(learnt["x"] or ()))]
    for i, kinds in enumerate(learnt["categories"] or ()):
        found += [f"x[{i}] = {kind}" for kind in ("another", *kinds)]
    found += list(learnt["numbers"])
    for name, kinds in learnt["words"].items():
        found += [f"{name}: {kind}" for kind in ("another", *kinds)]
    if learnt["degrees"] is not None:
        top = int(learnt["degrees"])
        found += [f"degree {k}" for k in range(top)] + [f"degree {top} or more"]
    return found


def make_features(graph: Graph, learnt: Learnt, place: str) -> Tensor:
    """Return the nodes' features, float32 `[N, F]`.

    Raises:
        GraphError: a number is missing or not finite, or x's width differs from that in training.
    """
    n, parts = graph.num_nodes, []
    wide = learnt["x"] if learnt["x"] is not None else learnt["categories"]
    if n or graph.x is not None:
        _same_width(graph, None if wide is None else len(wide), place)
    if graph.x is not None and learnt["x"] is not None:
        mean, std = torch.tensor(learnt["x"], dtype=torch.float64).reshape(-1, 2).t()
        parts.append(((graph.x.double() - mean) / std).float())
    elif graph.x is not None:
        parts += [_one_hot(column.tolist(), kinds) for column, kinds in zip(graph.x.t(), wide, strict=True)]
    for name, (mean, std) in learnt["numbers"].items():
        numbers = [number_of(value) for value in _values(graph, name)]
        for node, number in enumerate(numbers):
            if number is None or not math.isfinite(number):
                who = graph.names[node] if graph.names else node
                raise GraphError(f"{place}: expected a finite number under {name!r} of node {who}, got {number}")
        parts.append(((torch.tensor(numbers, dtype=torch.float64) - mean) / std).float().reshape(n, 1))
    for name, kinds in learnt["words"].items():
        parts.append(_one_hot([None if v is None else str(v) for v in _values(graph, name)], kinds))
    if learnt["degrees"] is not None:
        top = int(learnt["degrees"])
        parts.append(torch.nn.functional.one_hot(_degrees(graph).clamp(max=top), top + 1).float())
    return torch.cat(parts, 1)


def _values(graph: Graph, name: str) -> list[Any]:
    if name in graph.columns:
        return graph.columns[name]
    base, _, rest = name.rpartition("[")
    if rest and base in graph.columns:
        at = int(rest.rstrip("]"))
        return [v[at] if isinstance(v, list) and at < len(v) else None for v in graph.columns[base]]
    return [None] * graph.num_nodes


def _one_hot(values: Sequence[Any], kinds: Sequence[Any]) -> Tensor:
    """Return `[n, kinds + 1]`; the first column is for unknown ones."""
    index = {kind: i for i, kind in enumerate(kinds, start=1)}
    made = torch.tensor([index.get(value, 0) for value in values], dtype=torch.int64)
    return torch.nn.functional.one_hot(made, len(kinds) + 1).float()


def _degrees(graph: Graph) -> Tensor:
    return torch.bincount(graph.edges[1], minlength=graph.num_nodes)
