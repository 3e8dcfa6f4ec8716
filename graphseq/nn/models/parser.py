"""A span-based chart parser: scores of spans and their labels from bidirectional LSTMs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import expected
from ...topology import Topology
from ...topology.inputs import check_range, same_length
from ..deep.stack import check_dropout
from ..recurrent import LSTM
from .sequence import forget

__all__ = ["SpanParser", "SpanScores", "all_spans"]


@dataclass(frozen=True)
class SpanScores:
    """Scores of the S spans of B sentences, by each of K members of an ensemble.

    Args:
        spans: int64 `[S, 3]`: sentence, first word, the one past the last.
        scores: of each span's labels, `[K, S, L]`. Label 0 of several is the null label, of a span that only binarises
            a node with more than two children; one label stands for trees without labels.
        lengths: int64 `[B]`, the number of words of each sentence.
    """

    spans: Tensor
    scores: Tensor
    lengths: Tensor

    @property
    def size(self) -> int:
        """Return T, one more than the largest number of words."""
        return int(self.lengths.max()) + 1 if len(self.lengths) else 1

    @property
    def place(self) -> Tensor:
        """Return each span's place in flattened charts `[B · T · T]`, int64 `[S]`."""
        return place_of(self.spans, self.size)

    @property
    def whole(self) -> Tensor:
        """Return whether each span is a whole sentence, bool `[S]`."""
        return (self.spans[:, 1] == 0) & (self.spans[:, 2] == self.lengths.index_select(0, self.spans[:, 0]))

    def chart(self, values: Tensor) -> Tensor:
        """Return charts `[B, T, T]` of one value for each span, `[S]`; or `[K, B, T, T]` of `[K, S]`."""
        rows = values.view(-1, len(self.spans))
        flat = rows.new_zeros(len(rows), len(self.lengths) * self.size**2).index_copy(1, self.place, rows)
        return flat.view(*values.shape[:-1], len(self.lengths), self.size, self.size)


class SpanParser(nn.Module):
    """Scores of every span and label: ``s(i, j, l) = l_iᵀ W r_j + u_lᵀ relu(p_i + q_j)``.

    l, r, p and q are maps of fenceposts, the places between words, where the states of a bidirectional LSTM from the
    left and from the right meet; l and r are rectified and have an entry 1. The null label scores 0. Several members,
    which share the embeddings, are an ensemble.

    Stern, Andreas & Klein (2017), A minimal span-based neural constituency parser; Gaddy, Stern & Klein (2018), What's
    going on in neural constituency parsers?; biaffine scores: Dozat & Manning (2017).

    Args:
        num_words: size of the vocabulary; word 0 stands for all unknown ones.
        num_affixes: size of the vocabulary of a word's prefixes, suffixes and other features; 0 stands for none.
        num_labels: L, with the null label, which is label 0; or 1 for trees without labels.
        embedding_size: of words.
        affix_size: of the sum of a word's affixes.
        hidden_size: of an LSTM, in each direction.
        num_layers: of an LSTM.
        span_size: width of l and r, and of p and q.
        members: K, of the ensemble.
        dropout: of inputs, between layers, and of fenceposts and their maps.
        unknown: share of the words that are made unknown in training.

    Raises:
        GraphError: no label or no member.

    >>> parser = SpanParser(10, 10, embedding_size=4, affix_size=4, hidden_size=4, span_size=4)
    >>> found = parser(torch.tensor([1, 2, 3]), torch.zeros(3, 2, dtype=torch.int64), Topology.chain([2, 1]))
    >>> found.spans.tolist(), found.scores.shape
    ([[0, 0, 1], [0, 0, 2], [0, 1, 2], [1, 0, 1]], torch.Size([1, 4, 1]))
    """

    def __init__(
        self, num_words: int, num_affixes: int, num_labels: int = 1, *, embedding_size: int = 100,
        affix_size: int = 100, hidden_size: int = 200, num_layers: int = 2, span_size: int = 150, members: int = 1,
        dropout: float = 0.4, unknown: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, count in (("num_labels", num_labels), ("members", members)):
            if count < 1:
                raise expected(name, "an integer of at least 1", count)
        self.options = {
            "num_words": num_words, "num_affixes": num_affixes, "num_labels": num_labels,
            "embedding_size": embedding_size, "affix_size": affix_size, "hidden_size": hidden_size,
            "num_layers": num_layers, "span_size": span_size, "members": members,
        }  # fmt: skip
        self.words, self.affixes = nn.Embedding(num_words, embedding_size), nn.Embedding(num_affixes, affix_size, 0)
        nn.init.normal_(self.words.weight, std=0.1)
        nn.init.normal_(self.affixes.weight, std=0.1)
        with torch.no_grad():
            self.affixes.weight[0] = 0
        width = embedding_size + affix_size
        self.members = nn.ModuleList(
            _Member(width, hidden_size, num_layers, span_size, num_labels, dropout) for _ in range(members)
        )
        self.dropout, self.unknown = nn.Dropout(check_dropout(dropout)), unknown

    def forward(self, words: Tensor, affixes: Tensor, topology: Topology) -> SpanScores:
        """Return the scores of all spans of at least one word.

        Args:
            words: int64 `[N]`.
            affixes: int64 `[N, A]`, each word's features.
            topology: chains of N nodes, one for each sentence.

        Raises:
            GraphError: a number of rows that differs from N, a word or an affix out of range.
        """
        same_length("words", words, topology.num_nodes, "node")
        same_length("affixes", affixes, topology.num_nodes, "node")
        if not torch.compiler.is_compiling():
            check_range("words", words, self.words.num_embeddings)
            check_range("affixes", affixes.flatten(), self.affixes.num_embeddings)
        features = self.affixes(affixes).sum(1)
        ptr = topology.graph_ptr
        lengths = ptr.diff()
        spans, posts = all_spans(lengths), _Fenceposts(ptr)
        scores = []
        for member in self.members:
            known = forget(words, self.unknown) if self.training and self.unknown else words
            x = self.dropout(torch.cat([self.words(known), features], 1))
            scores.append(member(x, topology, posts, spans))
        return SpanScores(spans, torch.stack(scores), lengths)


class _Fenceposts:
    """Where the n + 1 fenceposts of each sentence are: rows of the words before and after each, and of its padding.

    Args:
        ptr: int64 `[B + 1]`, where each sentence's words begin.
    """

    def __init__(self, ptr: Tensor) -> None:
        count, words, device = ptr.size(0) - 1, int(ptr[-1]), ptr.device
        self.lengths, self.first = ptr.diff(), ptr[:-1] + torch.arange(count, device=device)
        posts = torch.arange(words + count, device=device)
        sentence = torch.repeat_interleave(torch.arange(count, device=device), self.lengths + 1)
        word = posts - sentence  # on the right
        self.before = torch.where(word == ptr[sentence], words, word - 1)
        self.after = torch.where(word == ptr[sentence + 1], words, word)
        self.size = int(self.lengths.max()) + 1 if count else 1
        is_post = torch.arange(self.size, device=device) <= self.lengths[:, None]
        self.padded = (is_post.flatten().cumsum(0) - 1).clamp(min=0)  # [B · T]


class _Member(nn.Module):
    """An LSTM and the maps of its fenceposts."""

    def __init__(
        self, width: int, hidden_size: int, num_layers: int, span_size: int, num_labels: int, dropout: float
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.encoder = LSTM(width, hidden_size, num_layers, bidirectional=True, dropout=between)
        self.ends = nn.Parameter(torch.zeros(2, hidden_size))  # the states outside of a sentence: before, after
        self.left, self.right = nn.Linear(2 * hidden_size, span_size), nn.Linear(2 * hidden_size, span_size)
        self.pair = nn.Parameter(torch.randn(span_size + 1, span_size + 1) * span_size**-0.75)
        self.dropout, self.num_labels = nn.Dropout(check_dropout(dropout)), num_labels
        self.label_left, self.label_right = (nn.Linear(2 * hidden_size, span_size) for _ in range(2))
        self.label = nn.Linear(span_size, max(num_labels - 1, 1))

    def forward(self, x: Tensor, topology: Topology, at: _Fenceposts, spans: Tensor) -> Tensor:
        """Return the scores of the spans, `[S, L]`."""
        if topology.num_graphs == 1:  # for one sentence PyTorch's kernel is the faster one
            h = self.encoder(x[:, None])[0][:, 0]
        else:
            h, _ = self.encoder(x, topology=topology)
        size = h.size(1) // 2
        forward = torch.cat([h[:, :size], self.ends[:1]]).index_select(0, at.before)
        backward = torch.cat([h[:, size:], self.ends[1:]]).index_select(0, at.after)
        posts = self.dropout(torch.cat([forward, backward], 1))  # [N + B, 2H]
        one = posts.new_ones(posts.size(0), 1)
        left = torch.cat([self.dropout(self.left(posts).relu()), one], 1) @ self.pair
        right = torch.cat([self.dropout(self.right(posts).relu()), one], 1)
        left, right = (t.index_select(0, at.padded).view(-1, at.size, t.size(1)) for t in (left, right))
        pair = torch.bmm(left, right.transpose(1, 2)).flatten().index_select(0, place_of(spans, at.size))[:, None]
        p, q = self.label_left(posts), self.label_right(posts)
        first = at.first.index_select(0, spans[:, 0])
        h = p.index_select(0, first + spans[:, 1]) + q.index_select(0, first + spans[:, 2])
        scores = pair + self.label(self.dropout(h.relu()))
        return scores if self.num_labels == 1 else torch.cat([torch.zeros_like(pair), scores], 1)


def all_spans(lengths: Tensor) -> Tensor:
    """Return all spans of at least one word: sentence, first word and the one past the last, int64 `[S, 3]`.

    >>> all_spans(torch.tensor([2, 0])).tolist()
    [[0, 0, 1], [0, 0, 2], [0, 1, 2]]
    """
    size = int(lengths.max()) + 1 if len(lengths) else 1
    at = torch.arange(size, device=lengths.device)
    return ((at[:, None] < at) & (at <= lengths[:, None, None])).nonzero()


def place_of(spans: Tensor, size: int) -> Tensor:
    """Return where spans, int64 `[S, 3]` or with more columns, are in flattened charts `[B · size · size]`."""
    return (spans[:, 0] * size + spans[:, 1]) * size + spans[:, 2]
