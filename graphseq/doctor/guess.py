"""Guess how a model is made and called, from the names of arguments, if no `call` is given."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import Words, expected
from .finding import Raised, user_code
from .graphs import Spec
from .subject import Call

__all__ = ["calls", "make", "specs"]

# A required argument of a constructor gets the size of the first word that its name contains. The sizes of features
# differ, so that a model which takes one for another fails.
_SIZES = {"edge": 4, "vocab": 11, "symbols": 11, "classes": 3, "out": 3, "output": 3, "hidden": 8, "embedding": 8,
          "layers": 2, "in": 6, "input": 6, "features": 6}  # fmt: skip
_FEATURES = ("in_channels", "input_size", "in_features", "num_features", "in_dim", "input_dim")
_EDGES = ("edge_dim", "edge_channels", "num_edge_features")
_ROLES = {  # attribute of the graphs → usual names of an argument of forward
    "x": "x h features inputs input symbols tokens words z",
    "edge_index": "edge_index edges adj_t adj",
    "topology": "topology tree trees dag",
    "batch": "batch batch_index",
    "edge_attr": "edge_attr edge_features",
    "edge_weight": "edge_weight edge_weights",
    "data": "data graph graphs",
}
_FORWARDS = ("a forward of (x, edge_index), (x, edge_index, batch), (x, topology) or (data); or pass "
             "call=lambda model, graphs: model(graphs.x, graphs.edge_index, …)")  # fmt: skip
_ROLE = {name: role for role, names in _ROLES.items() for name in names.split()}


def make(target: Any) -> tuple[nn.Module, dict[str, int], Callable[[], nn.Module]]:
    """Return a model of an instance, a class or a function without arguments; the sizes chosen; how to make another."""
    is_class, name = isinstance(target, type), getattr(target, "__name__", type(target).__name__)
    if not callable(target) or (is_class and not issubclass(target, nn.Module)):
        raise expected("model", "a torch.nn.Module, a class of them or a function that makes one", target)
    maker, chosen = (lambda: target) if isinstance(target, nn.Module) else target, dict[str, int]()
    for p in inspect.signature(maker).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.default is not p.empty:
            continue
        size = next((size for word, size in _SIZES.items() if word in p.name.split("_")), None)
        if size is None or not is_class:
            got = Words(f"{name}, whose argument {p.name} has no known size")
            raise expected("model", "a model, or a function without arguments that makes it", got)
        chosen[p.name] = size

    def again() -> nn.Module:
        with user_code():
            return copy.deepcopy(maker(**chosen))

    try:
        made = again()
    except Raised as error:
        wanted = "arguments that a model can be made with, or a function without arguments that makes it"
        got = Words(f"{name}({', '.join(f'{key}={n}' for key, n in chosen.items())}), which raised {error}")
        raise expected("model", wanted, got) from error
    if not isinstance(made, nn.Module):
        raise expected("model", "a function that returns a torch.nn.Module", made)
    return made, chosen, again


def calls(model: nn.Module) -> list[Call]:
    """Return ways to call a model by the names of forward's arguments; an unknown one is an error."""
    found = dict[str, str]()  # role → argument
    usual = {"x", "edge_index", "topology", "batch"} | ({"edge_attr"} if _attributes(model, *_EDGES) else set())
    for p in inspect.signature(model.forward).parameters.values():
        required = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        role = _ROLE.get(p.name, "x" if required and not found else "")
        annotation = str(p.annotation)
        if "Topology" in annotation and "Tensor" not in annotation:
            role = "topology"
        elif not found and (role == "batch" or annotation.rstrip("'>").endswith(("Data", "Batch"))):
            role = "data"
        if role and (required or role in usual):
            found.setdefault(role, p.name)
        elif required:
            raise expected("model", _FORWARDS, Words(f"the parameter {p.name}"))
    if not found:
        raise expected("model", _FORWARDS, Words("no named parameter"))
    ways = [found]
    if [*found] in (["x"], ["data"]):  # one argument, whatever its name is
        ways = [{role: next(iter(found.values()))} for role in dict.fromkeys([*found, "data", "x"])]
    return [functools.partial(_call, names) for names in ways]


def _call(names: dict[str, str], model: nn.Module, graphs: Any) -> Any:
    return model(**{name: getattr(graphs, role) for role, name in names.items()})


def specs(model: nn.Module, features: int | None, edge_features: int | None, symbols: int | None) -> Iterator[Spec]:
    """Yield what to draw for a model, the likeliest first: what is given, else widths that its layers have."""
    matrices = [p for p in model.parameters() if not is_lazy(p) and p.dim() == 2]
    widths = [*dict.fromkeys(size for dim in (1, 0) for p in matrices for size in [p.size(dim)])][:6]
    vocabulary = min((m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)), default=0)
    first = next(iter(inspect.signature(model.forward).parameters), "")
    usual = vocabulary or 2 * (first in ("symbols", "tokens", "words", "z"))
    counts = [symbols] if symbols is not None else [0] if features else [*dict.fromkeys([usual, 0])]
    nodes = [features] if features else [*dict.fromkeys([*_attributes(model, *_FEATURES)[:4], *widths[:2], 6, 1])]
    edges = [edge_features] if edge_features is not None else [*_attributes(model, *_EDGES), 1, 4, *widths, 0]
    for count, width, labels, edge in itertools.product(counts, nodes, (False, True), dict.fromkeys(edges)):
        yield Spec(width, edge, count, graph_labels=labels)


def _attributes(model: nn.Module, *names: str) -> list[int]:
    """Return the sizes that modules have as attributes of these names."""
    found = (getattr(module, name, None) for module in model.modules() for name in names)
    return [*dict.fromkeys(value for value in found if isinstance(value, int) and value > 0)]
