"""The citation networks Cora, CiteSeer and PubMed with the Planetoid split."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import GraphError, expected
from .cache import Stored, cache_key, cached
from .files import find_or_fetch, verify
from .graphs import graph_set, store_graphs
from .roots import Root
from .tables import read_numbers

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["PLANETOID", "planetoid", "planetoid_files"]

PLANETOID = ("Cora", "CiteSeer", "PubMed")
_URL = "https://github.com/kimiyoung/planetoid/raw/master/data"
_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
_VALIDATION = 500

# All that the published files call, under their old and their current names in NumPy and SciPy.
_ALLOWED = {
    *((module, "list") for module in ("__builtin__", "builtins")),
    *((module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")),
    *((module, "csr_matrix") for module in ("scipy.sparse.csr", "scipy.sparse._csr")),
    *(("collections", "defaultdict"), ("numpy", "dtype"), ("numpy", "ndarray")),
}


def planetoid(
    name: str, root: Root = None, *, split: str = "public",
    transform: Callable[[Data], Data] | None = None, check: bool = True, offline: bool = False,
) -> InMemoryDataset:  # fmt: skip
    """Return a citation network: papers with their words, and who cites whom.

    Source: Z. Yang, W. Cohen and R. Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph
    Embeddings", ICML 2016. Free for research.

    The raw files are pickles, which can run any code when they are read; here nothing but arrays, sparse matrices,
    lists and dictionaries is allowed in them. The graph equals PyG's ``Planetoid`` and is cached as plain tensors.

    Args:
        name: ``"Cora"``, ``"CiteSeer"`` or ``"PubMed"``.
        root: a data root with ``planetoid/<name>/raw/ind.<name>.*``, searched first; only read.
        split: ``"public"`` for the published split, 20 papers per class for training, 500 for validation, 1,000
            for test; ``"full"`` to train on all that are neither for validation nor for test.
        transform: applied to the graph each time it is taken out.
        check: whether files with a recorded checksum must be the published ones; False for your own.
        offline: whether downloads are forbidden, as with ``GRAPHSEQ_OFFLINE=1``.

    Returns:
        A PyG data set of one ``Data``: ``x`` float32 [N, F], ``edge_index`` int64 [2, E] in both directions,
        ``y`` int64 [N], ``train_mask``, ``val_mask`` and ``test_mask`` bool [N].

    Raises:
        MissingData: the files are in no data root and were not downloaded.
        CorruptData: a file is not the published one.
        GraphError: a file can't be read, or contains forbidden objects.

    Example::

        graph = planetoid("Cora")[0]
        graph.x.shape, int(graph.train_mask.sum())  # [2708, 1433], 140
    """
    if name not in PLANETOID:
        raise expected("name", f"one of {', '.join(PLANETOID)}", name)
    if split not in ("public", "full"):
        raise expected("split", "'public' or 'full'", split)
    folder, files = f"planetoid/{name}/raw", planetoid_files(name)
    raw = find_or_fetch(folder, files, [f"{_URL}/{file}" for file in files], root, offline=offline)
    paths = [raw / file for file in files]
    key = cache_key(verify(folder, paths, check=check))
    graphs = graph_set(name, cached(f"planetoid-{name}", key, lambda: _read(paths)), transform=transform)
    if split == "full":
        graph = graphs._data
        graph.train_mask = ~(graph.val_mask | graph.test_mask)
    return graphs


def planetoid_files(name: str) -> list[str]:
    """Return the names of a network's raw files.

    >>> planetoid_files("Cora")[-1]
    'ind.cora.test.index'
    """
    return [f"ind.{name.lower()}.{part}" for part in _PARTS]


def _read(paths: list[Path]) -> Stored:
    """Return the graph that the files describe."""
    from torch_geometric.data import Data
    from torch_geometric.utils import coalesce, index_to_mask, remove_self_loops

    _, tx, allx, y, ty, ally = map(_matrix, paths[:6])
    links, test = _unpickle(paths[6]), read_numbers(paths[7], int).flatten()
    try:
        # Rows of tx and ty are in the order of `test`, which is shuffled; they follow those of allx and ally, in the
        # order of papers. A paper missing in `test` though later ones are there (as in CiteSeer) is zeros.
        papers = test.sort().values
        x = torch.cat([allx, _spread(tx, papers - test.min())])
        labels = torch.cat([ally, _spread(ty, papers - test.min())]).max(dim=1)[1]
        x[test], labels[test] = x[papers], labels[papers]
        count = len(labels)
        edges = torch.tensor([(int(u), int(v)) for u, others in links.items() for v in others]).view(-1, 2).t()
        edge_index = coalesce(remove_self_loops(edges)[0], num_nodes=count, sort_by_row=False)
        data = Data(x=x, edge_index=edge_index, y=labels)
        data.train_mask = index_to_mask(torch.arange(len(y)), size=count)
        data.val_mask = index_to_mask(torch.arange(len(y), len(y) + _VALIDATION), size=count)
        data.test_mask = index_to_mask(test, size=count)
        data.validate(raise_on_error=True)
    except Exception as error:  # parts that don't fit together
        raise GraphError(f"{paths[0].parent}: these files can't be read: {error}") from error
    return store_graphs(data.to_dict())


def _spread(rows: Tensor, places: Tensor) -> Tensor:
    """Put rows at their places, counted from 0, with zeros between them."""
    return rows.new_zeros(int(places.max()) + 1, rows.size(1)).index_copy(0, places, rows)


def _matrix(path: Path) -> Tensor:
    """Return a NumPy array or a SciPy matrix as float32 [rows, columns]."""
    matrix = _unpickle(path)
    try:
        if not isinstance(matrix, np.ndarray):
            matrix.check_format(full_check=True)  # an invalid index would be written outside of the array
            matrix = matrix.toarray()
        rows, columns = matrix.shape
        return torch.from_numpy(matrix).float().view(rows, columns)
    except Exception as error:  # what was unpickled may be anything
        raise GraphError(f"{path}: not a matrix: {error}") from error


class _Unpickler(pickle.Unpickler):
    """Reads data; anything else in the pickle raises an error before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed constructor."""
        if (module, name) not in _ALLOWED:
            raise GraphError(f"it asks for {module}.{name}, which is not data")
        return super().find_class(module, name)


def _unpickle(path: Path) -> Any:
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, about old pickles
        try:
            return _Unpickler(file, encoding="latin1").load()
        except Exception as error:  # a damaged pickle can raise anything
            raise GraphError(f"{path}: not a file of Planetoid: {error}") from None
