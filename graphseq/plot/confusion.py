"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Words, expected
from ._figure import INK, PathLike, check_path, check_title, figure, save
from ._sheet import cut, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion"]

_MOST, _COUNTS, _SHARES = 60, 20, 10  # classes; classes up to which each cell has its count, and its share too


def confusion(
    matrix: Any, path: PathLike = None, *, classes: Sequence[str] | None = None, normalise: bool = True, title: str = ""
) -> Figure:
    """Draw a confusion matrix: how often class r was predicted as class c, in row r and column c.

    A cell is as dark as its share of its row; up to 20 classes, it shows its count, and up to 10, with `normalise`, the
    share in per cent. Drawn by scikit-learn's ``ConfusionMatrixDisplay``.

    Args:
        matrix: `[C, C]`, counts; a tensor, an array or a list of rows.
        path: where to write the picture, a .png, .svg or .pdf file.
        classes: C names; by default 0, 1, …
        normalise: whether shares are shown in addition to counts.
        title: above the picture.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        GraphError: not a square matrix of numbers ≥ 0, more than 60 classes, the wrong number of names, a path that
            can't be written.

    >>> figure = confusion([[8, 2], [1, 9]], classes=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['8\\n80 %', '2\\n20 %', '1\\n10 %', '9\\n90 %']
    """
    check_path(path)
    check_title(title)
    counts = _counts(matrix)
    size = len(counts)
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Sequence) or len(classes) != size):
        raise expected("classes", f"{size} names, one for each row", classes)
    from sklearn.metrics import ConfusionMatrixDisplay

    names = [str(i) for i in range(size)] if classes is None else [cut(name) for name in classes]
    numbers, shared = size <= _COUNTS, size <= _SHARES
    written = [f"{count:g}" if count < 1e6 else f"{count:.1e}" for count in counts.flat]
    longest, widest = (max(text_width(text, 8) for text in texts) for texts in (names, written))
    cell = max(0.62 if shared else 0.4, widest + 0.1) if numbers else 0.18  # inches
    flat = longest <= cell - 0.08  # whether the columns' names fit side by side
    width, height = longest + (1 if numbers else 2), 1 + (0.2 if flat else longest)
    made = figure(cell * size + width, cell * size + height, "compressed")
    axes = made.add_subplot()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    display = ConfusionMatrixDisplay(shares, display_labels=names).plot(
        include_values=numbers, cmap="Blues", ax=axes, colorbar=False, im_kw={"vmin": 0, "vmax": 1},
        xticks_rotation="horizontal" if flat else "vertical", text_kw={"fontsize": 8, "linespacing": 1.15},
    )  # fmt: skip
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.spines[:].set_visible(False)
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        label.set_parse_math(False)
    for i, text in enumerate(display.text_.flat if numbers else ()):
        share = f"\n{100 * shares.flat[i]:.0f} %" if normalise and shared and counts[i // size].any() else ""
        text.set_text(written[i] + share)
    if not numbers:
        made.colorbar(display.im_, ax=axes, shrink=0.5, label="share of the row").outline.set_visible(False)
    if title:
        made.suptitle(title, fontsize=11, color=INK, parse_math=False)
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
