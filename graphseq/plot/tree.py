"""Trees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

import torch

from ..errors import Words, expected
from ..topology import Topology
from ._canvas import POINT, check_size, cut, sheet, structure_of, text_width
from ._colour import Limits, Scale, colouring, ink_on, per_node
from ._figure import GREY, INK, Path_, check_path, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["tree"]

MOST_NODES = 3000
_LABEL, _WORD = 8.0, 9.0  # points
_DOT, _LEVEL, _GAP = 0.15, 0.48, 0.12  # inches: a node without a label, from level to level, between columns
_PAD, _BOX = 0.09, 0.13  # inches: around a label; half the height of its box, with some air
_FAN = 40  # children, above which lines are bent without a look

Point = tuple[float, float]


def tree(
    topology_or_data: Any,
    path: Path_ = None,
    *,
    colours: Any = None,
    labels: Any = None,
    tokens: Sequence[str] | None = None,
    scale: Scale = "diverging",
    names: Sequence[str] | None = None,
    limits: Limits = None,
    title: str = "",
) -> Figure:
    """Draw a tree, or several side by side, root above: each level on a line, a parent amid its children.

    Leaves stand from left to right in the order of their slots, in columns as wide as their words, so that the words
    can be read as a sentence.

    Args:
        topology_or_data: a topology of trees, edges child → parent, or a PyG Data; a Data that has `tokens`, `labels`
            or, one a node, `y` gives what is not given as an argument.
        path: where to write the picture, a .png or .svg file.
        colours: one class or value a node, such as a sentiment from 0 to 4; NaN and None stay white.
        labels: what is written in each node.
        tokens: the words under the leaves from left to right, or one a node.
        scale: "diverging" colours from red, low, over white to blue, high; "values" from dark to light; "classes" in
            colours without an order.
        names: of the integer classes 0, 1, … of `colours`; by default of none.
        limits: the values at the ends of the colours; by default the classes' that have names, else the least and the
            largest there are.
        title: above the picture.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: not trees, more than 3000 nodes, an argument with another number of entries than nodes or leaves, a
            path that can't be written.

    >>> from graphseq import Topology
    >>> figure = tree(Topology.tree([2, 2, -1]), colours=[2, 4, 3], tokens=["It", "works"], limits=(0, 4))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['It', 'works']
    """
    check_path(path)
    topology, data = structure_of(topology_or_data)
    check_size(topology, MOST_NODES)
    children, order = _children(topology)
    n = topology.num_nodes
    leaves = [v for v in order if not children[v]]
    if colours is None and data is not None and _is_per_node(getattr(data, "y", None), n):
        colours = data.y.reshape(-1)
    chosen = colouring(colours, n, scale=scale, names=names, limits=limits)
    written = _texts("labels", labels, data, range(n), n)
    words = _texts("tokens", tokens, data, leaves, n)

    widths = [max(text_width(t, _LABEL) + 2 * _PAD if t else _DOT, text_width(w, _WORD)) + _GAP
              for t, w in zip(written, words, strict=True)]  # fmt: skip
    xs, depth, width = _layout(children, order, widths)
    height = _LEVEL * max(depth, default=0) + _DOT + (0.3 if any(words) else 0.0)
    ys = [height - _DOT / 2 - _LEVEL * d for d in depth]
    made, axes = sheet(width, height, chosen, title)
    _draw(axes, xs, ys, children, chosen.fills, written, words)
    return save(made, path)


def _is_per_node(values: Any, count: int) -> bool:
    return isinstance(values, torch.Tensor) and values.shape in {(count,), (count, 1)}


def _children(topology: Topology) -> tuple[list[list[int]], list[int]]:
    """Return the children of each node in the order of their slots, and all nodes, each before its descendants."""
    if topology.num_nodes and (not topology.is_acyclic or int(topology.out_degree.max()) > 1):
        forward = topology.is_acyclic and int(topology.in_degree.max()) <= 1
        got = "edges parent → child: give its reverse()" if forward else "a node with two parents, or a cycle"
        raise expected("topology_or_data", "trees, with edges child → parent", Words(got))
    placed: list[list[tuple[int, int]]] = [[] for _ in range(topology.num_nodes)]
    for (child, parent), slot in zip(topology.edge_index.t().tolist(), topology.slot.tolist(), strict=True):
        placed[parent].append((slot, child))
    children = [[child for _, child in sorted(pairs)] for pairs in placed]
    order: list[int] = []
    waiting = topology.roots.flip(0).tolist()
    while waiting:  # not by recursion: a tree may be as deep as it has nodes
        v = waiting.pop()
        order.append(v)
        waiting += reversed(children[v])
    return children, order


def _texts(argument: str, given: Any, data: Any, places: Sequence[int], count: int) -> list[str]:
    """Return a text for each node, from one entry a node, or one for each of `places`."""
    values = getattr(data, argument, None) if given is None else given
    texts = [""] * count
    if values is None:
        return texts
    listed = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(listed, str) and isinstance(listed, Sequence) and len(listed) == len(places):
        for v, value in zip(places, listed, strict=True):
            texts[v] = cut(value)
        return texts
    if len(places) != count and (isinstance(listed, str) or not isinstance(listed, Sequence) or len(listed) != count):
        raise expected(argument, f"one entry for each of {len(places)} leaves or {count} nodes", values)
    return [cut(value) for value in per_node(argument, values, count)]


def _layout(children: list[list[int]], order: list[int], widths: list[float]) -> tuple[list[float], list[int], float]:
    """Return where each node stands, how deep, and how wide all is.

    A subtree is a box; the boxes of siblings stand side by side, their parent in the middle between the first child
    and the last. So nothing overlaps, and leaves keep their order.
    """
    shift = [0.0] * len(children)  # a node's place, as seen from its parent
    left, right = [w / 2 for w in widths], [w / 2 for w in widths]  # how far a node's box reaches from it
    for v in reversed(order):
        if children[v]:
            places, at = [], 0.0
            for u in children[v]:
                places.append(at + left[u])
                at += left[u] + right[u]
            middle = (places[0] + places[-1]) / 2
            left[v], right[v] = max(left[v], middle), max(right[v], at - middle)
            for u, place in zip(children[v], places, strict=True):
                shift[u] = place - middle
    xs, depth, width = [0.0] * len(children), [-1] * len(children), 0.0
    for v in order:
        if depth[v] < 0:  # a root
            xs[v], depth[v] = width + left[v], 0
            width += left[v] + right[v]
        for u in children[v]:
            xs[u], depth[u] = xs[v] + shift[u], depth[v] + 1
    return xs, depth, width


def _edges(points: list[Point], children: list[list[int]], widths: list[float]) -> list[list[Point]]:
    """Return the lines from parents to children: straight, or bent where a straight one would run behind a sibling."""
    straight = True
    for v, below in enumerate(children):
        for u, w in permutations(below, 2) if 2 < len(below) <= _FAN else []:
            near, far = points[u][0] - points[v][0], points[w][0] - points[v][0]
            beside = near * far > 0 and abs(near) < abs(far)
            straight = straight and not (beside and abs(near) + widths[u] / 2 > abs(far) * (1 - _BOX / _LEVEL))
        straight = straight and len(below) <= _FAN
    lines = []
    for v, below in enumerate(children):
        for u in below:
            (x, y), (a, b) = points[v], points[u]
            middle = (y + b) / 2
            lines.append([(x, y), (a, b)] if straight else [(x, y), (x, middle), (a, middle), (a, b)])
    return lines


def _draw(
    axes: Axes, xs: list[float], ys: list[float], children: list[list[int]], fills: list[str], written: list[str],
    words: list[str],
) -> None:  # fmt: skip
    from matplotlib.collections import EllipseCollection, LineCollection

    points = list(zip(xs, ys, strict=True))
    edges = _edges(points, children, [text_width(text, _LABEL) + 2 * _PAD if text else _DOT for text in written])
    axes.add_collection(LineCollection(edges, colors=GREY, linewidths=0.9, zorder=1), autolim=False)
    bare = [v for v, text in enumerate(written) if not text]
    if bare:
        dots = EllipseCollection(
            [_DOT], [_DOT], [0], units="xy", offsets=[points[v] for v in bare], offset_transform=axes.transData,
            facecolors=[fills[v] for v in bare], edgecolors=GREY, linewidths=0.6, zorder=2,
        )  # fmt: skip
        axes.add_collection(dots, autolim=False)
    for v, (x, y) in enumerate(points):
        if written[v]:
            box = {"boxstyle": f"round,pad={_PAD / POINT / _LABEL * 0.6},rounding_size=0.4", "facecolor": fills[v],
                   "edgecolor": GREY, "linewidth": 0.6}  # fmt: skip
            axes.text(x, y, written[v], fontsize=_LABEL, color=ink_on(fills[v]), ha="center", va="center_baseline",
                      bbox=box, zorder=3, parse_math=False)  # fmt: skip
        if words[v]:
            axes.text(x, y - _DOT / 2 - 0.09, words[v], fontsize=_WORD, color=INK, ha="center", va="top", zorder=3,
                      parse_math=False)  # fmt: skip
