"""What must not matter (numbers of nodes, order of edges, what else is in a batch), and what should: the edges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor, nn

from .examples import Example, Kind
from .finding import Fault, Raised, skip
from .subject import Subject, finite, gap, tolerance

__all__ = ["batches", "direction", "edge_order", "node_order"]

_TRIES = 3


def node_order(s: Subject) -> str:
    """Permute nodes: ``f(P x, P A Pᵀ) = P f(x, A)`` for rows of nodes, ``= f(x, A)`` for graphs and edges."""
    found = _permuted(s, "node", Example.shuffle)
    if not isinstance(found, str):
        raise Fault("Results depend on how the nodes are numbered", f"nodes renumbered: {found[0]}")
    return found


def edge_order(s: Subject) -> str:
    """Permute edges: rows of edges follow, all else stays."""
    found = _permuted(s, "edge", Example.reorder)
    if isinstance(found, str):
        return found
    example, cause = s.draw(shift=10), "Results depend on the order of the edges in edge_index"
    last = {int(v): i for i, v in enumerate(example.edge_index[1])}  # only the last edge into each node
    alone = s.run(example.with_edges(torch.tensor(sorted(last.values()))))
    if max(map(gap, s.run(example), alone)) <= tolerance(*alone):
        cause = "Only the last edge into each node counts: each message overwrites the ones before"
    raise Fault(cause, f"edges in another order: {found[0]}")


def _permuted(s: Subject, what: Kind, permute: Callable[[Example, int], tuple[Example, Tensor]]) -> str | list[str]:
    """Return that results agree; or, in a list, by how much they don't."""
    if all(kind == "other" for kind in s.kinds):
        raise skip("no result has one row per node, graph or edge, so nothing says how it should change")
    worst, allowed, which = 0.0, 0.0, ""
    for i in range(_TRIES):
        example = s.draw(shift=10 + i)
        turned, old = permute(example, s.seed + i)
        before, after = s.run(example), s.run(turned)
        allowed = tolerance(*before)
        for kind, a, b in zip(s.kinds, before, after, strict=True):
            off = 0.0 if kind == "other" else gap(a[old] if kind == what else a, b)
            if off > worst:
                worst, which = off, "one for all" if kind == "fixed" else f"one row per {kind}"
    if worst > allowed:
        return [f"results ({which}) differ {_size(worst)}, on {_TRIES} batches of {s.draw()}"]
    return f"{_TRIES} permutations of {what}s: results agree to {worst:.0e}"


def _size(off: float) -> str:
    return "in shape" if off == float("inf") else f"by {off:.1g} of the largest"


def batches(s: Subject) -> str:
    """Compare graphs in one batch with each by itself."""
    kept = [i for i, kind in enumerate(s.kinds) if kind not in ("fixed", "other")]
    if not kept:
        raise skip("no result has one row per node, graph or edge")
    example = s.draw(shift=20)
    together, alone = s.run(example), [s.run(example.pick(i)) for i in range(example.num_graphs)]
    worst = max(gap(together[i], torch.cat([part[i] for part in alone])) for i in kept)
    if worst <= tolerance(*together):
        return f"{example.num_graphs} graphs in a batch and by themselves agree to {worst:.0e}"
    evidence = f"in a batch of {example} and by themselves, results differ {_size(worst)}"
    rows = example.rows()
    for name, kind, changed in s.influence(example):
        owner = rows.get(kind, rows["node"])
        if len(owner) == len(changed) and bool((changed & (owner[:, None] != rows["node"])).any()):
            place = f"in the output of {name}" if name else "after the last layer, in forward itself"
            evidence += f"; changing a node of one graph changes other graphs' results, first {place}"
            raise Fault(_mixing(s, together), evidence)
    first = rows[s.kinds[kept[0]]] == 0
    if gap(together[kept[0]][first], alone[0][kept[0]]) > tolerance(*together):
        cause = "Results depend on how many graphs or nodes the batch has"
    else:
        cause = "Results depend on a graph's position in the batch"
    raise Fault(cause, f"{evidence}, though not with other graphs' features")


def _mixing(s: Subject, results: list[Tensor]) -> str:
    """Return how the graphs of a batch are likely mixed."""
    for t in results:
        for share in (t, t.exp()):  # of softmax, and of log_softmax
            ones = torch.ones((), dtype=t.dtype)
            if t.dim() == 2 and finite(share) and bool(torch.isclose(share.sum(0), ones, rtol=1e-4).all()):
                return "softmax is taken over the nodes (dim=0), not over the classes (dim=-1): graphs of a batch mix"
    for name, module in s.model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            return f"{name} ({type(module).__name__}) uses the statistics of the batch in eval mode: graphs of it mix"
    return "Graphs of a batch are mixed: a mean, norm or softmax is taken over all nodes, not over those of each graph"


def direction(s: Subject) -> str:
    """Find out whether information flows along the edges, from source to target."""
    if not {"edge_index", "topology", "data"} & {*s.read}:
        raise skip("the model is not given edges")
    example = s.draw(shift=25)
    bare = example.with_edges(torch.arange(0))
    with suppress(Raised):  # "no edges" reports it
        if all(gap(a, b) <= tolerance(a) for a, b in zip(s.run(example), s.run(bare), strict=True)):
            evidence = f"{example} give the same results with and without their edges"
            raise Fault("The edges make no difference", evidence, "warning")
    if s.spec.structure == "graphs":  # on a cycle, every node lies both before and after the others
        example = replace(s, spec=replace(s.spec, structure="DAGs")).draw(shift=26)
    eye, step = torch.eye(example.num_nodes), torch.eye(example.num_nodes)
    step[example.edge_index[1], example.edge_index[0]] = 1
    path = (torch.linalg.matrix_power(step, len(step)) > 0) & (eye == 0)  # [v, u]: whether a path leads from u to v
    found = s.influence(example)
    square = [changed for _, kind, changed in found if kind == "node" and len(changed) == len(step)]
    along, against = (any(bool((changed & way).any()) for changed in square) for way in (path, path.t()))
    if not against or along:
        return "information flows along the edges" + " and against them" * against if along else "the edges are read"
    unread = int((~torch.stack([changed.any(0) for name, _, changed in found if not name]).any(0)).sum())
    lost = f", and {unread} of {len(step)} nodes never reach a result" if unread else ""
    evidence = f"on {example}, changing a node changes the nodes before it, never those after it{lost}"
    raise Fault("Edges are read backwards", evidence, "failed" if unread else "warning")
