"""Reading inputs to predict for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..datasets.own import graph_of, json_records
from ..errors import GraphError, Words, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["graph_from_json", "text_of"]


def text_of(source: str) -> str:
    """Return the content of the file of this name, or, if there is none, the text itself.

    Raises:
        GraphError: a file that does not exist or is not text.
    """
    if not source.strip():
        raise expected("input", "a text or a file", Words("nothing"))
    try:
        path = Path(source)
        if path.is_file():
            return path.read_text(encoding="utf-8-sig")  # some editors write a byte-order mark
        if path.is_dir():
            raise expected("input", "a text or a file", Words(f"{source}, a folder"))
    except UnicodeDecodeError:
        raise expected("input", "a text or a text file", Words(f"{source}, which is not UTF-8")) from None
    except GraphError:
        raise
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return source
    looks_like_a_file = "\n" not in source and " " not in source and path.suffix in (".json", ".txt", ".py", ".csv")
    if looks_like_a_file:
        raise expected("input", "a text or a file that exists", Words(source))
    return source


def graph_from_json(text: str, num_features: int, *, default: float | None = None) -> Data:
    """Read a graph: ``{"edge_index": [[0, 1], [1, 2]], "x": [[…], …]}``; with a default ``x`` may be left out.

    Args:
        text: the JSON, in one of the forms that :func:`graphseq.datasets.own.graph_of` reads.
        num_features: the width that ``x`` must have.
        default: the value of ``x`` if it is missing.

    Raises:
        GraphError: it is not such a graph, or has weights, which the networks of published data don't take.

    >>> graph_from_json('{"edge_index": [[0], [1]], "x": [[1], [2]]}', 1).num_nodes
    2
    """
    from torch_geometric.data import Data

    if text.lstrip()[:1] != "{":
        raise expected("input", 'a graph as JSON: {"edge_index": [[…], […]], "x": […]}', Words(text[:80]))
    records = list(json_records(text, "input", lines=False))
    if len(records) != 1:
        raise expected("input", "one graph", Words(f"{len(records)} of them"))
    graph = graph_of(records[0].fields, "input")
    what = f"x as one list of {num_features} numbers for each node"
    if graph.weight is not None:
        raise expected("input", "a graph with no weights of edges, which this network doesn't take", Words("some"))
    if graph.x is None and default is None:
        raise expected("input", f"a graph with {what}", Words("one without"))
    if graph.x is None or not graph.num_nodes:
        x = torch.full((graph.num_nodes, num_features), default or 0.0)
    elif graph.x.size(1) != num_features:
        raise expected("input", what, Words(f"numbers of shape {list(graph.x.shape)}"))
    else:
        x = graph.x.float()
    return Data(x=x, edge_index=graph.edges)
