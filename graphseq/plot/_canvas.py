"""A sheet measured in inches, with a key below and a title above: what is laid out without overlaps stays so."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import Words, expected
from ..topology import Topology
from ._colour import Colouring
from ._figure import GREY, INK, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["POINT", "check_size", "cut", "sheet", "structure_of", "text_width"]

POINT = 1 / 72  # inch
_KEY = 0.24  # height of a line of the key
_MARGIN, _LEAST = 0.25, 2.4
_MOST_PIXELS = 4e7
_LONGEST = 24  # characters of a label that are drawn


def structure_of(given: Any) -> tuple[Topology, Any]:
    """Return the topology, on the CPU, and the PyG data that it came with, or None.

    Raises:
        GraphError: it is neither a Topology nor a PyG Data.
    """
    if isinstance(given, Topology):
        return given.to("cpu"), None
    if not hasattr(given, "edge_index") or not hasattr(given, "num_nodes"):
        raise expected("topology_or_data", "a Topology or a PyG Data", given)
    return Topology.from_data(given).to("cpu"), given


def check_size(topology: Topology, most: int) -> None:
    """Refuse what would be a black sheet of paper.

    Raises:
        GraphError: more than `most` nodes.
    """
    if topology.num_nodes > most:
        got = Words(f"{topology.num_nodes}")
        raise expected("topology_or_data", f"at most {most} nodes, for a picture that can be read", got)


def cut(value: Any) -> str:
    """Return a label's text, on one line and not longer than can be drawn."""
    text = "" if value is None else f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@lru_cache(maxsize=1)
def _renderer() -> Any:
    from matplotlib.backends import backend_agg

    make: Any = backend_agg.RendererAgg  # has no types
    return make(1, 1, 720)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Return how wide a text of so many points is, in inches."""
    from matplotlib.font_manager import FontProperties

    width: float = _renderer().get_text_width_height_descent(text, FontProperties(size=size), False)[0]
    return width / 720


def sheet(width: float, height: float, colouring: Colouring, title: str) -> tuple[Figure, Axes]:
    """Return a figure around axes of `width` by `height` inches whose coordinates are inches, from the lower left.

    Raises:
        GraphError: matplotlib is not installed, a title that is no string.
    """
    if not isinstance(title, str):
        raise expected("title", "a string", title)
    inner = max(width, _LEAST, min(text_width(title, 11), 12.0))
    rows = _key_rows(colouring, inner)
    below = _KEY * len(rows) + 0.1 if rows else 0.55 if colouring.bar else 0.0
    above = 0.35 if title else 0.0
    full = inner + 2 * _MARGIN, height + below + above + 2 * _MARGIN
    made = figure(*full, constrained=False)
    made.set_dpi(min(150.0, math.sqrt(_MOST_PIXELS / (full[0] * full[1])), 30000 / max(full)))
    axes = made.add_axes((0, below / full[1], 1, (full[1] - below - above) / full[1]))
    axes.axis("off")
    side = (full[0] - width) / 2
    axes.set(xlim=(-side, width + side), ylim=(-_MARGIN, height + _MARGIN))
    if title:
        made.text(0.5, 1 - 0.12 / full[1], title, ha="center", va="top", fontsize=11, color=INK, parse_math=False)
    _draw_key(made, rows)
    if colouring.bar:
        _draw_bar(made, colouring.bar)
    return made, axes


def _key_rows(colouring: Colouring, width: float) -> list[list[tuple[float, str, str]]]:
    """Return the key's lines: (where it begins, colour, name) of each entry, each line centred."""
    rows: list[list[tuple[float, str, str]]] = []
    at = width
    for colour, name in colouring.entries:
        wide = 0.22 + text_width(cut(name), 8) + 0.2
        if not rows or at + wide > width:
            rows.append([])
            at = 0.0
        rows[-1].append((at, colour, cut(name)))
        at += wide
    for row in rows:
        used = row[-1][0] + 0.22 + text_width(row[-1][2], 8)
        shift = _MARGIN + (width - used) / 2
        row[:] = [(at + shift, colour, name) for at, colour, name in row]
    return rows


def _draw_key(made: Figure, rows: list[list[tuple[float, str, str]]]) -> None:
    width, height = made.get_size_inches()
    key = made.add_axes((0, 0, 1, 1))
    key.axis("off")
    key.set(xlim=(0, width), ylim=(0, height))
    key.patch.set_visible(False)
    for i, row in enumerate(reversed(rows)):
        y = 0.17 + _KEY * i
        for x, colour, name in row:
            key.plot([x + 0.07], [y], "o", markersize=8, color=colour, markeredgecolor=GREY, markeredgewidth=0.6)
            key.text(x + 0.2, y, name, fontsize=8, color=INK, va="center_baseline", parse_math=False)


def _draw_bar(made: Figure, bar: tuple[list[str], float, float]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    width, height = made.get_size_inches()
    long = min(3.0, width - 2 * _MARGIN - 0.4)
    axes = made.add_axes(((width - long) / 2 / width, 0.36 / height, long / width, 0.12 / height))
    scheme = LinearSegmentedColormap.from_list("bar", bar[0])
    shades = ScalarMappable(Normalize(bar[1], bar[2]), scheme)
    drawn = made.colorbar(shades, cax=axes, orientation="horizontal", ticks=MaxNLocator(nbins=4))
    drawn.outline.set_visible(False)
    axes.tick_params(labelsize=8, colors=INK, color=GREY)
