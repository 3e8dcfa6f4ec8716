"""Check a model: what a graph network should do whatever its task."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from ..errors import Words, expected
from . import extremes, learning, numbers, order
from .advice import ADVICE
from .attempt import MISMATCH, first_that_runs, hard_coded
from .examples import STRUCTURES, Spec, Structure
from .find import find
from .finding import Fault, Finding, Raised, user_code
from .guess import calls, make, specs
from .subject import SIZES, Call, Subject, finite, gap, shapes

__all__ = ["check", "check_model"]

# In the order of what explains most: an earlier failure is often the cause of the later ones.
_ALWAYS: dict[str, Callable[[Subject], str]] = {
    "sizes": extremes.row_counts,
    "repeatable": numbers.repeatable,
    "inputs unchanged": numbers.inputs_unchanged,
    "targets": numbers.targets_unread,
    "finite numbers": numbers.finite_numbers,
}
_COMPARED: dict[str, Callable[[Subject], str]] = {  # what tells nothing where results are random or NaN
    "node order": order.node_order,
    "edge order": order.edge_order,
    "batched = separate": order.batches,
    "isolated nodes": extremes.isolated_nodes,
    "no edges": extremes.no_edges,
    "direction of edges": order.direction,
    "empty graph in a batch": extremes.empty_graph,
    "no nodes": extremes.no_nodes,
    "state_dict": learning.state_dict,
    "gradients of parameters": learning.parameter_gradients,
    "gradients of inputs": learning.input_gradients,
    "dtype": numbers.dtype,
    "device": numbers.device,
    "small batches in training": extremes.small_batches,
}
_SEVERITY = ("failed", "warning")


def check(
    target: str, *, call: str | None = None, seed: int = 0, features: int | None = None,
    edge_features: int | None = None,
) -> list[Finding]:  # fmt: skip
    """Find a model by name, such as ``my_module:MyModel``, and check it: :func:`find`, then :func:`check_model`.

    `call` is the name of a function of the model and drawn graphs; all else as for :func:`check_model`.

    >>> {finding.state for finding in check("graphseq.nn:NodeClassifier")} <= {"passed", "not checked"}
    True
    """
    how = None if call is None else find(call, argument="call")
    return check_model(find(target), call=how, seed=seed, features=features, edge_features=edge_features)


def check_model(
    model: Any, *, call: Call | None = None, seed: int = 0, features: int | None = None,
    edge_features: int | None = None, symbols: int | None = None, structure: Structure | None = None,
) -> list[Finding]:  # fmt: skip
    """Check what a network on graphs should do, whatever its task, on small random graphs.

    With P a permutation of the nodes, results with one row per node must be equivariant, ``f(P x, P A Pᵀ) = P f(x,
    A)``, and those with one row per graph invariant, ``f(P x, P A Pᵀ) = f(x, A)``; the order of edges must not matter;
    graphs in a batch must give what they give by themselves. Also checked: hard-coded sizes, the direction of edges,
    targets that leak; no nodes, no edges, empty graphs in a batch, isolated nodes, one node or graph in training mode;
    NaN and infinity; float32, float64 and CUDA; parameters and inputs that get no gradient; arguments changed in
    place; results that differ from call to call in eval mode; saving and loading.

    Args:
        model: a module, a class of modules (required sizes of its constructor are chosen by their usual names), or a
            function without arguments that makes a module. Checks work on copies of it.
        call: ``call(model, graphs)`` returns the model's output. `graphs` has `x` `[N, features]`, `edge_index`,
            `batch` `[N]`, `num_nodes`, `num_graphs`, `edge_attr` `[E, edge_features]`, `edge_weight` `[E]`, `edge_type`
            `[E]`, `topology` (a :class:`Topology`), `data` (a PyG Batch of all these) and targets `y`. It must use the
            model that it is given, which is a copy. By default the call is guessed from the names of forward's
            arguments; the first finding states the guess.
        seed: of graphs and features.
        features: the width of x; by default found in the model's layers.
        edge_features: the width of `edge_attr`, 0 for one number per edge; likewise.
        symbols: x holds integers below this, `[N]`, and 0 stands for real features; by default from embeddings.
        structure: "graphs", "DAGs", "trees" or "chains"; by default the first of these that the model runs on.

    Returns:
        One finding per check: what failed comes first, the likely cause of the rest at the top; then warnings.

    Raises:
        GraphError: the model can't be made or copied, there is no way to call it, or `call` calls another one.

    >>> from torch_geometric.nn import GCNConv
    >>> findings = check_model(GCNConv(4, 2), call=lambda model, graphs: model(graphs.x, graphs.edge_index))
    >>> print(findings[0].message)
    call reads x [N, 4], edge_index; gives one row per node, [13, 2], on 3 graphs of 4, 6, 3 nodes
    >>> [finding.check for finding in findings if finding.state == "failed"]
    []
    """
    sizes = {"seed": (seed, 0), "features": (features, 1), "edge_features": (edge_features, 0), "symbols": (symbols, 0)}
    for name, (value, least) in sizes.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise expected(name, f"an integer ≥ {least}", value)
    if structure not in (None, *STRUCTURES):
        raise expected("structure", f"one of {', '.join(STRUCTURES)}", structure)
    if call is not None and not callable(call):
        raise expected("call", "a function of a model and graphs", call)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        made, chosen, again = make(model)
        try:
            with user_code():
                evaluated = copy.deepcopy(made).eval()
        except Raised as error:
            raise expected("model", "a model that copy.deepcopy can copy", Words(f"one that raised {error}")) from error
        subjects = (
            Subject(evaluated, way, spec, seed, again)
            for way in ([call] if call is not None else calls(evaluated))
            for spec in specs(evaluated, chosen, features, edge_features, symbols)
        )
        errors: list[tuple[Subject, str]] = []
        found = first_that_runs(subjects, (structure,) if structure else STRUCTURES, errors)
        if found is None:
            return _not_callable(errors, structure)
        if call is not None and not _uses_model(found[0]):
            got = Words("one whose results don't depend on that model's parameters")
            raise expected("call", "a function that calls the model it is given", got)
        findings = [_described(*found, guessed=call is None, chosen=chosen), *_examine(found[0])]
    return sorted(findings, key=lambda f: _SEVERITY.index(f.state) if f.state in _SEVERITY else len(_SEVERITY))


def _uses_model(s: Subject) -> bool:
    """Return whether other parameters give other results: a call of the original would make all checks void."""
    model = s.copy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
    results = zip(s.run(s.draw()), s.run(s.draw(), model), strict=True)
    return not any(True for _ in model.parameters()) or any(gap(a, b) > 0 for a, b in results)


def _examine(s: Subject) -> list[Finding]:
    """Run all checks, comparisons in float64 where the model runs in it."""
    exact, why = numbers.in_float64(s), ""
    findings = [_finding(name, one, s) for name, one in _ALWAYS.items()]
    if findings[1].state != "passed":
        why = "results differ from call to call"
    elif not finite(*s.run(s.draw())):
        why = "results are NaN or infinite"
    for name, one in _COMPARED.items():
        subject = s if one in (numbers.dtype, numbers.device) else exact
        findings.append(Finding(name, "not checked", why) if why else _finding(name, one, subject))
    return findings


def _finding(name: str, one: Callable[[Subject], str], s: Subject) -> Finding:
    """Run one check: it returns what is well, or raises."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(s.seed)
            return Finding(name, "passed", one(s))
    except Fault as fault:
        return fault.finding(name, ADVICE[name])
    except Raised as error:
        cause = "The model raises on a graph like others that it takes"
        return Finding(name, "failed", f"it raises {error}", ADVICE[name], cause)


def _described(s: Subject, refused: str, *, guessed: bool, chosen: dict[str, float]) -> Finding:
    """Describe how the model is called and what it returns."""
    given = ", ".join(_shown(name, s.spec) for name in s.read)
    rows = {"fixed": "the same shape for any graph", "other": "no row per node or graph"}
    kinds = ", ".join(dict.fromkeys(rows.get(kind, f"one row per {kind}") for kind in s.kinds))
    message = f"model({given})" if guessed else f"call reads {given};"
    message += f" gives {kinds}, {shapes(s.run(s.draw()))}, on {s.draw()}"
    if guessed:
        message += "; guessed from the names of forward's arguments: `call` states it"
    if chosen:
        message += f"; made with {', '.join(f'{name}={value}' for name, value in chosen.items())}"
    if refused:
        message += f"; it runs on {s.spec.structure}, other structures raise {refused}"
    return Finding("call", "passed", message)


def _shown(name: str, spec: Spec) -> str:
    x = "x int64 [N]" if spec.symbols else f"x [N, {spec.features}]"
    edges = f"edge_attr [E, {spec.edge_features}]" if spec.edge_features else "edge_attr [E]"
    return {"x": x, "data": f"data with {x}", "edge_attr": edges, "edge_weight": "edge_weight [E]",
            "edge_type": f"edge_type int64 [E] below {spec.types}"}.get(name, name)  # fmt: skip


def _not_callable(errors: list[tuple[Subject, str]], structure: Structure | None) -> list[Finding]:
    """Return which size is hard-coded in a model that never runs, or raise."""
    found = hard_coded(errors)
    if found:
        names = [name for name in (*_ALWAYS, *_COMPARED) if name != found.check]
        return [found, *(Finding(name, "not checked", "the model runs on too few sizes") for name in names)]
    likely = next((text for _, text in errors if MISMATCH not in text), errors[0][1])
    widths = ", ".join(dict.fromkeys(_shown("x", s.spec) for s, _ in errors))
    wanted = (
        f"one that runs on small graphs (tried {structure or 'graphs, DAGs, trees and chains'} of "
        f"{', '.join(map(str, SIZES))} nodes with {widths}; pass `call`, and `features` for the width of x)"
    )
    raise expected("model", wanted, Words(f"one that raised {likely}"))
