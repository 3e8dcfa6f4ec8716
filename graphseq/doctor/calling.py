"""How a model is called: told by its forward's signature, confirmed by trying."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..errors import Words, expected
from .find import Made
from .finding import told
from .samples import FAMILIES, Family, Sample, draw, pick

__all__ = ["Form", "Kind", "Probe", "arguments", "call", "probe", "shapes"]

Role = Literal["x", "edge_index", "topology", "batch", "edge_attr", "edge_weight", "data", "num_nodes", "num_graphs"]
Kind = Literal["node", "graph", "edge", "whole", "other"]

_ROLES: dict[Role, tuple[str, ...]] = {
    "x": ("x", "h", "features", "feats", "feat", "input", "inputs", "node_features", "symbols", "tokens", "words", "z"),
    "edge_index": ("edge_index", "edges", "edge_list", "adj", "adj_t", "adjacency"),
    "topology": ("topology", "tree", "trees", "dag", "structure"),
    "batch": ("batch", "batch_index", "batch_idx", "graph_index"),
    "edge_attr": ("edge_attr", "edge_features", "edge_feat", "edge_attrs", "e"),
    "edge_weight": ("edge_weight", "edge_weights", "weight"),
    "data": ("data", "graph", "graphs", "g"),
    "num_nodes": ("num_nodes",),
    "num_graphs": ("num_graphs", "batch_size"),
}
_ROLE: dict[str, Role] = {name: role for role, names in _ROLES.items() for name in names}
_USED_IF_OPTIONAL = ("x", "edge_index", "topology", "batch")
_WIDTHS = ("in_channels", "input_size", "in_features", "num_features", "in_dim", "input_dim", "num_node_features")
_EDGE_WIDTHS = ("edge_dim", "edge_channels", "num_edge_features", "edge_features")
_SIZES = (4, 6, 3)  # nodes of each graph of the first try; N = 13, B = 3 and E all differ


@dataclass(frozen=True)
class Form:
    """A way to call a model.

    Attributes:
        roles: of forward's parameters, by name; names are empty where only the order counts.
        features: F.
        symbols: how many there are, where x holds symbols; else 0.
        edge: D of edges' features, 0 for weights, None without.
        family: what structures it takes.
    """

    roles: tuple[tuple[str, Role], ...]
    features: int
    symbols: int
    edge: int | None
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
        names = {"x": x, "edge_attr": f"edge_attr{edge}", "edge_weight": f"edge_weight{edge}", "data": f"data with {x}"}
        return f"model({', '.join(names.get(role, role) for _, role in self.roles)})"


@dataclass(frozen=True)
class Probe:
    """A model that is known to run, in eval mode, and how it is called.

    Attributes:
        made: the model as it came.
        model: a copy of it that the checks may use; they don't change it but copy it again.
        form: how it is called.
        kinds: of each tensor that it returns: one row a node, a graph, an edge, one for the whole, or something else.
        refused: what it said to structures of an earlier family, or "".
        seed: of all that is random.
    """

    made: Made
    model: nn.Module
    form: Form
    kinds: tuple[Kind, ...]
    refused: str
    seed: int

    def sample(self, sizes: tuple[int, ...] = _SIZES, *, shift: int = 0, linked: bool = True) -> Sample:
        """Draw graphs that the model takes, real features in its dtype."""
        form = self.form
        made = draw(sizes, form.family, form.features, symbols=form.symbols, edge=form.edge, seed=self.seed + shift,
                    linked=linked)  # fmt: skip
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
        given["edge_attr"] = given["edge_weight"] = None if sample.edge is None else sample.edge.clone()
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
    known = [edge_features] if edge_features is not None else _found(made, _EDGE_WIDTHS)
    given = known if edge_features is not None else list(dict.fromkeys([*known, 1, 2, 3, 4, *_matrices(made), 0]))
    for roles in _roles(made.model, bool(known)):
        wants = next((role for _, role in roles if role in ("edge_attr", "edge_weight")), None)
        edges: list[int | None] = [0] if wants == "edge_weight" else [*given] if wants else [None]
        if any(role == "data" for _, role in roles):
            edges = [None, *given] if not known else [*given]
        for width in [features] if features is not None else _widths(made):
            for edge in edges:
                form = Form(roles, width, 0, edge, "graphs")
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
    for parameter in parameters:
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        role = _role(parameter, found)
        if role == "edge_attr" and not required:
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


def _role(parameter: inspect.Parameter, before: list[tuple[str, Role]]) -> Role | None:
    """Return what a parameter of forward is for: by its annotation, its name, or its place."""
    annotation = str(parameter.annotation)
    if "Topology" in annotation and "Tensor" not in annotation:
        return "topology"
    if not before and ("torch_geometric.data" in annotation or annotation in ("Data", "Batch")):
        return "data"
    role = _ROLE.get(parameter.name)
    if role is None and parameter.default is parameter.empty and len(before) < 2:
        role = ("x", "edge_index")[len(before)]
    if before and role == "data":  # (x, graph)
        role = "edge_index"
    return role if before or role != "batch" else "data"


def _kinds(probe: Probe) -> tuple[Kind, ...]:
    """Return what the rows of each result stand for: what they do on two draws of graphs of different sizes."""
    seen = []
    for shift, sizes in enumerate((_SIZES, (5, 2, 7, 3))):
        sample = probe.sample(sizes, shift=shift)
        seen.append([_kind(t, sample, probe.form) for t in probe.run(sample)])
    if len(seen[0]) != len(seen[1]):
        raise expected("model", "to return as many tensors each time", Words(f"{len(seen[0])}, then {len(seen[1])}"))
    return tuple(a if a == b else "other" for a, b in zip(*seen, strict=True))


def _kind(result: Tensor, sample: Sample, form: Form) -> Kind:
    rows = result.size(0) if result.dim() else 1
    if rows == sample.num_nodes:
        return "node"
    if rows == sample.num_graphs and form.knows_graphs:
        return "graph"
    if rows == sample.num_edges:
        return "edge"
    return "whole" if rows == 1 else "other"


def shapes(results: list[Tensor]) -> str:
    """Return the shapes of results, for a message."""
    return ", ".join(str(list(t.shape)) for t in results)
