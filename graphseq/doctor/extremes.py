"""Sizes: hard-coded ones; no nodes, no edges, empty graphs in a batch, isolated nodes, batches of one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .examples import Example
from .finding import Fault, Raised, State, skip
from .subject import Subject, finite, gap, shapes, tolerance

__all__ = ["empty_graph", "isolated_nodes", "no_edges", "no_nodes", "row_counts", "small_batches"]

_FROM_EDGES = "The number of nodes is taken from the edges"


def row_counts(s: Subject) -> str:
    """Compare the numbers of rows with those of nodes, graphs and edges."""
    first, second = s.draw(), s.draw((5, 2, 7, 3), shift=1)
    results = s.run(first)
    evidence = f"{first} give shape {shapes(results)}, {second} give {shapes(s.run(second))}"
    rows = max(t.size(0) if t.dim() > 1 else 1 for t in results)
    if {*s.kinds} != {"fixed"} or not s.knows_graphs:
        return evidence
    if rows > 1:
        raise Fault(f"The batch size is hard-coded as {rows}", evidence)
    state: State = "failed" if "batch" in s.read else "warning"
    raise Fault("The graphs of a batch are merged into one result", evidence, state)


def _run(s: Subject, example: Example, what: str, state: State = "failed") -> list[Tensor]:
    try:
        results = s.run(example)
    except Raised as error:
        raise Fault(f"{what} not handled", f"on {example} it raises {error}", state) from error
    if not finite(*results):
        raise Fault(f"{what} not handled: a count of 0 is divided by", f"{example} give NaN or infinity", state)
    return results


def no_nodes(s: Subject) -> str:
    """Call with a graph of 0 nodes, which few models are made for: a warning."""
    results = _run(s, s.draw((0,), shift=110), "A graph of 0 nodes is", "warning")
    for kind, t in zip(s.kinds, results, strict=True):
        if kind in ("node", "root", "edge") and t.size(0):
            raise Fault(_FROM_EDGES, f"a graph of 0 nodes gives shape {shapes(results)}")
    return f"a graph of 0 nodes gives shape {shapes(results)}"


def no_edges(s: Subject) -> str:
    """Call with graphs without edges."""
    return _sparse(s, s.draw(shift=120, linked=False), "without edges")


def isolated_nodes(s: Subject) -> str:
    """Call with graphs some of whose nodes have no edges, the last one too; differentiate the result."""
    return _sparse(s, s.draw(shift=130, isolated=2), "whose last 2 nodes have no edges")


def _sparse(s: Subject, example: Example, what: str) -> str:
    """Run on nodes without edges; explain what goes wrong."""
    model, counts = s.copy(), {kind: len(rows) for kind, rows in example.rows().items()}
    try:
        results = s.run(example, model, grad=True)
        grads = s.gradients(results, [p for p in model.parameters() if p.requires_grad])
    except Raised as error:
        raise Fault(_count_cause(s, example), f"{example} {what} raise {error}") from error
    where = "gradients" if finite(*results) else "results"
    for kind, t in zip(s.kinds, results, strict=True):
        rows = t.size(0) if t.dim() else 1
        if rows != counts.get(kind, rows):
            evidence = f"{example} {what} give {rows} rows where there are {counts[kind]} {kind}s"
            raise Fault(_count_cause(s, example), evidence)
        lonely = torch.bincount(example.edge_index[1], minlength=example.num_nodes) == 0
        if kind == "node" and torch.equal(~torch.isfinite(t.reshape(rows, -1)).all(1), lonely):
            where += f", exactly in the {int(lonely.sum())} nodes that no edge leads to"
    if finite(*results, *(g for g in grads if g is not None)):
        return f"{example} {what} give shape {shapes(results)}"
    cause = "Nodes that no edge leads to are divided by their degree, which is 0"
    raise Fault(cause, f"{example} {what} give NaN or infinity in {where}")


def _count_cause(s: Subject, example: Example) -> str:
    """Return why isolated nodes fail: whether it matters that they come last."""
    if not example.edge_index.numel():
        return "Graphs without edges are not handled"
    order, last = torch.arange(example.num_nodes), example.sizes[-1]
    order[-last:] = order[-last:].roll(2)  # the same nodes, no longer the last ones
    try:
        s.run(example.renumber(order))
    except Raised:
        return "Nodes without edges are not handled"
    return f"{_FROM_EDGES}, which don't name the last nodes"


def empty_graph(s: Subject) -> str:
    """Call with a batch in which a graph has no nodes: the others' results stay, and it has its row, but no root."""
    if not s.knows_graphs:
        raise skip("the model isn't given the graph of each node")
    full = s.draw((4, 3), shift=140)
    y = torch.cat([full.y[:1], full.y]) if s.spec.graph_labels else full.y
    example = replace(full, sizes=(4, 0, 3), y=y)
    results = _run(s, example, "A graph without nodes is")
    for kind, a, b in zip(s.kinds, s.run(full), results, strict=True):
        if kind == "graph" and b.size(0) != 3:
            raise Fault("Graphs are counted by which ids occur in `batch`", f"{example} give {b.size(0)} rows")
        off = gap(a, b[[0, 2]] if kind == "graph" else b)
        if kind in ("node", "graph", "root") and off > tolerance(a):
            evidence = f"{example}: beside the empty graph the others' results differ by {off:.1g}"
            raise Fault("Results depend on how many graphs the batch has", evidence)
    return f"{example} give shape {shapes(results)}"


def small_batches(s: Subject) -> str:
    """Call in training mode with one node, and with one graph."""
    for what, sizes in (("one node", (1,)), ("one graph", (4,))):
        example = s.draw(sizes, shift=150)
        try:
            _run(s, example, what)
        except Fault as fault:
            raise skip(f"in eval mode, {fault.message}") from fault
        try:
            results = s.run(example, s.copy().train(), grad=True)
        except Raised as error:
            norm = any("BatchNorm" in type(m).__name__ for m in s.model.modules())
            cause = f"{'BatchNorm' if norm else 'Training mode'} needs more than one row"
            raise Fault(cause, f"in training mode {what} raises {error}", "warning") from error
        if not finite(*results):
            raise Fault("A standard deviation is taken over one row", f"in training mode {what} gives NaN or infinity")
    return "one node and one graph run in training mode"
