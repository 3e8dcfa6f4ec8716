"""Recursive networks: the sentiment of every phrase of a sentence, on its tree."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import torch
from pydantic import Field
from torch import nn

from ..convert import Vocabulary, encode_words, leaf_spans, read_trees
from ..errors import Words, expected
from ..nn import TreeClassifier
from ..nn.models import cells
from ..parsing import SentimentModel, is_bracketed, parse
from ..topology import Topology
from ..train import Batch, LRSchedule, tree_split
from .base import Metadata, Prediction, Recipe, Source, Splits
from .load import open_run
from .own import one_of
from .sentiment import SentimentRecipe, held_out, words_of

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["PARSED", "RECIPES", "SentimentTrees", "export_sentiment", "sentiment_of"]

PARSED = (
    "the tree is that of `graphseq parse`, which can be wrong; give a tree, as (_ (_ (_ not) (_ bad)) (_ film)), to be "
    "sure"
)

_About = Field(description="the cell that is swept from the leaves to the root")
_Cell = Annotated[str, *one_of("cell", list(cells())), _About]


class SentimentTrees(SentimentRecipe):
    """A recursive network, trained on every phrase of a sentence's tree and evaluated at the roots; by default the
    binary Tree-LSTM of Tai, Socher & Manning (2015).
    """

    summary = "sentiment of every phrase of a sentence, on its tree"
    network = "binary Tree-LSTM"
    input = "a tree as (label (label word) (label word)), or a sentence, which is parsed"
    example = "(_ (_ (_ not) (_ bad)) (_ (_ at) (_ all)))"

    epochs: int = 6
    batch_size: int = 25
    root_weight: float = Field(default=3.0, ge=0, description="weight of a whole sentence in the loss; a phrase has 1")
    cell: _Cell = "nary-tree-lstm"
    both_ways: bool = Field(default=False, description="sweep back from the root, too")
    tuning: float = Field(
        default=0.0, ge=0, lt=1, description="share of the training part to evaluate on, in place of the published dev"
    )

    def model(self, metadata: Metadata) -> TreeClassifier:
        """Make the network."""
        model = TreeClassifier(
            len(metadata["words"]) + 1, self.embedding, self.hidden, len(metadata["classes"]), cell=self.cell,
            dropout=self.dropout, unknown=self.unknown, bidirectional=self.both_ways,
        )  # fmt: skip
        nn.init.normal_(model.embedding.weight, std=0.1)
        return model

    def splits(self, data: Any, metadata: Metadata, seed: int) -> Splits:
        """Return the published splits: all phrases to train on, the roots or all to evaluate on."""
        train, dev, test = ([] if part is None else part.trees for part in data)
        if self.tuning:
            train, dev = held_out(train, self.tuning)
            test = []
        some, on = slice(self.limit or None), "roots" if self.evaluated == "sentences" else "nodes"
        evaluated = (tree_split(part[some], on=on) if part else None for part in (dev, test))
        return Splits(tree_split(train[some], root_weight=self.root_weight), *evaluated)

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read a tree, or a sentence."""
        vocabulary = Vocabulary(tuple(metadata["words"]), lower=True)
        text = text.strip()
        given = is_bracketed(text)
        tree = _one_tree(text if given else parse(words_of(text)).bracketed())
        topology = Topology.from_data(tree)
        if int(topology.in_degree.max()) > 2:
            raise expected("input", "a tree whose nodes have at most two children", Words("one with more"))
        spans = _phrases(tree)
        batch = Batch((encode_words(tree, vocabulary), topology), torch.zeros(len(spans), dtype=torch.int64))
        return Prediction(batch, spans, [tree], _depths(topology), "" if given else PARSED)


class SentimentRecursive(SentimentTrees):
    """One layer over the two children of a phrase, Socher, Lin, Ng & Manning (2011)."""

    network = "recursive network"

    cell: _Cell = "recursive"


class SentimentRNTN(SentimentTrees):
    """A tensor that composes the two children of a phrase, Socher et al. (2013), who published these trees."""

    network = "recursive neural tensor network"

    cell: _Cell = "rntn"
    hidden: int = 40

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return the tensor apart, with a smaller learning rate.

        Adam moves each number by about the learning rate, and a bilinear form of children in [-1, 1] sums 2H times as
        many of them as a linear map.
        """
        rest, words = super().groups(model)
        tensors = [parameter for parameter in rest["params"] if parameter.dim() == 3]
        others = [parameter for parameter in rest["params"] if parameter.dim() < 3]
        return [{"params": others}, {"params": tensors, "lr": self.lr / (2 * self.hidden)}, words]


class SentimentTreeGRU(SentimentTrees):
    """A gated recurrent unit with an update gate for each child."""

    network = "binary Tree-GRU"

    cell: _Cell = "nary-tree-gru"


class SentimentBothWays(SentimentTrees):
    """A binary Tree-LSTM up the tree, and an LSTM back down, so that a phrase's label depends on what is around it."""

    network = "binary Tree-LSTM both ways"

    epochs: int = 7
    schedule: LRSchedule = "constant"  # a longer average takes the place of smaller steps
    average: float = 0.995
    embedding_decay: float = 2.0
    both_ways: bool = True


def _one_tree(text: str) -> Data:
    trees = read_trees(text)
    if len(trees) != 1:
        raise expected("input", "one tree or sentence", Words(f"{len(trees)} trees"))
    return trees[0]


def _depths(tree: Topology) -> list[int]:
    """Return how far each node is from the root, of a tree in preorder."""
    depths = [0] * tree.num_nodes
    for child, parent in sorted(tree.edge_index.t().tolist()):
        depths[child] = depths[parent] + 1
    return depths


def _phrases(tree: Data) -> list[str]:
    return [" ".join(tree.tokens[a:b]) for a, b in leaf_spans(tree).tolist()]


def export_sentiment(run: str | os.PathLike[str], path: str | os.PathLike[str], *, about: str = "") -> SentimentModel:
    """Write the network of a run to a file that ``graphseq sentiment --weights`` reads.

    Args:
        run: the folder of a run of a recipe on the trees of the Stanford Sentiment Treebank, with five classes.
        path: of the safetensors file; weights are stored as float16.
        about: what is to be known of it.

    Raises:
        GraphError: no such run, or one of another recipe.

    Example::

        export_sentiment("runs/sst", "sentiment.safetensors")
    """
    model = sentiment_of(run, about=about)
    model.save(path)
    return model


def sentiment_of(run: str | os.PathLike[str], *, about: str = "") -> SentimentModel:
    """Return the network of a run with its words; errors are those of :func:`export_sentiment`."""
    opened = open_run(run)
    recipe = opened.recipe
    if not isinstance(recipe, SentimentTrees) or recipe.labels_of != "fine":
        wanted = "a run on the sentiment treebank's trees with five classes"
        raise expected("run", wanted, Words(f"one of {opened.name}"))
    words = opened.metadata["words"]
    options: dict[str, int | str] = {
        "num_symbols": len(words) + 1, "embedding_size": recipe.embedding, "hidden_size": recipe.hidden,
        "num_classes": len(opened.metadata["classes"]), "cell": recipe.cell, "bidirectional": recipe.both_ways,
    }  # fmt: skip
    return SentimentModel(cast(TreeClassifier, opened.model), words, options, about=about)


RECIPES: dict[str, Recipe] = {
    "sst-treelstm": SentimentTrees(),
    "sst-recursive": SentimentRecursive(),
    "sst-rntn": SentimentRNTN(),
    "sst-treegru": SentimentTreeGRU(),
    "sst-bitreelstm": SentimentBothWays(),
}
