"""The graph classification sets of TUDataset: MUTAG, PROTEINS and over a hundred more."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.datasets.cache import Stored, cache_key, cached, version
from graphseq.datasets.checksums import verify
from graphseq.datasets.download import download, unpack
from graphseq.datasets.fetch import find_or_fetch
from graphseq.datasets.graphs import graph_set, reading, store_graphs
from graphseq.datasets.roots import Root
from graphseq.errors import expected

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["tudataset"]

_URL = "https://www.chrsmrrs.com/graphkerneldatasets"
_HOW = "To get it, unpack {}/{}.zip and lay its files {}_*.txt in the folder {} of a data root."


def tudataset(
    name: str,
    root: Root = None,
    *,
    use_node_attr: bool = False,
    use_edge_attr: bool = False,
    transform: Callable[[Data], Data] | None = None,
    check: bool = True,
    offline: bool = False,
) -> InMemoryDataset:
    """Return one of the sets of TUDataset: many small graphs, each with a label.

    Source: C. Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", GRL+
    workshop at ICML 2020; each set has a source of its own. What PyG makes of the text files is kept in the cache
    folder, as plain tensors, under their checksums.

    Args:
        name: the set's name, such as ``"MUTAG"`` or ``"PROTEINS"``.
        root: a data root with ``tudataset/<name>/raw/<name>_*.txt``, read before all others; it is only read.
        use_node_attr: whether ``x`` has the continuous attributes of the nodes, before their one-hot labels.
        use_edge_attr: whether ``edge_attr`` has the continuous attributes of the edges, likewise.
        transform: applied to a graph each time that it is taken out.
        check: whether files with a recorded checksum must be the published ones; False for own ones.
        offline: whether nothing may be downloaded, as with ``GRAPHSEQ_OFFLINE=1``.

    Returns:
        A PyG data set of B graphs. Each has ``edge_index`` int64 [2, E], ``y`` [1], int64 for a class, and as
        far as the set has them ``x`` float32 [N, F] and ``edge_attr`` float32 [E, F_e].

    Raises:
        MissingData: the files are in no data root and were not downloaded.
        CorruptData: a file is not the published one.
        GraphError: the files cannot be read.

    Example::

        graphs = tudataset("MUTAG")
        len(graphs), graphs.num_features, graphs.num_classes  # 188, 7, 2
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise expected("name", "a set's name, such as 'MUTAG'", name)
    folder = f"tudataset/{name}/raw"
    files = [f"{name}_A.txt", f"{name}_graph_indicator.txt"]

    def fetch(into: Path) -> None:
        unpack(download(f"{_URL}/{name}.zip", into), into)

    how = _HOW.format(_URL, name, name, folder)
    raw = find_or_fetch(folder, files, root, how=how, fetch=fetch, offline=offline)
    sums = verify(folder, sorted(raw.glob(f"{name}_*.txt")), check=check)
    key = cache_key(sums, {"torch_geometric": version("torch_geometric")})
    stored = cached(f"tudataset-{name}", key, lambda: _read(raw, name))
    graphs = graph_set(name, stored, transform=transform)
    data = graphs._data  # attributes are in front of one-hot labels
    if data.x is not None and not use_node_attr:
        data.x = data.x[:, graphs.num_node_attributes :]
    if data.edge_attr is not None and not use_edge_attr:
        data.edge_attr = data.edge_attr[:, graphs.num_edge_attributes :]
    return graphs


def _read(raw: Path, name: str) -> Stored:
    """Return the graphs that the files describe, as PyG reads them."""
    from torch_geometric.io import read_tu_data

    with reading(raw):
        data, slices, sizes = read_tu_data(str(raw), name)
        stored = store_graphs(data, slices, sizes)
        for graph in graph_set(name, stored, transform=None):
            graph.validate(raise_on_error=True)  # PyG makes graphs of edges to nowhere too
        return stored
