"""Syntax trees as flat lists over their nodes in preorder: what the readers of programs return."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Syntax"]


@dataclass(frozen=True)
class Syntax:
    """A tree of N nodes, children in the order of the source.

    Args:
        kinds: of each node.
        parents: of each node, -1 at the root, node 0.
        fields: the name of the parent's field that contains the node, ``""`` if it has none.
        tokens: the identifier or literal of each node, ``""`` if it has none.
        names: the identifiers in each node's token.
        lines: first and last line of each node.
        order: the nodes with a token, in the order of the tokens in the source.
    """

    kinds: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    names: list[list[str]] = field(default_factory=list)
    lines: list[tuple[int, int]] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def next_siblings(self) -> list[tuple[int, int]]:
        """Return each node with its next sibling."""
        last: dict[int, int] = {}
        pairs = []
        for node, parent in enumerate(self.parents):
            if parent in last:
                pairs.append((last[parent], node))
            last[parent] = node
        return pairs

    def next_tokens(self) -> list[tuple[int, int]]:
        """Return each node with a token and that of the next token."""
        return list(zip(self.order, self.order[1:], strict=False))
