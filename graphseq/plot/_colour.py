"""The colours of classes and values, and their legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

from ..errors import Words, expected
from ._figure import INK, PALETTE

__all__ = ["Colouring", "Limits", "Scale", "colouring", "ink_on", "per_node"]

Scale = Literal["classes", "values", "diverging"]
Limits = tuple[float, float] | None

_MAPS = {"values": "cividis", "diverging": "RdBu"}  # both are safe for the colour-blind
_PLAIN, _MISSING = "#DCE9F3", "#FFFFFF"
_MOST = 20  # classes


class Colouring(NamedTuple):
    """A fill for each node, and the legend: colours and names."""

    fills: list[str]
    entries: list[tuple[str, str]]


def per_node(argument: str, values: Any, count: int) -> list[Any]:
    """Return a tensor, an array or a sequence with one entry per node as a list.

    Raises:
        GraphError: something else, or another length.
    """
    listed = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(listed, str) or not isinstance(listed, Sequence) or len(listed) != count:
        raise expected(argument, f"one entry for each of {count} nodes", values)
    return list(listed)


def colouring(
    colours: Any, count: int, *, scale: Scale | None = None, names: Sequence[str] | None = None, limits: Limits = None
) -> Colouring:
    """Return the colours of nodes.

    Args:
        colours: one class (an integer or a name) or value per node; None for all alike; NaN and None stay white.
        count: N.
        scale: what they are; by default classes if they are strings, have `names`, or are at most 8 different integers.
        names: of the classes 0, 1, …
        limits: the values at the ends of the colour map.

    Raises:
        GraphError: another length, scale or kind of value, more than 20 classes, a class without a name.
    """
    if scale not in (None, "classes", "values", "diverging"):
        raise expected("scale", '"classes", "values" or "diverging"', scale)
    if colours is None:
        return Colouring([_PLAIN] * count, [])
    listed = [None if v is None or v != v else v for v in per_node("colours", colours, count)]
    there = [v for v in listed if v is not None]
    kind = next((k for k in (Integral, str, Real) if all(isinstance(v, k) for v in there)), None)
    if kind is None:
        kinds = ", ".join(sorted({type(v).__name__ for v in there}))
        raise expected("colours", "integers, numbers or strings", Words(kinds))
    classes = sorted(set(there)) if kind is Integral else list(dict.fromkeys(there))
    names = names if kind is Integral else None
    if names is not None and classes and not 0 <= classes[0] <= classes[-1] < len(names):
        raise expected("names", f"a name for each class up to {classes[-1]}", Words(f"{len(names)} names"))
    few = kind is Integral and len(classes) <= len(PALETTE)
    if scale == "classes" or (scale is None and (few or names is not None or kind is str)):
        code = _class_colours(classes, len(names or ()))
        entries = [(code[c], str(c) if names is None else str(names[c])) for c in classes]
    elif kind is str:
        raise expected("colours", f"numbers, as the scale is {scale!r}", Words("strings"))
    else:
        code, entries = _value_colours(classes, classes if few else None, scale or "values", names, limits)
    return Colouring([_MISSING if v is None else code[v] for v in listed], entries)


def _class_colours(classes: list[Any], named: int) -> dict[Any, str]:
    """Return a colour for each class; the same in every picture, whichever other classes it shows."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    if len(classes) > _MOST:
        raise expected("colours", f"at most {_MOST} classes to tell apart", Words(f"{len(classes)}"))
    own = all(isinstance(c, Integral) and 0 <= int(c) < _MOST for c in classes)
    place = {c: int(c) if own else i for i, c in enumerate(classes)}
    many = max([named - 1, *place.values()]) >= len(PALETTE)
    return {c: to_hex(colormaps["tab20"](i)) if many else PALETTE[i] for c, i in place.items()}


def _value_colours(
    values: list[Any], few: list[Any] | None, scale: str, names: Sequence[str] | None, limits: Limits
) -> tuple[dict[Any, str], list[tuple[str, str]]]:
    """Return a colour for each value, and the legend: the names', of a few values all, of many five amid the limits."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize, to_hex

    finite = [float(v) for v in values if math.isfinite(v)] or [0.0]
    low, high = (min(finite), max(finite)) if limits is None else limits
    if limits is None and names is not None:
        low, high = 0.0, float(len(names) - 1)
    elif limits is None and scale == "diverging" and low < 0 < high:  # white is zero
        low, high = -max(-low, high), max(-low, high)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise expected("limits", "two numbers, the lower first", limits)
    norm, margin = Normalize(low, high, clip=True), 0.08 if scale == "diverging" else 0.0  # whose ends are near black

    def colour(value: Any) -> str:
        part = float(norm(float(value))) if low < high else 0.5
        return to_hex(colormaps[_MAPS[scale]](margin + (1 - 2 * margin) * part))

    shown = few if few is not None else [low + (high - low) * i / 4 for i in range(5)] if low < high else [low]
    entries = enumerate(map(str, names)) if names is not None else [(v, f"{v:.3g}") for v in shown]
    return {v: colour(v) for v in values}, [(colour(v), name) for v, name in entries]


def ink_on(fill: str) -> str:
    """Return the colour of text on this fill: the one of higher contrast.

    >>> ink_on("#0072B2"), ink_on("#F0E442")
    ('#FFFFFF', '#222222')
    """
    parts = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return "#FFFFFF" if 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.22 else INK
