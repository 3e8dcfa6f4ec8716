"""The graph classification sets of TUDataset: MUTAG, PROTEINS and over a hundred more."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from graphseq.datasets.roots import Root, download, find_or_fetch, process_once
from graphseq.errors import GraphError, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data
    from torch_geometric.datasets import TUDataset

__all__ = ["tudataset"]

_HOW = "To get it, unpack {}/{}.zip and lay its files {}_*.txt in the folder {} of a data root."


def tudataset(
    name: str,
    root: Root = None,
    *,
    use_node_attr: bool = False,
    use_edge_attr: bool = False,
    transform: Callable[[Data], Data] | None = None,
) -> TUDataset:
    """Return one of the sets of TUDataset: many small graphs, each with a label.

    Source: C. Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", GRL+
    workshop at ICML 2020; each set has a source of its own. What PyG makes of the files is kept in the cache
    folder under a checksum.

    Args:
        name: the set's name, such as ``"MUTAG"`` or ``"PROTEINS"``.
        root: a data root with ``tudataset/<name>/raw/<name>_*.txt``, read before all others; it is only read.
        use_node_attr: whether ``x`` has the continuous attributes of the nodes, before their one-hot labels.
        use_edge_attr: whether ``edge_attr`` has the continuous attributes of the edges, likewise.
        transform: applied to a graph each time that it is taken out.

    Returns:
        PyG's data set of B graphs. Each has ``edge_index`` int64 [2, E], ``y`` [1], int64 for a class, and as
        far as the set has them ``x`` float32 [N, F] and ``edge_attr`` float32 [E, F_e].

    Raises:
        GraphError: the files are in no data root, or PyG cannot read them.

    Example::

        graphs = tudataset("MUTAG")
        len(graphs), graphs.num_features, graphs.num_classes  # 188, 7, 2
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise expected("name", "a set's name, such as 'MUTAG'", name)
    from torch_geometric.datasets import TUDataset

    folder = f"tudataset/{name}/raw"

    def fetch(into: Path) -> None:
        archive = download(f"{TUDataset.url}/{name}.zip", into)
        _unpack(archive, into)

    raw = find_or_fetch(
        folder,
        [f"{name}_A.txt", f"{name}_graph_indicator.txt"],
        root,
        how=_HOW.format(TUDataset.url, name, name, folder),
        fetch=fetch,
    )
    paths = sorted(raw.glob(f"{name}_*.txt"))
    home = process_once(name, paths, lambda into: TUDataset(into, name))
    return TUDataset(
        str(home), name, transform=transform, use_node_attr=use_node_attr, use_edge_attr=use_edge_attr
    )


def _unpack(archive: Path, into: Path) -> None:
    """Lay the text files of an archive flat in a folder and remove the archive."""
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.namelist():
                if member.endswith(".txt"):
                    (into / Path(member).name).write_bytes(packed.read(member))
    except zipfile.BadZipFile:
        raise GraphError(f"{archive.name} from the server is not a zip file") from None
    archive.unlink()
