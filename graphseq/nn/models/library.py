"""Cells and convolutions by name: found in the library, so that a layer added later needs no line here."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from ...cell import Cell
from ...errors import Words, expected
from .. import cells as _cells
from .. import convs as _convs
from ..cells.base import check_sizes
from ..deep.stack import arguments

__all__ = ["cells", "check_made", "check_width", "convolutions", "make_cell", "make_conv", "taken_by", "takes_weights"]

_ROUNDS, _ORDER = 2, 3  # for layers with a number of rounds, and filters with a polynomial's order


def cells() -> dict[str, type[Cell]]:
    """Return the cells of :mod:`graphseq.nn` that can be made from an input size and a hidden size, by name.

    >>> sorted(cells())[:3]
    ['attentive-tree-lstm', 'child-sum-tree-lstm', 'elman']
    """
    known = {"input_size": 1, "hidden_size": 1}
    found = _classes(_cells, "Cell").items()
    return {name: kind for name, kind in found if issubclass(kind, Cell) and _suffice(kind, known)}


def convolutions() -> dict[str, type[nn.Module]]:
    """Return the convolutions of :mod:`graphseq.nn` that take only features and edges, by name.

    >>> sorted(convolutions())[:4]
    ['arma', 'cheb', 'edge', 'gat']
    """
    found = {}
    for name, kind in _classes(_convs, "Conv").items():
        if not _missing(kind):
            found[name] = kind
    return found


def make_cell(cell: str | Callable[..., Cell], input_size: int, hidden_size: int, **more: int) -> Cell:
    """Return a cell of these sizes.

    Args:
        cell: a name in :func:`cells`, or a cell's class, or another function of the two sizes.
        input_size: F.
        hidden_size: H.
        more: further arguments, given to library cells that have them.

    Raises:
        GraphError: there is no such cell.
    """
    kind = _find(cell, cells(), "cell")
    if isinstance(cell, str):
        made = kind(input_size, hidden_size, **{name: n for name, n in more.items() if name in _parameters(kind)})
    else:
        made = kind(input_size, hidden_size)
    if not isinstance(made, Cell):
        raise expected("cell", "a name or a function that makes a graphseq.Cell", Words(f"one that makes {made!r}"))
    return made


def make_conv(
    conv: str | Callable[[int, int], nn.Module], in_channels: int, out_channels: int, *,
    mlp: Callable[[int, int], nn.Module] | None = None, heads: int = 1, concat: bool = True,
) -> nn.Module:  # fmt: skip
    """Return a convolution of these widths.

    A layer that keeps its width, such as the gated one, gets a linear map before it where the two widths differ.

    Args:
        conv: a name in :func:`convolutions`, or a layer's class, or another function of the two widths.
        in_channels: F.
        out_channels: F'.
        mlp: makes the network inside layers that have one, such as GIN; by default two linear maps with a ReLU.
        heads: of attention.
        concat: whether heads are concatenated, F' wide together, or averaged, F' wide each.

    Raises:
        GraphError: there is no such convolution; heads of a layer without attention, or that don't divide the width.
    """
    kind = _find(conv, convolutions(), "conv")
    if heads != 1:
        return _with_heads(kind, in_channels, out_channels, heads, concat)
    if not (isinstance(kind, type) and kind in convolutions().values()):
        made = kind(in_channels, out_channels)
        if not isinstance(made, nn.Module):
            raise expected("conv", "a name or a function that makes a module", Words(f"one that makes {made!r}"))
        return made
    given = _sizes(kind, in_channels, out_channels, mlp or _perceptron)
    required = {name: value for name, value in given.items() if _is_required(kind, name)}
    conv_: nn.Module = kind(**required)
    keeps_width = not {"in_channels", "nn"} & set(_parameters(kind))
    return _Projected(in_channels, out_channels, conv_) if keeps_width and in_channels != out_channels else conv_


def _with_heads(kind: Any, in_channels: int, out_channels: int, heads: int, concat: bool) -> nn.Module:
    """Return a layer with several heads."""
    check_sizes(heads=heads)
    try:
        known = {"heads", "concat"} <= set(_parameters(kind))
    except ValueError:  # a function without a signature
        known = False
    if not known:
        raise expected("heads", "1 for a layer whose constructor takes no `heads` and `concat`", heads)
    if concat and out_channels % heads:
        raise expected("heads", f"a divisor of {out_channels}, the width of the heads together", heads)
    made: nn.Module = kind(in_channels, out_channels // heads if concat else out_channels, heads=heads, concat=concat)
    return made


def check_width(x: Any, in_channels: int) -> None:
    """Check the number of features, which a convolution around a network of its own doesn't know.

    Raises:
        GraphError: it is not that of the model.
    """
    if in_channels >= 0 and len(getattr(x, "shape", ())) == 2 and x.shape[1] != in_channels:
        raise expected("x", f"shape [N, {in_channels}], the model's in_channels wide", x)


def check_made(conv: str, out: Any, width: int) -> None:
    """Check the width of what a convolution returns.

    Raises:
        GraphError: it is not the one that it was made for.
    """
    if len(getattr(out, "shape", ())) != 2 or out.shape[1] != width:
        got = Words(f"one that returns {list(getattr(out, 'shape', ()))}")
        raise expected(conv, f"a layer that returns rows {width} wide, as it is asked for", got)


def takes_weights(conv: nn.Module) -> bool:
    """Return whether a layer can be called with ``edge_weight``."""
    return "edge_weight" in taken_by(conv)


def taken_by(conv: nn.Module) -> frozenset[str]:
    """Return the names of what a convolution's call takes."""
    return arguments(conv.conv if isinstance(conv, _Projected) else conv)


class _Projected(nn.Module):
    """A linear map, then a layer that keeps its width."""

    def __init__(self, in_channels: int, out_channels: int, conv: nn.Module) -> None:
        super().__init__()
        self.lin, self.conv = nn.Linear(in_channels, out_channels), conv

    def forward(self, x: Tensor, edge_index: Any, **of_edges: Tensor) -> Tensor:
        out: Tensor = self.conv(self.lin(x), edge_index, **of_edges)
        return out


def _perceptron(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_channels, out_channels), nn.ReLU(), nn.Linear(out_channels, out_channels))


def _sizes(kind: Any, in_channels: int, out_channels: int, mlp: Any) -> dict[str, Any]:
    """Return the arguments that a convolution's constructor may need; `nn` maps nodes only if it needs no width."""
    wide = getattr(kind, "nn_reads", 1) * in_channels  # of one node, or of an edge's two
    inner = {} if "in_channels" in _parameters(kind) else {"nn": mlp and mlp(wide, out_channels)}
    return {"in_channels": in_channels, "out_channels": out_channels, "num_layers": _ROUNDS, "K": _ORDER, **inner}


def _classes(package: Any, suffix: str) -> dict[str, Any]:
    kinds = {name: kind for name, kind in vars(package).items() if isinstance(kind, type) and name.endswith(suffix)}
    return {_name(name.removesuffix(suffix)): kind for name, kind in kinds.items() if name != suffix}


def _name(camel: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", camel).lower()


def _parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def _is_required(kind: Any, name: str) -> bool:
    return name in _parameters(kind) and _parameters(kind)[name].default is inspect.Parameter.empty


def _missing(kind: Any) -> list[str]:
    """Return the arguments of a convolution, and of its calls, that models can't give it by its name alone."""
    known = _sizes(kind, 1, 1, None)
    made = [name for name in _parameters(kind) if _is_required(kind, name) and name not in known]
    called = inspect.signature(kind.forward).parameters.values()
    return [*made, *(p.name for p in called if p.default is p.empty and p.name not in ("self", "x", "edge_index"))]


def _suffice(kind: Any, known: Mapping[str, Any]) -> bool:
    return all(name in known for name in _parameters(kind) if _is_required(kind, name))


def _find(given: Any, known: Mapping[str, Any], argument: str) -> Any:
    if not isinstance(given, str):
        if isinstance(given, nn.Module):
            raise expected(argument, "a name, a class or a function that makes a layer", Words("a layer"))
        if not callable(given):
            raise expected(argument, f"a name or a function of two widths; there are {', '.join(known)}", given)
        return given
    plain = {re.sub(r"[^a-z0-9]", "", name): kind for name, kind in known.items()}
    wanted = re.sub(r"[^a-z0-9]", "", given.lower())
    for name in (wanted, wanted.removesuffix("cell"), wanted.removesuffix("conv")):
        if name in plain:
            return plain[name]
    for name, kind in (_classes(_convs, "Conv") if argument == "conv" else {}).items():
        if re.sub("-", "", name) == wanted.removesuffix("conv"):
            more = ", ".join(_missing(kind))
            what = f"a convolution constructed from two widths alone; {kind.__name__} also needs {more}. Pass a"
            raise expected(argument, f"{what} function of two widths that makes it, or build it with nn.Stack", given)
    for name, kind in vars(_convs).items() if argument == "conv" else ():
        if isinstance(kind, type) and issubclass(kind, nn.Module) and name.lower() == wanted:
            what = f"a convolution constructed from two widths; {name} is none. Call it in a module of your own"
            raise expected(argument, what, given)
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.7)
    hint = f"; did you mean {next(n for n in known if re.sub('-', '', n) == close[0])!r}?" if close else ""
    raise expected(argument, f"one of {', '.join(sorted(known))}", Words(f"{given!r}{hint}"))
