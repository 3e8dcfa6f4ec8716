"""Which colour stands for which class or value, and how a picture says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal

from ..errors import Words, expected
from ._figure import INK, PALETTE

__all__ = ["Colouring", "Limits", "Scale", "colouring", "ink_on", "per_node"]

Scale = Literal["classes", "values", "diverging"]
Limits = tuple[float, float] | None

_MAPS = {"values": "cividis", "diverging": "RdBu"}  # both are safe for the colour-blind
_PLAIN, _MISSING = "#9CC3DE", "#FFFFFF"


@dataclass(frozen=True)
class Colouring:
    """A fill for each node, and a key to them: names of a few colours, or a bar from low to high."""

    fills: list[str]
    entries: list[tuple[str, str]] = field(default_factory=list)  # colour, name
    bar: tuple[list[str], float, float] | None = None  # colours from low to high, low, high


def per_node(argument: str, values: Any, count: int) -> list[Any]:
    """Return a tensor, an array or a sequence with one entry a node as a list.

    Raises:
        GraphError: it is none, or has another length.
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
        colours: one class (an integer or a name) or value a node; None for all alike; NaN and None stay white.
        count: N.
        scale: what they are; by default classes if there are at most 8 integers or names, else values.
        names: of the classes 0, 1, …
        limits: the values that the ends of the colour map stand for.

    Raises:
        GraphError: another length, scale or kind of value, more than 8 classes, a class without a name.
    """
    if scale not in (None, "classes", "values", "diverging"):
        raise expected("scale", '"classes", "values" or "diverging"', scale)
    if colours is None:
        return Colouring([_PLAIN] * count)
    listed = per_node("colours", colours, count)
    listed = [None if isinstance(v, float) and math.isnan(v) else v for v in listed]
    there = [v for v in listed if v is not None]
    whole = all(isinstance(v, Integral) for v in there)
    if not whole and not all(isinstance(v, str) for v in there) and not all(isinstance(v, Real) for v in there):
        raise expected("colours", "integers, numbers or strings", Words(f"{_kinds(there)}"))
    kinds = sorted(set(there)) if whole else list(dict.fromkeys(there))
    text = bool(there) and isinstance(there[0], str)
    if scale is None:
        scale = "classes" if (whole or text) and len(kinds) <= len(PALETTE) else "values"
    if scale != "classes" and text:
        raise expected("colours", f"numbers, and no more than {len(PALETTE)} names", Words(f"{len(kinds)} names"))
    if names is not None and whole and kinds and not 0 <= kinds[0] <= kinds[-1] < len(names):
        raise expected("names", f"a name for each class up to {kinds[-1]}", Words(f"{len(names)} names"))
    if scale == "classes":
        return _classes(listed, kinds, names if whole else None)
    return _values(listed, there, kinds if whole else [], scale, names, limits)


def _classes(listed: list[Any], kinds: list[Any], names: Sequence[str] | None) -> Colouring:
    if len(kinds) > len(PALETTE):
        raise expected("colours", f"at most {len(PALETTE)} classes to tell apart", Words(f"{len(kinds)}"))
    # A class keeps its colour from picture to picture, whichever others are in it.
    own = all(isinstance(k, Integral) and 0 <= int(k) < len(PALETTE) for k in kinds)
    code = {kind: PALETTE[int(kind) if own else i] for i, kind in enumerate(kinds)}
    entries = [(code[k], str(k) if names is None else str(names[k])) for k in kinds]
    return Colouring([_MISSING if v is None else code[v] for v in listed], entries)


def _values(
    listed: list[Any], there: list[Any], whole: list[Any], scale: Scale, names: Sequence[str] | None, limits: Limits
) -> Colouring:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    finite = [float(v) for v in there if math.isfinite(v)] or [0.0]
    low, high = (min(finite), max(finite)) if limits is None else limits
    if limits is None and names is not None:
        low, high = 0.0, float(len(names) - 1)
    elif limits is None and scale == "diverging" and low < 0 < high:  # white is zero
        low, high = -max(-low, high), max(-low, high)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise expected("limits", "two numbers, the lower first", limits)
    scheme, width = colormaps[_MAPS[scale]], high - low

    def colour(value: Any) -> str:
        part = (min(max(float(value), low), high) - low) / width if width > 0 else 0.5
        return str(to_hex(scheme(0.08 + 0.84 * part if scale == "diverging" else part)))  # its ends are near black

    fills = [_MISSING if v is None or math.isnan(v) else colour(v) for v in listed]
    if names is not None:
        return Colouring(fills, [(colour(i), str(name)) for i, name in enumerate(names)])
    if whole and len(whole) <= len(PALETTE):
        return Colouring(fills, [(colour(v), str(v)) for v in whole])
    shades = [colour(low + width * i / 32) for i in range(33)]
    return Colouring(fills, bar=(shades, low, high) if width > 0 else None)


def _kinds(values: list[Any]) -> str:
    return ", ".join(sorted({type(v).__name__ for v in values}))


def ink_on(fill: str) -> str:
    """Return the colour of text that is read on this fill: the one of higher contrast.

    >>> ink_on("#0072B2"), ink_on("#F0E442")
    ('#FFFFFF', '#222222')
    """
    parts = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return "#FFFFFF" if 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.22 else INK
