"""What the recipes on Python source share: the folder that they read, the functions of an input, inputs of nodes."""

from __future__ import annotations

import ast

from pydantic import Field
from torch import Tensor, nn

from ..convert import KINDS
from ..errors import Words, expected
from .base import Recipe

__all__ = ["NodeInputs", "SourceRecipe", "functions_in"]


class SourceRecipe(Recipe):
    """A recipe on the functions of Python source, the standard library's or those of a folder of your own."""

    input = "Python source with functions"

    folder: str = Field(default="", description="folder of Python source of your own; by default the standard library")
    max_nodes: int = Field(default=300, ge=8, description="maximum number of nodes of a tree; larger ones are left out")


def functions_in(text: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of some source, those inside of others too.

    Raises:
        GraphError: it is not Python, or has none.
    """
    try:
        root = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise expected("input", "Python source", Words(f"text that is not: {error}")) from None
    functions = [node for node in ast.walk(root) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if not functions:
        raise expected("input", "Python source with functions", Words("source without any"))
    return functions


class NodeInputs(nn.Module):
    """Vectors of nodes: that of the node's kind plus the mean of those of its sub-tokens, `[N, H]`."""

    def __init__(self, num_parts: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.kind = nn.Embedding(len(KINDS), hidden_size)
        self.part = nn.EmbeddingBag(num_parts, hidden_size, mode="mean")
        self.dropout = nn.Dropout(dropout)

    def forward(self, kind: Tensor, part: Tensor, count: Tensor) -> Tensor:
        """Return the vectors.

        Args:
            kind: int64 `[N]`.
            part: int64 `[S]`, the sub-tokens of all nodes.
            count: int64 `[N]`, the number of those of each node.
        """
        x: Tensor = self.dropout(self.kind(kind) + self.part(part, count.cumsum(0) - count))
        return x
