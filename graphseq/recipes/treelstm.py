"""A Tree-LSTM on source code: the verbs of functions' names.

Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import KINDS, Vocabulary, encode_tokens, syntax_tree
from ..datasets import VERBS, FunctionTrees, check_parts, source_folder, stdlib_functions
from ..errors import Words, expected
from ..nn import TreeLSTM
from ..topology import Topology
from ..train import LRSchedule, Optimizer, Split, tree_split
from .base import Metadata, Prediction, Recipe, Source, Splits
from .programs import SourceRecipe, functions_in

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "VerbTreeLSTM"]


class VerbTreeLSTM(SourceRecipe):
    """A child-sum Tree-LSTM on syntax trees of Python; a node's input is its kind and its name."""

    summary = "the verb that begins a function's name, from its syntax tree; built in, or a folder of your own"
    network = "child-sum Tree-LSTM"
    example = "def f(self, key, default=None): return self._items.get(key, default)"

    epochs: int = 20
    batch_size: int = 25
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: LRSchedule = "cosine"
    hidden: int = Field(default=128, ge=1, description="hidden units")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability of node vectors and root states")

    def load_data(self, source: Source, seed: int) -> FunctionTrees:
        """Read the functions; the seed assigns whole modules to the splits."""
        found = stdlib_functions(seed=seed, max_nodes=self.max_nodes, folder=self.folder or None)
        check_parts((found.train, found.val, found.test), source_folder(self.folder), "functions named by verbs")
        if len(verbs := {VERBS[int(tree.y)] for tree in found.train}) < 2:
            wanted = f"Python source with functions of at least two of the verbs {', '.join(VERBS)}"
            raise expected("folder", wanted, Words(f"{source_folder(self.folder)}, with {min(verbs)} alone"))
        return found

    def metadata(self, data: FunctionTrees) -> Metadata:
        """Return the classes and the names."""
        return {"classes": list(VERBS), "words": list(data.vocabulary.words)}

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network."""
        return _Functions(len(metadata["words"]) + 1, self.hidden, len(metadata["classes"]), self.dropout)

    def splits(self, data: FunctionTrees, metadata: Metadata, seed: int) -> Splits:
        """Return the parts."""
        return Splits(*(_function_split(part) for part in (data.train, data.val, data.test)))

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read the functions of some source."""
        vocabulary = Vocabulary(tuple(metadata["words"]))
        functions = functions_in(text)
        trees = [syntax_tree(node, hide=node.name) for node in functions]
        for tree in trees:
            tree.token, tree.y = encode_tokens(tree.tokens, vocabulary), torch.tensor([0])
        made = _function_split(trees).collate(torch.arange(len(trees)))
        return Prediction(made, [f"{node.name}, line {node.lineno}" for node in functions], trees)


class _Functions(nn.Module):
    """Scores of verbs from the state of a tree's root; a node's input is its kind's vector plus its token's."""

    def __init__(self, num_tokens: int, hidden_size: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.kind = nn.Embedding(len(KINDS), hidden_size)
        self.token = nn.Embedding(num_tokens + 1, hidden_size, padding_idx=0)  # row 0: a node without a token
        self.tree_lstm = TreeLSTM(hidden_size, hidden_size, "child-sum")
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, num_classes)

    def forward(self, kind: Tensor, token: Tensor, topology: Topology) -> Tensor:
        h, _ = self.tree_lstm(self.dropout(self.kind(kind) + self.token(token + 1)), topology)
        scores: Tensor = self.classifier(self.dropout(h[topology.roots]))
        return scores


def _function_split(trees: Sequence[Data]) -> Split:
    return tree_split(trees, inputs=("kind", "token"), on="trees")


RECIPES: dict[str, Recipe] = {"stdlib-treelstm": VerbTreeLSTM()}
