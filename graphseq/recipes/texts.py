"""Your own texts and sequences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import Vocabulary, tokenize
from ..datasets.own import SEQUENCES, TEXTS, Examples, read_sequences, read_texts, sequence_of
from ..errors import Words, expected
from ..nn import SequenceClassifier, TextClassifier
from ..nn.models import sequence_layers
from ..train import LRSchedule, Optimizer, Split, chain_split
from .base import Metadata, Recipe
from .own import OwnRecipe, one_of

__all__ = ["RECIPES", "SequenceRecipe", "TextRecipe"]

Layer = Annotated[str, *one_of("layer", sequence_layers())]


class _Recurrent(OwnRecipe):
    """A recurrent network that reads from left to right, and optionally backwards."""

    batch_size: int = 32
    clip_norm: float = 1.0
    layer: Layer = Field(default="lstm", description="the recurrent layer or cell")
    hidden: int = Field(default=100, ge=1, description="hidden units")
    layers: int = Field(default=1, ge=1, description="recurrent layers, one above the other")
    bidirectional: bool = Field(default=True, description="whether to read backwards as well")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability of inputs, layers and classifier")

    def _options(self) -> dict[str, Any]:
        return {
            "layer": self.layer, "num_layers": self.layers, "bidirectional": self.bidirectional,
            "dropout": self.dropout,
        }  # fmt: skip


class TextRecipe(_Recurrent):
    """Texts from a table (.csv, .tsv) or JSON lines, with a column of texts and one of labels.

    Words are lower-cased; those that are not in the training part share one unknown word.
    """

    summary = "classes of texts, or numbers; your own table"
    network = "recurrent"
    input = "a text, or a .csv, .tsv or .jsonl file with texts"
    columns = "text_column"

    epochs: int = 15
    optimizer: Optimizer = "adamw"
    lr: float = 3e-3
    weight_decay: float = 0.01
    schedule: LRSchedule = "cosine"
    text_column: str = Field(default="", description=f"column or key of the texts; by default {', '.join(TEXTS)}")
    embedding: int = Field(default=100, ge=1, description="size of the word vectors")
    unknown: float = Field(default=0.1, ge=0, le=1, description="share of words made unknown in training")
    min_count: int = Field(default=1, ge=1, description="words that are less frequent in the training part are unknown")
    max_words: int = Field(default=400, ge=1, description="maximum number of words of a text; the rest is ignored")

    def examples(self, path: Path, argument: str, labelled: bool, metadata: Metadata | None) -> Examples:
        """Read a file of texts."""
        return read_texts(path, self._columns(labelled), argument)

    def from_text(self, text: str, metadata: Metadata) -> Examples:
        """Take the text as it is."""
        text = text.strip()
        return Examples([text], [None], [None], ["input"], [text])

    def learn(self, train: Examples) -> Metadata:
        """Return the words."""
        words = (word for text in train.items for word in self._words(text))
        return {"words": list(Vocabulary.build(words, min_count=self.min_count, lower=True).words)}

    def note(self, examples: Examples, metadata: Metadata) -> str:
        """Say how many texts have no known word."""
        known = set(metadata["words"])
        lost = sum(not known & {word.lower() for word in self._words(text)} for text in examples.items)
        count = "the text" if len(examples) == 1 else f"{lost:,} of {len(examples):,} texts"
        return f"{count} without a word of the training part: the prediction says nothing about it" if lost else ""

    def network_of(self, metadata: Metadata, outputs: int) -> nn.Module:
        """Make the network."""
        sizes = (len(metadata["words"]) + 1, self.embedding, self.hidden, outputs)
        return TextClassifier(*sizes, unknown=self.unknown, **self._options())

    def split(self, examples: Examples, metadata: Metadata, y: Tensor, weight: Tensor | None, use: str) -> Split:
        """Return the words of some texts; an empty text is one unknown word."""
        vocabulary = Vocabulary(tuple(metadata["words"]), lower=True)
        words = [vocabulary.encode(self._words(text)) or [0] for text in examples.items]
        lengths = torch.tensor([len(each) for each in words])
        return chain_split(torch.tensor([i for each in words for i in each]), lengths, y, weight=weight)

    def _words(self, text: str) -> list[str]:
        return tokenize(text)[: self.max_words]


class SequenceRecipe(_Recurrent):
    """Sequences from JSON lines: a list of numbers, or of equally long lists of numbers, and a label.

    Numbers are standardised by the training part.
    """

    summary = "classes of sequences of numbers, or numbers; your own JSON lines"
    network = "recurrent"
    input = "a list of numbers, or of lists of numbers, or a .jsonl file of them"
    columns = "sequence_column"

    epochs: int = 50
    lr: float = 5e-3
    schedule: LRSchedule = "onecycle"
    dropout: float = 0.2
    layer: Layer = "gru"
    sequence_column: str = Field(default="", description=f"key of the sequences; by default {', '.join(SEQUENCES)}")

    def examples(self, path: Path, argument: str, labelled: bool, metadata: Metadata | None) -> Examples:
        """Read a file of sequences."""
        found = read_sequences(path, self._columns(labelled), argument)
        if metadata is not None:
            _same_width(found.items[0], len(metadata["mean"]), found.places[0])
        return found

    def from_text(self, text: str, metadata: Metadata) -> Examples:
        """Read a sequence as JSON, or numbers separated by spaces or commas."""
        try:
            value: Any = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if isinstance(value, dict):
            value = value.get(self.sequence_column or "x", text)
        value = [value] if isinstance(value, int | float) else value
        sequence = sequence_of(value, "input", "input")
        _same_width(sequence, len(metadata["mean"]), "input")
        return Examples([sequence], [None], [None], ["input"], ["sequence"])

    def learn(self, train: Examples) -> Metadata:
        """Return means and standard deviations."""
        every = torch.cat(train.items)
        std = every.std(0, correction=0)
        return {"mean": every.mean(0).tolist(), "std": torch.where(std > 0, std, 1.0).tolist()}

    def network_of(self, metadata: Metadata, outputs: int) -> nn.Module:
        """Make the network."""
        return SequenceClassifier(len(metadata["mean"]), self.hidden, outputs, **self._options())

    def split(self, examples: Examples, metadata: Metadata, y: Tensor, weight: Tensor | None, use: str) -> Split:
        """Return some sequences, standardised."""
        mean, std = (torch.tensor(metadata[name], dtype=torch.float64) for name in ("mean", "std"))
        lengths = torch.tensor([len(sequence) for sequence in examples.items])
        return chain_split(((torch.cat(examples.items) - mean) / std).float(), lengths, y, weight=weight)


def _same_width(sequence: Tensor, wide: int, place: str) -> None:
    if sequence.size(1) != wide:
        what = f"vectors of {wide} numbers, as in training"
        raise expected("input", what, Words(f"{sequence.size(1)} in {place}"))


RECIPES: dict[str, Recipe] = {"text": TextRecipe(), "sequence": SequenceRecipe()}
