"""What must not matter: the numbers of nodes, the order of edges, what else is in a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .calling import Kind, Probe
from .compare import gap, tolerance
from .finding import Finding, failed, passed, skipped
from .samples import Sample, pick, relabel, reorder

__all__ = ["batches", "edge_order", "node_order"]

_TRIES = 3
_ONE_ROW = {
    "node": "one row a node", "graph": "one row a graph", "root": "one row a root", "edge": "one row an edge",
    "whole": "one for all",
}  # fmt: skip


def node_order(probe: Probe) -> Finding:
    """Permute nodes: ``f(P x, P A Pᵀ) = P f(x, A)`` for rows of nodes, ``= f(x, A)`` for graphs and edges."""

    def follow(kind: Kind, result: Tensor, old: Tensor) -> Tensor:
        return result[old] if kind == "node" else result

    advice = (
        "Nodes have no order of their own, so what is learnt on one numbering fails on another. Look for indexing by "
        "position (x[0], x[-1]), reshaping or flattening over nodes, a recurrent layer or a positional code over them, "
        "or sorting by number."
    )
    return _permuted(probe, "node order", "nodes", relabel, follow, advice)


def edge_order(probe: Probe) -> Finding:
    """Permute edges: rows of edges follow, all else stays."""

    def follow(kind: Kind, result: Tensor, old: Tensor) -> Tensor:
        return result[old] if kind == "edge" else result

    advice = (
        "The columns of edge_index are a set: loaders and transforms reorder them. Merge what arrives by a sum, a "
        "mean, a maximum or attention; assignment by index (out[receivers] = …) keeps only the last edge: use "
        "index_add."
    )
    return _permuted(probe, "edge order", "edges", reorder, follow, advice)


def _permuted(
    probe: Probe, check: str, what: str, permute: Callable[[Sample, int], tuple[Sample, Tensor]],
    follow: Callable[[Kind, Tensor, Tensor], Tensor], advice: str,
) -> Finding:  # fmt: skip
    if all(kind == "other" for kind in probe.kinds):
        return skipped(check, "no result has one row a node, a graph or an edge, so nothing says how it should change")
    worst, kind, allowed = 0.0, probe.kinds[0], 0.0
    for i in range(_TRIES):
        sample = probe.sample(shift=10 + i)
        turned, old = permute(sample, probe.seed + i)
        before, after = probe.run(sample), probe.run(turned)
        allowed = tolerance(*before)
        for kind_, a, b in zip(probe.kinds, before, after, strict=True):
            if kind_ != "other" and gap(follow(kind_, a, old), b) > worst:
                worst, kind = gap(follow(kind_, a, old), b), kind_
    rows = _ONE_ROW.get(kind, "")
    if worst > allowed:
        change = "don't follow" if (kind, what) in (("node", "nodes"), ("edge", "edges")) else "change"
        size = "in shape" if worst == float("inf") else f"by {worst:.1g} of the largest"
        return failed(check, f"with {what} in another order, results ({rows}) {change}: they differ {size}", advice)
    return passed(check, f"{_TRIES} permutations of {what}: results agree to {worst:.0e}")


def batches(probe: Probe) -> Finding:
    """Compare graphs in one batch with each by itself."""
    check = "batched = separate"
    kinds = [kind if kind in ("node", "graph", "root", "edge") else "other" for kind in probe.kinds]
    if all(kind == "other" for kind in kinds):
        why = "" if probe.form.knows_graphs else "; a forward with `batch` would know which graph a node belongs to"
        return skipped(check, f"no result has one row a node or a graph{why}")
    sample = probe.sample(shift=20)
    together = probe.run(sample)
    alone = [probe.run(pick(sample, i)) for i in range(sample.num_graphs)]
    worst, which = 0.0, kinds[0]
    for i, kind in enumerate(kinds):
        if kind == "other":
            continue
        joined, whole = torch.cat([parts[i] for parts in alone]), together[i]
        if kind == "edge":  # in a batch they may be in any order
            owner = sample.batch[sample.edge_index[0]]
            whole = whole[torch.argsort(owner, stable=True)]
        if gap(whole, joined) > worst:
            worst, which = gap(whole, joined), kind
    if worst > tolerance(*together):
        size = "in shape" if worst == float("inf") else f"by {worst:.1g} of the largest"
        return failed(
            check, f"in a batch and by themselves, graphs' results ({_ONE_ROW[which]}) differ {size}",
            "Graphs of a batch must not see each other, or a prediction depends on its neighbours in the loader. Look "
            "for means, norms, softmax or a sort over all nodes (dim=0) instead of over each graph, as `batch` has it.",
        )  # fmt: skip
    return passed(check, f"{sample.num_graphs} graphs in a batch and by themselves agree to {worst:.0e}")
