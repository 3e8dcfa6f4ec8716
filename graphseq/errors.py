"""The errors of the library, and the wording of their messages.

Every message names the argument, what was expected, and what was given:

>>> import torch
>>> raise expected("edge_index", "int64 of shape [2, E]", torch.zeros(2, 5))
Traceback (most recent call last):
    ...
graphseq.errors.GraphError: `edge_index`: expected int64 of shape [2, E], got float32 of shape [2, 5]
"""

from __future__ import annotations

import reprlib
import warnings

__all__ = [
    "CorruptData", "DataWarning", "GraphError", "MissingData", "Words", "describe", "expected", "ignore_deprecations",
    "out_of_range",
]  # fmt: skip

_LONGEST = 80  # characters of a value that a message quotes

_repr = reprlib.Repr()  # never prints a whole long list, and survives a `__repr__` that raises
_repr.maxlist = _repr.maxtuple = _repr.maxset = _repr.maxfrozenset = _repr.maxdict = 6
_repr.maxstring = _repr.maxlong = _repr.maxother = _LONGEST


class GraphError(ValueError):
    """An argument does not describe what the function needs: a graph, a state, an index, a size."""


class MissingData(GraphError):
    """Files of a data set are in no data root and were not downloaded; the message names them, and what to do."""


class CorruptData(GraphError):
    """A file of a data set is truncated or altered: its size or checksum differs from the recorded one."""


class DataWarning(UserWarning):
    """Data can be read but look wrong, or can't be verified; the message names what to do."""


class Words(str):
    """A description of the given value, used verbatim in a message; any other string is quoted.

    >>> print(expected("topology", "a graph without cycles", Words("the cycle 0 → 1 → 0")))
    `topology`: expected a graph without cycles, got the cycle 0 → 1 → 0
    """

    __slots__ = ()


def describe(value: object) -> str:
    """Describe `value` briefly, for an error message.

    Tensors and arrays are described by dtype, shape and, off the CPU, device, never by their elements; classes
    by their name; numbers, strings and None as Python writes them; anything else by its type and a truncated `repr`.
    """
    if isinstance(value, Words):
        return str(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and isinstance(shape, tuple):  # torch.Size is a tuple
        device = str(getattr(value, "device", "cpu"))
        where = "" if device == "cpu" else f" on {device}"
        array = "a NumPy array, " if type(value).__name__ == "ndarray" else ""
        if type(value).__module__.startswith("scipy."):
            array = "a SciPy matrix, "
        elif str(getattr(value, "layout", "")).startswith("torch.sparse"):
            array = "a sparse matrix, "
        return f"{array}{str(dtype).removeprefix('torch.')} of shape [{', '.join(map(str, shape))}]{where}"
    text = " ".join(_repr.repr(value).split())
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return text
    name = type(value).__name__
    return text if text.startswith((name, "<", "torch.")) else f"{name} {text}"


def expected(argument: str, expected: str, got: object) -> GraphError:
    """Build the error for an `argument` that should have been `expected` and was `got`; the caller raises it.

    Args:
        argument: the name in the public function's signature, with an index where it helps: `topologies[3]`.
        expected: a noun phrase that follows the word "expected".
        got: the given value, described by :func:`describe`; or :class:`Words` that describe it.
    """
    return GraphError(f"`{argument}`: expected {expected}, got {describe(got)}{_hint(argument, got)}")


def _hint(argument: str, got: object) -> str:
    """Return what makes an argument of an object that holds one."""
    if type(got).__name__ == "ndarray":
        return "; torch.from_numpy(…) makes a tensor of it"
    if not type(got).__module__.startswith("torch_geometric.data"):
        return ""
    if argument in ("topology", "links"):
        return "; Topology.from_data(data) makes a topology of it"
    part = argument.removesuffix("_or_topology")
    return f"; pass data.{part}" if hasattr(got, part) else ""


def out_of_range(argument: str, wrong: int, size: int, *, low: int = 0, least: int = 0, where: str = "") -> GraphError:
    """Build the error for an index that is not from `low` to `size` - 1, the smallest of all being `least`."""
    valid = f"numbers from {low} to {size - 1}" if size > low else "no entries, since there are no nodes"
    hint = "; are they counted from 1?" if wrong == size and least == low + 1 else ""
    return expected(argument, valid, Words(f"{wrong}{where}{hint}"))


def ignore_deprecations() -> None:
    """Ignore a warning that PyG's import causes from PyTorch 2.14 on; for processes that only run graphseq."""
    warnings.filterwarnings("ignore", "`torch.jit.script` is", FutureWarning)
