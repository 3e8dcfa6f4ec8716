"""Your own recipe: the depth of nested brackets, read one after the other by a recurrent network.

Everything that the command line does for the built-in recipes works for yours: options, seeds, checkpoints,
several processes, cross-validation, prediction. In a checkout, without any data::

    graphseq train examples.my_recipe:Brackets --hidden 32 --out runs/brackets
    graphseq predict runs/brackets "(()(()))" --recipe examples.my_recipe:Brackets

``python examples/my_recipe.py`` does the same from Python.
"""

from __future__ import annotations

import random
import tempfile

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from graphseq import GraphError, nn
from graphseq.recipes import Metadata, Prediction, Recipe, Source, Splits, open_run, train
from graphseq.train import Batch, Split


class Brackets(Recipe):
    """Strings of brackets, one-hot, and a gated recurrent network."""

    summary = "how deeply brackets are nested"
    network = "GRU"
    input = "brackets, such as (()(()))"
    example = "(()(()))"

    # Options: those of training with other defaults, and the recipe's own.
    epochs: int = 10
    batch_size: int = 50
    clip_norm: float = 1.0
    hidden: int = Field(default=24, ge=1, description="hidden units")
    pairs: int = Field(default=12, ge=1, description="pairs of brackets in a string, at most")
    count: int = Field(default=2000, ge=50, description="strings")

    def load_data(self, source: Source, seed: int) -> list[str]:
        """Draw the strings."""
        draw = random.Random(seed)
        return [draw_brackets(draw.randint(1, self.pairs), draw) for _ in range(self.count)]

    def metadata(self, data: list[str]) -> Metadata:
        """Return what is stored with a run: here only the classes."""
        return {"classes": [f"depth {d}" for d in range(self.pairs + 1)]}

    def model(self, metadata: Metadata) -> nn.SequenceClassifier:
        """Make the network."""
        return nn.SequenceClassifier(2, self.hidden, len(metadata["classes"]))

    def splits(self, data: list[str], metadata: Metadata, seed: int) -> Splits:
        """Return 80 %, 10 % and 10 %."""
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
        cuts = [len(data) * 8 // 10, len(data) * 9 // 10]
        return Splits(*(self.subset(data, metadata, part) for part in order.tensor_split(cuts)))

    def subset(self, data: list[str], metadata: Metadata, indices: Tensor) -> Split:
        """Return some of the strings."""
        chosen = [data[i] for i in indices.tolist()]
        y = torch.tensor([depth(text) for text in chosen])
        return Split(len(chosen), lambda i: Batch((encode([chosen[j] for j in i.tolist()]),), y[i]))

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read an input to predict for."""
        text = text.strip()
        if not text or set(text) - set("()"):
            raise GraphError(f"`input`: expected brackets, got {text[:40]!r}")
        return Prediction(Batch((encode([text]),), torch.zeros(1, dtype=torch.int64)), [text])


def draw_brackets(pairs: int, draw: random.Random) -> str:
    """Draw a balanced string."""
    text, opened = "", 0
    while len(text) < 2 * pairs:
        left = 2 * pairs - len(text)
        opens = opened == 0 or (opened < left and draw.random() < 0.5)
        text, opened = text + (")", "(")[opens], opened + (1 if opens else -1)
    return text


def depth(text: str) -> int:
    """Return the depth of nested brackets."""
    return max(text[:i].count("(") - text[:i].count(")") for i in range(len(text) + 1))


def encode(texts: list[str]) -> PackedSequence:
    """Join strings of different lengths into a batch."""
    rows = torch.eye(2)
    return pack_sequence([rows[[int(c == "(") for c in text]] for text in texts], enforce_sorted=False)


def main(epochs: int = 10) -> str:
    """Train, and predict for one string."""
    name = "examples.my_recipe:Brackets"
    with tempfile.TemporaryDirectory() as folder:
        summary = train(name, folder, epochs=epochs)
        found = open_run(folder, recipe=name).predict("((()))()")[0]
    print(f"Brackets: test accuracy {summary['mean']:.1f} %; ((()))() is classified as {found['class']}")
    return str(found["class"])


if __name__ == "__main__":
    main()
