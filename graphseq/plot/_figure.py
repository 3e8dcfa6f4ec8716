"""What all pictures share: colours, an empty figure, and a file that is never seen half written."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import GraphError, Words, expected

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GREY", "INK", "PALETTE", "Path_", "check_path", "figure", "plain_axes", "save"]

Path_ = str | os.PathLike[str] | None

# Okabe & Ito's colours: told apart with every common form of colour blindness. Yellow, too pale for lines, comes last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6B6B6B", "#F0E442")
INK, GREY = "#222222", "#8C8C8C"
_FORMATS = (".png", ".svg")


def figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """Return an empty figure of so many inches on a canvas that needs no screen and no global state.

    Raises:
        GraphError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise GraphError("pictures need matplotlib, which is not installed: pip install matplotlib") from None
    layout: Literal["constrained"] | None = "constrained" if constrained else None
    made = Figure(figsize=(width, height), dpi=150, layout=layout, facecolor="white")
    FigureCanvasAgg(made)
    return made


def plain_axes(axes: Axes) -> None:
    """Leave of an axes' frame only what is read: the left and lower spines, and a faint grid behind the lines."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(True, color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8, color=GREY)


def check_path(path: Path_) -> None:
    """Check where a picture shall go, before it is drawn.

    Raises:
        GraphError: not a path, neither PNG nor SVG, a folder that does not exist.
    """
    if path is None:
        return
    if not isinstance(path, (str, os.PathLike)):
        raise expected("path", "the path of a .png or .svg file, or None", path)
    file = Path(path)
    if file.suffix.lower() not in _FORMATS:
        raise expected("path", "a name that ends in .png or .svg", os.fspath(path))
    if not file.absolute().parent.is_dir():
        raise expected("path", "a file in a folder that exists", os.fspath(path))


def save(made: Figure, path: Path_) -> Figure:
    """Write the figure to `path`, if there is one, and return it.

    The picture is written under a temporary name in the same folder and renamed: readers see the old one or the new.

    Raises:
        GraphError: see :func:`check_path`; the folder can't be written to.
    """
    check_path(path)
    if path is None:
        return made
    import matplotlib

    file, content = Path(path), io.BytesIO()
    kind = file.suffix.lower()[1:]
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "graphseq"}):  # text stays text; same bytes
        made.savefig(content, format=kind, dpi=made.dpi, metadata={"Date": None} if kind == "svg" else None)
    scratch = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        scratch.write_bytes(content.getvalue())
        scratch.replace(file)
    except OSError as error:
        raise expected("path", "a file that can be written", Words(f"{file}: {error.strerror or error}")) from error
    finally:
        scratch.unlink(missing_ok=True)
    return made
