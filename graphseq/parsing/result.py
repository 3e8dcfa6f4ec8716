"""The parse of a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import Words, expected
from ..topology import Topology

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["Parse"]

_ESCAPED = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}
_WRITTEN = {escape: bracket for bracket, escape in _ESCAPED.items()}
_ESCAPED |= dict.fromkeys(" \t\n\r\f\v", "\xa0")


@dataclass(frozen=True, eq=False, repr=False)
class Parse:
    """A sentence and its binary tree; nodes are in preorder, node 0 is the root.

    Args:
        tokens: the n words.
        spans: the first word and the one past the last of each node, int64 `[2n - 1, 2]`.
        labels: of each node, joined by "+" if there are several; "" for one that only binarises, and without labels.
        tags: of each word, such as parts of speech; none by default.

    >>> parse = Parse(["It", "works", "."], torch.tensor([[0, 3], [0, 1], [1, 3], [1, 2], [2, 3]]))
    >>> parse
    Parse((_ (_ It) (_ (_ works) (_ .))))
    >>> parse.topology.edge_index.tolist()
    [[1, 2, 3, 4], [0, 0, 2, 2]]
    """

    tokens: list[str]
    spans: Tensor
    labels: Sequence[str] = ()
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check that there are spans, labels and tags of all nodes and words."""
        n = len(self.tokens)
        if not isinstance(self.spans, Tensor) or self.spans.dtype != torch.int64 or not n:
            raise expected("spans", "int64 of shape [2n - 1, 2], and n words, at least one", self.spans)
        if self.spans.shape != (2 * n - 1, 2):
            raise expected("spans", f"int64 of shape [{2 * n - 1}, 2], for {n} words", self.spans)
        rows = self.spans.tolist()
        if rows[0] != [0, n] or sum(j - i == 1 for i, j in rows) != n:
            raise expected("spans", f"the nodes of a binary tree over {n} words, in preorder", Words("others"))
        for name, given, size in (("labels", self.labels, 2 * n - 1), ("tags", self.tags, n)):
            if not isinstance(given, Sequence) or isinstance(given, str) or len(given) not in (0, size):
                raise expected(name, f"{size} texts, or none", given)

    @property
    def words(self) -> list[str]:
        """Return the tokens as they are read: brackets in place of -LRB- and so on."""
        return [_WRITTEN.get(token, token) for token in self.tokens]

    @property
    def parents(self) -> list[int]:
        """Return each node's parent, -1 for the root."""
        found: list[int] = []
        waiting: list[int] = []  # the nodes that contain the next one
        rows = self.spans.tolist()
        for v, (start, _) in enumerate(rows):
            while waiting and rows[waiting[-1]][1] <= start:
                waiting.pop()
            found.append(waiting[-1] if waiting else -1)
            waiting.append(v)
        return found

    @property
    def topology(self) -> Topology:
        """Return the tree's topology: edges child → parent, the left child in slot 0, the right one in slot 1."""
        parents = self.parents
        starts = self.spans[:, 0].tolist()
        slots = [int(p >= 0 and starts[v] != starts[p]) for v, p in enumerate(parents)]
        return Topology.tree(torch.tensor(parents), torch.tensor(slots))

    def bracketed(self, label: str = "_") -> str:
        """Return the tree as a bracketed text, in which nodes that only binarise, but not the root, are left out if
        there are labels.

        Args:
            label: of nodes without a label, and of words without a tag.

        Brackets in words, labels and tags are written -LRB- and so on; ASCII spaces become no-break spaces.
        """
        labelled, tags = any(self.labels), self.tags or [""] * len(self.tokens)
        rows = self.spans.tolist()
        out: list[str] = []
        open_nodes: list[tuple[int, int]] = []  # end, brackets to close
        for v, (start, end) in enumerate(rows):
            names = [_escaped(name) for name in (self.labels[v].split("+") if labelled else []) if name]
            if end - start == 1:
                names.append(_escaped(tags[start]) or label)
                out.append(" " + " (".join(["", *names])[1:] + " " + _escaped(self.tokens[start]))
                out.append(")" * len(names))
            elif names or not labelled or not v:
                names = names or [label]
                out.append(" " + " (".join(["", *names])[1:])
            open_nodes.append((end, len(names) if end - start > 1 else 0))
            at = end if end - start == 1 else -1
            while open_nodes and open_nodes[-1][0] == at:
                out.append(")" * open_nodes.pop()[1])
        return "".join(out)[1:]

    def drawn(self, names: Sequence[str] = ()) -> str:
        """Return the tree as lines of text, a node or a word on each.

        Args:
            names: what is written before each node's word; by default its label and the word's tag.

        >>> print(Parse(["It", "works"], torch.tensor([[0, 2], [0, 1], [1, 2]])).drawn())
        ┐
        ├─ It
        └─ works
        """
        parents, words = self.parents, self.words
        last = dict(zip(parents, range(len(parents)), strict=True))  # of each node's children
        before: list[str] = []  # what stands before a node's children
        lines = []
        for v, (start, end) in enumerate(self.spans.tolist()):
            above = parents[v]
            is_last = last[above] == v
            lead = "" if above < 0 else before[above] + ("└─" if is_last else "├─")
            before.append("" if above < 0 else before[above] + ("  " if is_last else "│ "))
            name = names[v] if names else self._name(v, start, end)
            if end - start == 1:
                lines.append(" ".join(filter(None, [lead, name, words[start]])))
            else:
                lines.append(f"{lead}┐ {name}".rstrip())
        return "\n".join(lines)

    def _name(self, node: int, start: int, end: int) -> str:
        """Return a node's labels, and below them the tag of its only word."""
        label = self.labels[node].replace("+", " ") if self.labels else ""
        return f"{label} {self.tags[start]}".strip() if self.tags and end - start == 1 else label

    def to_data(self) -> Data:
        """Return the tree as PyG ``Data``, as :func:`graphseq.convert.read_trees` makes it of :meth:`bracketed`."""
        from ..convert import read_trees

        [tree] = read_trees(self.bracketed())
        return tree

    def to_dict(self) -> dict[str, Any]:
        """Return what `graphseq parse --json` prints: tokens, spans, and the bracketed tree."""
        found = {"tokens": list(self.tokens), "spans": self.spans.tolist(), "bracketed": self.bracketed()}
        found |= {"labels": list(self.labels)} if any(self.labels) else {}
        return found | ({"tags": list(self.tags)} if self.tags else {})

    def figure(self, path: str | None = None) -> Any:
        """Draw the tree, see :func:`graphseq.plot.tree`."""
        from ..plot import tree

        rows = self.spans.tolist()
        labels = [self._name(v, *row) for v, row in enumerate(rows)] if any(self.labels) or self.tags else None
        return tree(self.topology, path, labels=labels, tokens=self.words)

    def _repr_svg_(self) -> str:
        return svg_of(self.figure)

    def _repr_html_(self) -> str:
        svg = self._repr_svg_()
        return f'<div class="graphseq-parse">{svg[svg.index("<svg") :]}</div>'

    def __repr__(self) -> str:
        return f"Parse({self.bracketed()})"


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in text)


def svg_of(draw: Callable[[], Any]) -> str:
    """Return a figure as SVG, the same text each time."""
    import matplotlib

    content = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "graphseq"}):
        draw().savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()
