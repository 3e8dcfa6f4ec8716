"""Reading what somebody wants predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import GraphError, Words, expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["graph_from_json", "text_of"]


def text_of(source: str) -> str:
    """Return what is in the file of this name, or, if there is none, the text itself.

    Raises:
        GraphError: it is the name of a file that is not there, or of one that is no text.
    """
    try:
        path = Path(source)
        if path.is_file():
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise expected("input", "a text or a text file", Words(f"{source}, which is not UTF-8")) from None
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return source
    looks_like_a_file = "\n" not in source and " " not in source and path.suffix in (".json", ".txt", ".py", ".csv")
    if looks_like_a_file:
        raise expected("input", "a text or a file that exists", Words(source))
    return source


def graph_from_json(text: str, num_features: int, *, default: float | None = None) -> Data:
    """Read a graph: ``{"edge_index": [[0, 1], [1, 2]], "x": [[…], …]}``; with a default ``x`` may be left out.

    Args:
        text: the JSON.
        num_features: the width that ``x`` must have.
        default: what to fill ``x`` with where it is missing.

    Raises:
        GraphError: it is no such graph.

    >>> graph_from_json('{"edge_index": [[0], [1]], "x": [[1], [2]]}', 1).num_nodes
    2
    """
    from torch_geometric.data import Data

    try:
        content: Any = json.loads(text)
    except ValueError as error:
        raise expected("input", "a graph as JSON", Words(f"text that is not: {error}")) from None
    if not isinstance(content, dict) or "edge_index" not in content:
        raise expected("input", 'a graph as JSON: {"edge_index": [[…], […]], "x": […]}', Words(text[:80]))
    try:
        edge_index = torch.tensor(content["edge_index"], dtype=torch.int64).reshape(2, -1)
        nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
        if "x" in content:
            x = torch.tensor(content["x"], dtype=torch.float32).reshape(-1, num_features)
        elif default is not None:
            x = torch.full((max(nodes, int(content.get("num_nodes", 0))), num_features), default)
        else:
            raise expected("input", f"a graph with x, {num_features} numbers a node", Words("one without"))
    except (TypeError, RuntimeError, ValueError) as error:
        if isinstance(error, GraphError):
            raise
        what = f"edge_index, two lists of nodes, and x, {num_features} numbers a node"
        raise expected("input", what, Words(f"what does not fit: {error}")) from None
    if edge_index.numel() and (int(edge_index.min()) < 0 or nodes > len(x)):
        got = Words(f"{int(edge_index.min())} to {nodes - 1}")
        raise expected("input", f"edge_index with nodes from 0 to {len(x) - 1}, as x has them", got)
    return Data(x=x, edge_index=edge_index)
