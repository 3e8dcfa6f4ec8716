"""Reading inputs to predict for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

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
        text: the JSON.
        num_features: the width that ``x`` must have.
        default: the value of ``x`` if it is missing.

    Raises:
        GraphError: it is not such a graph.

    >>> graph_from_json('{"edge_index": [[0], [1]], "x": [[1], [2]]}', 1).num_nodes
    2
    """
    from torch_geometric.data import Data

    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise expected("input", "a graph as JSON", Words(f"text that is not: {error}")) from None
    if not isinstance(content, dict) or "edge_index" not in content:
        raise expected("input", 'a graph as JSON: {"edge_index": [[…], […]], "x": […]}', Words(text[:80]))
    edge_index = _numbers(content["edge_index"], "edge_index", "two lists of nodes, senders and receivers", 2)
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        got = Words(f"{edge_index.size(0)} lists" if edge_index.dim() == 2 else "other nesting")
        raise expected("input", "edge_index as two lists of nodes, senders and receivers", got)
    if not torch.equal(edge_index, edge_index.round()):
        raise expected("input", "edge_index with whole numbers", Words("others"))
    edge_index = edge_index.long()
    nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
    what = f"x as one list of {num_features} numbers for each node"
    if "x" in content:
        x = _numbers(content["x"], "x", what, num_features).float()
        if x.dim() != 2 or x.size(1) != num_features:
            raise expected("input", what, Words(f"numbers of shape {list(x.shape)}"))
        if not x.isfinite().all():
            raise expected("input", f"{what}, all finite", Words("some that are not"))
    elif default is not None:
        x = torch.full((max(nodes, int(content.get("num_nodes", 0))), num_features), default)
    else:
        raise expected("input", f"a graph with {what}", Words("one without"))
    if edge_index.numel() and (int(edge_index.min()) < 0 or nodes > len(x)):
        got = Words(f"{int(edge_index.min())} to {nodes - 1}")
        raise expected("input", f"edge_index with nodes from 0 to {len(x) - 1}, as x has them", got)
    return Data(x=x, edge_index=edge_index)


def _numbers(content: Any, name: str, what: str, width: int) -> Tensor:
    """Return nested lists of numbers as a tensor; an empty list has no rows of the width."""
    try:
        found = torch.tensor(content, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise expected("input", f"{name}: {what}", Words(f"what does not fit: {error}")) from None
    return found.reshape(0, width) if content == [] and name == "x" else found
