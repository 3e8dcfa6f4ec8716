"""The citation networks Cora, CiteSeer and PubMed with the Planetoid split."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.datasets.roots import Root, download, find_or_fetch, process_once
from graphseq.errors import GraphError, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data
    from torch_geometric.datasets import Planetoid

__all__ = ["planetoid"]

_NAMES = ("Cora", "CiteSeer", "PubMed")
_PICKLES = ("x", "tx", "allx", "y", "ty", "ally", "graph")
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
) -> Planetoid:
    """Return a citation network: papers with their words, and who cites whom.

    Source: Z. Yang, W. Cohen and R. Salakhutdinov, "Revisiting Semi-Supervised Learning with Graph
    Embeddings", ICML 2016. Free for research.

    The raw files are pickles, which can run any code when they are read; before that happens each is read in
    a way that admits nothing but arrays, sparse matrices, lists and dictionaries. What PyG makes of them is
    kept in the cache folder under a checksum.

    Args:
        name: ``"Cora"``, ``"CiteSeer"`` or ``"PubMed"``.
        root: a data root with ``planetoid/<name>/raw/ind.<name>.*``, read before all others; it is only read.
        split: ``"public"`` for the published split, 20 papers a class for training, 500 for validation, 1,000
            for test; ``"full"`` to train on all that are neither for validation nor for test.
        transform: applied to the graph each time that it is taken out.

    Returns:
        PyG's data set of one ``Data``: ``x`` float32 [N, F], ``edge_index`` int64 [2, E] in both directions,
        ``y`` int64 [N], ``train_mask``, ``val_mask`` and ``test_mask`` bool [N].

    Raises:
        GraphError: the files are in no data root, or one holds what it should not.

    Example::

        graph = planetoid("Cora")[0]
        graph.x.shape, int(graph.train_mask.sum())  # [2708, 1433], 140
    """
    if name not in _NAMES:
        raise expected("name", f"one of {', '.join(_NAMES)}", name)
    if split not in ("public", "full"):
        raise expected("split", "'public' or 'full'", split)
    from torch_geometric.datasets import Planetoid

    folder = f"planetoid/{name}/raw"
    files = [f"ind.{name.lower()}.{part}" for part in (*_PICKLES, "test.index")]

    def fetch(into: Path) -> None:
        for file in files:
            download(f"{Planetoid.url}/{file}", into)

    raw = find_or_fetch(folder, files, root, how=_HOW.format(name.lower(), folder), fetch=fetch)
    paths = [raw / file for file in files]
    home = process_once(name, paths, lambda into: Planetoid(into, name), check=_check)
    return Planetoid(str(home), name, split=split, transform=transform)


class _Unpickler(pickle.Unpickler):
    """Reads data; anything else in the pickle raises an error before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an admitted constructor."""
        if (module, name) not in _ADMITTED:
            raise GraphError(f"asks for {module}.{name}, which is not data")
        return super().find_class(module, name)


def _check(path: Path) -> None:
    if path.suffix == ".index":  # test.index alone is text
        return
    with path.open("rb") as file:
        try:
            _Unpickler(file, encoding="latin1").load()
        except Exception as error:  # a broken pickle can raise any
            raise GraphError(f"{path.name} is not a file of Planetoid: {error}") from None
