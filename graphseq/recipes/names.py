"""Names of functions: the sub-tokens of a name from the function's syntax tree.

Allamanis, Peng & Sutton (2016), A convolutional attention network for extreme summarization of source code; the network
is that of Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ..convert import Vocabulary
from ..core import aggregate
from ..datasets import NamedFunctions, encode_parts, function_names, named_tree
from ..nn import TreeLSTM, readout
from ..topology import Links, Topology, batch
from ..train import Batch, LRSchedule, Optimizer, Split, chosen_labels
from .base import Metadata, Prediction, Recipe, Source, Splits
from .programs import NodeInputs, SourceRecipe, functions_in

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "FunctionNames", "label_loss"]

_THERE = 4.0  # weight of a sub-token that is in the name, so that one of a probability above 1/5 is predicted


def label_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross entropies of all labels, summed in each row, `[n]`; of a label that is there times 4.

    Args:
        scores: `[n, L]`.
        target: `[n, L]`, the number of times that each label is there; more than once is as good as once.
    """
    there = scores.new_tensor(_THERE)
    return binary_cross_entropy_with_logits(scores, target.clamp(max=1), reduction="none", pos_weight=there).sum(1)


class FunctionNames(SourceRecipe):
    """A child-sum Tree-LSTM on syntax trees of Python, and one score for each sub-token of names.

    Measured by the F1 of sub-tokens over all functions (Alon et al. 2019, code2vec), in any order. Those that the
    training part doesn't have, or too rarely, can't be found. Their number in a name is in column 0 of the target.
    """

    summary = "the sub-tokens of a function's name, from its syntax tree; built in, or a folder of your own"
    network = "child-sum Tree-LSTM, copy scores"
    example = "def f(self, key, default=None): return self._items.get(key, default)"
    metrics = ("subtoken_f1",)
    loss: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(label_loss)

    epochs: int = 10
    batch_size: int = 25
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: LRSchedule = "cosine"
    select: Literal["loss", "metric", "last"] = "metric"
    limit: int = Field(default=8000, ge=0, description="number of functions to train on, at most; 0 for all")
    hidden: int = Field(default=128, ge=1, description="hidden units")
    dropout: float = Field(default=0.3, ge=0, le=1, description="dropout probability of node vectors and states")

    def load_data(self, source: Source, seed: int) -> NamedFunctions:
        """Read the functions; the seed assigns whole modules to the splits."""
        return function_names(seed=seed, max_nodes=self.max_nodes, limit=self.limit, folder=self.folder)

    def metadata(self, data: NamedFunctions) -> Metadata:
        """Return the sub-tokens of trees and of names."""
        return {"words": list(data.vocabulary.words), "names": list(data.names.words)}

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network."""
        names = Vocabulary(tuple(metadata["names"]))
        same = torch.tensor([0, *names.encode(metadata["words"])])
        return _Names(same, self.hidden, len(names), self.dropout)

    def splits(self, data: NamedFunctions, metadata: Metadata, seed: int) -> Splits:
        """Return the parts."""
        return Splits(*(_split(part, len(data.names)) for part in (data.train, data.val, data.test)))

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read the functions of some source."""
        functions, vocabulary = functions_in(text), Vocabulary(tuple(metadata["words"]))
        trees = [named_tree(function) for function in functions]
        for tree in trees:
            tree.part, tree.count = encode_parts(tree.parts, vocabulary)
            tree.y = torch.zeros(0, dtype=torch.int64)
        made = _split(trees, len(metadata["names"]) + 1).collate(torch.arange(len(trees)))
        return Prediction(made, [f"{node.name}, line {node.lineno}" for node in functions])

    def rows(self, scores: Tensor, read: Prediction, metadata: Metadata) -> list[dict[str, Any]]:
        """Return the sub-tokens of each function's name, the most likely first."""
        rows = []
        for name, each, chosen in zip(read.names, scores, chosen_labels(scores), strict=True):
            found = each.masked_fill(~chosen, -torch.inf).argsort(descending=True)[: int(chosen.sum())].tolist()
            rows.append({"input": name, "value": [metadata["names"][label - 1] for label in found]})
        return rows


class _Names(nn.Module):
    """Scores of sub-tokens, `[B, L]`, from the state of a tree's root and the maximum over the states of its nodes.

    A sub-token that is in the tree gets a score in addition, which says whether it is worth to be copied: the maximum
    over the nodes that have it, as names often repeat what is in the body (Allamanis et al. 2016, copy attention).

    Args:
        same: int64 `[P]`, for each sub-token of trees the label that is the same word, 0 if there is none.
        hidden_size: H.
        num_labels: L.
        dropout: dropout probability of node vectors and states.
    """

    same: Tensor

    def __init__(self, same: Tensor, hidden_size: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("same", same)
        self.inputs = NodeInputs(len(same), hidden_size, dropout)
        self.tree_lstm = TreeLSTM(hidden_size, hidden_size, "child-sum")
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden_size, num_labels)
        nn.init.constant_(self.classifier.bias, -5.0)  # almost every label is absent
        self.copied = nn.Sequential(nn.Linear(2 * hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1))

    def forward(self, kind: Tensor, part: Tensor, count: Tensor, topology: Topology) -> Tensor:
        h, _ = self.tree_lstm(self.inputs(kind, part, count), topology)
        h = self.dropout(h)
        root = h[topology.roots]
        scores: Tensor = self.classifier(torch.cat([root, readout(h, topology, "max")], 1))
        return scores + self._copied(h, root, part, count, topology).view_as(scores)

    def _copied(self, h: Tensor, root: Tensor, part: Tensor, count: Tensor, topology: Topology) -> Tensor:
        """Return the scores of what is in the trees, `[B · L, 1]`, 0 for what is not."""
        label = self.same[part]
        at = label.nonzero()[:, 0]
        node = torch.arange(len(count), device=count.device).repeat_interleave(count)[at]
        tree, total = topology.batch[node], len(root) * self.classifier.out_features
        pairs = torch.stack([torch.arange(len(at), device=at.device), tree * self.classifier.out_features + label[at]])
        made = self.copied(torch.cat([h[node], root[tree]], 1))
        return aggregate(Links.between(pairs, len(at), total), (made,), merge="max")[0]


def _split(trees: Sequence[Data], num_labels: int) -> Split:
    topologies = [Topology.from_data(tree) for tree in trees]
    for topology in topologies:
        _ = topology.level  # computed here once, then joined in each batch
    columns = [[tree[name] for tree in trees] for name in ("kind", "part", "count")]
    labels = [tree.y for tree in trees]

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        inputs = (torch.cat([column[i] for i in chosen]) for column in columns)
        target = torch.stack([torch.bincount(labels[i], minlength=num_labels) for i in chosen]).float()
        return Batch((*inputs, batch([topologies[i] for i in chosen])), target)

    return Split(len(trees), collate)


RECIPES: dict[str, Recipe] = {"stdlib-names": FunctionNames()}
