"""Guess how a model is made and called, from the names of its arguments: a convenience beside an explicit `call`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from ..errors import Words, expected
from .examples import Spec
from .finding import Raised, user_code
from .subject import Call

__all__ = ["calls", "make", "specs"]

# A required argument of a constructor gets the size of the first row that shares a word with its name. The sizes of
# features differ, so that a model which takes one for another fails.
_SIZES: tuple[tuple[float, str], ...] = (
    (4, "edge"),
    (11, "vocab vocabulary symbols words tokens embeddings"),
    (3, "out output outputs classes class nclass nclasses labels tasks"),
    (8, "hidden hid nhid h embedding embed emb"),
    (6, "in input inputs feature features feats feat nfeat node"),
    (2, "layers nlayers depth heads arity rounds k"),
    (0.5, "dropout p"),
    (8, "width channels size dim"),
)
_FEATURES = ("in_channels", "input_size", "in_features", "num_features", "in_dim", "input_dim", "num_node_features")
_EDGES = ("edge_dim", "edge_channels", "num_edge_features", "edge_features")
_TYPES = ("num_relations", "num_edge_types", "num_rels")
_ROLES = {  # attribute of an example → usual names of an argument of forward
    "x": "x h features feats feat input inputs node_features symbols tokens words z",
    "edge_index": "edge_index edges edge_list adj adj_t adjacency",
    "topology": "topology tree trees dag structure",
    "batch": "batch batch_index batch_idx graph_index",
    "edge_attr": "edge_attr edge_features edge_feat edge_attrs e",
    "edge_weight": "edge_weight edge_weights weight",
    "edge_type": "edge_type edge_types etype relation relations",
    "data": "data graph graphs g",
    "num_nodes": "num_nodes",
    "num_graphs": "num_graphs batch_size",
}
_ROLE = {name: role for role, names in _ROLES.items() for name in names.split()}
_GIVE_CALL = "or pass call=lambda model, graphs: …"


def make(target: Any) -> tuple[nn.Module, dict[str, float], Callable[[], nn.Module] | None]:
    """Return a model of an instance, a class or a function without arguments; the sizes chosen; how to make another.

    Raises:
        GraphError: it is none of these, an argument's name says no size, or the constructor raises.
    """
    if isinstance(target, nn.Module):
        return target, {}, None
    is_class = isinstance(target, type)
    if not callable(target) or (is_class and not issubclass(target, nn.Module)):
        raise expected("model", "a torch.nn.Module, a class of them or a function that makes one", target)
    name, chosen = getattr(target, "__name__", repr(target)), dict[str, float]()
    for p in inspect.signature(target).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.default is not p.empty:
            continue
        words = {*re.findall("[a-z]+", p.name.lower())}
        size = next((size for size, known in _SIZES if words & {*known.split()}), None) if is_class else None
        if size is None or p.kind is p.POSITIONAL_ONLY:
            got = Words(f"{name}, whose argument {p.name} has no known size")
            raise expected("model", "a model, or a function without arguments that makes it", got)
        chosen[p.name] = size

    def again() -> nn.Module:
        with user_code():
            return target(**chosen)  # type: ignore[no-any-return]

    try:
        made = again()
    except Raised as error:
        shown = ", ".join(f"{key}={value}" for key, value in chosen.items())
        wanted = "arguments that a model can be made with, or a function without arguments that makes it"
        raise expected("model", wanted, Words(f"{name}({shown}), which raised {error}")) from error
    if not isinstance(made, nn.Module):
        raise expected("model", "a function that returns a torch.nn.Module", made)
    return made, chosen, again


def calls(model: nn.Module) -> list[Call]:
    """Return ways to call a model, the likeliest first, by the names of its forward's arguments.

    Raises:
        GraphError: forward has a required argument of an unknown name.
    """
    found: dict[str, str] = {}  # role → argument
    optional: dict[str, str] = {}
    parameters = list(inspect.signature(model.forward).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return [_positional("x", "edge_index"), _positional("x", "edge_index", "batch")]
    for p in parameters:
        annotation, required = str(p.annotation), p.default is p.empty
        role = _ROLE.get(p.name, "x" if not found and required else None)
        if "Topology" in annotation and "Tensor" not in annotation:
            role = "topology"
        elif not found and (role == "batch" or annotation in ("Data", "Batch") or "torch_geometric.data" in annotation):
            role = "data"
        elif found and role == "data":  # (x, graph)
            role = "edge_index"
        if required and role is None and p.kind is not p.VAR_KEYWORD:
            wanted = f"a forward of (x, edge_index), (x, edge_index, batch), (x, topology) or (data), {_GIVE_CALL}"
            raise expected("model", wanted, Words(f"the parameter {p.name}"))
        if role and role not in found:
            if required or role in ("x", "edge_index", "topology", "batch"):
                found[role] = "" if p.kind is p.POSITIONAL_ONLY else p.name
            elif role in ("edge_attr", "edge_type"):
                optional[role] = p.name
    if not found:
        raise expected("model", f"a forward that takes a graph, {_GIVE_CALL}", Words("one without arguments"))
    if [*found] in (["x"], ["data"]):
        return [_named({role: next(iter(found.values()))}) for role in dict.fromkeys([*found, "data", "x"])]
    both = [_named(found), _named(found | optional)] if optional else [_named(found)]
    return both[::-1] if sizes(model, {}, (*_EDGES, *_TYPES)) else both


def _positional(*roles: str) -> Call:
    return lambda model, graphs: model(*(getattr(graphs, role) for role in roles))


def _named(arguments: dict[str, str]) -> Call:
    if "" in arguments.values():
        return _positional(*arguments)
    return lambda model, graphs: model(**{name: getattr(graphs, role) for role, name in arguments.items()})


def specs(
    model: nn.Module, chosen: dict[str, float], features: int | None, edge_features: int | None, symbols: int | None
) -> Iterator[Spec]:
    """Yield what to draw for a model, the likeliest first: what is given, else widths that its layers have."""
    matrices = [p for p in model.parameters() if not isinstance(p, UninitializedParameter) and p.dim() == 2]
    widths = [*dict.fromkeys([p.size(1) for p in matrices] + [p.size(0) for p in matrices])][:8]
    vocabulary = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    first = next(iter(inspect.signature(model.forward).parameters), "")
    usual = min(vocabulary, default=2 if first in ("symbols", "tokens", "words", "z") else 0)
    counts = [symbols] if symbols is not None else [0] if features else [*dict.fromkeys([usual, 0])]
    nodes = [features] if features else [*dict.fromkeys([*sizes(model, chosen, _FEATURES)[:4], *widths[:2], 6, 1])]
    known = sizes(model, chosen, _EDGES)
    edges = [edge_features] if edge_features is not None else [*dict.fromkeys([*known, 1, 2, 3, 4, *widths, 0])]
    types = next(iter(sizes(model, chosen, _TYPES)), 2)
    for count in counts:
        for width in nodes[:1] if count else nodes:
            for labels in (False, True):
                for edge in edges:
                    yield Spec(width, edge, count, types, graph_labels=labels)


def sizes(model: nn.Module, chosen: dict[str, float], names: tuple[str, ...]) -> list[int]:
    """Return the sizes of these names, of the constructor's arguments and of modules' attributes, without doubles."""
    found = [chosen[name] for name in names if name in chosen]
    for module in model.modules():
        found += [value for name in names if isinstance(value := getattr(module, name, None), int) and value > 0]
    return list(dict.fromkeys(int(n) for n in found))
