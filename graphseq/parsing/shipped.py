"""A trained parser: sentences in, trees out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..convert import treebank_words
from ..errors import GraphError, Words, expected
from ..nn import SpanParser
from ..topology import Topology
from .features import WordFeatures
from .result import Parse
from .trees import decode, labels_of_words
from .weights import load_weights, save_weights

__all__ = ["Parser", "parse", "parse_many", "parser", "tokens_of"]

_LONGEST = 256  # words that are parsed as a whole
_ENDS = frozenset(".!?;:,")
_MOST = 1 << 19  # squares of lengths in a batch
_READ_AHEAD = 8  # batches, whose sentences are sorted by length
WEIGHTS = Path(__file__).with_name("weights") / "parser.safetensors"

Sentence = str | Sequence[str]
T = TypeVar("T")
R = TypeVar("R")


class Parser:
    """A span parser with its vocabularies.

    A sentence of more than 256 words is parsed in parts of at most so many, which end with a punctuation mark where
    there is one in their second half, and are joined to the right. So time is linear in the number of words.

    Args:
        model: a trained parser.
        features: its words and affixes.
        labels: its labels, the null label first; or one, "", for trees without labels.
        tags: of words, if the last part of a word's label is its tag.
        by_marginals: decode by marginals, else by scores.
        about: what is known of it, such as its data and its figures.

    Raises:
        GraphError: sizes of the model and of its vocabularies that differ.
    """

    def __init__(
        self, model: SpanParser, features: WordFeatures, labels: Sequence[str] = ("",), *,
        tags: Sequence[str] = (), by_marginals: bool = True, about: str = "",
    ) -> None:  # fmt: skip
        sizes = model.words.num_embeddings, model.affixes.num_embeddings, model.options["num_labels"]
        wanted = len(features.words) + 1, len(features.affixes) + 1, len(labels)
        if sizes != wanted:
            raise expected("model", f"one of {wanted} words, affixes and labels", Words(str(sizes)))
        self.model, self.features, self.labels, self.about = model.eval(), features, list(labels), about
        self.tags, self.by_marginals, self._of_words = list(tags), by_marginals, labels_of_words(labels, tags)

    def parse(self, sentence: Sentence) -> Parse:
        """Return the tree of one sentence.

        Args:
            sentence: a text, which is split by :func:`graphseq.convert.treebank_words`, or a list of words, which are
                taken as they are.

        Raises:
            GraphError: there is no word in it, or something else than texts.
        """
        return self._parse([tokens_of(sentence)])[0]

    def parse_many(
        self, sentences: Iterable[Sentence], *, batch_size: int = 64, errors: list[GraphError] | None = None
    ) -> Iterator[Parse]:
        """Yield the tree of each sentence, in their order, reading some batches ahead.

        Args:
            sentences: as :meth:`parse` takes them.
            batch_size: the number of sentences that are parsed at once.
            errors: a list that gets the error of each invalid sentence, which is skipped. Without it, the first such
                sentence is an error.

        Raises:
            GraphError: as :meth:`parse`, with the number of the sentence, from 0; no batch.
        """
        return self._stream(checked(sentences, batch_size, errors), batch_size, errors)

    def _stream(
        self, sentences: Iterator[Sentence], batch_size: int, errors: list[GraphError] | None
    ) -> Iterator[Parse]:
        at = 0
        while some := list(islice(sentences, batch_size * _READ_AHEAD)):
            tokens = valid(some, at, tokens_of, errors)
            at += len(some)
            order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
            found: dict[int, Parse] = {}
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                found |= zip(chosen, self._parse([tokens[i] for i in chosen]), strict=True)
            yield from (found[i] for i in range(len(tokens)))

    def _parse(self, sentences: list[list[str]]) -> list[Parse]:
        parts = [_parts(tokens) for tokens in sentences]
        flat = [part for some in parts for part in some]
        trees = (tree for group in _groups(flat) for tree in self._trees(group))
        return [_joined([next(trees) for _ in some]) for some in parts]

    @torch.no_grad()
    def _trees(self, sentences: list[list[str]]) -> list[Parse]:
        words, affixes = self.features.encode([token for tokens in sentences for token in tokens])
        lengths = [len(tokens) for tokens in sentences]
        device = self.model.words.weight.device
        scores = self.model(words.to(device), affixes.to(device), Topology.chain(lengths).to(device))
        spans, labels = (found.cpu() for found in decode(
            scores, by_marginals=self.by_marginals, of_words=self._of_words
        ))  # fmt: skip
        parses = []
        for tokens, tree, names in zip(sentences, spans.unbind(), labels.unbind(), strict=True):
            size = 2 * len(tokens) - 1
            parses.append(self._named(tokens, tree[:size].clone(), [self.labels[k] for k in names[:size].tolist()]))
        return parses

    def _named(self, tokens: list[str], spans: Tensor, labels: list[str]) -> Parse:
        """Return a parse whose words' tags are apart from the labels."""
        if not self.tags:
            return Parse(tokens, spans, labels)
        tags = [""] * len(tokens)
        for v, (start, end) in enumerate(spans.tolist()):
            if end - start == 1:
                labels[v], _, tags[start] = labels[v].rpartition("+")
        return Parse(tokens, spans, labels, tags)

    def __repr__(self) -> str:
        labels = f", {len(self.labels)} labels" if len(self.labels) > 1 else ""
        return f"Parser({len(self.features.words):,} words{labels})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, as float16, and vocabularies to a safetensors file."""
        meta = {
            "options": self.model.options, "words": self.features.words, "affixes": self.features.affixes,
            "labels": self.labels, "tags": self.tags, "by_marginals": self.by_marginals, "about": self.about,
        }  # fmt: skip
        save_weights(path, "parser", self.model, meta)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> Parser:
        """Read what :meth:`save` wrote.

        Args:
            path: the file.
            device: where the model is.

        Raises:
            GraphError: no such file, or another kind of file.
        """
        weights, meta = load_weights(path, "parser", "Parser.save")
        try:
            model = SpanParser(**meta["options"])
            model.load_state_dict(weights)
            features = WordFeatures(tuple(meta["words"]), tuple(meta["affixes"]))
            known = {name: meta[name] for name in ("tags", "by_marginals", "about")}
            return cls(model.to(device), features, meta["labels"], **known)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, GraphError):
                raise
            raise expected("path", "a file that Parser.save wrote", Words(f"{os.fspath(path)}: {error}")) from None


def checked(sentences: Any, batch_size: Any, errors: Any) -> Iterator[Any]:
    """Return an iterator of sentences.

    Raises:
        GraphError: they are not an iterable, the batch size is no number of sentences, or errors are not for a list.
    """
    if errors is not None and not isinstance(errors, list):
        raise expected("errors", "a list, or None", errors)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise expected("batch_size", "an integer of at least 1", batch_size)
    if isinstance(sentences, str) or not isinstance(sentences, Iterable):
        raise expected("sentences", "an iterable of sentences", sentences)
    return iter(sentences)


def tokens_of(sentence: Sentence, argument: str = "sentence") -> list[str]:
    """Return the words of a sentence: of a text by the treebank's conventions, of a list as they are.

    Raises:
        GraphError: there are none, one of them is empty or has ASCII spaces in it, or something else than texts.

    >>> tokens_of("It's good."), tokens_of(["It's", "good."])
    (['It', "'s", 'good', '.'], ["It's", 'good.'])
    """
    if isinstance(sentence, str):
        words = treebank_words(sentence)
        if not words:
            raise expected(argument, "a text with at least one word", Words(f"{sentence!r}" if sentence else "none"))
        return words
    if isinstance(sentence, bytes) or not isinstance(sentence, Sequence):
        raise expected(argument, "a text or a list of words", sentence)
    if not sentence:
        raise expected(argument, "at least one word", sentence)
    for i, word in enumerate(sentence):
        if not isinstance(word, str) or not word or any(c in " \t\r\n" for c in word):
            raise expected(f"{argument}[{i}]", "a word without spaces", word)
    return list(sentence)


def valid(
    sentences: Sequence[T], first: int, read: Callable[[T, str], R], errors: list[GraphError] | None
) -> list[R]:
    """Return what `read` makes of sentences, of which the first has this number; collect errors, if there is a list."""
    found = []
    for i, sentence in enumerate(sentences):
        try:
            found.append(read(sentence, f"sentences[{first + i}]"))
        except GraphError as error:
            if errors is None:
                raise
            errors.append(error)
    return found


def _groups(sentences: list[list[str]]) -> Iterator[list[list[str]]]:
    """Yield some sentences at a time, so that their spans fit into memory."""
    group: list[list[str]] = []
    for tokens in sentences:
        if group and (len(group) + 1) * max(len(tokens), *map(len, group)) ** 2 > _MOST:
            yield group
            group = []
        group.append(tokens)
    yield group


def _parts(tokens: list[str]) -> list[list[str]]:
    """Return a sentence in parts of at most 256 words."""
    parts = []
    while len(tokens) > _LONGEST:
        ends = [i + 1 for i in range(_LONGEST // 2, _LONGEST) if tokens[i][0] in _ENDS]
        strong = [i for i in ends if tokens[i - 1][0] in ".!?"]
        at = strong[-1] if strong else ends[-1] if ends else _LONGEST
        parts.append(tokens[:at])
        tokens = tokens[at:]
    return [*parts, tokens] if tokens else parts


def _joined(parts: list[Parse]) -> Parse:
    """Return the parse of a sentence from those of its parts: each is the left child of a node up to the end."""
    if len(parts) == 1:
        return parts[0]
    tokens = [token for part in parts for token in part.tokens]
    spans: list[Tensor] = []
    labels: list[str] = []
    first, n = 0, len(tokens)
    for at, part in enumerate(parts):
        if at + 1 < len(parts):
            spans.append(torch.tensor([[first, n]]))
            labels.append("")
        spans.append(part.spans + first)
        labels += part.labels
        first += len(part.tokens)
    return Parse(tokens, torch.cat(spans), labels, [tag for part in parts for tag in part.tags])


@cache
def parser() -> Parser:
    """Return the parser that comes with graphseq, read on first use."""
    return Parser.load(WEIGHTS)


def parse(sentence: Sentence) -> Parse:
    """Return the binary tree of a sentence, by the parser that comes with graphseq; offline.

    It was trained on the Stanford Sentiment Treebank: film reviews in English; the card beside its weights,
    ``graphseq/parsing/weights/README.md``, has its data, figures and limits.

    Args:
        sentence: a text, which is split into words by the treebank's conventions, or a list of words.

    Raises:
        GraphError: there is no word in it, or something else than texts.

    >>> parse("It works.").tokens
    ['It', 'works', '.']
    """
    return parser().parse(sentence)


def parse_many(
    sentences: Iterable[Sentence], *, batch_size: int = 64, errors: list[GraphError] | None = None
) -> Iterator[Parse]:
    """Yield the tree of each sentence, in their order, by the parser that comes with graphseq.

    Arguments and errors are those of :meth:`Parser.parse_many`.

    >>> [len(parse.spans) for parse in parse_many(["It works.", ["Fine"]])]
    [5, 1]
    """
    return parser().parse_many(sentences, batch_size=batch_size, errors=errors)
