"""PyG data sets that lie in memory, and how they are kept in the cache without PyG's own, pickled, files."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphseq.datasets.cache import Stored
from graphseq.errors import GraphError

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["graph_set", "reading", "store_graphs"]

_DATA, _SLICES = "data.", "slices."
_UNREADABLE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def reading(raw: Path) -> Iterator[None]:
    """Turn whatever goes wrong with the raw files in a folder into an error that names the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old pickles, empty text files: they are read, or an error says why not
        try:
            yield
        except _UNREADABLE as error:
            raise GraphError(f"{raw}: these files cannot be read: {error}") from error


def store_graphs(data: Data, slices: dict[str, Tensor] | None, sizes: dict[str, int] | None = None) -> Stored:
    """Return what the cache keeps of graphs as PyG collates them."""
    fields = {name: value for name, value in data.to_dict().items() if value is not None}
    arrays = {_DATA + name: value for name, value in fields.items() if isinstance(value, Tensor)}
    rest = {name: None if isinstance(value, Tensor) else value for name, value in fields.items()}
    arrays |= {_SLICES + name: value for name, value in (slices or {}).items()}
    owned = {name: array.clone(memory_format=torch.contiguous_format) for name, array in arrays.items()}
    return Stored(owned, {"fields": rest, "sizes": sizes or {}})


def graph_set(name: str, stored: Stored, *, transform: Callable[[Data], Data] | None) -> InMemoryDataset:
    """Return the data set that was stored."""
    return _graph_set_class()(name, stored, transform)


def __getattr__(name: str) -> Any:
    """Return the class ``GraphSet``, which is made when it is first asked for: PyG takes long to import."""
    if name == "GraphSet":
        return _graph_set_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _graph_set_class() -> Any:
    from torch_geometric.data import Data, InMemoryDataset

    class GraphSet(InMemoryDataset):  # type: ignore[misc]  # PyG has no types
        """One graph, or many, in memory; what PyG's data sets can do, this one can."""

        def __init__(self, name: str, stored: Stored, transform: Callable[[Data], Data] | None) -> None:
            super().__init__(None, transform)
            self.name = name
            self.sizes: dict[str, int] = stored.facts["sizes"]
            arrays = stored.arrays
            fields = {key: arrays.get(_DATA + key, value) for key, value in stored.facts["fields"].items()}
            self._data = Data.from_dict(fields)
            slices = {key.removeprefix(_SLICES): array for key, array in arrays.items() if key.startswith(_SLICES)}
            self.slices = slices or None

        @property
        def num_node_labels(self) -> int:
            return self.sizes.get("num_node_labels", 0)

        @property
        def num_node_attributes(self) -> int:
            return self.sizes.get("num_node_attributes", 0)

        @property
        def num_edge_labels(self) -> int:
            return self.sizes.get("num_edge_labels", 0)

        @property
        def num_edge_attributes(self) -> int:
            return self.sizes.get("num_edge_attributes", 0)

        def __repr__(self) -> str:
            return f"{self.name}({len(self) if len(self) > 1 else ''})"

    GraphSet.__qualname__ = "GraphSet"  # so that pickle finds it, by this module's __getattr__
    return GraphSet
