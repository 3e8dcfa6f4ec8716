"""A figure measured in inches, with a legend below and a title above, so that text never overlaps when scaled."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from ..errors import Words, expected
from ..topology import Topology
from ._colour import Colouring
from ._figure import GREY, INK, check_title, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cut", "legend_handle", "sheet", "structure_of", "text_width"]

_MARGIN, _LEAST, _WIDEST = 0.2, 2.4, 12.0  # inches: around the picture, the least width, the widest title
_MOST_PIXELS, _LONGEST_SIDE = 4e7, 30000
_LONGEST = 24  # maximum number of characters of a label


def structure_of(given: Any, most: int, colours: Any) -> tuple[Topology, Any, Any]:
    """Return the topology, on the CPU, the PyG data that it came with, or None, and the colours, by default its `y`.

    Raises:
        GraphError: neither a Topology nor a PyG Data, or more than `most` nodes.
    """
    data = None if isinstance(given, Topology) else given
    if data is not None and not (hasattr(data, "edge_index") and hasattr(data, "num_nodes")):
        raise expected("topology_or_data", "a Topology or a PyG Data", given)
    topology = (given if data is None else Topology.from_data(data)).to("cpu")
    n, y = topology.num_nodes, getattr(data, "y", None)
    if n > most:
        raise expected("topology_or_data", f"at most {most} nodes, for a picture that can be read", Words(f"{n}"))
    if colours is None and isinstance(y, torch.Tensor) and y.shape in {(n,), (n, 1)}:
        colours = y.reshape(-1)
    return topology, data, colours


def cut(value: Any) -> str:
    """Return a label's text, on one line and truncated to what can be drawn."""
    text = "" if value is None else f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Return the width, in inches, of a text set in `size` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width: float = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]
    return width / 72


def legend_handle(name: str, **look: Any) -> Any:
    """Return the entry of a legend that shows a node."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", markersize=8, label=cut(name), **look)


def sheet(width: float, height: float, colouring: Colouring, title: str, extra: Any = ()) -> tuple[Figure, Axes]:
    """Return a figure around axes of `width` by `height` inches whose coordinates are inches, from the lower left.

    Args:
        width: of the picture.
        height: of the picture.
        colouring: what the legend below explains, in as few lines as fit.
        title: above the picture.
        extra: further entries of the legend.
    """
    check_title(title)
    inner = max(width, _LEAST, min(text_width(title, 11), _WIDEST)) + 2 * _MARGIN
    made, below = figure(inner, height), 0.0
    handles = [legend_handle(name, marker="o", color=c, markeredgecolor=GREY) for c, name in colouring.entries]
    handles += extra
    for columns in range(len(handles), 0, -1):
        legend = made.legend(
            handles=handles, loc="lower center", ncols=columns, fontsize=8, frameon=False, labelcolor=INK,
            handletextpad=0.2, columnspacing=1.2, borderaxespad=0.4,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
        box = legend.get_window_extent()
        below = box.height / made.dpi + 0.05
        if box.width <= made.bbox.width or columns == 1:
            break
        legend.remove()
    full = inner, height + 2 * _MARGIN + below + (0.35 if title else 0.0)
    made.set_size_inches(full)
    made.set_dpi(min(150.0, math.sqrt(_MOST_PIXELS / (full[0] * full[1])), _LONGEST_SIDE / max(full)))
    axes = made.add_axes((0, below / full[1], 1, (height + 2 * _MARGIN) / full[1]))
    axes.axis("off")
    side = (inner - width) / 2
    axes.set(xlim=(-side, width + side), ylim=(-_MARGIN, height + _MARGIN))
    if title:
        made.text(0.5, 1 - 0.12 / full[1], title, ha="center", va="top", fontsize=11, color=INK, parse_math=False)
    return made, axes
