"""User-provided graphs: JSON, node-link JSON, GraphML, folders of TUDataset's files, SMILES."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import DataWarning, GraphError, Words, expected
from ..tudataset import tudataset
from .examples import LABELS, Columns, Examples, labels_and_parts, name_of, number_of
from .records import TABLES, Record, choose, json_records, read_records, read_text

__all__ = ["Graph", "graph_of", "node_examples", "read_graphs", "read_nodes"]

SMILES = ("smiles", "smile", "molecule", "mol")
_IDS = ("id", "name", "node")
_KINDS = (".json", ".graphml")


@dataclass
class Graph:
    """A graph as it was read, before its attributes become features.

    Args:
        edges: int64 `[2, E]`.
        num_nodes: N.
        x: float `[N, F]` of numbers, or int64 `[N, F]` of categories.
        columns: attributes by name, one value a node, None where there is none.
        weight: of the edges, float32 `[E]`.
        names: of the nodes.
        label: of the graph.
        unused: other attributes, of edges or of the graph, that are not used.
    """

    edges: Tensor
    num_nodes: int
    x: Tensor | None = None
    columns: dict[str, list[Any]] = field(default_factory=dict)
    weight: Tensor | None = None
    names: list[str] = field(default_factory=list)
    label: Any = None
    unused: set[str] = field(default_factory=set)


def read_graphs(path: Path, columns: Columns, argument: str = "data") -> Examples:
    """Read graphs, each with a label: ``.jsonl`` or ``.json`` with an object for each; a table with SMILES; a folder
    of a set in TUDataset's format, or of ``.graphml`` and node-link ``.json`` files, one graph each.

    Raises:
        GraphError: files cannot be read, or do not describe graphs; the message says where.
    """
    if path.is_dir():
        tables = sorted(path.glob("*_A.txt"))
        if tables:
            return _tu(path, tables[0].name.removesuffix("_A.txt"))
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _KINDS)
        if not files:
            raise expected(argument, "a folder with NAME_A.txt, .graphml or .json files", Words(f"{path} without"))
        records = [Record(file.name, _content(file, argument)) for file in files]
    elif path.suffix.lower() in TABLES:
        return _molecules(read_records(path, argument), columns, argument)
    elif path.suffix.lower() == ".graphml":
        records = [Record(path.name, _content(path, argument))]
    else:
        records = read_records(path, argument)
    graphs = [graph_of(record.fields, record.place) for record in records]
    _check_first(records, graphs)
    about = [Record(r.place, {**_plain(r.fields.get("graph")), **_plain(r.fields)}) for r in records]
    labels, parts = labels_and_parts(about, columns)
    label = choose(about, "label_column", columns.label, LABELS, required=False)
    for record, graph in zip(records, graphs, strict=True):
        if label and label in record.fields and "nodes" not in record.fields:  # [label], in a graph of one node
            graph.columns.pop(label, None)
            graph.unused.discard(label)
    named = [(r.fields.get("id", r.fields.get("name")), r.place) for r in about]
    names = [place if name in (None, "") else str(name) for name, place in named]
    return Examples(graphs, labels, parts, [r.place for r in records], names, _notes(graphs))


def _plain(fields: Any) -> dict[str, Any]:
    """Return the texts and numbers in a graph's description, which may be a label or a name."""
    plain = isinstance(fields, Mapping)
    return {k: v for k, v in fields.items() if not isinstance(v, list | dict) or (k in LABELS)} if plain else {}


def _check_first(records: Sequence[Record], graphs: Sequence[Graph]) -> None:
    """Warn if no graph has an edge at node 0, and nothing else says that there is a node 0."""
    by_number = all("nodes" not in r.fields and not {"x", "num_nodes"} & r.fields.keys() for r in records)
    if by_number and any(g.edges.numel() for g in graphs) and all(bool((g.edges > 0).all()) for g in graphs):
        what = "nodes are counted from 0, but no edge has node 0; num_nodes says how many there are"
        warnings.warn(f"{records[0].place}: {what}", DataWarning, stacklevel=2)


def _notes(graphs: Sequence[Graph]) -> list[str]:
    unused = sorted(set().union(*(graph.unused for graph in graphs)))
    return [f"not used: {', '.join(unused)}"] if unused else []


def read_nodes(path: Path, columns: Columns, argument: str = "data") -> tuple[Graph, Examples]:
    """Read one graph whose nodes have labels, from ``.graphml``, node-link ``.json``, or ``.json`` with ``edge_index``,
    ``x`` and ``y``.

    Raises:
        GraphError: the file cannot be read, or does not describe one graph.
    """
    if path.is_dir():
        raise expected(argument, "a file with one graph, .graphml or .json", Words(f"{path}, a folder"))
    return node_examples(graph_of(_content(path, argument), path.name), path.name, columns)


def node_examples(graph: Graph, place: str, columns: Columns) -> tuple[Graph, Examples]:
    """Return a graph without its nodes' labels and parts, and these."""
    names = graph.names
    nodes = [
        Record(f"{place}, node {name}", {key: values[i] for key, values in graph.columns.items()})
        for i, name in enumerate(names)
    ]
    labels, parts = labels_and_parts(nodes, columns)
    label = choose(nodes, "label_column", columns.label, LABELS, required=columns.labelled)
    used = {label, choose(nodes, "split_column", columns.split, ("split",), required=False)}
    rest = {name: values for name, values in graph.columns.items() if name not in used}
    bare = Graph(graph.edges, graph.num_nodes, graph.x, rest, graph.weight, names, None, graph.unused)
    places = [record.place for record in nodes]
    examples = Examples(list(range(len(names))), labels, parts, places, names, _notes([graph]), label or "")
    return bare, examples


def _content(path: Path, argument: str) -> Mapping[str, Any]:
    """Return the description of one graph, node-link or by lists."""
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise expected(argument, "a file with one graph, .graphml or .json", Words(str(path)))
    text = read_text(path, argument)
    if kind == ".graphml":
        return _graphml(text, path)
    found = list(json_records(text, path.name, lines=False))
    if len(found) != 1 or "" in found[0].fields:
        raise expected(argument, "a file with one graph", Words(f"{path}, with {len(found)} of them"))
    return found[0].fields


def _graphml(text: str, path: Path) -> dict[str, Any]:
    """Return GraphML as node-link; networkx reads it."""
    import networkx

    if not text.strip():
        raise GraphError(f"{path}: an empty file")
    try:
        graph = networkx.read_graphml(io.BytesIO(text.encode()))
    except (
        networkx.NetworkXError,
        SyntaxError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        StopIteration,
    ) as error:
        raise GraphError(f"{path}: not GraphML: {str(error) or type(error).__name__}") from None  # ParseError: line
    return {
        "directed": graph.is_directed(),
        "multigraph": graph.is_multigraph(),
        "graph": dict(graph.graph),
        "nodes": [{**values, "id": node} for node, values in graph.nodes(data=True)],
        "links": [{**values, "source": u, "target": v} for u, v, values in graph.edges(data=True)],
    }


def graph_of(fields: Mapping[str, Any], place: str) -> Graph:
    """Return the graph that an object describes.

    With ``nodes``, a list of objects, it is networkx's node-link format. Otherwise ``edge_index`` is two lists, the
    senders and the receivers, or ``edges`` is a list of pairs, each of which is an edge both ways unless ``directed``
    is true; ``x`` has a list of numbers for each node, and ``edge_weight`` a number for each edge.

    Raises:
        GraphError: it does not describe one.
    """
    if isinstance(fields.get("nodes"), list):
        return _node_link(fields, place)
    if "edge_index" not in fields and "edges" not in fields:
        raise GraphError(
            f'{place}: expected a graph with "edge_index", "edges" or "nodes", got {str(dict(fields))[:80]}'
        )
    x = None if fields.get("x") is None else _matrix(fields["x"], "x", place)
    pairs = _pairs(fields, place)
    weight = _weights(fields, pairs, place)
    largest = max((node for pair in pairs for node in pair), default=-1)
    n = fields.get("num_nodes", largest + 1 if x is None else len(x))
    if type(n) is not int or n < 0 or (x is not None and len(x) != n):
        raise GraphError(f"{place}: expected num_nodes as the {'rows of x' if x is not None else 'count'}, got {n!r}")
    if bad := [node for pair in pairs for node in pair if not 0 <= node < n]:
        hint = "; nodes are counted from 0" if max(bad) == n and min(min(pair) for pair in pairs) > 0 else ""
        raise GraphError(f"{place}: expected edges between the nodes 0 to {n - 1}, got node {bad[0]}{hint}")
    if "edge_index" not in fields and not fields.get("directed"):
        pairs, weight = _both_ways(pairs, weight)
    columns = {k: v for k, v in fields.items() if isinstance(v, list) and len(v) == n and k not in _GIVEN and n > 0}
    unused = {k for k, v in fields.items() if isinstance(v, list) and k not in (*columns, *_GIVEN) and n > 0}
    unused |= {"edge_attr"} & set(fields) if weight is None else set()
    return Graph(_edges(pairs), n, x, columns, weight, [str(i) for i in range(n)], fields.get("y"), unused)


_GIVEN = ("edge_index", "edges", "x", "edge_weight", "edge_attr")


def _pairs(fields: Mapping[str, Any], place: str) -> list[tuple[int, int]]:
    given = fields.get("edge_index", fields.get("edges"))
    what = "edge_index as two lists of nodes" if "edge_index" in fields else "edges as a list of pairs of nodes"
    listed = isinstance(given, list) and all(isinstance(part, list) for part in given)
    if "edge_index" in fields and listed:
        if given == []:
            given = [[], []]
        listed = len(given) == 2 and len(given[0]) == len(given[1])
        hint = f'; {len(given)} pairs are "edges"' if all(len(part) == 2 for part in given) else ""
        given = list(zip(*given, strict=True)) if listed else hint
    if not listed or not all(len(pair) == 2 and all(type(node) is int for node in pair) for pair in given):
        got = f"{str(fields.get('edge_index', fields.get('edges')))[:60]}{given if isinstance(given, str) else ''}"
        raise GraphError(f"{place}: expected {what}, whole numbers, got {got}")
    return [(pair[0], pair[1]) for pair in given]


def _weights(fields: Mapping[str, Any], pairs: Sequence[Any], place: str) -> Tensor | None:
    """Return the edges' weights, from edge_weight or from an edge_attr of one number an edge."""
    name = "edge_weight" if fields.get("edge_weight") is not None else "edge_attr"
    if fields.get(name) is None:
        return None
    found = _matrix(fields[name], name, place)
    if len(found) != len(pairs):
        raise GraphError(f"{place}: expected {name} with {len(pairs)} rows, one an edge, got {len(found)}")
    return found[:, 0].float() if found.size(1) == 1 else None


def _matrix(value: Any, name: str, place: str) -> Tensor:
    """Return lists of numbers as float64 `[n, F]`: they are yet to be standardised."""
    try:
        found = torch.tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise GraphError(f"{place}: expected {name} as lists of numbers, equally long: {error}") from None
    if found.dim() == 1:
        found = found.reshape(-1, 1) if found.numel() else found.reshape(0, 1)
    if found.dim() != 2:
        raise GraphError(f"{place}: expected {name} as one list of numbers for each, got shape {list(found.shape)}")
    if not found.isfinite().all():
        row, column = (~found.isfinite()).nonzero()[0].tolist()
        raise GraphError(f"{place}: {name}[{row}][{column}] is {found[row, column].item()}, not a finite number")
    return found


def _both_ways(pairs: list[tuple[int, int]], weight: Tensor | None) -> tuple[list[tuple[int, int]], Tensor | None]:
    """Add each edge's reverse, where it isn't there; a self-loop is its own."""
    there = set(pairs)
    back = [i for i, (u, v) in enumerate(pairs) if (v, u) not in there]
    made = pairs + [(pairs[i][1], pairs[i][0]) for i in back]
    return made, None if weight is None else torch.cat([weight, weight[back]])


def _edges(pairs: Iterable[tuple[int, int]]) -> Tensor:
    return torch.tensor(list(pairs), dtype=torch.int64).reshape(-1, 2).t().contiguous()


def _node_link(fields: Mapping[str, Any], place: str) -> Graph:
    """Return a graph in networkx's node-link format."""
    nodes = fields["nodes"]
    links = fields.get("links", fields.get("edges"))
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise GraphError(f'{place}: expected "links" (or "edges") as a list of objects beside "nodes"')
    if not all(isinstance(node, dict) for node in nodes):
        nodes = [{"id": node} if not isinstance(node, dict) else node for node in nodes]
    key = next((name for name in _IDS if nodes and all(name in node for node in nodes)), None)
    ids = [node[key] if key else i for i, node in enumerate(nodes)]
    ids = [tuple(i) if isinstance(i, list) else i for i in ids]
    index = {name: i for i, name in enumerate(ids)}
    if len(index) < len(ids):
        doubled = next(name for name in ids if ids.count(name) > 1)
        raise GraphError(f"{place}: two nodes are named {doubled!r}")
    pairs, values = [], []
    for number, link in enumerate(links):
        ends = [tuple(end) if isinstance(end, list) else end for end in (link.get("source"), link.get("target"))]
        if lost := [end for end in ends if end not in index]:
            raise GraphError(f"{place}: expected source and target of link {number} among the nodes, got {lost[0]!r}")
        pairs.append((index[ends[0]], index[ends[1]]))
        value = number_of(link.get("weight", 1.0))
        if value is None or value != value or abs(value) == float("inf"):
            raise GraphError(
                f"{place}: expected a finite number as the weight of link {number}, got {link['weight']!r}"
            )
        values.append(value)
    weight = torch.tensor(values) if any("weight" in link for link in links) else None
    if not fields.get("directed", False) and not fields.get("multigraph", False):
        pairs, weight = _both_ways(pairs, weight)
    elif not fields.get("directed", False):
        back = [i for i, (u, v) in enumerate(pairs) if u != v]
        pairs = pairs + [(pairs[i][1], pairs[i][0]) for i in back]
        weight = None if weight is None else torch.cat([weight, weight[back]])
    names = list(dict.fromkeys(name for node in nodes for name in node if name != key))
    columns = {name: [node.get(name) for node in nodes] for name in names}
    there = {name for link in links for name in link} - {"source", "target", "weight", "key", "id"}
    unused = {f"edges' {name}" for name in there}
    return Graph(_edges(pairs), len(nodes), None, columns, weight, [str(i) for i in ids], None, unused)


def _tu(path: Path, name: str) -> Examples:
    """Return a set of TUDataset's format; its labels are those in the files."""
    found = tudataset(name, path, check=False, offline=True)
    width, classes = found.num_node_attributes, found.classes
    sizes = [int(data.num_nodes) for data in found]
    kinds = _node_labels(path / f"{name}_node_labels.txt", sizes)
    graphs = [
        Graph(data.edge_index, n, data.x[:, :width].float() if width else None, columns)
        for data, n, columns in zip(found, sizes, kinds, strict=True)
    ]
    names = [f"graph {i}" for i in range(1, len(graphs) + 1)]
    places = [f"{path.name}, {each}" for each in names]
    labels = [None if data.y is None else data.y.tolist() for data in found]
    if classes:
        labels = [None if y is None else str(classes[y[0]]) for y in labels]
    labels = [name_of(label, place) for label, place in zip(labels, places, strict=True)]
    lost = [f"not used: {kind.replace('_', ' ')}" for kind in _OF_EDGES if (path / f"{name}_{kind}.txt").is_file()]
    return Examples(graphs, labels, [None] * len(graphs), places, names, lost)


_OF_EDGES = ("edge_labels", "edge_attributes")


def _node_labels(file: Path, sizes: Sequence[int]) -> list[dict[str, list[Any]]]:
    """Return the labels of each graph's nodes as they are written: one-hot columns would shift from set to set."""
    if not file.is_file():
        return [{} for _ in sizes]
    rows = [line.split(",") for line in read_text(file, "data").splitlines() if line.strip()]
    if len(rows) != sum(sizes) or len({len(row) for row in rows}) > 1:
        raise GraphError(f"{file}: expected {sum(sizes)} lines of equally many labels, one a node, got {len(rows)}")
    columns = [[f"label {label.strip()}" for label in column] for column in zip(*rows, strict=True)]
    return [
        {f"label {j}": column[end - n : end] for j, column in enumerate(columns)}
        for end, n in zip(accumulate(sizes), sizes, strict=True)
    ]


def _molecules(records: Sequence[Record], columns: Columns, argument: str) -> Examples:
    """Return the molecules of a table as graphs whose atoms have categories."""
    column = str(choose(records, "smiles_column", columns.input, SMILES))
    labels, parts = labels_and_parts(records, columns)
    texts = [str(record.fields[column]).strip() for record in records]
    graphs = [molecule(text, record.place) for text, record in zip(texts, records, strict=True)]
    about = [f"molecules in {column!r}", "not used: the kinds of bonds"]
    return Examples(graphs, labels, parts, [r.place for r in records], texts, about)


def molecule(smiles: str, place: str) -> Graph:
    """Return a molecule: its atoms with nine categories each, its bonds both ways.

    Raises:
        GraphError: it is not a molecule, or RDKit is not installed.
    """
    try:
        import rdkit  # noqa: F401
    except ImportError:
        raise expected("data", "RDKit for SMILES (pip install graphseq[chem])", Words("no RDKit")) from None
    from torch_geometric.utils import from_smiles

    try:
        data = from_smiles(smiles)
    except (RuntimeError, ValueError):
        data = None
    if data is None or not data.num_nodes:
        raise GraphError(f"{place}: expected a molecule as SMILES, got {smiles[:80]!r}")
    return Graph(data.edge_index, int(data.num_nodes), data.x)
