"""Small structures: no nodes, no edges, empty graphs in a batch, isolated nodes, batches of one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .calling import Probe, call, shapes
from .compare import finite, gap, tolerance
from .finding import Finding, failed, passed, skipped, told, warning
from .samples import Sample, with_isolated

__all__ = ["empty_graph", "isolated_nodes", "no_edges", "no_nodes", "small_batches"]

_SIZES = "Take sizes from the features, x.size(0), never from edge_index.max() + 1, which fails or is too small here."


def no_nodes(probe: Probe) -> Finding:
    """Call with a graph of 0 nodes, which few models are made for: a warning."""
    results, wrong = _try(probe, probe.sample((0,), shift=110))
    if wrong:
        advice = (
            "Filters and splits leave such graphs. Take sizes from x.size(0) or the loader's num_graphs, not from a "
            "max() of what may be empty, and clamp a count before dividing by it; or leave such graphs out beforehand."
        )
        return warning("no nodes", f"a graph of 0 nodes: {wrong}", advice)
    rows = [t for kind, t in zip(probe.kinds, results, strict=True) if kind in ("node", "root", "edge") and t.size(0)]
    if rows:
        return failed("no nodes", f"a graph of 0 nodes gives shape {shapes(rows)}", _SIZES)
    return passed("no nodes", f"a graph of 0 nodes gives shape {shapes(results)}")


def no_edges(probe: Probe) -> Finding:
    """Call with graphs without edges."""
    sample = probe.sample(shift=120, linked=False)
    results, wrong = _try(probe, sample)
    if wrong:
        return failed("no edges", f"graphs without edges: {wrong}", f"A molecule of one atom has none. {_SIZES}")
    return _rows("no edges", "graphs without edges", probe, sample, results)


def isolated_nodes(probe: Probe) -> Finding:
    """Call with graphs some of whose nodes have no edges, the last one too; differentiate the result."""
    sample = with_isolated(probe.sample(shift=130), probe.sample((2,), shift=131, linked=False))
    results, wrong = _try(probe, sample, gradients=True)
    if wrong:
        advice = f"Look for a division by a degree or a sum that is 0, a softmax or maximum over nothing. {_SIZES}"
        return failed("isolated nodes", f"graphs with nodes without edges: {wrong}", advice)
    return _rows("isolated nodes", "graphs with nodes without edges", probe, sample, results)


def empty_graph(probe: Probe) -> Finding:
    """Call with a batch in which a graph has no nodes: the others' results stay, and it has its row, but no root."""
    check = "empty graph in a batch"
    if not probe.form.knows_graphs:
        return skipped(check, "the model isn't told which graph a node belongs to")
    full = probe.sample((4, 3), shift=140)
    sample = replace(full, sizes=(4, 0, 3))
    results, wrong = _try(probe, sample)
    advice = "Count graphs as batch.max() + 1 or by num_graphs, not by unique(batch); divide by no count that may be 0."
    if wrong:
        return failed(check, f"graphs of 4, 0 and 3 nodes: {wrong}", advice)
    for kind, a, b in zip(probe.kinds, probe.run(full), results, strict=True):
        if kind == "graph" and b.size(0) != 3:
            return failed(check, f"graphs of 4, 0 and 3 nodes give {b.size(0)} rows", advice)
        others = b[[0, 2]] if kind == "graph" else b
        if kind in ("node", "graph", "root") and gap(a, others) > tolerance(a):
            return failed(check, f"beside an empty graph the others' results differ by {gap(a, others):.1g}", advice)
    return passed(check, f"graphs of 4, 0 and 3 nodes give shape {shapes(results)}")


def small_batches(probe: Probe) -> Finding:
    """Call in training mode with one node, and with one graph."""
    for what, sizes in (("one node", (1,)), ("one graph", (4,))):
        sample = probe.sample(sizes, shift=150)
        wrong = _try(probe, sample)[1]
        if wrong:  # not a matter of training
            return skipped("small batches in training", f"{what} in eval mode: {wrong}")
        try:
            results = call(probe.copy().train(), probe.form, sample)
        except Exception as error:
            batch_norm = any("BatchNorm" in type(m).__name__ for m in probe.model.modules())
            advice = "The last batch of an epoch may be so small: DataLoader(drop_last=True) leaves it out" + (
                ", or use LayerNorm, which needs no second row." if batch_norm else "."
            )
            return warning("small batches in training", f"in training mode {what} raises {told(error)}", advice)
        if not finite(results):
            advice = "Look for a deviation over one row, which is 0 or NaN: BatchNorm and std() need two."
            return failed("small batches in training", f"in training mode {what} gives NaN or infinity", advice)
    return passed("small batches in training", "one node and one graph run in training mode")


def _try(probe: Probe, sample: Sample, *, gradients: bool = False) -> tuple[list[Tensor], str]:
    """Return the results, and what is wrong with them, or ""."""
    try:
        if not gradients:
            results = probe.run(sample)
        else:
            model = probe.copy()
            results = call(model, probe.form, sample)
            given = [p for p in model.parameters() if p.requires_grad]
            made = [t.sum() for t in results if t.requires_grad]
            if made and given:
                found = torch.autograd.grad(torch.stack(made).sum(), given, allow_unused=True)
                if finite(results) and not finite([g for g in found if g is not None]):
                    return results, "gradients are NaN or infinite"
    except Exception as error:
        return [], f"the model raises {told(error)}"
    return results, "" if finite(results) else "results are NaN or infinite"


def _rows(check: str, what: str, probe: Probe, sample: Sample, results: list[Tensor]) -> Finding:
    """Check the number of rows."""
    wanted = {"node": sample.num_nodes, "graph": sample.num_graphs, "edge": sample.num_edges}
    if "root" in probe.kinds:
        wanted["root"] = sample.num_roots
    for kind, result in zip(probe.kinds, results, strict=True):
        if kind in wanted and (result.size(0) if result.dim() else 1) != wanted[kind]:
            return failed(check, f"{what} give {result.size(0)} rows where there are {wanted[kind]} {kind}s", _SIZES)
    return passed(check, f"{what} give shape {shapes(results)}")
