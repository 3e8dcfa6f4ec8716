"""Span-based chart parsers: binary trees of sentences without labels, and a newspaper's labelled trees.

Stern, Andreas & Klein (2017), A minimal span-based neural constituency parser.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import Vocabulary
from ..datasets import SST, treebank
from ..errors import Words, expected
from ..nn import SpanParser
from ..parsing import (
    GoldTree,
    Parser,
    WordFeatures,
    decode,
    labelled_tree,
    labels_of_words,
    matched,
    max_margin,
    tree_crf,
    unlabelled_tree,
)
from ..topology import Topology
from ..train import Batch, LRSchedule, Optimizer, Split
from .base import Metadata, Recipe, Source, Splits
from .load import open_run
from .sentiment import held_out

__all__ = ["RECIPES", "ParserRecipe", "SentimentParser", "TreebankParser", "export_parser", "parser_of"]

Parts = tuple[list[GoldTree], list[GoldTree] | None, list[GoldTree] | None]  # training, validation, test


class ParserRecipe(Recipe):
    """A span parser, trained on trees and measured by the F1 of its brackets.

    Rare words are unknown, and some others in training; their affixes are known.
    """

    metrics = ("bracket_f1",)
    network = "bidirectional LSTMs, span scores, CKY"
    loss: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(lambda rows, target: rows[:, 0])
    input = "whose parser takes sentences by `graphseq parse --weights RUN`; export_parser writes it to a file"

    epochs: int = 16
    batch_size: int = 16
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.01
    schedule: LRSchedule = "constant"  # the average takes the place of smaller steps, in which parsers overfit
    warmup: float = 0.034375
    average: float = 0.999
    select: Literal["loss", "metric", "last"] = "last"
    clip_norm: float = 5.0
    objective: Literal["crf", "margin"] = Field(
        default="crf", description="the loss: tree CRF, or structured max-margin"
    )
    by_marginals: bool = Field(default=True, description="decode by marginals, else by scores")
    embedding: int = Field(default=90, ge=1, description="size of the word vectors")
    embedding_decay: float = Field(default=1.0, ge=0, description="weight decay of the word vectors")
    affix: int = Field(default=80, ge=1, description="size of the affixes' vectors")
    hidden: int = Field(default=200, ge=1, description="hidden units of an LSTM, in each direction")
    layers: int = Field(default=2, ge=1, description="layers of an LSTM")
    span: int = Field(default=150, ge=1, description="width of the maps of fenceposts")
    members: int = Field(default=1, ge=1, description="members of the ensemble, LSTMs that share the embeddings")
    dropout: float = Field(default=0.4, ge=0, le=1, description="dropout probability")
    unknown: float = Field(default=0.15, ge=0, le=1, description="share of words made unknown in training")
    min_count: int = Field(default=2, ge=1, description="words that are less frequent in training are unknown")
    check: bool = Field(default=True, description="require the published files, by their checksums")
    limit: int = Field(default=0, ge=0, description="only the first sentences of each part, for a quick try; 0 for all")

    @property
    def threads(self) -> int:
        """One, since the products are small."""
        return 1

    def load_data(self, source: Source, seed: int) -> Parts:
        """Read the trees of the parts, within the limit."""
        some = slice(self.limit or None)
        train, val, test = (None if part is None else part[some] for part in self.parts(source))
        more = _without(self.others(source), [*(val or []), *(test or [])])[some]
        return [*(train or []), *(replace(tree, evaluated=False) for tree in more)], val, test

    @abstractmethod
    def parts(self, source: Source) -> Parts:
        """Return the trees to train on, those of the validation part, and those of the test part, if there is one."""

    def others(self, source: Source) -> list[GoldTree]:
        """Return another treebank's trees, without labels, to train on as well."""
        return []

    def metadata(self, data: Parts) -> Metadata:
        """Return the words, the affixes and the labels."""
        features = WordFeatures.build((tree.tokens for tree in data[0]), min_words=self.min_count)
        labels = sorted({label for tree in data[0] for *_, label in tree.nodes if label})
        tags = sorted({tag for tree in data[0] if tree.tagged for tag in tree.tags})
        return {"words": list(features.words), "affixes": list(features.affixes), "labels": labels, "tags": tags}

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the parser, with its loss and its evaluation."""
        labels = metadata["labels"]
        parser = SpanParser(
            len(metadata["words"]) + 1, len(metadata["affixes"]) + 1, len(labels) + 1, embedding_size=self.embedding,
            affix_size=self.affix, hidden_size=self.hidden, num_layers=self.layers, span_size=self.span,
            members=self.members, dropout=self.dropout, unknown=self.unknown,
        )  # fmt: skip
        return _Measured(parser, ["", *labels], metadata["tags"], self.objective, self.by_marginals)

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return all but the word vectors, and these with a weight decay of their own."""
        words = model.parser.words.weight
        rest = [parameter for parameter in model.parameters() if parameter is not words]
        return [{"params": rest}, {"params": [words], "weight_decay": self.embedding_decay}]

    def splits(self, data: Parts, metadata: Metadata, seed: int) -> Splits:
        """Return the parts."""
        features = WordFeatures(tuple(metadata["words"]), tuple(metadata["affixes"]))
        labels = Vocabulary(tuple(metadata["labels"])) if metadata["labels"] else None
        train, val, test = data
        rest = (None if part is None else _split(part, features, labels) for part in (val, test))
        return Splits(_split(train, features, labels), *rest)


class SentimentParser(ParserRecipe):
    """Binary trees of the Stanford Sentiment Treebank, without labels.

    F1 over spans of at least two words, the whole sentence not counted, on the development part. Nothing is selected
    on that: the last epoch is taken, and options were chosen with `tuning`, on a part of the training sentences.
    """

    summary = "binary trees of sentences, without labels"
    reports = "val"

    treebank: bool = Field(
        default=False, description="train on NLTK's sample of the Penn Treebank, too, binarised in every possible way"
    )
    tuning: float = Field(
        default=0.0, ge=0, lt=1, description="share of the training part to evaluate on, in place of the published dev"
    )

    def parts(self, source: Source) -> Parts:
        """Return the published training and development part, or two parts of the training part."""
        train, dev = (
            list(map(unlabelled_tree, SST(split, source.root, check=self.check, offline=source.offline).trees))
            for split in ("train", "dev")
        )
        if self.tuning:
            train, dev = held_out(train, self.tuning)
        return train, dev, None

    def others(self, source: Source) -> list[GoldTree]:
        """Return the trees of the Penn Treebank's sample, if asked for."""
        if not self.treebank:
            return []
        found = map(labelled_tree, treebank(source.root, check=self.check, offline=source.offline))
        return [tree.unlabelled() for tree in found if tree is not None]


class TreebankParser(ParserRecipe):
    """Labelled trees of NLTK's sample of the Penn Treebank; the words' tags are learnt, not given.

    The last tenth of the sentences is the test part. On the tenth before it options and the number of epochs were
    chosen; it may be trained on as well. Sentences of a later part are left out of the earlier ones. F1 by
    evalb's rules with COLLINS.prm: punctuation, traces, functional tags and TOP don't count, ADVP and PRT are equal.
    """

    summary = "labelled trees of a newspaper's sentences"

    epochs: int = 30
    average: float = 0.998
    tags: bool = Field(default=True, description="learn the words' tags as well")
    with_val: bool = Field(default=False, description="train on the validation part, too")
    sst: bool = Field(
        default=False, description="train on the Stanford Sentiment Treebank's trees, too, whose labels are not known"
    )

    def parts(self, source: Source) -> Parts:
        """Return training, validation and test part."""
        published = treebank(source.root, check=self.check, offline=source.offline)
        trees = [tree for tree in map(labelled_tree, published) if tree is not None]
        trees = [tree.with_tags() for tree in trees] if self.tags else trees
        last, before = len(trees) - len(trees) // 10, len(trees) - 2 * (len(trees) // 10)
        test = trees[last:]
        if self.with_val:
            return _without(trees[:last], test), None, test
        val = _without(trees[before:last], test)
        return _without(trees[:before], [*val, *test]), val, test

    def others(self, source: Source) -> list[GoldTree]:
        """Return the trees of the Stanford Sentiment Treebank, if asked for."""
        if not self.sst:
            return []
        return list(map(unlabelled_tree, SST("train", source.root, check=self.check, offline=source.offline).trees))


def _without(trees: list[GoldTree], others: list[GoldTree]) -> list[GoldTree]:
    """Return the trees of sentences that are not among the others."""
    held = {tuple(tree.tokens) for tree in others}
    return [tree for tree in trees if tuple(tree.tokens) not in held]


def export_parser(run: str | os.PathLike[str], path: str | os.PathLike[str], *, about: str = "") -> Parser:
    """Write the parser of a run to a file that ``graphseq parse --weights`` and :class:`graphseq.parsing.Parser` read.

    Args:
        run: the folder of a run of a parser's recipe.
        path: of the safetensors file; weights are stored as float16.
        about: what is to be known of it.

    Raises:
        GraphError: no such run.

    Example::

        export_parser("runs/parser", "parser.safetensors")
    """
    parser_of(run, about=about).save(path)
    return Parser.load(path)


def parser_of(run: str | os.PathLike[str], *, about: str = "") -> Parser:
    """Return the parser of a run; errors are those of :func:`export_parser`."""
    opened = open_run(run)
    if not isinstance(opened.model, _Measured):
        raise expected("run", "a run of a parser", Words(f"one of {opened.name}"))
    features = WordFeatures(tuple(opened.metadata["words"]), tuple(opened.metadata["affixes"]))
    made = opened.model
    return Parser(
        made.parser, features, made.labels, tags=made.tags, by_marginals=made.by_marginals, about=about
    )  # fmt: skip


class _Measured(nn.Module):
    """A parser whose output is a row for each sentence: loss, and in evaluation right, found and true brackets."""

    def __init__(
        self, parser: SpanParser, labels: Sequence[str], tags: Sequence[str], objective: str, by_marginals: bool
    ) -> None:
        super().__init__()
        self.parser, self.labels, self.tags, self.by_marginals = parser, labels, tags, by_marginals
        self.of_words = labels_of_words(labels, tags)
        self.objective = tree_crf if objective == "crf" else max_margin

    def forward(self, words: Tensor, affixes: Tensor, topology: Topology, gold: Tensor, trees: Any) -> Tensor:
        scores = self.parser(words, affixes, topology)
        loss: Tensor = self.objective(scores, gold)
        if self.training:
            return torch.cat([loss[:, None], loss.new_zeros(len(loss), 3)], 1)
        spans, labels = decode(scores, by_marginals=self.by_marginals, of_words=self.of_words)
        rows = []
        for tree, pairs, names in zip(trees.trees, spans.tolist(), labels.tolist(), strict=True):
            nodes = [(i, j, self.labels[k]) for (i, j), k in zip(pairs, names, strict=True) if i >= 0]
            rows.append(matched(tree.brackets(), tree.brackets(nodes)))
        return torch.cat([loss[:, None], torch.tensor(rows, dtype=loss.dtype, device=loss.device).view(-1, 3)], 1)



class _Trees:
    """Some gold trees, an argument of a model."""

    def __init__(self, trees: list[GoldTree]) -> None:
        self.trees = trees


def _split(trees: list[GoldTree], features: WordFeatures, labels: Vocabulary | None) -> Split:
    encoded = [features.encode(tree.tokens) for tree in trees]
    targets = [tree.target(labels) for tree in trees]

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        words, affixes = (torch.cat(parts) for parts in zip(*(encoded[i] for i in chosen), strict=True))
        topology = Topology.chain([len(trees[i].tokens) for i in chosen])
        sentence = torch.arange(len(chosen)).repeat_interleave(torch.tensor([len(targets[i]) for i in chosen]))
        gold = torch.cat([sentence[:, None], torch.cat([targets[i] for i in chosen])], 1)
        return Batch((words, affixes, topology, gold, _Trees([trees[i] for i in chosen])), torch.zeros(len(chosen)))

    return Split(len(trees), collate)


RECIPES: dict[str, Recipe] = {"sst-parser": SentimentParser(), "treebank-parser": TreebankParser()}
