"""Classify trees, at the root or at every node."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...topology import Topology
from ...topology.inputs import check_range, same_length
from ..cells import LSTMCell
from ..deep.stack import check_dropout
from ..recurrent import BidirectionalTree, Recurrent
from .library import make_cell
from .sequence import forget


class TreeClassifier(nn.Module):
    """Classify trees whose nodes have words or other symbols: ``y_v = W dropout(h_v) + b`` with a swept cell's h.

    Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks, section 4.1.

    Args:
        num_symbols: size of the vocabulary.
        embedding_size: F.
        hidden_size: H.
        num_classes: C.
        cell: "nary-tree-lstm", "child-sum-tree-lstm" or another cell of graphseq.nn by name, or a function of two
            sizes that makes one, such as a cell's class.
        arity: maximum number of children of a node, for cells with a slot for each.
        dropout: of embeddings and of states.
        unknown: share of the symbols that are made symbol 0 in training, so that the vector of unknown ones is learnt.
        bidirectional: whether an LSTM sweeps back from the root, so that each node also knows what is around it; W then
            reads both states.

    Raises:
        GraphError: no such cell.

    >>> import torch
    >>> model = TreeClassifier(10, 3, 4, num_classes=5)
    >>> model(torch.tensor([7, 8, -1]), Topology.tree([2, 2, -1])).shape
    torch.Size([3, 5])
    """

    def __init__(
        self, num_symbols: int, embedding_size: int, hidden_size: int, num_classes: int, *,
        cell: str | Callable[[int, int], Cell] = "nary-tree-lstm", arity: int = 2, dropout: float = 0.0,
        unknown: float = 0.0, bidirectional: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, embedding_size)
        up = make_cell(cell, embedding_size, hidden_size, arity=arity)
        self.recurrent: nn.Module = Recurrent(up)
        if bidirectional:
            self.recurrent = BidirectionalTree(up, LSTMCell(hidden_size, hidden_size))
        self.dropout, self.unknown = nn.Dropout(check_dropout(dropout)), unknown
        self.classifier = nn.Linear(hidden_size * (2 if bidirectional else 1), num_classes)

    def forward(self, symbols: Tensor, topology: Topology, *, roots: bool = False) -> Tensor:
        """Return scores `[N, C]` of every node, or only of the roots, in their order.

        Args:
            symbols: int64 `[N]`, each node's symbol, -1 for none.
            topology: of the trees.
            roots: whether to classify only the roots.
        """
        same_length("symbols", symbols, topology.num_nodes, "node")
        if not torch.compiler.is_compiling():
            check_range("symbols", symbols, self.embedding.num_embeddings, low=-1)
        if self.training and self.unknown:
            symbols = forget(symbols, self.unknown)
        nodes = (symbols >= 0).nonzero()[:, 0]
        return self.scores(self.embedding(symbols.index_select(0, nodes)), topology, nodes, roots=roots)

    def scores(self, x: Tensor, topology: Topology, nodes: Tensor, *, roots: bool = False) -> Tensor:
        """Return the same of word vectors `[M, F]` of the nodes `[M]` that have one."""
        states = self.recurrent(self.dropout(x), topology, nodes=nodes)
        h: Tensor = states[0] if isinstance(states, tuple) else states
        if roots:
            h = h.index_select(0, topology.roots)
        scores: Tensor = self.classifier(self.dropout(h))
        return scores
