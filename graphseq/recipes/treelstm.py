"""Tree-LSTMs: the sentiment of phrases and sentences, the verbs of functions' names.

Tai, Socher & Manning (2015), Improved semantic representations from tree-structured LSTM networks.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import KINDS, Vocabulary, encode_tokens, encode_words, leaf_spans, read_trees, syntax_tree
from ..datasets import VERBS, FunctionTrees, stdlib_functions
from ..errors import Words, expected
from ..nn import TreeClassifier, TreeLSTM
from ..topology import Topology
from ..train import Batch, LRSchedule, Optimizer, Split, tree_split
from .base import Metadata, Prediction, Recipe, Source, Splits
from .sentiment import SentimentRecipe, words_of

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["NOT_PARSED", "RECIPES", "SentimentTreeLSTM", "VerbTreeLSTM"]

NOT_PARSED = (
    "the sentence was not parsed but read as a right-branching tree, which can be wrong about negation and other "
    "phrases; give a tree, as (_ (_ (_ not) (_ bad)) (_ film)), to be sure"
)


class SentimentTreeLSTM(SentimentRecipe):
    """A binary Tree-LSTM, trained on every phrase of a sentence's tree and evaluated at the roots."""

    summary = "sentiment of every phrase of a sentence, on its tree"
    network = "binary Tree-LSTM"
    input = "a tree as (label (label word) (label word)), or a sentence, read as right-branching"
    example = "(_ (_ (_ not) (_ bad)) (_ (_ at) (_ all)))"

    epochs: int = 6
    batch_size: int = 25
    root_weight: float = Field(default=3.0, ge=0, description="weight of a whole sentence in the loss; a phrase has 1")

    def model(self, metadata: Metadata) -> TreeClassifier:
        """Make the network."""
        model = TreeClassifier(
            len(metadata["words"]) + 1, self.embedding, self.hidden, len(metadata["classes"]), dropout=self.dropout,
            unknown=self.unknown,
        )  # fmt: skip
        nn.init.normal_(model.embedding.weight, std=0.1)
        return model

    def splits(self, data: Any, metadata: Metadata, seed: int) -> Splits:
        """Return the published splits: all phrases to train on, the roots to evaluate on."""
        train, dev, test = data
        some = slice(self.limit or None)
        evaluated = (None if part is None else tree_split(part.trees[some], on="roots") for part in (dev, test))
        return Splits(tree_split(train.trees[some], root_weight=self.root_weight), *evaluated)

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read a tree, or a sentence."""
        vocabulary = Vocabulary(tuple(metadata["words"]), lower=True)
        text = text.strip()
        parsed = text.startswith("(")
        tree = _one_tree(text if parsed else _right_branching(text))
        topology = Topology.from_data(tree)
        if int(topology.in_degree.max()) > 2:
            raise expected("input", "a tree whose nodes have at most two children", Words("one with more"))
        spans = _phrases(tree)
        batch = Batch((encode_words(tree, vocabulary), topology), torch.zeros(len(spans), dtype=torch.int64))
        return Prediction(batch, spans, [tree], _depths(topology), "" if parsed else NOT_PARSED)


def _one_tree(text: str) -> Data:
    trees = read_trees(text)
    if len(trees) != 1:
        raise expected("input", "one tree or sentence", Words(f"{len(trees)} trees"))
    return trees[0]


def _right_branching(sentence: str) -> str:
    """Return a tree that joins the last two words first: for one word (_ a), for three (_ (_ a) (_ (_ b) (_ c)))."""
    *others, last = (f"(_ {word})" for word in words_of(sentence))
    return "".join(f"(_ {word} " for word in others) + last + ")" * len(others)


def _depths(tree: Topology) -> list[int]:
    """Return how far each node is from the root, of a tree in preorder."""
    depths = [0] * tree.num_nodes
    for child, parent in sorted(tree.edge_index.t().tolist()):
        depths[child] = depths[parent] + 1
    return depths


def _phrases(tree: Data) -> list[str]:
    return [" ".join(tree.tokens[a:b]) for a, b in leaf_spans(tree).tolist()]


class VerbTreeLSTM(Recipe):
    """A child-sum Tree-LSTM on syntax trees of Python's own library; a node's input is its kind and its name."""

    summary = "the verb that begins a function's name, from its syntax tree; built in"
    network = "child-sum Tree-LSTM"
    input = "Python source with functions"
    example = "def f(self, key, default=None): return self._items.get(key, default)"

    epochs: int = 20
    batch_size: int = 25
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: LRSchedule = "cosine"
    max_nodes: int = Field(default=300, ge=8, description="maximum number of nodes of a tree; larger ones are left out")
    hidden: int = Field(default=128, ge=1, description="hidden units")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability of node vectors and root states")

    def load_data(self, source: Source, seed: int) -> FunctionTrees:
        """Read the functions; the seed assigns whole modules to the splits."""
        return stdlib_functions(seed=seed, max_nodes=self.max_nodes)

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
        try:
            root = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            raise expected("input", "Python source", Words(f"text that is not: {error}")) from None
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        functions = [node for node in ast.walk(root) if isinstance(node, kinds)]
        if not functions:
            raise expected("input", "Python source with functions", Words("source without any"))
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


RECIPES: dict[str, Recipe] = {"sst-treelstm": SentimentTreeLSTM(), "stdlib-treelstm": VerbTreeLSTM()}
