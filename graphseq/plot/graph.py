"""Graphs as nodes and links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import expected
from ..topology import Topology
from ._colour import Limits, Scale, colouring, ink_on, per_node
from ._figure import GREY, INK, PathLike, check_path, save
from ._sheet import cut, legend_handle, sheet, structure_of, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Points = NDArray[np.float64]  # [N, 2]

__all__ = ["graph"]

MOST_NODES = 1000
_SPRINGS = 300  # nodes of a component, above which the better layout is too slow
_LABEL = 8.0  # points
_LINE, _APART = 0.16, 0.08  # inches: a line of text, between two nodes
_PLAIN = {"marker": "o", "markeredgecolor": GREY, "markeredgewidth": 0.6}
_MARKS: tuple[dict[str, Any], ...] = ({"marker": "s"}, {"markeredgecolor": INK, "markeredgewidth": 2.4})


def graph(
    topology_or_data: Any,
    path: PathLike = None,
    *,
    colours: Any = None,
    labels: Any = None,
    marks: Mapping[str, Any] | None = None,
    scale: Scale | None = None,
    names: Sequence[str] | None = None,
    limits: Limits = None,
    title: str = "",
) -> Figure:
    """Draw a small graph, or several, as nodes and links, laid out and drawn by networkx.

    Linked nodes are close together. Links have arrow heads, unless every edge has its reverse.
    The same graph gives the same picture.

    Args:
        topology_or_data: a Topology or a PyG Data.
        path: where to write the picture, a .png, .svg or .pdf file.
        colours: one class or value per node; NaN and None stay white; by default the data's `y`, if it has that form.
        labels: what is written in each node, or, if it is long, below it.
        marks: name in the legend → a boolean per node, at most two: nodes of the first are squares, those of the second
            have a thick outline.
        scale: "classes" in colours without an order, "values" from dark to light, "diverging" from red, low, over white
            to blue, high; by default classes for strings, named integers, or at most 8 different integers.
        names: of the integer classes 0, 1, … of `colours`, at most 20.
        limits: the values at the ends of the colours; by default the least and the largest.
        title: above the picture.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: not a graph, more than 1000 nodes, an argument that doesn't have one entry per node, a path
            that can't be written.

    >>> import torch, graphseq
    >>> square = graphseq.Topology.from_edge_index(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]))
    >>> figure = graph(square, colours=[0, 1, 0, 1], labels=["a", "b", "c", "d"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['a', 'b', 'c', 'd']
    """
    check_path(path)
    topology, _, colours = structure_of(topology_or_data, MOST_NODES, colours)
    n = topology.num_nodes
    chosen = colouring(colours, n, scale=scale, names=names, limits=limits)
    written = [""] * n if labels is None else [cut(label) for label in per_node("labels", labels, n)]
    if not isinstance(marks, Mapping | None) or len(marks or ()) > len(_MARKS):
        raise expected("marks", f"a dict of at most {len(_MARKS)} names", marks)
    looks, handles = [dict(_PLAIN) for _ in range(n)], []
    for (name, given), look in zip((marks or {}).items(), _MARKS, strict=False):
        handles.append(legend_handle(name, color="white", **{**_PLAIN, "markeredgewidth": 1.0, **look}))
        for v, marked in enumerate(per_node(f"marks[{name!r}]", given, n)):
            looks[v].update(look if marked else {})

    dot = 0.24 if (all(written) or n <= 60) else 0.16 if n <= 250 else 0.1  # inches
    inside = [text_width(text, _LABEL) <= 0.85 * dot for text in written]
    wide = [dot if within else max(dot, text_width(text, _LABEL)) for within, text in zip(inside, written, strict=True)]
    boxes = np.array([(w, dot + (0 if within else 2 * _LINE)) for w, within in zip(wide, inside, strict=True)])
    boxes = boxes.reshape(-1, 2) + _APART
    points = _spread(_layout(topology), boxes, 2.5 * dot)
    points = points - (points - boxes / 2).min(0, initial=0.0)
    width, height = (points + boxes / 2).max(0, initial=dot).tolist()
    made, axes = sheet(width, height, chosen, title, handles)
    _draw(axes, topology, points, dot, chosen.fills, looks)
    for (x, y), fill, text, within in zip(points.tolist(), chosen.fills, written, inside, strict=True):
        axes.text(
            x, y if within else y - dot / 2 - 0.03, text, fontsize=_LABEL, color=ink_on(fill) if within else INK,
            ha="center", va="center_baseline" if within else "top", zorder=3, parse_math=False,
            bbox=None if within else {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3},
        )  # fmt: skip
    return save(made, path)


def _layout(topology: Topology) -> Points:
    """Return positions of nodes such that a typical link has length 1, with the longer side horizontal."""
    import networkx

    n, edges = topology.num_nodes, topology.edge_index.numpy()
    whole = networkx.Graph()
    whole.add_nodes_from(range(n))
    whole.add_edges_from((u, v) for u, v in edges.T.tolist() if u != v)
    if n <= _SPRINGS:
        steps = dict(networkx.all_pairs_shortest_path_length(whole))
        far = 2 + 0.5 * max((max(found.values()) for found in steps.values()), default=0)  # between components
        found = networkx.kamada_kawai_layout(whole, {u: {v: steps[u].get(v, far) for v in whole} for u in whole})
    else:
        found = networkx.spring_layout(whole, seed=0, iterations=150)
    points = np.array([found[v] for v in range(n)]).reshape(n, 2)
    points -= points.mean(0) if n else 0.0
    points = points @ np.linalg.svd(points, full_matrices=False)[2].T if n > 1 else points
    ahead = (points[edges[1]] - points[edges[0]]).sum(0)  # the sign of an axis is arbitrary: links point to the right
    furthest = points[np.abs(points).argmax(0), [0, 1]] if n else ahead
    points *= np.where(np.where(np.abs(ahead) > 1e-6, ahead, furthest) < 0, -1, 1)
    lengths = np.linalg.norm(points[edges[0]] - points[edges[1]], axis=1)
    usual: float = np.median(lengths[lengths > 0]) if lengths.any() else 2 / max(n, 1) ** 0.5
    return points / usual


def _spread(points: Points, boxes: Points, link: float) -> Points:
    """Return the positions in inches: lengthen links for the labels, within limits; then push apart what overlaps."""
    room = (boxes[:, None] + boxes) / 2  # [N, N, 2]
    norm = 2 if (boxes == boxes[:1, :1]).all() else np.inf  # circles, or boxes
    jitter = 1e-6 * np.sign(np.subtract.outer(range(len(points)), range(len(points))))  # parts equal positions

    def apart() -> tuple[Points, Points]:
        gap = points[:, None] - points + jitter[..., None]
        near = np.linalg.norm(gap / room, norm, axis=2)  # below 1 where two overlap
        np.fill_diagonal(near, 1)
        return gap, 1 / near

    points = points * np.clip(apart()[1].max(initial=0), link, 2.2 * link)
    for _ in range(100):
        gap, need = apart()
        if need.max(initial=0) < 1.02:
            break
        points = points + 0.3 * (np.maximum(need - 1, 0)[..., None] * gap).sum(1)
    return points


def _draw(axes: Any, topology: Topology, points: Points, dot: float, fills: list[str], looks: Any) -> None:
    """Draw links, with arrow heads if they are directed, loops and nodes."""
    import networkx

    pairs = set(map(tuple, topology.edge_index.t().tolist()))
    directed = any((v, u) not in pairs for u, v in pairs)
    drawn = networkx.DiGraph() if directed else networkx.Graph()
    drawn.add_nodes_from(range(topology.num_nodes))
    drawn.add_edges_from(sorted((u, v) for u, v in pairs if u != v))
    places, size, width = dict(enumerate(points)), (72 * dot) ** 2, 0.9 if dot > 0.2 else 0.5
    heads = {"node_size": size, "arrowsize": 8} if directed else {}
    networkx.draw_networkx_edges(drawn, places, ax=axes, edge_color=GREY, width=width, **heads)
    loops = points[sorted(u for u, v in pairs if u == v)] + [0.35 * dot, 0.5 * dot]
    axes.scatter(*loops.T, s=size / 2, facecolors="none", edgecolors=GREY, linewidths=width, zorder=1)
    for marker in ("o", "s"):
        nodes = [v for v, look in enumerate(looks) if look["marker"] == marker]
        edges, widths = ([looks[v][f"markeredge{what}"] for v in nodes] for what in ("color", "width"))
        networkx.draw_networkx_nodes(
            drawn, places, nodes, ax=axes, node_size=size, node_shape=marker, node_color=[fills[v] for v in nodes],
            edgecolors=edges, linewidths=widths,
        )  # fmt: skip
