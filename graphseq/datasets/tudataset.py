"""TUDataset: MUTAG, PROTEINS and over a hundred other sets of graphs, and your own in the same format."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..errors import DataWarning, GraphError, expected
from .cache import Stored, cache_key, cached
from .files import RECORDED, find_or_fetch, verify
from .graphs import graph_set, store_graphs
from .roots import Root
from .tables import line_error, read_numbers

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["tudataset"]

_URL = "https://www.chrsmrrs.com/graphkerneldatasets"
_NEEDED = ("A", "graph_indicator")
_PARTS = (*_NEEDED, *(f"{of}_{what}" for of in ("node", "edge", "graph") for what in ("labels", "attributes")))
_LARGEST = 2**31  # numbers in a matrix of one-hot labels


def tudataset(
    name: str,
    root: Root = None,
    *,
    use_node_attr: bool = True,
    use_edge_attr: bool = False,
    transform: Callable[[Data], Data] | None = None,
    check: bool = True,
    offline: bool = False,
) -> InMemoryDataset:
    """Return one of the sets of TUDataset, or one of your own in the same format: many small graphs.

    Source: C. Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", GRL+
    workshop at ICML 2020; each set has a source of its own. The graphs are cached as plain tensors.

    Args:
        name: the set's name, such as ``"MUTAG"``.
        root: a data root with ``tudataset/<name>/raw/<name>_*.txt``, or the folder with these files; only read.
        use_node_attr: whether ``x`` has the nodes' continuous attributes, as they are, before the one-hot labels.
        use_edge_attr: whether ``edge_attr`` has those of the edges, likewise.
        transform: applied to a graph each time it is taken out.
        check: whether files with a recorded checksum must be the published ones; False for your own.
        offline: whether downloads are forbidden, as with ``GRAPHSEQ_OFFLINE=1``.

    Returns:
        A PyG data set of B graphs: ``edge_index`` int64 [2, E] without self-loops and duplicates, and where the set has
        them ``x`` float32 [N, F], ``edge_attr`` float32 [E, F_e] and ``y``: int64 [1] for labels, the index of the
        class; float32 [1] or [1, T] for attributes of graphs without labels, the targets of a regression. With both,
        the attributes are ``graph_attr``. The data set's ``classes`` are the labels in the files, ascending;
        ``num_node_attributes`` of the columns of ``x`` are attributes in the files.

    Raises:
        MissingData: the files are in no data root and were not downloaded.
        CorruptData: a file is not the published one.
        GraphError: a file is malformed, or they don't fit together; the message names file and line.

    Warns:
        DataWarning: edges are in one direction only, or the last graphs have none, as in files that were cut; or there
            are files of which no checksum is recorded.

    Example::

        graphs = tudataset("MUTAG")
        len(graphs), graphs.num_features, graphs.num_classes  # 188, 7, 2
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise expected("name", "a set's name, such as 'MUTAG'", name)
    folder = f"tudataset/{name}/raw"
    files = {f"{name}_{part}.txt": None for part in _NEEDED} | dict.fromkeys(RECORDED.get(folder, ()) if check else ())
    raw = Path(root).expanduser() if isinstance(root, str | Path) else Path()
    if root is None or not all((raw / file).is_file() for file in files):
        raw = find_or_fetch(folder, list(files), [f"{_URL}/{name}.zip"], root, offline=offline)
    there = [path for part in _PARTS if (path := raw / f"{name}_{part}.txt").is_file()]
    key = cache_key(verify(folder, there, check=check))
    stored = cached(f"tudataset-{name}", key, lambda: _read(raw, name))
    for text in stored.meta["about"].pop("warnings"):
        warnings.warn(f"{name}: {text}", DataWarning, stacklevel=2)
    graphs = graph_set(name, stored, transform=transform)
    data = graphs._data
    if data.x is not None and not use_node_attr:
        data.x = data.x[:, graphs.num_node_attributes :]
    if data.edge_attr is not None and not use_edge_attr:
        data.edge_attr = data.edge_attr[:, graphs.num_edge_attributes :]
    return graphs


def _read(raw: Path, name: str) -> Stored:
    """Return the graphs that the files describe."""
    from torch_geometric.utils import coalesce, cumsum, remove_self_loops

    def rows(part: str, kind: type[int] | type[float], count: int | None = None, of: str = "") -> Tensor:
        path = raw / f"{name}_{part}.txt"
        if part not in _NEEDED and not path.is_file():
            return torch.empty(count or 0, 0)
        found = read_numbers(path, kind)
        if len(found) != (count or len(found) or 1):
            wanted = f"{count} lines, one for each {of}" if count else "lines of numbers"
            raise GraphError(f"{path}: expected {wanted}, got {len(found)}")
        return found

    def must(part: str, good: Tensor, what: str, values: Tensor) -> None:
        if not bool(good.all()):
            row = int((~good).nonzero()[0])
            raise line_error(raw / f"{name}_{part}.txt", row, what, ", ".join(map(str, values[row].tolist())))

    edges, graph = rows("A", int), rows("graph_indicator", int)
    n = len(graph)
    must("A", torch.full((len(edges),), edges.size(1) == 2), "two nodes", edges)
    must("A", ((edges >= 1) & (edges <= n)).all(1), f"two nodes from 1 to {n}, the lines of graph_indicator", edges)
    ascending = torch.cat([graph[:1] >= 1, graph.diff(dim=0) >= 0])
    must("graph_indicator", ascending[:, 0], "graphs from 1 on, in ascending order", graph)
    u, v = (edges - 1).unbind(1)
    must("A", (graph[u] == graph[v])[:, 0], "two nodes of one graph", edges)
    b = int(graph[-1])
    labels, targets = rows("graph_labels", int, b, "graph"), rows("graph_attributes", float, b, "graph")
    if not labels.numel() and not targets.numel():
        must("graph_indicator", graph[:, 0] <= n, f"graphs from 1 to {n}, each with a node", graph)

    def features(of: str, count: int) -> tuple[Tensor, int]:
        attributes, kinds = rows(f"{of}_attributes", float, count, of), rows(f"{of}_labels", int, count, of)
        kinds = kinds - kinds.min(0).values
        widths = (kinds.max(0).values + 1).tolist()
        if count * sum(widths) > _LARGEST:
            path = raw / f"{name}_{of}_labels.txt"
            raise GraphError(f"{path}: expected labels close to each other, got {sum(widths) - 1} between them")
        hot = [one_hot(column, width) for column, width in zip(kinds.unbind(1), widths, strict=True)]
        return torch.cat([attributes, *hot], 1).float(), attributes.size(1)

    (x, node_attributes), (edge_attr, edge_attributes) = features("node", n), features("edge", len(edges))
    edge_index, attr = remove_self_loops(torch.stack([u, v]), edge_attr if edge_attr.numel() else None)
    edge_index, attr = coalesce(edge_index, attr, n)
    of_node, of_edge = graph[:, 0] - 1, graph[edge_index[0], 0] - 1
    node_slice, edge_slice = (cumsum(torch.bincount(index, minlength=b)) for index in (of_node, of_edge))
    fields: dict[str, Any] = {"edge_index": edge_index - node_slice[of_edge]}
    slices = {"edge_index": edge_slice}
    if x.numel():
        fields["x"], slices["x"] = x, node_slice
    else:
        fields |= {"num_nodes": n, "_num_nodes": node_slice.diff().tolist()}
    if attr is not None:
        fields["edge_attr"], slices["edge_attr"] = attr, edge_slice
    classes, y = labels.unique(return_inverse=True)
    for key, rows_ in (("y", y), ("graph_attr" if y.numel() else "y", targets.float())):
        if rows_.numel():
            fields[key], slices[key] = rows_.squeeze(1), torch.arange(b + 1)
    return store_graphs(
        fields, slices, classes=classes.tolist(), warnings=_suspicions(edge_index, node_slice, edge_slice),
        num_node_attributes=node_attributes, num_node_labels=x.size(1) - node_attributes,
        num_edge_attributes=edge_attributes, num_edge_labels=edge_attr.size(1) - edge_attributes,
    )  # fmt: skip


def _suspicions(edge_index: Tensor, nodes: Tensor, edges: Tensor) -> list[str]:
    """Return what makes files look as if they had been cut."""
    found, n = [], int(nodes[-1])
    (u, v), count = edge_index, edge_index.size(1)
    if lonely := int((~torch.isin(u * n + v, v * n + u)).sum()):
        found.append(
            f"{lonely} of {count} edges are in one direction only, where sets of TUDataset have both; "
            "was the file cut? torch_geometric.transforms.ToUndirected adds the other direction"
        )
    joined, several = edges.diff() > 0, nodes.diff() > 1
    last = int(joined.nonzero()[-1]) if count else -1
    if empty := int(several[last + 1 :].sum()):
        found.append(f"the last {empty} graphs of several nodes have no edges; was the file cut?")
    return found
