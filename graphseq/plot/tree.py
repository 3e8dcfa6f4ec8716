"""Trees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import Words, expected
from ..topology import Topology
from ._colour import Limits, Scale, colouring, ink_on, per_node
from ._figure import GREY, INK, PathLike, check_path, save
from ._sheet import cut, sheet, structure_of, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["tree"]

MOST_NODES = 3000
_SIZE = 9.0  # points
_DOT, _PAD = 0.15, 0.07  # inches: a node without a label, around a label
_LEVEL, _ROW, _GAP, _STEP = 0.46, 0.24, 0.1, 0.16  # inches: level to level, leaf to leaf and between both, if sideways
_PAGE = 9.0  # inches, above which a tree is laid out sideways

Children = list[list[int]]


def tree(
    topology_or_data: Any,
    path: PathLike = None,
    *,
    colours: Any = None,
    labels: Any = None,
    tokens: Sequence[str] | None = None,
    scale: Scale = "diverging",
    names: Sequence[str] | None = None,
    limits: Limits = None,
    title: str = "",
    sideways: bool | None = None,
) -> Figure:
    """Draw a tree, or several side by side: the root above or on the left, a parent centred on its children.

    Leaves are in the order of their slots, so that their words can be read as a sentence. Text never overlaps.

    Args:
        topology_or_data: a topology of trees, edges child → parent, or a PyG Data, whose `tokens`, `labels` and `y`, if
            they have the right form, are the defaults of `tokens`, `labels` and `colours`.
        path: where to write the picture, a .png, .svg or .pdf file.
        colours: one class or value per node, such as a sentiment from 0 to 4; NaN and None stay white.
        labels: what is written in each node.
        tokens: the words of the leaves from left to right, or one per node: in nodes without a label, next to others.
        scale: "diverging" colours from red, low, over white to blue, high; "values" from dark to light; "classes" in
            colours without an order.
        names: of the integer classes 0, 1, … of `colours`.
        limits: the values at the ends of the colours; by default those of the named classes, else the minimum and the
            maximum.
        title: above the picture.
        sideways: whether the root is on the left and each leaf has a line; by default where the tree would be wider
            than 9 inches.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: not trees, more than 3000 nodes, an argument that doesn't have one entry per node or leaf, a
            path that can't be written.

    >>> from graphseq import Topology
    >>> figure = tree(Topology.tree([2, 2, -1]), colours=[2, 4, 3], tokens=["It", "works"], limits=(0, 4))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['It', 'works']
    """
    check_path(path)
    topology, data, colours = structure_of(topology_or_data, MOST_NODES, colours)
    children, order = _children(topology)
    n = topology.num_nodes
    chosen = colouring(colours, n, scale=scale, names=names, limits=limits)
    inside = _texts("labels", labels, data, list(range(n)), n)
    beside = _texts("tokens", tokens, data, [v for v in order if not children[v]], n)
    for v, text in enumerate(inside):
        if not text:
            inside[v], beside[v] = beside[v], ""

    boxes = [text_width(text, _SIZE) + 2 * _PAD if text else _DOT for text in inside]
    words = [text_width(text, _SIZE) for text in beside]
    places, depths, length = _layout(children, order, [max(b, w) + _GAP for b, w in zip(boxes, words, strict=True)])
    if sideways is None:
        sideways = length > _PAGE
    if sideways:
        places, depths, length = _layout(children, order, [_ROW] * n)
        wide = [b + (w + _GAP if w else 0) for b, w in zip(boxes, words, strict=True)]
        columns = _columns(children, depths, wide)
        width, height = max((columns[d] + w for d, w in zip(depths, wide, strict=True)), default=_DOT), length
        points = [(columns[d], length - place) for d, place in zip(depths, places, strict=True)]
    else:
        width, height = length, _LEVEL * max(depths, default=0) + _ROW + (0.2 if any(beside) else 0.0)
        points = [(place, height - _ROW / 2 - _LEVEL * d) for d, place in zip(depths, places, strict=True)]
    made, axes = sheet(width, height, chosen, title)
    _draw(axes, points, children, boxes, chosen.fills, inside, beside, sideways)
    return save(made, path)


def _children(topology: Topology) -> tuple[Children, list[int]]:
    """Return the children of each node in the order of their slots, and all nodes, each before its descendants."""
    if topology.num_nodes and (not topology.is_acyclic or int(topology.out_degree.max()) > 1):
        forward = topology.is_acyclic and int(topology.in_degree.max()) <= 1
        got = "edges parent → child: give its reverse()" if forward else "a node with two parents, or a cycle"
        raise expected("topology_or_data", "trees, with edges child → parent", Words(got))
    children: Children = [[] for _ in range(topology.num_nodes)]
    edges = topology.edge_index.t().tolist()
    for _, (child, parent) in sorted(zip(topology.slot.tolist(), edges, strict=True)):
        children[parent].append(child)
    order: list[int] = []
    waiting = topology.roots.flip(0).tolist()
    while waiting:  # not by recursion: a tree may be as deep as it has nodes
        v = waiting.pop()
        order.append(v)
        waiting += reversed(children[v])
    return children, order


def _texts(argument: str, given: Any, data: Any, places: Sequence[int], count: int) -> list[str]:
    """Return a text for each node, from one entry per node, or one for each of `places`."""
    values = getattr(data, argument, None) if given is None else given
    if values is None:
        return [""] * count
    length = len(values) if hasattr(values, "__len__") else -1
    if len(places) < count and length not in (len(places), count):
        raise expected(argument, f"one entry for each of {len(places)} leaves or {count} nodes", values)
    at = places if length == len(places) else range(count)
    texts = dict(zip(at, map(cut, per_node(argument, values, len(at))), strict=True))
    return [texts.get(v, "") for v in range(count)]


def _layout(children: Children, order: list[int], room: list[float]) -> tuple[list[float], list[int], float]:
    """Return each node's place across the levels, its level, and the length that all take across.

    A subtree is a box; the boxes of siblings are side by side, their parent in the middle between the first child and
    the last. So nothing overlaps, and leaves keep their order.
    """
    shift = [0.0] * len(children)  # a node's place, as seen from its parent
    left, right = [r / 2 for r in room], [r / 2 for r in room]  # how far a node's box reaches from it
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
    xs, depth, length = [0.0] * len(children), [-1] * len(children), 0.0
    for v in order:
        if depth[v] < 0:  # a root
            xs[v], depth[v] = length + left[v], 0
            length += left[v] + right[v]
        for u in children[v]:
            xs[u], depth[u] = xs[v] + shift[u], depth[v] + 1
    return xs, depth, length


def _columns(children: Children, depths: list[int], boxes: list[float]) -> list[float]:
    """Return where each level begins in a tree laid out sideways: behind the widest parent of the level before."""
    widest = [_DOT] * (max(depths, default=0) + 1)
    for below, d, width in zip(children, depths, boxes, strict=True):
        widest[d] = max(widest[d], width if below else 0.0)
    return list(accumulate((width + _STEP for width in widest), initial=0.0))


def _draw(
    axes: Any, points: list[tuple[float, float]], children: Children, boxes: list[float], fills: list[str],
    inside: list[str], beside: list[str], sideways: bool,
) -> None:  # fmt: skip
    from matplotlib.collections import LineCollection

    straight = not sideways and max(map(len, children), default=0) <= 2  # else a line may run behind a sibling
    lines = []
    for v, below in enumerate(children):
        for u in below:
            (x, y), (a, b) = points[v], points[u]
            bend = [(a - _STEP / 2, y), (a - _STEP / 2, b)] if sideways else [(x, (y + b) / 2), (a, (y + b) / 2)]
            lines.append([(x + 0.05 * sideways, y), *([] if straight else bend), (a, b)])
    axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.9, zorder=1), autolim=False)
    bare = [v for v, text in enumerate(inside) if not text]
    at = [(points[v][0] + _DOT / 2 * sideways, points[v][1]) for v in bare]
    axes.scatter(
        [x for x, _ in at], [y for _, y in at], (72 * _DOT) ** 2, [fills[v] for v in bare], edgecolors=GREY,
        linewidths=0.6, zorder=2,
    )  # fmt: skip
    box: dict[str, Any] = {"boxstyle": f"round,pad={0.72 * _PAD * 72 / _SIZE},rounding_size=0.4", "edgecolor": GREY}
    for (x, y), width, fill, text, word in zip(points, boxes, fills, inside, beside, strict=True):
        centre = x + width / 2 * sideways
        if text:
            axes.text(centre, y, text, fontsize=_SIZE, color=ink_on(fill), ha="center", va="center_baseline", zorder=3,
                      bbox={**box, "facecolor": fill, "linewidth": 0.6}, parse_math=False)  # fmt: skip
        if word and sideways:
            axes.text(x + width + _PAD, y, word, fontsize=_SIZE, color=INK, va="center_baseline", parse_math=False)
        elif word:
            axes.text(x, y - _ROW / 2 - 0.03, word, fontsize=_SIZE, color=INK, ha="center", va="top", parse_math=False)
