"""PyG data sets in memory, kept in the cache without PyG's own, pickled, files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .cache import Stored

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["graph_set", "store_graphs"]

_DATA, _SLICES = "data.", "slices."


def store_graphs(fields: Mapping[str, Any], slices: Mapping[str, Tensor] | None = None, **about: Any) -> Stored:
    """Return what the cache keeps of graphs as PyG collates them, and of the data set's own attributes."""
    arrays = {_DATA + name: value.clone() for name, value in fields.items() if isinstance(value, Tensor)}
    arrays |= {_SLICES + name: value.clone() for name, value in (slices or {}).items()}
    rest = {name: None if isinstance(value, Tensor) else value for name, value in fields.items()}
    return Stored(arrays, {"fields": rest, "about": about})


def graph_set(name: str, stored: Stored, *, transform: Callable[[Data], Data] | None) -> InMemoryDataset:
    """Return the data set that was stored."""
    return _graph_set()(name, stored, transform)


def __getattr__(name: str) -> Any:
    """Return the class ``GraphSet``, made when it is first needed, since importing PyG takes long."""
    if name == "GraphSet":
        return _graph_set()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _graph_set() -> Any:
    from torch_geometric.data import Data, InMemoryDataset

    class GraphSet(InMemoryDataset):  # type: ignore[misc]  # PyG has no types
        """One graph, or many, in memory, with the interface of PyG's data sets."""

        def __init__(self, name: str, stored: Stored, transform: Callable[[Data], Data] | None) -> None:
            super().__init__(None, transform)
            self.name = name
            self.__dict__.update(stored.meta["about"])
            arrays = stored.arrays
            self._data = Data.from_dict({key: arrays.get(_DATA + key, v) for key, v in stored.meta["fields"].items()})
            slices = {key.removeprefix(_SLICES): array for key, array in arrays.items() if key.startswith(_SLICES)}
            self.slices = slices or None

        def __repr__(self) -> str:
            return f"{self.name}({len(self) if len(self) > 1 else ''})"

    GraphSet.__qualname__ = "GraphSet"  # so that pickle finds it, by this module's __getattr__
    return GraphSet
