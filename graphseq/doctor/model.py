"""Check a model: what a graph network should do whatever its task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import GraphError, Words, expected
from .calling import Probe, shapes
from .compare import finite
from .extremes import empty_graph, isolated_nodes, no_edges, no_nodes, small_batches
from .find import Made, find, make
from .finding import Finding, failed, passed, skipped, told
from .learning import input_gradients, parameter_gradients, state_dict
from .numbers import device, dtype, exact, finite_numbers, inputs_unchanged, repeatable
from .signature import probe
from .symmetry import batches, edge_order, node_order

__all__ = ["check", "check_model"]

_Check = Callable[[Probe], Finding]
_COMPARED: dict[str, _Check] = {  # what tells nothing where results are random or NaN
    "node order": node_order,
    "edge order": edge_order,
    "batched = separate": batches,
    "empty graph in a batch": empty_graph,
    "state_dict": state_dict,
}
_OTHERS: dict[str, _Check] = {
    "no nodes": no_nodes,
    "no edges": no_edges,
    "isolated nodes": isolated_nodes,
    "small batches in training": small_batches,
    "gradients of parameters": parameter_gradients,
    "gradients of inputs": input_gradients,
}
_AS_IT_CAME: dict[str, _Check] = {"dtype": dtype, "device": device}  # not in float64


def check(
    target: str, *, seed: int = 0, features: int | None = None, edge_features: int | None = None
) -> list[Finding]:
    """Find a model by name, such as ``my_module:MyModel``, and check it: :func:`find`, then :func:`check_model`.

    >>> {finding.state for finding in check("graphseq.nn:NodeClassifier")} <= {"passed", "not checked"}
    True
    """
    return check_model(find(target), seed=seed, features=features, edge_features=edge_features)


def check_model(
    model: Any, *, seed: int = 0, features: int | None = None, edge_features: int | None = None
) -> list[Finding]:
    """Check what a network on graphs should do, whatever its task, on small random graphs.

    With P a permutation of the nodes, results with one row a node must be equivariant, ``f(P x, P A Pᵀ) = P f(x, A)``,
    and those with one row a graph invariant, ``f(P x, P A Pᵀ) = f(x, A)``; the order of edges must not matter; graphs
    in a batch must give what they give by themselves. Beside that: no nodes, no edges, empty graphs in a batch,
    isolated nodes, one node or graph in training mode; NaN and infinity; float32, float64 and CUDA; parameters and
    inputs that no gradient reaches; arguments changed in place; results that differ from call to call in eval mode;
    saving and loading.

    How the model is called is told by the names of its forward's arguments: `(x, edge_index)`, with `batch`,
    `edge_attr` or `edge_weight`, `(x, topology)`, `(symbols, topology)` or `(data)`. What refuses cycles is checked on
    directed acyclic graphs, trees or chains.

    Args:
        model: a module, a class of modules (required sizes of its constructor are chosen by their usual names), or a
            function without arguments that makes a module. Checks work on copies of it.
        seed: of graphs and features.
        features: the width of x; by default found by looking and trying.
        edge_features: the width of `edge_attr`, 0 for one number an edge; likewise.

    Returns:
        One finding a check.

    Raises:
        GraphError: the model can't be made or copied, or nothing is known of how to call it.

    >>> from torch_geometric.nn import GCNConv
    >>> findings = check_model(GCNConv(4, 2))
    >>> print(findings[0].message)
    model(x [N, 4], edge_index) gives one row a node, [13, 2]
    >>> [finding.check for finding in findings if finding.state == "failed"]
    []
    """
    for name, value, least in (("seed", seed, 0), ("features", features, 1), ("edge_features", edge_features, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise expected(name, f"an integer ≥ {least}", value)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        made = make(model)
        try:
            return _examine(made, seed, features, edge_features)
        except SystemExit as error:
            raise expected("model", "one that returns from a call", Words(f"one that raised {told(error)}")) from error


def _examine(made: Made, seed: int, features: int | None, edge_features: int | None) -> list[Finding]:
    """Run all checks in turn, the quickest explanation of others first."""
    found = probe(made, seed=seed, features=features, edge_features=edge_features)
    precise = exact(found)
    findings = [_called(found), _guarded("repeatable", repeatable, found)]
    findings.append(_guarded("inputs unchanged", inputs_unchanged, found))
    findings.append(_guarded("finite numbers", finite_numbers, precise))
    why = ""
    if findings[1].state != "passed":
        why = "results differ from call to call"
    elif not finite(found.run(found.sample())):
        why = "results are NaN or infinite"
    for name, one in _COMPARED.items():
        findings.append(skipped(name, why) if why else _guarded(name, one, precise))
    findings += [_guarded(name, one, precise) for name, one in _OTHERS.items()]
    for name, one in _AS_IT_CAME.items():
        findings.append(skipped(name, why) if why else _guarded(name, one, found))
    return findings


def _called(found: Probe) -> Finding:
    """Tell how the model is called and what it gives."""
    rows = {"node": "one row a node", "graph": "one row a graph", "root": "one row a root",
            "edge": "one row an edge", "whole": "the same shape for any graph",
            "other": "no row a node or graph"}  # fmt: skip
    kinds = ", ".join(dict.fromkeys(rows[kind] for kind in found.kinds))
    message = f"{found.form} gives {kinds}, {shapes(found.run(found.sample()))}"
    if found.made.chosen:
        message += f"; made with {', '.join(f'{name}={value}' for name, value in found.made.chosen.items())}"
    if found.refused:
        message += f"; it runs on {found.form.family}, other graphs raise {found.refused}"
    return passed("call", message)


def _guarded(name: str, one: _Check, found: Probe) -> Finding:
    """Run a check; what the model raises in it is a finding too."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(found.seed)
            return one(found)
    except GraphError as error:
        return failed(name, str(error), "The model refused a graph that is like others which it took.")
    except Exception as error:
        return failed(name, f"raised {told(error)}", "The model failed on a graph that is like others which it took.")
