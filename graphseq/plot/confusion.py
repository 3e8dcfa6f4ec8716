"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Words, expected
from ._canvas import cut, text_width
from ._colour import ink_on
from ._figure import INK, Path_, check_path, figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion"]

_MOST = 60  # classes
_NUMBERS = 20  # classes, up to which each cell has its number


def confusion(
    matrix: Any, path: Path_ = None, *, classes: Sequence[str] | None = None, normalise: bool = True, title: str = ""
) -> Figure:
    """Draw a confusion matrix: how often class r was taken for class c, in row r and column c.

    A cell is as dark as its share of its row; it shows its count and, with `normalise`, the share, in percent.

    Args:
        matrix: `[C, C]`, counts; a tensor, an array or a list of rows.
        path: where to write the picture, a .png or .svg file.
        classes: C names; by default 0, 1, …
        normalise: whether shares are shown beside counts.
        title: above the picture.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: no square matrix of numbers ≥ 0, more than 60 classes, another number of names, a path that can't be
            written.

    >>> figure = confusion([[8, 2], [1, 9]], classes=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['8\\n80 %', '2\\n20 %', '1\\n10 %', '9\\n90 %']
    """
    check_path(path)
    counts, names = _counts(matrix), classes
    size = len(counts)
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence) or len(names) != size):
        raise expected("classes", f"{size} names, one for each row", names)
    if not isinstance(title, str):
        raise expected("title", "a string", title)
    named = [str(i) for i in range(size)] if names is None else [cut(name) for name in names]
    total = counts.sum(1, keepdims=True)
    share = counts / np.where(total > 0, total, 1)
    numbers = size <= _NUMBERS

    longest = max(text_width(name, 8) for name in named)
    cell = 0.62 if numbers else 0.26
    flat = longest <= cell - 0.08  # whether columns' names fit beside each other
    made = figure(cell * size + longest + 0.9, cell * size + (0.2 if flat else 0.8 * longest) + 0.9)
    axes = made.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(size), named, rotation=0 if flat else 45, ha="center" if flat else "right",
                    rotation_mode="default" if flat else "anchor")  # fmt: skip
    axes.set_yticks(range(size), named)
    axes.tick_params(length=0, labelsize=8, colors=INK)
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        label.set_parse_math(False)
    axes.set(xlabel="predicted", ylabel="true")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    if numbers:
        _write(axes, counts, share, normalise)
    else:
        made.colorbar(image, ax=axes, shrink=0.5, label="share of the row").outline.set_visible(False)
    if title:
        axes.set_title(title, fontsize=11, color=INK, parse_math=False)
    return save(made, path)


def _counts(matrix: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the matrix as an array, checked."""
    given = matrix.detach().cpu() if hasattr(matrix, "detach") else matrix
    try:
        counts = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise expected("matrix", "numbers of shape [C, C]", matrix) from None
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not 1 <= len(counts) <= _MOST:
        raise expected("matrix", f"shape [C, C] with C from 1 to {_MOST}", Words(f"shape {list(counts.shape)}"))
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise expected("matrix", "numbers ≥ 0", Words("NaN, infinity or a number below 0"))
    return counts


def _write(axes: Any, counts: Any, share: Any, normalise: bool) -> None:
    """Write each cell's numbers in it."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    for (row, column), count in np.ndenumerate(counts):
        text = f"{count:g}" if count < 1e6 else f"{count:.1e}"
        if normalise and counts[row].any():
            text += f"\n{100 * share[row, column]:.0f} %"
        ink = ink_on(to_hex(colormaps["Blues"](float(share[row, column]))))
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=ink, linespacing=1.15)
