"""TUDataset: MUTAG, PROTEINS and over a hundred other sets of graphs, and your own in the same format."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ..errors import DataWarning, GraphError, expected
from .cache import Stored, cache_key, cached
from .files import RECORDED, find_or_fetch, verify
from .graphs import graph_set, store_graphs
from .roots import Root, missing
from .tables import line_error, read_numbers

if TYPE_CHECKING:
    from torch_geometric.data import Data, InMemoryDataset

__all__ = ["tudataset"]

_URL = "https://www.chrsmrrs.com/graphkerneldatasets"
_NEEDED = ("A", "graph_indicator")
_PARTS = (*_NEEDED, *(f"{of}_{what}" for of in ("node", "edge", "graph") for what in ("labels", "attributes")))
_LARGEST = 2**31  # numbers in a matrix of one-hot labels


def tudataset(
    name: str, root: Root = None, *, use_node_attr: bool = True, use_edge_attr: bool = False,
    transform: Callable[[Data], Data] | None = None, check: bool = True, offline: bool = False,
) -> InMemoryDataset:  # fmt: skip
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
        DataWarning: edges are in one direction only, or the last graphs have none, as in truncated files; or a file has
            no recorded checksum.

    Example::

        graphs = tudataset("MUTAG")
        len(graphs), graphs.num_features, graphs.num_classes  # 188, 7, 2
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise expected("name", "a set's name, such as 'MUTAG'", name)
    folder = f"tudataset/{name}/raw"
    files = {f"{name}_{part}.txt": None for part in _NEEDED} | dict.fromkeys(RECORDED.get(folder, ()) if check else ())
    raw = Path(root).expanduser() if isinstance(root, str | os.PathLike) else None
    if raw is None or missing(raw, list(files)):
        raw = find_or_fetch(folder, list(files), [f"{_URL}/{name}.zip"], root, offline=offline)
    there = [path for part in _PARTS if (path := raw / f"{name}_{part}.txt").is_file()]
    key = cache_key(verify(folder, there, check=check))
    stored = cached(f"tudataset-{name}", key, lambda: _read(_Files(raw, name)))
    for text in stored.meta["about"].pop("warnings"):
        warnings.warn(f"{name}: {text}", DataWarning, stacklevel=2)
    graphs = graph_set(name, stored, transform=transform)
    data = graphs._data
    if data.x is not None and not use_node_attr:
        data.x = data.x[:, graphs.num_node_attributes :]
    if data.edge_attr is not None and not use_edge_attr:
        data.edge_attr = data.edge_attr[:, graphs.num_edge_attributes :]
    return graphs


@dataclass(frozen=True)
class _Files:
    """The files of a set; errors name the file and the line."""

    raw: Path
    name: str

    def path(self, part: str) -> Path:
        return self.raw / f"{self.name}_{part}.txt"

    def rows(self, part: str, kind: type[int] | type[float], count: int | None = None, of: str = "") -> Tensor:
        """Return the lines of a file, `count` or any number above 0; of one that is missing no columns."""
        if count is not None and not self.path(part).is_file():
            return torch.empty(count, 0)
        found = read_numbers(self.path(part), kind)
        if len(found) != (count or len(found) or 1):
            wanted = f"{count} lines, one for each {of}" if count else "lines of numbers"
            raise GraphError(f"{self.path(part)}: expected {wanted}, got {len(found)}")
        return found

    def must(self, part: str, good: Tensor, what: str, values: Tensor) -> None:
        """Raise an error for the first line that is not good, bool [rows]."""
        if not bool(good.all()):
            row = int((~good).nonzero()[0])
            raise line_error(self.path(part), row, what, ", ".join(map(str, values[row].tolist())))

    def features(self, of: str, count: int) -> tuple[Tensor, int]:
        """Return attributes and one-hot labels of nodes or edges, and how many columns are attributes."""
        attributes, labels = self.rows(f"{of}_attributes", float, count, of), self.rows(f"{of}_labels", int, count, of)
        labels = labels - labels.min(0).values
        widths = (labels.max(0).values + 1).tolist()
        if count * sum(widths) > _LARGEST:
            path = self.path(f"{of}_labels")
            raise GraphError(f"{path}: expected labels close to each other, got {sum(widths) - 1} between them")
        hot = [one_hot(column, width) for column, width in zip(labels.unbind(1), widths, strict=True)]
        return torch.cat([attributes, *hot], 1).float(), attributes.size(1)


def _read(files: _Files) -> Stored:
    """Return the graphs that the files describe."""
    from torch_geometric.utils import coalesce, cumsum, remove_self_loops

    pairs, graph = files.rows("A", int), files.rows("graph_indicator", int)
    n, b, ascending = len(graph), int(graph[-1]), torch.cat([graph[:1] >= 1, graph.diff(dim=0) >= 0])
    files.must("graph_indicator", ascending[:, 0], "graphs from 1 on, in ascending order", graph)
    files.must("A", torch.full((len(pairs),), pairs.size(1) == 2), "two nodes", pairs)
    inside = ((pairs >= 1) & (pairs <= n)).all(1)
    files.must("A", inside, f"two nodes from 1 to {n}, the lines of graph_indicator", pairs)
    edge_index = (pairs - 1).t()
    files.must("A", (graph[edge_index[0]] == graph[edge_index[1]])[:, 0], "two nodes of one graph", pairs)
    labels, targets = files.rows("graph_labels", int, b, "graph"), files.rows("graph_attributes", float, b, "graph")
    if not labels.numel() and not targets.numel():
        files.must("graph_indicator", graph[:, 0] <= n, f"graphs from 1 to {n}, each with a node", graph)
    (x, x_attributes), (attr, edge_attributes) = files.features("node", n), files.features("edge", len(pairs))

    edge_index, edge_attr = coalesce(*remove_self_loops(edge_index, attr if attr.numel() else None), n)
    home = graph[edge_index[0], 0] - 1
    nodes, edges = (cumsum(torch.bincount(index, minlength=b)) for index in (graph[:, 0] - 1, home))
    classes, y = labels.unique(return_inverse=True)
    y, extra = (y, targets.float()) if y.numel() else (targets.float(), y)
    begins = {"edge_index": edges, "x": nodes, "edge_attr": edges, "y": torch.arange(b + 1)}
    fields = {"edge_index": edge_index - nodes[home], "x": x, "edge_attr": edge_attr, "y": y.squeeze(1)}
    fields["graph_attr"], begins["graph_attr"] = extra.squeeze(1), begins["y"]
    fields = {key: rows for key, rows in fields.items() if key == "edge_index" or (rows is not None and rows.numel())}
    sizes = {} if "x" in fields else {"num_nodes": n, "_num_nodes": nodes.diff().tolist()}
    return store_graphs(
        {**fields, **sizes}, {key: begins[key] for key in fields}, classes=classes.tolist(),
        num_node_attributes=x_attributes, num_node_labels=x.size(1) - x_attributes,
        num_edge_attributes=edge_attributes, num_edge_labels=attr.size(1) - edge_attributes,
        warnings=_suspicions(edge_index, nodes, edges),
    )  # fmt: skip


def _suspicions(edge_index: Tensor, nodes: Tensor, edges: Tensor) -> list[str]:
    """Return what suggests that files are truncated; `nodes` and `edges` are where each graph's begin."""
    (u, v), n, found = edge_index, int(nodes[-1]), []
    if lonely := int((~torch.isin(u * n + v, v * n + u)).sum()):
        found.append(
            f"{lonely} of {len(u)} edges are in one direction only, where sets of TUDataset have both; "
            "was the file truncated? torch_geometric.transforms.ToUndirected adds the other direction"
        )
    last = int((edges.diff() > 0).nonzero()[-1]) if len(u) else -1
    if empty := int((nodes.diff()[last + 1 :] > 1).sum()):
        found.append(f"no edges in the last {empty} graphs of several nodes; was the file truncated?")
    return found
