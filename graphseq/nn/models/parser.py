"""A span-based chart parser: scores of spans and their labels from a bidirectional LSTM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import expected
from ...topology import Topology
from ...topology.inputs import check_range, same_length
from ..recurrent import LSTM
from .sequence import forget

__all__ = ["SpanParser", "SpanScores"]


@dataclass(frozen=True)
class SpanScores:
    """Scores of the S spans of B sentences.

    Args:
        spans: int64 `[S, 3]`: sentence, first word, the one past the last.
        scores: of each span's labels, `[S, L]`; without labels `[S, 1]`. Column 0 of several is the null label's, of a
            span that only binarises a node with more than two children.
        lengths: int64 `[B]`, the number of words of each sentence.
    """

    spans: Tensor
    scores: Tensor
    lengths: Tensor

    @property
    def place(self) -> Tensor:
        """Return each span's place in flattened charts `[B · T · T]`, T the largest length + 1; int64 `[S]`."""
        size = self.size
        return (self.spans[:, 0] * size + self.spans[:, 1]) * size + self.spans[:, 2]

    @property
    def size(self) -> int:
        """Return T, one more than the largest number of words."""
        return int(self.lengths.max()) + 1 if len(self.lengths) else 1

    def chart(self, values: Tensor, missing: float = 0.0) -> Tensor:
        """Return charts `[B, T, T]` of one value for each span, `[S]`."""
        flat = values.new_full((len(self.lengths) * self.size**2,), missing)
        return flat.index_put((self.place,), values).view(-1, self.size, self.size)


class SpanParser(nn.Module):
    """Scores of every span and label: ``s(i, j) = l_iᵀ W r_j``, and ``s(i, j, l) = s(i, j) + u_lᵀ relu(p_i + q_j)``.

    l, r, p and q are linear maps of fenceposts, the places between words, where the states of a bidirectional LSTM from
    the left and from the right meet. The null label scores 0.

    Stern, Andreas & Klein (2017), A minimal span-based neural constituency parser; Gaddy, Stern & Klein (2018), What's
    going on in neural constituency parsers?; biaffine scores: Dozat & Manning (2017).

    Args:
        num_words: size of the vocabulary; word 0 stands for all unknown ones.
        num_affixes: size of the vocabulary of a word's prefixes, suffixes and other features; 0 stands for none.
        num_labels: L, with the null label, which is label 0; or 1 for trees without labels.
        embedding_size: of words.
        affix_size: of the sum of a word's affixes.
        hidden_size: of the LSTM, in each direction.
        num_layers: of the LSTM.
        span_size: width of l and r, and of p and q.
        dropout: of inputs, between layers, and of fenceposts and their maps.
        unknown: share of the words that are made unknown in training.

    >>> parser = SpanParser(10, 10, embedding_size=4, affix_size=4, hidden_size=4, span_size=4)
    >>> found = parser(torch.tensor([1, 2, 3]), torch.zeros(3, 2, dtype=torch.int64), Topology.chain([2, 1]))
    >>> found.spans.tolist(), found.scores.shape
    ([[0, 0, 1], [0, 0, 2], [0, 1, 2], [1, 0, 1]], torch.Size([4, 1]))
    """

    def __init__(
        self, num_words: int, num_affixes: int, num_labels: int = 1, *, embedding_size: int = 100, affix_size: int = 100,
        hidden_size: int = 200, num_layers: int = 2, span_size: int = 150, dropout: float = 0.4, unknown: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_labels < 1:
            raise expected("num_labels", "1, or the number of labels with the null label", num_labels)
        self.words, self.affixes = nn.Embedding(num_words, embedding_size), nn.Embedding(num_affixes, affix_size, 0)
        nn.init.normal_(self.words.weight, std=0.1)
        nn.init.normal_(self.affixes.weight, std=0.1)
        with torch.no_grad():
            self.affixes.weight[0] = 0
        between = dropout if num_layers > 1 else 0.0
        width = embedding_size + affix_size
        self.encoder = LSTM(width, hidden_size, num_layers, bidirectional=True, dropout=between)
        self.ends = nn.Parameter(torch.zeros(2, hidden_size))  # states from the left before a sentence, and vice versa
        self.left, self.right = nn.Linear(2 * hidden_size, span_size), nn.Linear(2 * hidden_size, span_size)
        self.pair = nn.Parameter(torch.zeros(span_size + 1, span_size + 1))
        nn.init.normal_(self.pair, std=span_size**-0.75)
        self.num_labels, self.dropout, self.unknown = num_labels, nn.Dropout(dropout), unknown
        if num_labels > 1:
            self.label_left, self.label_right = (nn.Linear(2 * hidden_size, span_size) for _ in range(2))
            self.label = nn.Linear(span_size, num_labels - 1)

    def forward(self, words: Tensor, affixes: Tensor, topology: Topology) -> SpanScores:
        """Return the scores of all spans of at least one word.

        Args:
            words: int64 `[N]`.
            affixes: int64 `[N, K]`, each word's features.
            topology: chains of N nodes, one for each sentence.

        Raises:
            GraphError: a number of rows that differs from N, a word or an affix out of range.
        """
        same_length("words", words, topology.num_nodes, "node")
        same_length("affixes", affixes, topology.num_nodes, "node")
        check_range("words", words, self.words.num_embeddings)
        check_range("affixes", affixes, self.affixes.num_embeddings)
        if self.training and self.unknown:
            words = forget(words, self.unknown)
        x = torch.cat([self.words(words), self.affixes(affixes).sum(1)], 1)
        h, _ = self.encoder(self.dropout(x), topology=topology)
        ptr = topology.graph_ptr
        lengths = ptr.diff()
        posts = self.dropout(self._fenceposts(h, ptr))
        spans = all_spans(lengths)
        first = (ptr[:-1] + torch.arange(len(lengths), device=ptr.device)).index_select(0, spans[:, 0])
        i, j = first + spans[:, 1], first + spans[:, 2]
        return SpanScores(spans, self._scores(posts, i, j, spans, lengths), lengths)

    def _fenceposts(self, h: Tensor, ptr: Tensor) -> Tensor:
        """Return the states at each sentence's n + 1 fenceposts `[N + B, 2H]`: from the left up to it, and from the
        right down to it.
        """
        count, size = ptr.size(0) - 1, h.size(1) // 2
        posts = torch.arange(h.size(0) + count, device=h.device)
        sentence = torch.repeat_interleave(torch.arange(count, device=h.device), ptr.diff() + 1)
        word = posts - sentence  # to the right of the fencepost
        at_start, at_end = word == ptr[sentence], word == ptr[sentence + 1]
        last = h.size(0)
        forward = torch.cat([h[:, :size], self.ends[:1]]).index_select(0, torch.where(at_start, last, word - 1))
        backward = torch.cat([h[:, size:], self.ends[1:]]).index_select(0, torch.where(at_end, last, word))
        return torch.cat([forward, backward], 1)

    def _scores(self, posts: Tensor, i: Tensor, j: Tensor, spans: Tensor, lengths: Tensor) -> Tensor:
        size = int(lengths.max()) + 1 if len(lengths) else 1
        inside = torch.arange(size, device=posts.device) <= lengths[:, None]
        rows = (inside.flatten().cumsum(0) - 1).clamp(min=0)  # of each sentence's fenceposts, padded
        one = posts.new_ones(posts.size(0), 1)
        left = torch.cat([self.dropout(self.left(posts).relu()), one], 1) @ self.pair
        right = torch.cat([self.dropout(self.right(posts).relu()), one], 1)
        left, right = (t.index_select(0, rows).view(len(lengths), size, t.size(1)) for t in (left, right))
        place = (spans[:, 0] * size + spans[:, 1]) * size + spans[:, 2]
        pair = torch.bmm(left, right.transpose(1, 2)).flatten().index_select(0, place)[:, None]
        if self.num_labels == 1:
            return pair
        p, q = self.label_left(posts), self.label_right(posts)
        h = self.dropout((p.index_select(0, i) + q.index_select(0, j)).relu())
        return torch.cat([pair.new_zeros(pair.shape), pair + self.label(h)], 1)


def all_spans(lengths: Tensor) -> Tensor:
    """Return all spans of at least one word: sentence, first word and the one past the last, int64 `[S, 3]`.

    >>> all_spans(torch.tensor([2, 0])).tolist()
    [[0, 0, 1], [0, 0, 2], [0, 1, 2]]
    """
    size = int(lengths.max()) + 1 if len(lengths) else 1
    place = torch.arange(size, device=lengths.device)
    return ((place[:, None] < place) & (place <= lengths[:, None, None])).nonzero()
