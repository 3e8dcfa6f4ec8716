"""What the recipes on the Stanford Sentiment Treebank share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..datasets import SST
from ..errors import MissingData, expected
from .base import Source

__all__ = ["decaying", "forget", "read_sst", "words_of"]


def read_sst(source: Source, task: str, check: bool) -> list[SST | None]:
    """Read training, development and test split; the last may be missing."""
    train = SST("train", source.root, task=task, lower=True, check=check, offline=source.offline)
    found: list[SST | None] = [train]
    for split in ("dev", "test"):
        try:
            part = SST(
                split, source.root, task=task, vocabulary=train.vocabulary, check=check, offline=source.offline
            )
        except MissingData:
            if split == "dev":
                raise
            found.append(None)
        else:
            found.append(part)
    return found


def forget(word: Tensor, share: float) -> Tensor:
    """Make a share of the words unknown, so that the unknown word's vector is learnt; -1, no word, stays."""
    forgotten = (word > 0) & (torch.rand(word.shape, device=word.device) < share)
    return word.masked_fill(forgotten, 0)


def decaying(model: Any, decay: float) -> Sequence[Mapping[str, Any]]:
    """Return two parameter groups: all but the words' vectors, and these with a weight decay of their own."""
    words = model.embedding.weight
    rest = [parameter for parameter in model.parameters() if parameter is not words]
    return [{"params": rest}, {"params": [words], "weight_decay": decay}]


def words_of(sentence: str) -> list[str]:
    """Return the words and marks of a sentence.

    >>> words_of("It's (not) bad.")
    ["It's", '-LRB-', 'not', '-RRB-', 'bad', '.']
    """
    words = re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", sentence)
    if not words:
        raise expected("input", "a sentence", sentence)
    return [{"(": "-LRB-", ")": "-RRB-"}.get(word, word) for word in words]
