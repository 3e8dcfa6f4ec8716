"""Unusual sizes: no nodes, no edges, empty graphs in a batch, isolated nodes, batches of one."""

from __future__ import annotations

from dataclasses import replace

import torch

from .examples import Example
from .finding import Fault, Raised, skip
from .subject import Subject, finite, gap, shapes, tolerance

__all__ = ["empty_graph", "isolated_nodes", "no_edges", "no_nodes", "row_counts", "small_batches"]

_FROM_EDGES = "The number of nodes is taken from the edges"
_SIZES = "Take sizes from the features, x.size(0), never from edge_index.max() + 1, which fails or is too small here."


def row_counts(s: Subject) -> str:
    """Compare the numbers of rows with those of nodes, graphs and edges."""
    first, second = s.draw(), s.draw((5, 2, 7, 3), shift=1)
    a, b = s.run(first), s.run(second)
    evidence = f"{first} give shape {shapes(a)}, {second} give {shapes(b)}"
    if {*s.kinds} != {"fixed"} or not {"batch", "topology", "data", "num_graphs"} & {*s.read}:
        return evidence
    rows = {t.size(0) if t.dim() > 1 else 1 for t in a}
    if rows == {1}:
        raise Fault(
            "The graphs of a batch are merged into one result", evidence,
            "A loader hands over several graphs at once. Look for x.mean(0) or x.sum(0) in place of a readout by "
            "`batch`, such as nn.readout or global_mean_pool.",
            "failed" if "batch" in s.read else "warning",
        )  # fmt: skip
    raise Fault(
        f"The batch size is hard-coded as {max(rows)}", evidence,
        "The last batch of an epoch has another size. Take the number of graphs from the batch: data.num_graphs, "
        "topology.num_graphs or batch.max() + 1.",
    )  # fmt: skip


def no_nodes(s: Subject) -> str:
    """Call with a graph of 0 nodes, which few models are made for: a warning."""
    example = s.draw((0,), shift=110)
    advice = (
        "Filters and splits leave such graphs. Take sizes from x.size(0) or the loader's num_graphs, not from a max() "
        "of what may be empty, and clamp a count before dividing by it; or leave such graphs out beforehand."
    )
    try:
        results = s.run(example)
    except Raised as error:
        raise Fault("A graph of 0 nodes is not handled", f"it raises {error}", advice, "warning") from error
    if not finite(*results):
        raise Fault("A count is 0 and divided by", f"a graph of 0 nodes gives {_NAN}", advice, "warning")
    rows = [t for kind, t in zip(s.kinds, results, strict=True) if kind in ("node", "root", "edge") and t.size(0)]
    if rows:
        raise Fault(_FROM_EDGES, f"a graph of 0 nodes gives shape {shapes(rows)}", _SIZES)
    return f"a graph of 0 nodes gives shape {shapes(results)}"


def no_edges(s: Subject) -> str:
    """Call with graphs without edges."""
    return _sparse(s, s.draw(shift=120, linked=False), "without edges")


def isolated_nodes(s: Subject) -> str:
    """Call with graphs some of whose nodes have no edges, the last one too; differentiate the result."""
    return _sparse(s, s.draw(shift=130, isolated=2), "whose last 2 nodes have no edges")


_NAN = "NaN or infinity"


def _sparse(s: Subject, example: Example, what: str) -> str:
    """Run on nodes without edges; explain what goes wrong."""
    model, counts = s.copy(), {kind: len(rows) for kind, rows in example.rows().items()}
    try:
        results = s.run(example, model, grad=True)
        grads = s.gradients(results, [p for p in model.parameters() if p.requires_grad])
    except Raised as error:
        raise Fault(_count_cause(s, example), f"{example} {what} raise {error}", _SIZES) from error
    for kind, t in zip(s.kinds, results, strict=True):
        rows = t.size(0) if t.dim() else 1
        if rows != counts.get(kind, rows):
            evidence = f"{example} {what} give {rows} rows where there are {counts[kind]} {kind}s"
            raise Fault(_count_cause(s, example), evidence, _SIZES)
    if finite(*results, *(g for g in grads if g is not None)):
        return f"{example} {what} give shape {shapes(results)}"
    lonely = torch.bincount(example.edge_index[1], minlength=example.num_nodes) == 0
    where = f"{_NAN} in {'gradients' if finite(*results) else 'results'}"
    for kind, t in zip(s.kinds, results, strict=True):
        if kind == "node" and torch.equal(~torch.isfinite(t.reshape(len(t), -1)).all(1), lonely):
            where += f", exactly in the {int(lonely.sum())} nodes that no edge leads to"
    raise Fault(
        "Nodes that no edge leads to are divided by their degree, which is 0", f"{example} {what} give {where}",
        "Add self-loops, or clamp degrees: deg.clamp(min=1). Look also for a softmax or a maximum over nothing, and "
        "for the norm of a sum that is 0.",
    )  # fmt: skip


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
    if not {"batch", "topology", "data", "num_graphs"} & {*s.read}:
        raise skip("the model isn't given the graph of each node")
    full = s.draw((4, 3), shift=140)
    advice = "Count graphs as batch.max() + 1 or by num_graphs, not by unique(batch); divide by no count that may be 0."
    y = torch.cat([full.y[:1], full.y]) if s.spec.graph_labels else full.y
    example = replace(full, sizes=(4, 0, 3), y=y)
    try:
        results = s.run(example)
    except Raised as error:
        raise Fault("A graph without nodes is not handled", f"{example} raise {error}", advice) from error
    if not finite(*results):
        raise Fault("The number of nodes of an empty graph, 0, is divided by", f"{example} give {_NAN}", advice)
    for kind, a, b in zip(s.kinds, s.run(full), results, strict=True):
        if kind == "graph" and b.size(0) != 3:
            cause = "Graphs are counted by which ids occur in `batch`"
            raise Fault(cause, f"{example} give {b.size(0)} rows", advice)
        others = b[[0, 2]] if kind == "graph" else b
        if kind in ("node", "graph", "root") and gap(a, others) > tolerance(a):
            evidence = f"{example}: beside the empty graph the others' results differ by {gap(a, others):.1g}"
            raise Fault("Results depend on how many graphs the batch has", evidence, advice)
    return f"{example} give shape {shapes(results)}"


def small_batches(s: Subject) -> str:
    """Call in training mode with one node, and with one graph."""
    for what, sizes in (("one node", (1,)), ("one graph", (4,))):
        example = s.draw(sizes, shift=150)
        try:
            good = finite(*s.run(example))
        except Raised as error:
            raise skip(f"{what} in eval mode: {error}") from error
        if not good:
            raise skip(f"{what} in eval mode gives {_NAN}")
        try:
            results = s.run(example, s.copy().train(), grad=True)
        except Raised as error:
            norm = any("BatchNorm" in type(m).__name__ for m in s.model.modules())
            cause = f"{'BatchNorm needs' if norm else 'Training mode needs'} more than one row"
            advice = "The last batch of an epoch may be so small: DataLoader(drop_last=True) leaves it out"
            advice += ", or use LayerNorm, which needs no second row." if norm else "."
            raise Fault(cause, f"in training mode {what} raises {error}", advice, "warning") from error
        if not finite(*results):
            raise Fault(
                "A standard deviation is taken over one row", f"in training mode {what} gives {_NAN}",
                "It is 0 or NaN: BatchNorm and std() need two rows. Use LayerNorm, or leave such batches out.",
            )  # fmt: skip
    return "one node and one graph run in training mode"
