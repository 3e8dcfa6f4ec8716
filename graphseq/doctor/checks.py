"""The checks of a model: each a test that returns its finding, or None."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .finding import Check, Finding, Raised, State, fault, user_code
from .graphs import Graphs, Kind
from .subject import Given, Subject, differ, finite, shapes

__all__ = ["CHECKS"]

CHECKS: list[Check] = []  # ordered by explanatory value: an earlier failure is often the cause of later ones
_Test = Callable[[Subject], Finding | None]
_DRAWS = 3
_STATES: tuple[State, State] = ("warning", "failed")  # few models support graphs without nodes
_CLOSE = 1e-3  # how far float32 may be from float64, and CUDA from the CPU
_NO_ROWS = fault("", "no result has one row per node, graph or edge", "not checked")


def _check(name: str, passed: str, advice: str) -> Callable[[_Test], _Test]:
    """Register a test, with the meaning of a pass and the advice for a failure."""

    def enter(test: _Test) -> _Test:
        CHECKS.append(Check(name, passed, advice, test))
        return test

    return enter


@_check("sizes", "the numbers of rows follow the sizes of the graphs",
        "The last batch of an epoch and new data have other sizes. Look for numbers in view, reshape, zeros, expand, "
        "Linear(nodes * features, …), and for x.mean(0) in place of a readout by `batch`. x.size(0) is the number of "
        "nodes, batch.max() + 1 that of graphs.")  # fmt: skip
def _sizes(s: Subject) -> Finding | None:
    first, second = s.draw(), s.draw((5, 2, 7, 3))
    results = s.run(first)
    if {*s.kinds} != {"fixed"} or not s.knows_graphs:
        return None
    evidence = f"{first} give shape {shapes(results)}, {second} give {shapes(s.run(second))}"
    rows = max(t.size(0) if t.dim() > 1 else 1 for t in results)
    if rows > 1:
        return fault(f"The batch size is hard-coded as {rows}", evidence)
    state: State = "failed" if s.reads("batch") else "warning"
    return fault("The graphs of a batch are merged into one result", evidence, state)


@_check("inputs unchanged", "arguments are as they were before the call",
        "The next epoch or layer then reads other data. Don't use operations that end in _, x[…] = … or x += … on "
        "arguments, and don't assign to attributes of a Data: work on new tensors.")  # fmt: skip
def _inputs_unchanged(s: Subject) -> Finding | None:
    for mode in ("eval", "training"):
        graphs = s.draw()
        given = Given(graphs)
        with suppress(Raised):  # other checks report it
            s.run(graphs, s.copy().train(mode == "training"), given=given)
        had, has = _flat({name: getattr(graphs, name) for name in given.read()}), _flat(given.read())
        same = {n for n in had.keys() & has if had[n].dtype == has[n].dtype and torch.equal(had[n], has[n])}
        changed = [name for name in {**had, **has} if name not in same]
        if changed:
            evidence = f"after a call in {mode} mode on {graphs} they differ from before"
            return fault(f"forward changes {', '.join(changed)} of the caller in place", evidence)
    return None


def _flat(values: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors by name, those of a PyG Batch as well."""
    inside = {f"data.{name}": value for name, value in values["data"].to_dict().items()} if "data" in values else {}
    return {name: value for name, value in {**values, **inside}.items() if isinstance(value, Tensor)}


@_check("repeatable", "two calls in eval mode give the same",
        "Validation and test results become noise. Give F.dropout training=self.training, draw noise only when "
        "training, and keep no state from call to call.")  # fmt: skip
def _repeatable(s: Subject) -> Finding | None:
    graphs, state = s.draw(), torch.get_rng_state()
    first = s.run(graphs)
    off = differ(first, s.run(graphs), within=0)
    if not off:
        return None
    torch.set_rng_state(state)
    if differ(first, s.run(graphs), within=0):
        return fault("State is kept from call to call", f"two calls on {graphs} {off}, with the same seed as well")
    cause = "Dropout or other randomness is active in eval mode"
    return fault(cause, f"two calls in eval mode on {graphs} {off}, with the same seed not at all")


@_check("finite numbers", "no NaN or infinity in results or gradients, with random and constant features",
        "One NaN spreads to every weight in one step. Look for a division by a norm, a deviation or a count, log(0), "
        "sqrt and norm at 0, and exp of large numbers: add an epsilon inside, or clamp before.")  # fmt: skip
def _finite_numbers(s: Subject) -> Finding | None:
    drawn, cause = s.draw(), "Not finite with features that are {}: likely {}"
    likely = {"random": "a logarithm, root, division or exp leaves its domain",
              "all 0": "a norm or sum is 0 and divided by", "all 1": "a deviation is 0 and divided by"}  # fmt: skip
    for features, reason in likely.items():
        x = drawn.x if s.spec.symbols or features == "random" else torch.full_like(drawn.x, float(features[-1]))
        graphs, model = replace(drawn, x=x.clone().requires_grad_(x.is_floating_point())), s.copy()
        results = s.run(graphs, model, grad=True)
        if not finite(*results):
            return fault(cause.format(features, reason), f"NaN or infinity in results on {graphs}")
        named = {**dict(model.named_parameters()), "input x": graphs.x}
        leaves = {name: t for name, t in named.items() if t.requires_grad}
        grads = zip(leaves, s.gradients(results, list(leaves.values())), strict=True)
        names = ", ".join([name for name, grad in grads if grad is not None and not finite(grad)][:4])
        if names:
            reason = "a square root or norm at 0 has an infinite gradient"
            return fault(cause.format(features, reason), f"NaN or infinity in the gradients of {names} on {graphs}")
    return None


@_check("targets", "results don't depend on y",
        "Such scores are meaningless: new data have no y. Look for data.y in forward.")  # fmt: skip
def _targets(s: Subject) -> Finding | None:
    if not s.reads("y", "data"):
        return fault("", "the model isn't given targets", "not checked")
    graphs = s.draw()
    off = differ(s.run(graphs), s.run(replace(graphs, y=1 - graphs.y)), within=0)
    evidence = f"with other labels y on {graphs}, results in eval mode {off}"
    return fault("The targets leak into the predictions: forward reads y", evidence) if off else None


@_check("node order", "results follow the nodes when they are renumbered",
        "Nodes have no intrinsic order. Look for indexing by position (x[0], x[-1]), reshaping over nodes, a "
        "recurrent layer, a cumulative sum or a positional encoding over them, or sorting by index.")  # fmt: skip
def _node_order(s: Subject) -> Finding | None:
    return _permuted(s, "node")


@_check("edge order", "results follow the edges when they are reordered",
        "The columns of edge_index are a set: loaders and transforms reorder them. Merge messages by a sum, a mean, a "
        "maximum or attention; out[receivers] = … keeps only the last edge: use index_add.")  # fmt: skip
def _edge_order(s: Subject) -> Finding | None:
    found, graphs = _permuted(s, "edge"), s.draw()
    if found and found.cause:
        last = {int(v): i for i, v in enumerate(graphs.edge_index[1])}  # only the last edge into each node
        if not differ(s.run(graphs), s.run(graphs.take(edges=torch.tensor(sorted(last.values()))))):
            cause = "Only the last edge into each node counts: each message overwrites the ones before"
            return replace(found, cause=cause)
    return found


def _permuted(s: Subject, what: Kind) -> Finding | None:
    """Renumber the nodes, or reorder the edges, of each graph: rows of results follow, or stay."""
    if {*s.kinds} == {"other"}:
        return _NO_ROWS
    for i in range(_DRAWS):
        graphs = s.draw(shift=i)
        order = torch.randperm(len(graphs.rows()[what]))
        order = order[torch.argsort(graphs.rows()[what][order], stable=True)]
        turned = graphs.take(nodes=order) if what == "node" else graphs.take(edges=order)
        pairs = zip(s.kinds, s.run(graphs), s.run(turned), strict=True)
        before, after = zip(*((a[order] if k == what else a, b) for k, a, b in pairs if k != "other"), strict=True)
        off = differ(before, after)
        if off:
            how = "how the nodes are numbered" if what == "node" else "the order of the edges in edge_index"
            tried = "nodes renumbered" if what == "node" else "edges in another order"
            return fault(f"Results depend on {how}", f"{tried}: results {off}, on {graphs}")
    return None


@_check("batched = separate", "graphs in a batch and separately give the same",
        "A prediction depends on its neighbours in the loader. Compute means, norms, softmax and sorts of each graph, "
        "by `batch`.")  # fmt: skip
def _batched(s: Subject) -> Finding | None:
    graphs = s.draw()
    rows, kept = graphs.rows(), [i for i, kind in enumerate(s.kinds) if kind not in ("fixed", "other")]
    if not kept:
        return _NO_ROWS
    together, alone = s.run(graphs), [s.run(graphs.pick(i)) for i in range(graphs.num_graphs)]
    off = differ([together[i] for i in kept], [torch.cat([part[i] for part in alone]) for i in kept])
    if not off:
        return None
    evidence = f"in a batch of {graphs} and by themselves, results {off}"
    for graph in range(graphs.num_graphs):
        for kind, changed in s.affected(graphs, rows["node"] == graph):
            if kind in rows and bool(changed[rows[kind] != graph].any()):
                return fault(_mixing(s, together), f"{evidence}; changing one graph changes other graphs' results")
    cause = "Results depend on how many graphs or nodes the batch has, or on a graph's position in it"
    return fault(cause, f"{evidence}, though not with other graphs' features")


def _mixing(s: Subject, results: list[Tensor]) -> str:
    """Return how the graphs of a batch are likely mixed."""
    shares = [share for t in results if t.dim() == 2 for share in (t, t.exp())]  # of softmax, and of log_softmax
    if any(not differ([share.sum(0)], [torch.ones_like(share[0])], within=1e-4) for share in shares):
        return "softmax is taken over the nodes (dim=0), not over the classes (dim=-1): graphs of a batch mix"
    for name, module in s.model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            return f"{name} ({type(module).__name__}) uses the statistics of the batch in eval mode: graphs of it mix"
    return "Graphs of a batch are mixed: a mean, norm or softmax is taken over all nodes, not over those of each graph"


def _unusual(
    name: str, passed: str, advice: str, *draws: Callable[[Subject], Graphs], cause: str, divided: str,
    train: bool = False,
) -> None:  # fmt: skip
    """Register a check on graphs of unusual sizes; the causes are those of an error, and of NaN or infinity."""

    def test(s: Subject) -> Finding | None:
        for graphs in (draw(s) for draw in draws):
            found = _trouble(s, graphs, cause, divided, train)
            if found and not (train and _trouble(s, graphs, cause, divided, False)):  # which other checks report
                return found
        return None

    CHECKS.append(Check(name, passed, advice, test))


def _trouble(s: Subject, graphs: Graphs, cause: str, divided: str, train: bool) -> Finding | None:
    """Look for errors, a wrong number of rows, NaN and infinity; without any nodes they are warnings."""
    model, state = s.copy().train(train), _STATES[bool(graphs.num_nodes)]
    tried = f"on {graphs} with {graphs.edge_index.size(1)} edges" + ", in training mode" * train
    try:
        results = s.run(graphs, model, grad=True)
        grads = s.gradients(results, [p for p in model.parameters() if p.requires_grad])
    except Raised as error:
        return fault(cause, f"{tried}, it raises {error}", "warning" if train else state)
    rows = {kind: len(of) for kind, of in graphs.rows().items() if graphs.num_nodes or kind != "graph"}
    if any(rows.get(kind, len(t)) != len(t) for kind, t in zip(s.kinds, results, strict=True) if t.dim()):
        return fault(cause, f"{tried}, results have shape {shapes(results)}", state)
    if not finite(*results, *(grad for grad in grads if grad is not None)):
        return fault(divided, f"{tried}, results or gradients are NaN or infinite", state)
    return None


_unusual(
    "isolated nodes", "nodes and graphs without edges give finite results of the right shape",
    "A molecule of one atom has no edges. Take sizes from x.size(0), never from edge_index.max() + 1, and divide by no "
    "count that may be 0: add self-loops, or deg.clamp(min=1).",
    lambda s: s.draw(isolated=2), lambda s: s.draw().take(edges=torch.arange(0)), lambda s: s.draw((1,)),
    cause="The number of nodes is taken from the edges, or nodes without edges are not handled",
    divided="Nodes that no edge leads to are divided by their degree, which is 0",
)  # fmt: skip


@_check("direction of edges", "nodes read the sources of the edges that lead to them",
        "An edge leads from source to target, in a tree from child to parent, and a node reads the sources of its "
        'edges. Look for edge_index[0] and [1] swapped, Sweep(reverse=True), topology.reverse(), flow="target_to_'
        'source", and for a convolution that is made and not called. It is fine where it is intended.')  # fmt: skip
def _direction(s: Subject) -> Finding | None:
    if not s.reads("edge_index", "topology", "data"):
        return fault("", "the model is not given edges", "not checked")
    graphs = s.draw()
    with suppress(Raised):  # "isolated nodes" reports it
        if not differ(s.run(graphs), s.run(graphs.take(edges=torch.arange(0)))):
            evidence = f"{graphs} give the same results with and without their edges"
            return fault("The edges make no difference", evidence, "warning")
    chains = replace(s, spec=replace(s.spec, structure="chains")).draw((2, 2, 2))  # one edge in each
    sources, targets = chains.edge_index
    forth, back = s.affected(chains, sources), s.affected(chains, targets)
    along, against = (
        any(kind == "node" and bool(changed[rows].any()) for kind, changed in found)
        for found, rows in ((forth, targets), (back, sources))
    )
    lost = not any(bool(changed.any()) for _, changed in forth)
    if along or not (against or lost):
        return None
    evidence = f"on {chains}, no target of an edge changes with its source" + ", but the other way round" * against
    return fault("Edges are read backwards", evidence + ", and no result does" * lost, "failed" if lost else "warning")


_unusual(
    "empty graphs", "graphs without nodes are handled, in a batch and separately",
    "Filters and splits leave such graphs. Count graphs by num_graphs or batch.max() + 1, not by unique(batch), and "
    "nodes by x.size(0); clamp sizes before dividing by them.",
    lambda s: s.draw((4, 0, 3)), lambda s: s.draw((0,)),
    cause="Graphs are counted by which ids occur in `batch`, or a graph without nodes is not handled",
    divided="The size of a graph, which is 0, is divided by",
)  # fmt: skip


@_check("state_dict", "another model that loads the state gives the same",
        "Optimizers and checkpoints miss what is not registered. Keep sub-modules in nn.ModuleList or nn.ModuleDict, "
        "tensors as nn.Parameter or by register_buffer, and draw nothing at random outside of them.")  # fmt: skip
def _state_dict(s: Subject) -> Finding | None:
    known = {id(t) for t in [*s.model.parameters(), *s.model.buffers()]}
    plain = [
        (f"{path}.{name}".lstrip("."), t.requires_grad)
        for path, module in s.model.named_modules()
        for name, value in vars(module).items()
        for t in _held(value)
        if id(t) not in known
    ]
    learned = [*dict.fromkeys(name for name, wants in plain if wants)]
    if learned:
        evidence = f"{', '.join(learned)} hold tensors that require gradients but are missing from model.parameters()"
        return fault(f"Parameters are not registered: {learned[0]} is a plain Python attribute", evidence)
    graphs, parameter = s.draw(), next(s.model.parameters(), torch.zeros(()))
    torch.manual_seed(s.seed + 1)
    try:
        with user_code():
            other = s.again().to(parameter.dtype).eval()
            if any(map(is_lazy, other.parameters())):
                s.run(graphs, other)
            for parameter in other.parameters():
                parameter.data.fill_(1)
            other.load_state_dict(s.model.state_dict())
    except Raised as error:
        return fault("The state can't be loaded", f"that raises {error}")
    off = differ(s.run(graphs), s.run(graphs, other))
    cause = f"{plain[0][0]} is a tensor outside the state" if plain else "The state is not complete"
    return fault(cause, f"another model that loads the state gives results that {off} on {graphs}") if off else None


def _held(value: Any) -> list[Tensor]:
    """Return the tensors of a module's attribute: its own, or those of modules in a list or a dict."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
    found = [p for part in parts for p in (part.parameters() if isinstance(part, nn.Module) else [part])]
    return [p for p in found if isinstance(p, Tensor)]


@_check("gradients", "every parameter, feature and node gets a gradient that is not 0",
        "Parameters without one keep their initial values. Look for layers that are made and not called, detach(), "
        ".data, no_grad(), argmax, casts or rounding on the way, a product with 0, and a slice of x.")  # fmt: skip
def _gradients(s: Subject) -> Finding | None:
    total, graphs, some = dict[str, Tensor | None](), s.draw(), not s.spec.symbols and s.reads("x", "data")
    for mode, shift in itertools.product((False, True), range(_DRAWS)):  # some parts are active in one mode only
        model, drawn = s.copy().train(mode), s.draw(shift=shift)
        drawn = replace(drawn, x=drawn.x.requires_grad_(some))
        leaves = {n: p for n, p in [*model.named_parameters(), ("input x", drawn.x)] if p.requires_grad}
        with suppress(Raised):  # other checks report it
            grads = s.gradients(s.run(drawn, model, grad=True), list(leaves.values()), shift)
            for name, grad in zip(leaves, grads, strict=True):
                so_far = total.setdefault(name, None)
                total[name] = so_far if grad is None else grad.abs() + (0 if so_far is None else so_far)
    missing = {n: "none" if t is None else "all 0" for n, t in total.items() if t is None or not bool(t.any())}
    tried = f"on {2 * _DRAWS} batches of {graphs}"
    if missing:
        name, model = next(iter(missing)), s.copy()
        moved = replace(graphs, x=graphs.x + (name == "input x"))
        if name != "input x":
            model.get_parameter(name).data.add_(0.1)
        cause = f"{name} is never used: a layer is made and not called"
        if differ(s.run(graphs), s.run(moved, model), within=0):
            cause = f"The gradient is cut off on the way to {name}: results depend on it, yet none arrives"
        elif missing[name] == "all 0":
            cause = f"{name} has no effect: multiplied by 0, or behind a unit that is never active"
        which = ", ".join(f"{key} ({how})" for key, how in missing.items())
        return fault(cause, f"{len(missing)} of {len(total)} get no gradient {tried}: {which}")
    x = total.get("input x")
    if x is None:
        return None
    dead, rows = (x == 0).all(0), (x == 0).all(1)
    if bool(dead.any()):
        evidence = f"{int(dead.sum())} of {len(dead)} features get no gradient {tried}"
        return fault(f"x[:, {dead.nonzero().flatten().tolist()}] is never read", evidence)
    evidence = f"{int(rows.sum())} of {len(rows)} nodes never get a gradient {tried}"
    return fault("Results don't depend on some nodes", evidence, "warning") if bool(rows.any()) else None


@_check("dtype and device", "float32, float64 and, where there is one, a CUDA device give the same",
        "model.double() is how gradients are checked, half precision and CUDA how large models run. Make new tensors "
        "like others (x.new_zeros(…)), and keep constants as buffers. Look for differences of large "
        "numbers, E[x²] - E[x]², and exp without subtracting the maximum.")  # fmt: skip
def _dtype_and_device(s: Subject) -> Finding | None:
    places: list[torch.dtype | torch.device] = [torch.float64, torch.float32]
    places += [torch.device("cuda")] * torch.cuda.is_available()
    graphs, first = s.draw(), list[Tensor]()
    for place in places:
        name = str(place).removeprefix("torch.")
        try:
            results = s.run(graphs.to(place), s.copy().to(place))
        except Raised as error:
            cause = f"A tensor made in forward, or a layer that isn't registered, isn't moved to {name}"
            return fault(cause, f"a model and features in {name} raise {error}")
        for there in (t.dtype if isinstance(place, torch.dtype) else torch.device(t.device.type) for t in results):
            if there != place:
                cause = f"Results are converted to {there}".replace("torch.", "")
                return fault(cause, f"a model and features are in {name}")
        first = first or results
        off = differ(first, results, within=_CLOSE)
        if off:
            cause = "Digits cancel: in float32 results are partly noise" if place == torch.float32 else "CUDA is wrong"
            return fault(cause, f"on {graphs}, results in float64 and {name} {off}")
    return None


_unusual(
    "small batches in training", "one node and one graph run in training mode",
    "The last batch of an epoch may be so small: DataLoader(drop_last=True) leaves it out; LayerNorm, unlike BatchNorm "
    "and std(), needs no second row.",
    lambda s: s.draw((1,)), lambda s: s.draw((4,)), train=True,
    cause="BatchNorm, or another statistic of the batch, needs more than one row",
    divided="A standard deviation is taken over one row",
)  # fmt: skip
