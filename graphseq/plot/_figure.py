"""Shared by all pictures: colours, an empty figure, and files that are written atomically."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import GraphError, Words, expected

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GREY", "INK", "PALETTE", "PathLike", "check_path", "check_title", "figure", "save"]

PathLike = str | os.PathLike[str] | None

# Okabe & Ito's colours, distinguishable with every common form of colour blindness; yellow, too pale for lines, last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#6B6B6B", "#F0E442")
INK, GREY = "#222222", "#8C8C8C"
_METADATA = {".png": None, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # no dates: the same bytes each time
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "graphseq", "pdf.fonttype": 42}  # text stays text


def figure(width: float, height: float, layout: Literal["constrained", "compressed"] | None = None) -> Figure:
    """Return an empty figure of `width` by `height` inches that needs no screen and no global state.

    Raises:
        GraphError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise GraphError("pictures need matplotlib, which is not installed: pip install matplotlib") from None
    made = Figure((width, height), dpi=150, layout=layout, facecolor="white")
    FigureCanvasAgg(made)
    return made


def check_title(title: object) -> None:
    """Raise a GraphError unless the title is a string."""
    if not isinstance(title, str):
        raise expected("title", "a string", title)


def check_path(path: PathLike, *, argument: str = "path") -> None:
    """Check where a picture is to be written, before it is drawn.

    Raises:
        GraphError: not a path, not a PNG, SVG or PDF file, or a folder that does not exist.
    """
    if path is None:
        return
    if not isinstance(path, (str, os.PathLike)):
        raise expected(argument, "the path of a .png, .svg or .pdf file, or None", path)
    file = Path(path)
    if file.suffix.lower() not in _METADATA:
        raise expected(argument, "a file name that ends in .png, .svg or .pdf", os.fspath(path))
    if not file.absolute().parent.is_dir():
        raise expected(argument, "a file in a folder that exists", os.fspath(path))


def save(made: Figure, path: PathLike) -> Figure:
    """Write the figure to `path`, unless it is None, and return it.

    The file is written under a temporary name in the same folder and renamed, so that readers see the old picture or
    the new one.

    Raises:
        GraphError: see :func:`check_path`; the file can't be written.
    """
    check_path(path)
    if path is None:
        return made
    import matplotlib

    file, content = Path(path), io.BytesIO()
    kind = file.suffix.lower()
    with matplotlib.rc_context(_STYLE):
        made.savefig(content, format=kind[1:], dpi=made.dpi, metadata=_METADATA[kind])
    scratch = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        scratch.write_bytes(content.getvalue())
        scratch.replace(file)
    except OSError as error:
        raise expected("path", "a file that can be written", Words(f"{file}: {error.strerror or error}")) from error
    finally:
        scratch.unlink(missing_ok=True)
    return made
