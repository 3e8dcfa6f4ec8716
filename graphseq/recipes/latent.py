"""The sentiment of a sentence on a tree that the network builds itself."""

from __future__ import annotations

from torch import Tensor, nn

from ..nn import LatentTreeLSTM
from ..nn.models.sequence import forget
from ..topology import Topology
from .base import Metadata, Recipe
from .rnn import SentimentLSTM

__all__ = ["RECIPES", "SentimentLatent"]


class SentimentLatent(SentimentLSTM):
    """Gumbel Tree-LSTM: the best pair of neighbours is composed, again and again, Choi, Yoo & Lee (2018)."""

    summary = "sentiment of a sentence, on a tree that is learnt"
    network = "Gumbel Tree-LSTM"

    epochs: int = 6
    hidden: int = 100
    phrases: bool = False

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network."""
        sizes = (len(metadata["words"]) + 1, self.embedding, self.hidden, len(metadata["classes"]))
        return _Latent(*sizes, dropout=self.dropout, unknown=self.unknown)


class _Latent(nn.Module):
    """Scores of classes from the root of a latent tree over word vectors."""

    def __init__(
        self, num_words: int, embedding_size: int, hidden_size: int, num_classes: int, *, dropout: float, unknown: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_words, embedding_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.tree = LatentTreeLSTM(embedding_size, hidden_size)
        self.dropout, self.unknown = nn.Dropout(dropout), unknown
        self.classifier = nn.Linear(hidden_size, num_classes)

    def forward(self, words: Tensor, topology: Topology) -> Tensor:
        if self.training and self.unknown:
            words = forget(words, self.unknown)
        h, _, _ = self.tree(self.dropout(self.embedding(words)), topology)
        scores: Tensor = self.classifier(self.dropout(h))
        return scores


RECIPES: dict[str, Recipe] = {"sst-latent": SentimentLatent()}
