"""What the recipes on the Stanford Sentiment Treebank share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..datasets import SENTIMENTS, SST
from ..errors import MissingData, expected
from ..train import option
from .base import Facts, Recipe, Source

__all__ = ["SentimentRecipe", "forget", "words_of"]


@dataclass(frozen=True, kw_only=True)
class SentimentRecipe(Recipe):
    """The Stanford Sentiment Treebank, with words' vectors that are learnt, and decay more than the rest.

    Some words are made unknown in training, so that the unknown word's vector is learnt too.
    """

    reports: ClassVar[str] = "val"

    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.1
    schedule: Literal["constant", "cosine", "linear", "step", "onecycle"] = "cosine"
    average: float = 0.99
    select: Literal["loss", "metric"] = "metric"
    labels_of: Literal["fine", "binary"] = option("fine", "fine: five classes; binary: positive or negative")
    check: bool = option(True, "whether the files must be the published ones")
    limit: int = option(0, "examples of each split that are used, for a quick try; 0 for all", low=0)
    embedding: int = option(300, "size of the words' vectors", low=1)
    embedding_decay: float = option(1.0, "weight decay of the words' vectors", low=0)
    hidden: int = option(150, "hidden units", low=1)
    dropout: float = option(0.5, "of words' vectors and of states", low=0, high=1)
    unknown: float = option(0.1, "share of words that are made unknown in training", low=0, high=1)

    def data(self, source: Source, seed: int) -> list[SST | None]:
        """Read training, development and test split; the last may be missing."""
        train = SST("train", source.root, task=self.labels_of, lower=True, check=self.check, offline=source.offline)
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

    def facts(self, data: Any) -> Facts:
        """Return the classes and the words."""
        classes = list(SENTIMENTS) if self.labels_of == "fine" else ["negative", "positive"]
        return {"classes": classes, "words": list(data[0].vocabulary.words)}

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return all but the words' vectors, and these with a weight decay of their own."""
        words = model.embedding.weight
        rest = [parameter for parameter in model.parameters() if parameter is not words]
        return [{"params": rest}, {"params": [words], "weight_decay": self.embedding_decay}]


def forget(word: Tensor, share: float) -> Tensor:
    """Make a share of the words unknown, so that the unknown word's vector is learnt; -1, no word, stays."""
    forgotten = (word > 0) & (torch.rand(word.shape, device=word.device) < share)
    return word.masked_fill(forgotten, 0)


def words_of(sentence: str) -> list[str]:
    """Return the words and marks of a sentence.

    >>> words_of("It's (not) bad.")
    ["It's", '-LRB-', 'not', '-RRB-', 'bad', '.']
    """
    words = re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", sentence)
    if not words:
        raise expected("input", "a sentence", sentence)
    return [{"(": "-LRB-", ")": "-RRB-"}.get(word, word) for word in words]
