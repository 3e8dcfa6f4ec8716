"""How a model is called: told by its forward's signature, confirmed by trying."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..errors import Words, expected
from .calling import Form, Kind, Probe, Role
from .find import Made
from .finding import told
from .samples import FAMILIES, Sample, with_isolated

__all__ = ["probe"]

_ROLES: dict[Role, tuple[str, ...]] = {
    "x": ("x", "h", "features", "feats", "feat", "input", "inputs", "node_features", "symbols", "tokens", "words", "z"),
    "edge_index": ("edge_index", "edges", "edge_list", "adj", "adj_t", "adjacency"),
    "topology": ("topology", "tree", "trees", "dag", "structure"),
    "batch": ("batch", "batch_index", "batch_idx", "graph_index"),
    "edge_attr": ("edge_attr", "edge_features", "edge_feat", "edge_attrs", "e"),
    "edge_weight": ("edge_weight", "edge_weights", "weight"),
    "edge_type": ("edge_type", "edge_types", "etype", "relation", "relations"),
    "data": ("data", "graph", "graphs", "g"),
    "num_nodes": ("num_nodes",),
    "num_graphs": ("num_graphs", "batch_size"),
}
_ROLE: dict[str, Role] = {name: role for role, names in _ROLES.items() for name in names}
_USED_IF_OPTIONAL = ("x", "edge_index", "topology", "batch")
_WIDTHS = ("in_channels", "input_size", "in_features", "num_features", "in_dim", "input_dim", "num_node_features")
_TYPES = ("num_relations", "num_edge_types", "num_rels")
_SYMBOLS = ("symbols", "tokens", "words", "z")
_EDGE_WIDTHS = ("edge_dim", "edge_channels", "num_edge_features", "edge_features")


def probe(made: Made, *, seed: int, features: int | None, edge_features: int | None) -> Probe:
    """Find out how a model is called.

    Raises:
        GraphError: forward wants what is not known, or every try raised; the message has what the first one said.
    """
    try:
        model = copy.deepcopy(made.model).eval()
    except Exception as error:
        got = Words(f"one whose copy raised {told(error)}")
        raise expected("model", "a model that copy.deepcopy can copy", got) from error
    tensors = [*model.parameters(), *model.buffers()]
    lazy = any(isinstance(t, (UninitializedParameter, UninitializedBuffer)) for t in tensors)
    first: Exception | None = None
    tried_first = ""
    for form in _forms(made, features, edge_features):
        refused: Exception | None = None
        tried_first = tried_first or str(form)
        for family in FAMILIES:
            tried = copy.deepcopy(model) if lazy else model
            this = Probe(made, tried, replace(form, family=family), (), "", seed)
            try:
                with torch.random.fork_rng(devices=[]):
                    kinds = _kinds(this)
            except Exception as error:
                first, refused = first or error, refused or error
                continue
            return replace(this, kinds=kinds, refused="" if refused is None else told(refused))
    wanted = f"one that runs on some small graph (tried {tried_first}, and others; `features` says how wide x is)"
    raise expected("model", wanted, Words(f"one that raised {told(first) if first else 'nothing'}")) from first


def _forms(made: Made, features: int | None, edge_features: int | None) -> Iterator[Form]:
    """Yield what to try: ways to call, each with widths of features, each with widths of edges' features."""
    symbols = next((m.num_embeddings for m in made.model.modules() if isinstance(m, nn.Embedding)), 0)
    if not symbols and next(iter(inspect.signature(made.model.forward).parameters), "") in _SYMBOLS:
        symbols = 2  # fewer than any vocabulary
    types = [*_found(made, _TYPES), 2][0]
    known = [edge_features] if edge_features is not None else _found(made, _EDGE_WIDTHS)
    given = known if edge_features is not None else list(dict.fromkeys([*known, 1, 2, 3, 4, *_matrices(made), 0]))
    for roles in _roles(made.model, bool(known) or bool(_found(made, _TYPES))):
        wants = next((role for _, role in roles if role in ("edge_attr", "edge_weight")), None)
        edges: list[int | None] = [0] if wants == "edge_weight" else [*given] if wants else [None]
        if any(role == "data" for _, role in roles):
            edges = [None, *given] if not known else [*given]
        for width in [features] if features is not None else _widths(made):
            for edge in edges:
                typed = types if any(role == "edge_type" for _, role in roles) else 0
                form = Form(roles, width, 0, edge, typed, "graphs")
                if symbols and features is None:
                    yield replace(form, symbols=symbols)
                yield form


def _found(made: Made, names: tuple[str, ...]) -> list[int]:
    """Return the sizes of these names among the arguments chosen and the modules' attributes, the first ones first."""
    found = [made.chosen[name] for name in names if name in made.chosen]
    for module in made.model.modules():
        found += [value for name in names if isinstance(value := getattr(module, name, None), int) and value > 0]
    return list(dict.fromkeys(int(n) for n in found))


def _widths(made: Made) -> list[int]:
    """Return the widths of features to try, the likeliest first."""
    return list(dict.fromkeys([*_found(made, _WIDTHS)[:4], *_matrices(made)[:2], 6, 1]))


def _matrices(made: Made) -> list[int]:
    """Return the widths of inputs, then of results, of the model's matrices."""
    ready = [p for p in made.model.parameters() if not isinstance(p, UninitializedParameter) and p.dim() == 2]
    return list(dict.fromkeys([p.size(1) for p in ready] + [p.size(0) for p in ready]))[:8]


def _roles(model: nn.Module, has_edges: bool) -> list[tuple[tuple[str, Role], ...]]:
    """Return the ways to call that the signature of forward allows, the likeliest first.

    Args:
        model: whose forward it is.
        has_edges: whether the model is known to take edges' features, though it may not have to.

    Raises:
        GraphError: a required parameter whose part is not known.
    """
    parameters = list(inspect.signature(model.forward).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return [(("", "x"), ("", "edge_index")), (("", "x"), ("", "edge_index"), ("", "batch"))]
    found: list[tuple[str, Role]] = []
    optional: list[tuple[str, Role]] = []
    for i, parameter in enumerate(parameters):
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        role = _role(parameter, found, [_ROLE.get(p.name) for p in parameters[i + 1 :]])
        if role in ("edge_attr", "edge_type") and not required:
            optional.append((parameter.name, role))
        if role is None or (not required and role not in _USED_IF_OPTIONAL):
            if required:
                known = "a forward of (x, edge_index), (x, edge_index, batch), (x, topology), (data) or with edge_attr"
                raise expected("model", known, Words(f"the parameter {parameter.name}"))
            continue
        if not any(role == other for _, other in found):
            found.append(("" if parameter.kind is parameter.POSITIONAL_ONLY else parameter.name, role))
    if not found:
        raise expected("model", "a forward that takes a graph", Words("one without arguments"))
    if len(found) == 1 and found[0][1] != "topology":  # features alone, or a whole graph
        alone: list[Role] = ["x", "data"] if found[0][1] == "x" else ["data", "x"]
        return [((found[0][0], role),) for role in alone]
    if not optional:
        return [tuple(found)]
    both = [tuple(found), (*found, *optional)]
    return both[::-1] if has_edges else both


def _role(parameter: inspect.Parameter, before: list[tuple[str, Role]], after: list[Role | None]) -> Role | None:
    """Return what a parameter of forward is for: by its annotation, its name, or its place."""
    annotation = str(parameter.annotation)
    if "Topology" in annotation and "Tensor" not in annotation:
        return "topology"
    if not before and ("torch_geometric.data" in annotation or annotation in ("Data", "Batch")):
        return "data"
    role = _ROLE.get(parameter.name)
    if role is None and parameter.default is parameter.empty and len(before) < 2:
        graph_follows = any(r in ("edge_index", "topology", "data") for r in after)
        role = "x" if not before else None if graph_follows else "edge_index"
    if before and role == "data":  # (x, graph)
        role = "edge_index"
    return role if before or role != "batch" else "data"


def _kinds(probe: Probe) -> tuple[Kind, ...]:
    """Return what the rows of each result stand for: what they do on two draws of graphs of different sizes."""
    first, second = probe.sample(), probe.sample((5, 2, 7, 3), shift=1)
    results = probe.run(first), probe.run(second)
    if len(results[0]) != len(results[1]):
        got = Words(f"{len(results[0])}, then {len(results[1])}")
        raise expected("model", "to return as many tensors each time", got)
    kinds: list[Kind] = []
    for a, b in zip(*results, strict=True):
        kind = _kind(a, first, probe.form)
        same = kind == _kind(b, second, probe.form)
        kinds.append(kind if same and kind != "other" else "whole" if a.shape == b.shape else "other")
    return _with_roots(kinds, probe, second)


def _with_roots(kinds: list[Kind], probe: Probe, sample: Sample) -> tuple[Kind, ...]:
    """Return the kinds, "root" in place of "graph" where graphs with several roots give a row for each of them."""
    if "graph" not in kinds or not probe.form.has("topology"):
        return tuple(kinds)
    several = with_isolated(sample, probe.sample((2,), shift=2, linked=False))
    try:
        results = probe.run(several)
    except Exception:  # another check tells it
        return tuple(kinds)
    rows = [result.size(0) if result.dim() else 1 for result in results]
    return tuple("root" if k == "graph" and n == several.num_roots else k for k, n in zip(kinds, rows, strict=True))


def _kind(result: Tensor, sample: Sample, form: Form) -> Kind:
    """Return what one result's rows stand for on one draw."""
    rows = result.size(0) if result.dim() else 1
    if rows == sample.num_nodes:
        return "node"
    if rows == sample.num_graphs and form.knows_graphs:
        return "graph"
    if rows == sample.num_edges:
        return "edge"
    return "whole" if rows == 1 else "other"
