"""Graphs as nodes and links."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import expected
from ..topology import Topology
from ._canvas import check_size, cut, sheet, structure_of, text_width
from ._colour import Limits, Scale, colouring, ink_on, per_node
from ._figure import GREY, INK, Path_, check_path, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Points = NDArray[np.float64]  # [N, 2]

__all__ = ["graph"]

MOST_NODES = 1000
_SPRINGS = 150  # nodes of a component, above which the quadratic layout is too slow
_LABEL = 8.0  # points
_DOT, _LINE, _APART = 0.24, 0.16, 0.08  # inches: a node, a line of text, between two nodes
_LINK, _LONGEST_LINK = 0.6, 1.3  # inches: a usual link, and how long one may grow to keep labels apart


def graph(
    topology_or_data: Any,
    path: Path_ = None,
    *,
    colours: Any = None,
    labels: Any = None,
    scale: Scale | None = None,
    names: Sequence[str] | None = None,
    limits: Limits = None,
    title: str = "",
    seed: int = 0,
) -> Figure:
    """Draw a small graph, or several, as nodes and links.

    Linked nodes stand close together; parts that no link joins stand side by side. Links have arrow heads, unless each
    has its opposite. The same graph gives the same picture.

    Args:
        topology_or_data: a Topology or a PyG Data; a Data that has one `y` a node is coloured by it, if `colours` is
            None.
        path: where to write the picture, a .png or .svg file.
        colours: one class or value a node; NaN and None stay white.
        labels: what is written in each node, or, if it is long, below it.
        scale: "classes" in colours without an order, "values" from dark to light, "diverging" from red, low, over white
            to blue, high; by default classes for at most 8 integers or names, else values.
        names: of the integer classes 0, 1, … of `colours`.
        limits: the values at the ends of the colours; by default the least and the largest.
        title: above the picture.
        seed: of the layout's random start.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: no graph, more than 1000 nodes, an argument with another number of entries than nodes, a path that
            can't be written.

    >>> from graphseq import Topology
    >>> square = Topology.from_edge_index(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]))
    >>> figure = graph(square, colours=[0, 1, 0, 1], labels=["a", "b", "c", "d"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['a', 'b', 'c', 'd']
    """
    check_path(path)
    topology, data = structure_of(topology_or_data)
    check_size(topology, MOST_NODES)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise expected("seed", "an integer ≥ 0", seed)
    n = topology.num_nodes
    y = getattr(data, "y", None)
    if colours is None and isinstance(y, torch.Tensor) and y.shape in {(n,), (n, 1)}:
        colours = y.reshape(-1)
    chosen = colouring(colours, n, scale=scale, names=names, limits=limits)
    written = [""] * n if labels is None else [cut(label) for label in per_node("labels", labels, n)]

    boxes = np.array([_box(text) for text in written]).reshape(-1, 2)
    points = _spread(_layout(topology, seed), boxes)
    low = (points - boxes / 2).min(0, initial=0.0)
    points = points - low
    width, height = (points + boxes / 2).max(0, initial=_DOT).tolist()
    made, axes = sheet(width, height, chosen, title)
    _draw_links(axes, points, topology.edge_index.numpy())
    _draw_nodes(axes, points, chosen.fills, written)
    return save(made, path)


def _is_short(text: str) -> bool:
    return text_width(text, _LABEL) <= 0.85 * _DOT


def _box(text: str) -> tuple[float, float]:
    """Return the width and height that a node takes, its label included."""
    if _is_short(text):
        return _DOT + _APART, _DOT + _APART
    return max(_DOT, text_width(text, _LABEL)) + _APART, _DOT + 2 * _LINE + _APART  # below, and as much above


def _layout(topology: Topology, seed: int) -> Points:
    """Return places of nodes at which a usual link is 1 long, the graph's components in rows."""
    import networkx

    whole = networkx.Graph()
    whole.add_nodes_from(range(topology.num_nodes))
    edges = topology.edge_index.numpy()
    whole.add_edges_from((u, v) for u, v in edges.T.tolist() if u != v)
    parts = sorted((sorted(c) for c in networkx.connected_components(whole)), key=lambda c: (-len(c), c[0]))
    placed = [_component(whole.subgraph(part), part, seed) for part in parts]
    points = np.zeros((topology.num_nodes, 2))
    along = np.zeros(topology.num_nodes)  # where links lead: to the right, if they lead anywhere
    for part, p in zip(parts, placed, strict=True):
        along[part] = p[:, 0]
        inside = np.isin(edges[0], part)
        p[:, 0] *= -1 if (along[edges[1]] - along[edges[0]])[inside].sum() < -1e-6 else 1
    area = sum(float(np.prod(np.ptp(p, axis=0) + 1)) for p in placed)
    limit = max([float(np.ptp(p[:, 0])) + 1 for p in placed[:1]] + [1.3 * math.sqrt(area)])
    x = y = deepest = 0.0
    for part, p in zip(parts, placed, strict=True):
        size = np.ptp(p, axis=0) + 1
        if x > 0 and x + size[0] > limit:
            x, y, deepest = 0.0, y - deepest, 0.0
        points[part] = p - [p[:, 0].min(), p[:, 1].max()] + [x, y]
        x, deepest = x + float(size[0]), max(deepest, float(size[1]))
    return points


def _component(part: Any, nodes: list[int], seed: int) -> Points:
    """Return the places of one component, its longer side lying."""
    import networkx

    if len(nodes) == 1:
        return np.zeros((1, 2))
    start = networkx.random_layout(part, seed=seed) if len(nodes) > _SPRINGS else networkx.circular_layout(part)
    if len(nodes) <= _SPRINGS:
        found = networkx.kamada_kawai_layout(part, pos=start)
    else:
        found = networkx.spring_layout(part, pos=start, seed=seed, iterations=150)
    points = np.array([found[v] for v in nodes])
    points -= points.mean(0)
    points = points @ np.linalg.svd(points, full_matrices=False)[2].T
    points *= np.where(points[np.abs(points).argmax(0), [0, 1]] < 0, -1, 1)  # the sign of an axis is free: settle it
    at = {v: i for i, v in enumerate(nodes)}
    links = np.array([(at[u], at[v]) for u, v in part.edges])
    usual = float(np.median(np.linalg.norm(points[links[:, 0]] - points[links[:, 1]], axis=1)))
    scaled: Points = points / max(usual, 1e-9)
    return scaled


def _spread(points: Points, boxes: Points) -> Points:
    """Return the places in inches: links as long as labels need, within reason; then push what still overlaps."""
    if len(points) < 2:
        return points * _LINK
    room = (boxes[:, None] + boxes) / 2  # [N, N, 2]
    gap = np.abs(points[:, None] - points)
    need = (room / np.maximum(gap, 1e-9)).min(2)  # inches a unit, for two boxes not to touch
    np.fill_diagonal(need, 0)
    points = points * min(max(_LINK, float(need.max())), _LONGEST_LINK)
    for _ in range(100):
        gap = points[:, None] - points
        over = room - np.abs(gap)
        hit = (over > 1e-6).all(2) & ~np.eye(len(points), dtype=bool)
        if not hit.any():
            break
        sideways = over[..., 0] < over[..., 1]
        first = np.sign(np.arange(len(points))[:, None] - np.arange(len(points)))  # parts what stands in one place
        sign = np.where(gap == 0, first[..., None], np.sign(gap))
        push = np.where(np.stack([sideways, ~sideways], 2) & hit[..., None], sign * over, 0)
        points = points + 0.3 * push.sum(1)
    return points


def _draw_links(axes: Axes, points: Points, edges: NDArray[np.int64]) -> None:
    """Draw lines from rim to rim, heads where they are one-way, and loops."""
    from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection

    loops = sorted({int(u) for u, v in edges.T if u == v})
    pairs = sorted({(int(u), int(v)) for u, v in edges.T if u != v})
    there = set(pairs)
    directed = any((v, u) not in there for u, v in pairs)
    lines, heads = [], []
    for u, v in pairs:
        if u < v or (v, u) not in there:
            lines.append([points[u], points[v]])
        if directed:
            ahead = (points[v] - points[u]) / max(float(np.linalg.norm(points[v] - points[u])), 1e-9)
            tip, side = points[v] - ahead * (_DOT / 2 + 0.01), np.array([-ahead[1], ahead[0]])
            heads.append([tip, tip - 0.11 * ahead + 0.042 * side, tip - 0.11 * ahead - 0.042 * side])
    width = 0.9 if len(lines) < 300 else 0.6
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=width, zorder=1), autolim=False)
    axes.add_collection(PolyCollection(heads, facecolors="#5A5A5A", edgecolors="none", zorder=1.5), autolim=False)
    if loops:
        rings = EllipseCollection(
            [0.17], [0.17], [0], units="xy", offsets=points[loops] + [0.09, 0.12], offset_transform=axes.transData,
            facecolors="none", edgecolors=GREY, linewidths=width, zorder=1,
        )  # fmt: skip
        axes.add_collection(rings, autolim=False)


def _draw_nodes(axes: Axes, points: Points, fills: list[str], written: list[str]) -> None:
    from matplotlib.collections import EllipseCollection
    from matplotlib.patheffects import withStroke

    if len(points):
        dots = EllipseCollection(
            [_DOT], [_DOT], [0], units="xy", offsets=points, offset_transform=axes.transData, facecolors=fills,
            edgecolors=GREY, linewidths=0.6, zorder=2,
        )  # fmt: skip
        axes.add_collection(dots, autolim=False)
    for (x, y), fill, text in zip(points.tolist(), fills, written, strict=True):
        if text and _is_short(text):
            axes.text(x, y, text, fontsize=_LABEL, color=ink_on(fill), ha="center", va="center_baseline", zorder=3,
                      parse_math=False)  # fmt: skip
        elif text:
            axes.text(x, y - _DOT / 2 - 0.02, text, fontsize=_LABEL, color=INK, ha="center", va="top", zorder=3,
                      parse_math=False, path_effects=[withStroke(linewidth=2.0, foreground="white")])  # fmt: skip
