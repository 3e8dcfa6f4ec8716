"""The operators on edges: their distance from what memory allows, and how their cost grows with the number of edges."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import graphseq as gs
from graphseq import core
from graphseq.nn.attention import Additive, Dot, PerFeature

from .timing import Row, Work, cost

DEGREE, HEADS, WIDE = 13, 8, 64
SIZES = [10**4, 10**5, 10**6, 10**7]
PICTURE = Path(__file__).parent / "results" / "operators.svg"
NUMBER, INDEX = 4, 8  # bytes


def graph(edges: int) -> gs.Topology:
    """Return a random graph."""
    generator = torch.Generator().manual_seed(0)
    n = edges // DEGREE
    return gs.Topology.from_edge_index(torch.randint(n, (2, edges), generator=generator), n)


def bandwidth() -> float:
    """Return the bytes per second that a copy of a large array reads and writes."""
    source = torch.randn(64 * 2**20)
    target = torch.empty_like(source)
    return 2 * source.numel() * NUMBER / _seconds(lambda: target.copy_(source))


def _seconds(work: Work) -> float:
    work()
    times: list[float] = []
    while len(times) < 5 or (sum(times) < 0.5 and len(times) < 50):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


Make = Callable[[gs.Topology], tuple[tuple[Tensor, ...], Callable[[], Tensor]]]


def _tensors(n: int, *widths: int) -> tuple[Tensor, ...]:
    return tuple(torch.randn(n, w, requires_grad=True) for w in widths)


def _neighbours(merge: str) -> Make:
    def make(t: gs.Topology) -> Any:
        (x,) = given = _tensors(t.num_nodes, WIDE)
        return given, lambda: core.aggregate(t, (x,), merge=merge)[0]

    return make


def _weighted(t: gs.Topology) -> Any:
    x, w = torch.randn(t.num_nodes, WIDE, requires_grad=True), torch.rand(t.num_edges, requires_grad=True)
    return (x, w), lambda: core.aggregate(t, (x,), message=gs.SCALE, edge_attr=w)[0]


def _attention(kind: str) -> Make:
    def make(t: gs.Topology) -> Any:
        n = t.num_nodes
        x, k, q = _tensors(n, WIDE, WIDE, WIDE)
        s, r = _tensors(n, HEADS, HEADS)
        a = torch.randn(HEADS, WIDE // HEADS, requires_grad=True)
        given, score, received = {
            "additive": ((x, s), Additive(), r),
            "per feature": ((x,), PerFeature(a), q),
            "dot": ((x, k), Dot(HEADS), q),
        }[kind]
        more = (a,) if kind == "per feature" else ()
        return (*given, received, *more), lambda: core.aggregate(
            t, given, message=gs.FIRST, merge=gs.Softmax(score), received=received
        )[0]

    return make


OPERATORS: dict[str, Make] = {
    "sum": _neighbours("sum"), "weighted sum": _weighted, "max": _neighbours("max"),
    **{f"{kind} attention": _attention(kind) for kind in ("additive", "per feature", "dot")},
}  # fmt: skip


def times(name: str, topology: gs.Topology) -> tuple[float, float, int]:
    """Return the seconds forward, and forward and backward, and the bytes that forward must move at least."""
    given, call = OPERATORS[name](topology)
    with torch.no_grad():
        out = call()
        forward = _seconds(call)
    moved = sum(t.numel() for t in (*given, out)) * NUMBER + topology.num_edges * INDEX
    seed = torch.randn_like(out)
    return forward, _seconds(lambda: torch.autograd.grad(call(), given, seed)), moved


def rows(notes: list[str]) -> list[Row]:
    speed, found = bandwidth(), []
    notes.append(f"A copy moves {speed / 1e9:.1f} GB/s, read and written.")
    seconds: dict[str, list[float]] = {name: [] for name in OPERATORS}
    for edges in SIZES:
        topology = graph(edges)
        topology.matrix  # noqa: B018  # compiled before
        for name in OPERATORS:
            forward, whole, moved = times(name, topology)
            seconds[name].append(whole)
            if edges == 10**6:
                found.append(
                    cost("operators", f"{name}, 10⁶ edges, over the bytes it must move", [forward * speed / moved])
                )
    for name, taken in seconds.items():
        per_edge = [t / e for t, e in zip(taken, SIZES, strict=True)]
        found.append(
            cost("operators", f"{name}, with its gradient, an edge of 10⁷ over one of 10⁶", [per_edge[3] / per_edge[2]])
        )
        notes.append(
            f"{name}: {', '.join(f'{1e9 * t:.3g}' for t in per_edge)} ns an edge, of 10⁴, 10⁵, 10⁶, 10⁷ edges."
        )
    _draw(seconds)
    return found


def _draw(seconds: dict[str, list[float]]) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.5, 3.6), layout="constrained")
    for name, taken in seconds.items():
        axes.loglog(SIZES, taken, marker="o", markersize=3, label=name)
    axes.loglog(SIZES, [e * 1e-7 for e in SIZES], color="grey", linestyle=":", label="linear")
    axes.set(xlabel="edges", ylabel="seconds, with the gradient", title=f"{WIDE} features, {HEADS} heads")
    axes.legend(fontsize=7)
    figure.savefig(PICTURE, metadata={"Date": None})
