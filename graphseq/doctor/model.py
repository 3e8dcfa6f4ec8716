"""Check a model: properties that a graph network should have for any task."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from ..errors import Words, expected
from .attempt import MISMATCH, first_that_runs, hard_coded
from .checks import CHECKS
from .find import find
from .finding import Finding, Raised
from .graphs import STRUCTURES, Spec, Structure
from .guess import calls, make, specs
from .subject import SIZES, Call, Subject, differ, finite, shapes

__all__ = ["check", "check_model"]


def check(target: str, *, call: str | None = None) -> list[Finding]:
    """Find a model by name, such as ``my_module:MyModel``, and check it: :func:`find`, then :func:`check_model`.

    `call` is the name of a function of the model and random graphs.

    >>> {finding.state for finding in check("graphseq.nn:NodeClassifier")} <= {"passed", "not checked"}
    True
    """
    return check_model(find(target), call=None if call is None else find(call, argument="call"))


def check_model(
    model: Any, *, call: Call | None = None, seed: int = 0, features: int | None = None,
    edge_features: int | None = None, symbols: int | None = None, structure: Structure | None = None,
) -> list[Finding]:  # fmt: skip
    """Check properties that a network on graphs should have for any task, on small random graphs.

    Results with one row per node must follow a renumbering of the nodes, ``f(P x, P A Pᵀ) = P f(x, A)``, those with one
    row per graph must not change, the order of edges must not matter, and graphs in a batch must give the same results
    as separately. Also checked: hard-coded sizes, direction of edges, targets that leak; no nodes, no edges, batches of
    one; NaN and infinity; dtypes and CUDA; gradients; arguments changed in place; randomness in eval mode; loading.

    Args:
        model: a module, a class of modules (required sizes of its constructor are chosen by their usual names), or a
            function without arguments that makes a module. Checks work on copies of it.
        call: ``call(model, graphs)`` returns the output of the model it is given. `graphs` has `x` `[N, features]`,
            `edge_index`, `batch`, `num_nodes`, `num_graphs`, `edge_attr` `[E, edge_features]`, `edge_weight` `[E]`,
            `topology` (a :class:`Topology`), `data` (a PyG Batch of these) and targets `y`. By default the call is
            guessed from the names of forward's arguments; the first finding states the guess.
        seed: of graphs and features.
        features: the width of x; by default found in the model's layers.
        edge_features: the width of `edge_attr`, 0 for one number per edge; likewise.
        symbols: x holds integers below this, `[N]`, and 0 stands for real features; by default from embeddings.
        structure: "graphs", "DAGs", "trees" or "chains"; by default the first of these that the model runs on.

    Returns:
        One finding per check: failures first, with the likely cause of the others at the top; then warnings.

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
        subjects = (
            Subject(made.eval(), way, spec, seed, again)
            for way in ([call] if call is not None else calls(made))
            for spec in specs(made, features, edge_features, symbols)
        )
        found, errors = first_that_runs(subjects, (structure,) if structure else STRUCTURES)
        if found is None:
            return _never_runs(errors, structure)
        if call is not None and not _uses_model(found[0]):
            got = Words("one whose results don't depend on that model's parameters")
            raise expected("call", "a function that calls the model it is given", got)
        findings = [_described(*found, guessed=call is None, chosen=chosen), *_examine(found[0])]
    return sorted(findings, key=lambda f: {"failed": 0, "warning": 1}.get(f.state, 2))


def _uses_model(s: Subject) -> bool:
    """Return whether other parameters give other results: a call of the original model would invalidate all checks."""
    model = s.copy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.rand_like(parameter))
    return not any(True for _ in model.parameters()) or bool(differ(s.run(s.draw()), s.run(s.draw(), model), within=0))


def _examine(s: Subject) -> list[Finding]:
    """Run all checks, most of them in float64 where the model runs in it: symmetries hold to many digits there."""
    findings, exact, why = list[Finding](), s, ""
    with suppress(Raised):
        double = replace(s, model=s.copy().double())
        exact = double if all(t.dtype == torch.float64 for t in double.run(double.draw())) else s
    for each in CHECKS:
        if why:  # then comparisons are meaningless
            findings.append(Finding(each.name, "not checked", why))
            continue
        subject = s if each.name in ("finite numbers", "dtype and device") else exact
        findings.append(each(subject, seed=s.seed, raised="The model raises on a graph like others that it accepts"))
        if each.name == "repeatable" and findings[-1].state != "passed":
            why = "results differ from call to call"
        elif each.name == "finite numbers" and not finite(*s.run(s.draw())):
            why = "results are NaN or infinite"
    return findings


def _described(s: Subject, refused: str, *, guessed: bool, chosen: dict[str, int]) -> Finding:
    """Describe how the model is called and what it returns."""
    given = ", ".join(_shown(name, s.spec) for name in s.read)
    rows = {"fixed": "the same shape for any graph", "other": "no row per node or graph"}
    kinds = ", ".join(dict.fromkeys(rows.get(kind, f"one row per {kind}") for kind in s.kinds))
    parts = [f"{f'model({given})' if guessed else f'call reads {given};'} gives {kinds}, {shapes(s.run(s.draw()))}, "
             f"on {s.draw()}"]  # fmt: skip
    parts += ["guessed from the names of forward's arguments: `call` states it"] * guessed
    parts += [f"made with {', '.join(f'{name}={value}' for name, value in chosen.items())}"] * bool(chosen)
    parts += [f"it runs on {s.spec.structure}, other structures raise {refused}"] * bool(refused)
    return Finding("call", "passed", "; ".join(parts))


def _shown(name: str, spec: Spec) -> str:
    x = "x int64 [N]" if spec.symbols else f"x [N, {spec.features}]"
    edges = f"edge_attr [E, {spec.edge_features}]" if spec.edge_features else "edge_attr [E]"
    shown = {"x": x, "data": f"data with {x}", "edge_attr": edges, "edge_weight": "edge_weight [E]"}
    return shown.get(name, name)


def _never_runs(errors: list[tuple[Subject, str]], structure: Structure | None) -> list[Finding]:
    """Return which size is hard-coded in a model that never runs, or raise."""
    found, (first, *rest) = hard_coded(errors), CHECKS
    if found:
        skipped = [Finding(each.name, "not checked", "the model runs on too few sizes") for each in rest]
        return [replace(found, check=first.name, advice=first.advice), *skipped]
    likely = next((text for _, text in errors if MISMATCH not in text), errors[0][1])
    widths = ", ".join(dict.fromkeys(_shown("x", s.spec) for s, _ in errors))
    tried = f"tried {structure or 'graphs, DAGs, trees and chains'} of {', '.join(map(str, SIZES))} nodes with {widths}"
    wanted = f"one that runs on small graphs ({tried}; pass `call`, and `features` for the width of x)"
    raise expected("model", wanted, Words(f"one that raised {likely}"))
