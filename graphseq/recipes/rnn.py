"""Recurrent networks over sequences: pixels of digits, words of sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import Vocabulary
from ..datasets import SST, Phrases, digits
from ..errors import Words, expected
from ..nn import SequenceClassifier, TextClassifier
from ..topology import Topology
from ..train import Batch, LRSchedule, Split, chain_split
from .base import Metadata, Prediction, Recipe, Source, Splits
from .sentiment import SentimentRecipe, words_of

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "DigitsGRU", "SentimentLSTM"]

_PIXELS = 64


class DigitsGRU(Recipe):
    """Handwritten digits, one pixel after the other, read by a gated recurrent network."""

    summary = "handwritten digits, pixel by pixel; built in"
    network = "GRU"
    input = "64 numbers, 8 rows of 8 pixels, from 0 (white) to 16 (ink)"
    example = (
        "0 0 5 13 9 1 0 0 0 0 13 15 10 15 5 0 0 3 15 2 0 11 8 0 0 4 12 0 0 8 8 0 "
        "0 5 8 0 0 9 8 0 0 4 11 0 1 12 7 0 0 2 14 5 10 12 0 0 0 0 6 13 10 0 0 0"
    )

    epochs: int = 100
    batch_size: int = 32
    schedule: LRSchedule = "onecycle"
    clip_norm: float = 1.0
    layer: Literal["rnn", "gru", "lstm"] = Field(default="gru", description="recurrent layer")
    hidden: int = Field(default=64, ge=1, description="hidden units")
    layers: int = Field(default=1, ge=1, description="number of stacked layers")
    bidirectional: bool = Field(default=False, description="read backwards, too")
    dropout: float = Field(default=0.0, ge=0, le=1, description="dropout between layers and before the classifier")

    def load_data(self, source: Source, seed: int) -> Data:
        """Return the digits; the seed assigns them to the splits."""
        return digits(seed=seed)

    def metadata(self, data: Data) -> Metadata:
        """Return the classes."""
        return {"classes": [str(digit) for digit in range(10)]}

    def model(self, metadata: Metadata) -> SequenceClassifier:
        """Make the network."""
        return SequenceClassifier(
            1, self.hidden, len(metadata["classes"]), layer=self.layer, num_layers=self.layers,
            bidirectional=self.bidirectional, dropout=self.dropout,
        )  # fmt: skip

    def splits(self, data: Data, metadata: Metadata, seed: int) -> Splits:
        """Return the splits that the masks select."""
        masks = (data[f"{part}_mask"].nonzero()[:, 0] for part in ("train", "val", "test"))
        return Splits(*(self.subset(data, metadata, chosen) for chosen in masks))

    def labels(self, data: Data) -> Tensor:
        """Return the digits' classes."""
        return torch.as_tensor(data.y)

    def subset(self, data: Data, metadata: Metadata, indices: Tensor) -> Split:
        """Return some of the digits."""
        return Split(len(indices), lambda i: Batch((data.x[indices[i]],), data.y[indices[i]]))

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read 64 numbers, in JSON or separated by spaces or commas."""
        try:
            flat = [float(word) for word in re.split(r"[\s,\[\]]+", text) if word]
        except ValueError as error:
            raise expected("input", "64 numbers from 0 to 16", Words(f"what is none: {error}"[:160])) from None
        if len(flat) != _PIXELS or not all(0 <= number <= 16 for number in flat):
            got = Words(f"{len(flat)} of them" if len(flat) != _PIXELS else f"{min(flat)} to {max(flat)}")
            raise expected("input", "64 numbers from 0 to 16", got)
        x = torch.tensor(flat).div(16).reshape(1, _PIXELS, 1)
        return Prediction(Batch((x,), torch.zeros(1, dtype=torch.int64)), ["digit"])


class SentimentLSTM(SentimentRecipe):
    """A bidirectional LSTM over the words of sentences and phrases: the baseline of the Tree-LSTM, without trees."""

    summary = "sentiment of a sentence, from its words in order"
    network = "bidirectional LSTM"
    input = "a sentence"
    example = "It is not bad at all ."

    epochs: int = 4
    batch_size: int = 64
    phrases: bool = Field(default=True, description="train on phrases, too, not only on whole sentences")

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network."""
        sizes = (len(metadata["words"]) + 1, self.embedding, self.hidden, len(metadata["classes"]))
        return TextClassifier(*sizes, dropout=self.dropout, unknown=self.unknown)

    def splits(self, data: Any, metadata: Metadata, seed: int) -> Splits:
        """Return the published splits: phrases or sentences to train and to evaluate on."""
        train, dev, test = data
        some = self.limit or None
        evaluated = (None if part is None else self._evaluated(part) for part in (dev, test))
        trained = _sequences(train.phrases() if self.phrases else _whole(train), some)
        return Splits(trained, *evaluated)

    def _evaluated(self, part: SST) -> Split:
        """Return whole sentences, or all phrases of the same ones."""
        if self.evaluated == "sentences":
            return _sequences(_whole(part), self.limit or None)
        count = sum(int((tree.y >= 0).sum()) for tree in part.trees[: self.limit or None])
        return _sequences(part.phrases(unique=False), count)

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read a sentence."""
        words = words_of(text)
        vocabulary = Vocabulary(tuple(metadata["words"]), lower=True)
        inputs = (torch.tensor(vocabulary.encode(words)), Topology.chain([len(words)]))
        return Prediction(Batch(inputs, torch.zeros(1, dtype=torch.int64)), [" ".join(words)])


def _whole(split: SST) -> Phrases:
    """Return the sentences of a split."""
    words = [tree.word[tree.word >= 0] for tree in split.trees]
    lengths = torch.tensor([len(word) for word in words])
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return Phrases(torch.cat(words), offsets, torch.stack([tree.y[0] for tree in split.trees]))


def _sequences(phrases: Phrases, limit: int | None) -> Split:
    return chain_split(phrases.word, phrases.offsets.diff()[:limit], phrases.y[:limit])


RECIPES: dict[str, Recipe] = {"digits-gru": DigitsGRU(), "sst-lstm": SentimentLSTM()}
