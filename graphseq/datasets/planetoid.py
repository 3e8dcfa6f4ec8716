"""The citation networks Cora, CiteSeer and PubMed with the Planetoid split."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from graphseq.datasets.cache import Stored, cache_key, cached, version
from graphseq.datasets.checksums import verify
from graphseq.datasets.download import download
from graphseq.datasets.fetch import find_or_fetch
from graphseq.datasets.graphs import graph_set, reading, store_graphs
from graphseq.datasets.roots import Root
from graphseq.errors import GraphError, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["PLANETOID", "planetoid", "planetoid_files"]

PLANETOID = ("Cora", "CiteSeer", "PubMed")
_URL = "https://github.com/kimiyoung/planetoid/raw/master/data"
_PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
_VALIDATION = 500
_HOW = (
    "To get it, lay the files ind.{}.* of https://github.com/kimiyoung/planetoid/tree/master/data in the "
    "folder {} of a data root."
)

# All that the published files call, under their old names and under those of today's NumPy and SciPy.
_ADMITTED = {
    ("__builtin__", "list"),
    ("builtins", "list"),
    ("collections", "defaultdict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("scipy.sparse.csr", "csr_matrix"),
    ("scipy.sparse._csr", "csr_matrix"),
}


def planetoid(
    name: str,
    root: Root = None,
    *,
    split: str = "public",
    transform: Callable[[Data], Data] | None = None,
    check: bool = True,
    offline: bool = False,
) -> InMemoryDataset:
    """Return a citation network: papers with their words, and who cites whom.

    Source: Z. Yang, W. Cohen and R. Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph
    Embeddings", ICML 2016. Free for research.

    The raw files are pickles, which can run any code when they are read; these are read in a way that admits
    nothing but arrays, sparse matrices, lists and dictionaries. What is made of them is kept in the cache folder,
    as plain tensors, under their checksums. It equals what PyG's ``Planetoid`` makes of them.

    Args:
        name: ``"Cora"``, ``"CiteSeer"`` or ``"PubMed"``.
        root: a data root with ``planetoid/<name>/raw/ind.<name>.*``, read before all others; it is only read.
        split: ``"public"`` for the published split, 20 papers a class for training, 500 for validation, 1,000
            for test; ``"full"`` to train on all that are neither for validation nor for test.
        transform: applied to the graph each time that it is taken out.
        check: whether files with a recorded checksum must be the published ones; False for own ones.
        offline: whether nothing may be downloaded, as with ``GRAPHSEQ_OFFLINE=1``.

    Returns:
        A PyG data set of one ``Data``: ``x`` float32 [N, F], ``edge_index`` int64 [2, E] in both directions,
        ``y`` int64 [N], ``train_mask``, ``val_mask`` and ``test_mask`` bool [N].

    Raises:
        MissingData: the files are in no data root and were not downloaded.
        CorruptData: a file is not the published one.
        GraphError: a file holds what it should not.

    Example::

        graph = planetoid("Cora")[0]
        graph.x.shape, int(graph.train_mask.sum())  # [2708, 1433], 140
    """
    if name not in PLANETOID:
        raise expected("name", f"one of {', '.join(PLANETOID)}", name)
    if split not in ("public", "full"):
        raise expected("split", "'public' or 'full'", split)
    folder = f"planetoid/{name}/raw"
    files = planetoid_files(name)

    def fetch(into: Path) -> None:
        for file in files:
            download(f"{_URL}/{file}", into)

    how = _HOW.format(name.lower(), folder)
    raw = find_or_fetch(folder, files, root, how=how, fetch=fetch, offline=offline)
    sums = verify(folder, [raw / file for file in files], check=check)
    key = cache_key(sums, {"torch_geometric": version("torch_geometric")})
    stored = cached(f"planetoid-{name}", key, lambda: _read(raw, files))
    graphs = graph_set(name, stored, transform=transform)
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


def _read(raw: Path, files: list[str]) -> Stored:
    """Return the graph that the files describe."""
    from torch_geometric.data import Data
    from torch_geometric.utils import coalesce, index_to_mask, remove_self_loops

    with reading(raw):
        *arrays, graph = (_unpickle(raw / file) for file in files[:-1])
        _, tx, allx, y, ty, ally = map(_dense, arrays)
        test = torch.tensor([int(line) for line in (raw / files[-1]).read_text().split()])
        # Rows of tx and ty are in the order of `test`, which is shuffled; they come behind those of allx and ally,
        # in the order of papers. A paper that is not in `test` though others behind it are (in CiteSeer) is zeros.
        papers = test.sort().values
        x = torch.cat([allx, _spread(tx, papers - test.min())])
        labels = torch.cat([ally, _spread(ty, papers - test.min())]).max(dim=1)[1]
        x[test], labels[test] = x[papers], labels[papers]
        count = len(labels)
        edges = [(int(u), int(v)) for u, others in graph.items() for v in others]
        edge_index, _ = remove_self_loops(torch.tensor(edges).view(-1, 2).t())
        data = Data(x=x, edge_index=coalesce(edge_index, num_nodes=count, sort_by_row=False), y=labels)
        data.train_mask = index_to_mask(torch.arange(len(y)), size=count)
        data.val_mask = index_to_mask(torch.arange(len(y), len(y) + _VALIDATION), size=count)
        data.test_mask = index_to_mask(test, size=count)
        data.validate(raise_on_error=True)
        return store_graphs(data, None)


def _spread(rows: Tensor, places: Tensor) -> Tensor:
    """Lay rows at their places, which begin with 0, and zeros between them."""
    out = rows.new_zeros(int(places.max()) + 1, rows.size(1))
    out[places] = rows
    return out


def _dense(matrix: Any) -> Tensor:
    """Return a NumPy array, or a SciPy matrix whose indices were checked, as float32 [rows, columns]."""
    if not isinstance(matrix, np.ndarray):
        matrix.check_format(full_check=True)  # a made-up index would be written outside of the array
        matrix = matrix.toarray()
    if matrix.ndim != 2:
        raise ValueError(f"an array of {matrix.ndim} dimensions in the place of a matrix")
    return torch.from_numpy(matrix).float()


class _Unpickler(pickle.Unpickler):
    """Reads data; anything else in the pickle raises an error before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an admitted constructor."""
        if (module, name) not in _ADMITTED:
            raise GraphError(f"asks for {module}.{name}, which is not data")
        return super().find_class(module, name)


def _unpickle(path: Path) -> Any:
    with path.open("rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        except Exception as error:  # a broken pickle can raise any
            raise GraphError(f"{path.name} is not a file of Planetoid: {error}") from None
