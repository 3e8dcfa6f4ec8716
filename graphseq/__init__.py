"""Neural networks on chains, trees, DAGs and graphs through one message-passing core."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import nn
from .cell import Cell
from .errors import GraphError
from .fixed_point import FixedPoint, NotConverged
from .messages import (
    COPY,
    FIRST,
    SCALE,
    Max,
    Mean,
    Merge,
    Messages,
    Min,
    PowerMean,
    Slots,
    Softmax,
    Std,
    Sum,
    Var,
)
from .ops.segments import Segments
from .schedule import Rounds, Schedule, Sweep
from .topology import Links, Topology, batch, unbatch

if TYPE_CHECKING:
    from . import convert, datasets, doctor, parsing, plot, recipes, train
    from .parsing import sentiment
    from .recipes import load

__version__ = "0.1.0"
__all__ = [
    "COPY",
    "FIRST",
    "SCALE",
    "Cell",
    "FixedPoint",
    "GraphError",
    "Links",
    "Max",
    "Mean",
    "Merge",
    "Messages",
    "Min",
    "NotConverged",
    "PowerMean",
    "Rounds",
    "Schedule",
    "Segments",
    "Slots",
    "Softmax",
    "Std",
    "Sum",
    "Sweep",
    "Topology",
    "Var",
    "batch",
    "convert",
    "datasets",
    "doctor",
    "load",
    "nn",
    "parsing",
    "plot",
    "recipes",
    "sentiment",
    "train",
    "unbatch",
]


def __getattr__(name: str) -> Any:
    """Import on first use what training and tools need, such as pydantic, which takes as long as everything else."""
    if name == "load":
        return importlib.import_module(".recipes", __name__).load
    if name == "sentiment":
        return importlib.import_module(".parsing", __name__).sentiment
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, "__doc__", "__version__", "core", "spectral"})
