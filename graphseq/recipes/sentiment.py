"""Shared base class of the recipes on the Stanford Sentiment Treebank."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import torch
from pydantic import Field

from ..convert import treebank_words
from ..datasets import SENTIMENTS, SST, word_vectors
from ..errors import MissingData, Words, expected
from ..train import LRSchedule, Optimizer, Task
from .base import Metadata, Recipe, Source

__all__ = ["SentimentRecipe", "held_out", "words_of"]

T = TypeVar("T")


class SentimentRecipe(Recipe):
    """The Stanford Sentiment Treebank, with learnt word vectors, which have a weight decay of their own.

    Some words are replaced by the unknown word in training, so that its vector is learnt.
    """

    reports = "val"
    evaluation = ("evaluated",)

    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: LRSchedule = "cosine"
    average: float = 0.99
    select: Literal["loss", "metric"] = "metric"
    labels_of: Literal["fine", "binary"] = Field(
        default="fine", description="five classes (fine), or positive and negative (binary)"
    )
    check: bool = Field(default=True, description="require the published files, by their checksums")
    limit: int = Field(default=0, ge=0, description="only the first examples of each split, for a quick try; 0 for all")
    min_count: int = Field(default=1, ge=1, description="words that are less frequent in training are unknown")
    embedding: int = Field(default=300, ge=1, description="size of the word vectors")
    embedding_decay: float = Field(default=1.0, ge=0, description="weight decay of the word vectors")
    hidden: int = Field(default=150, ge=1, description="hidden units")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability of word vectors and states")
    unknown: float = Field(default=0.1, ge=0, le=1, description="share of words made unknown in training")
    evaluated: Literal["sentences", "phrases"] = Field(
        default="sentences", description="evaluate on whole sentences, or on all phrases"
    )
    vectors: str = Field(
        default="",
        description="a text file of word vectors, as GloVe's or word2vec's, to begin with; with them, try "
        "embedding_decay=0",
    )

    def load_data(self, source: Source, seed: int) -> list[SST | None]:
        """Read training, development and test split; the last may be missing."""
        train = SST(
            "train", source.root, task=self.labels_of, min_count=self.min_count, lower=True, check=self.check,
            offline=source.offline,
        )  # fmt: skip
        found: list[SST | None] = [train]
        for split in ("dev", "test"):
            try:
                part = SST(
                    split, source.root, task=self.labels_of, vocabulary=train.vocabulary, check=self.check,
                    offline=source.offline,
                )  # fmt: skip
            except MissingData:
                if split == "dev":
                    raise
                found.append(None)
            else:
                found.append(part)
        return found

    def metadata(self, data: Any) -> Metadata:
        """Return the classes and the words."""
        classes = list(SENTIMENTS) if self.labels_of == "fine" else ["negative", "positive"]
        return {"classes": classes, "words": list(data[0].vocabulary.words)}

    def task(self, source: Source, seed: int) -> tuple[Task, Metadata]:
        """Make everything that training needs; known words begin with their vectors from the file, if there is one."""
        task, metadata = super().task(source, seed)
        if self.vectors:
            vectors, found = word_vectors(self.vectors, metadata["words"], self.embedding)
            known = found.nonzero()[:, 0]
            if not len(known):
                raise expected("vectors", "vectors of some of the words", Words(f"{self.vectors}, which has none"))
            embedding: Any = task.model.embedding
            with torch.no_grad():
                embedding.weight[known + 1] = vectors[known]
        return task, metadata

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return all but the word vectors, and these with a weight decay of their own."""
        words = model.embedding.weight
        rest = [parameter for parameter in model.parameters() if parameter is not words]
        return [{"params": rest}, {"params": [words], "weight_decay": self.embedding_decay}]


def held_out(trees: Sequence[T], share: float) -> tuple[list[T], list[T]]:
    """Return training trees and a share of them that is held out to tune options on, the same for every seed."""
    shuffled = list(trees)
    random.Random(17).shuffle(shuffled)
    count = max(1, round(share * len(shuffled)))
    return shuffled[count:], shuffled[:count]


def words_of(sentence: str) -> list[str]:
    """Return the words and marks of a sentence, by the treebank's conventions.

    >>> words_of("It's (not) bad.")
    ['It', "'s", '-LRB-', 'not', '-RRB-', 'bad', '.']
    """
    words = treebank_words(sentence)
    if not words:
        raise expected("input", "a sentence", sentence)
    return words
