"""A trained recursive network over parses: sentences in, the sentiment of each phrase out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Union, cast

import numpy as np
import torch
from torch import Tensor

from ..convert import Vocabulary, binarise, collapse_unary, from_nltk, leaf_spans, read_trees, remove_traces
from ..errors import GraphError, Words, expected
from ..nn import TreeClassifier
from ..topology import batch
from .result import Parse
from .sentiments import Sentiment
from .shipped import Parser, Sentence, checked, parser, tokens_of, valid
from .weights import load_weights, save_weights

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["SentimentModel", "is_bracketed", "read_sentence", "sentiment", "sentiment_many", "sentiment_model"]

WEIGHTS = Path(__file__).with_name("weights") / "sentiment.safetensors"
_POINTS = 32  # of the path of integrated gradients

Given = Union[str, Sequence[str], Parse, "Data"]
_TREE = re.compile(r"\s*\(\s*(?:(?:[^\s()]+\s*)?\(|_\s)")  # a bracket, perhaps a label, and a bracket; or the label _


class SentimentModel:
    """A network that classifies the nodes of trees, with its words and a parser for sentences without a tree.

    Args:
        model: a trained network, whose symbols are `words`.
        words: the known words, lower-case.
        options: the arguments by which the network was made, which :meth:`save` writes.
        parser: of sentences; by default the one that comes with graphseq.
        about: what is known of it, such as its data and its figures.

    Raises:
        GraphError: sizes of the network and of its vocabulary that differ.
    """

    def __init__(
        self, model: TreeClassifier, words: Sequence[str], options: dict[str, int | str], *,
        parser: Parser | None = None, about: str = "",
    ) -> None:  # fmt: skip
        if model.embedding.num_embeddings != len(words) + 1:
            raise expected("words", f"{model.embedding.num_embeddings - 1}, as the model has", Words(str(len(words))))
        self.model, self.words, self.options, self.about = model.eval(), Vocabulary(tuple(words), True), options, about
        self._parser = parser

    @property
    def parser(self) -> Parser:
        """The parser of sentences."""
        return self._parser or parser()

    def score(self, sentence: Given) -> Sentiment:
        """Return the sentiment of one sentence.

        Args:
            sentence: a text; a list of words; a :class:`Parse`; or a tree, bracketed as ``(_ (_ not) (_ bad))``, as
                ``Data`` or as ``nltk.Tree``, of which labels are ignored, traces removed, chains of one child are one
                node, and nodes with more than two children are binarised. A text is a tree if it begins with a bracket,
                perhaps a label, and another bracket, or with ``(_``.

        Raises:
            GraphError: there is no word in it, more than one tree, or something else than texts.
        """
        found = self._parse(sentence)
        return self._scored([found])[0]

    def score_many(
        self, sentences: Iterable[Given], *, batch_size: int = 64, errors: list[GraphError] | None = None
    ) -> Iterator[Sentiment]:
        """Yield the sentiment of each sentence, in their order.

        Args:
            sentences: as :meth:`score` takes them.
            batch_size: the number of sentences that are scored at once.
            errors: a list that gets the error of each invalid sentence, which is skipped. Without it, the first such
                sentence is an error.

        Raises:
            GraphError: as :meth:`score`, with the number of the sentence, from 0; no batch.
        """
        return self._stream(checked(sentences, batch_size, errors), batch_size, errors)

    def _stream(self, sentences: Iterator[Given], size: int, errors: list[GraphError] | None) -> Iterator[Sentiment]:
        at = 0
        while some := list(islice(sentences, size)):
            found = valid(some, at, _read, errors)
            plain = [sentence for sentence in found if not isinstance(sentence, Parse)]
            parsed = self.parser.parse_many(plain, batch_size=size)
            if found:
                yield from self._scored([s if isinstance(s, Parse) else next(parsed) for s in found])
            at += len(some)

    def _parse(self, sentence: Given) -> Parse:
        made = _tree(sentence)
        return self.parser.parse(cast(Sentence, sentence)) if made is None else made

    @torch.no_grad()
    def _scored(self, parses: list[Parse]) -> list[Sentiment]:
        topology = batch([parse.topology for parse in parses])
        device = self.model.embedding.weight.device
        symbols = torch.cat([self._symbols(parse) for parse in parses]).to(device)
        scores = self.model(symbols, topology.to(device)).softmax(1).cpu()
        parts = scores.split([len(parse.spans) for parse in parses])
        return [Sentiment(parse, part.clone()) for parse, part in zip(parses, parts, strict=True)]

    def _symbols(self, parse: Parse) -> Tensor:
        """Return each leaf's word, -1 elsewhere."""
        leaf = parse.spans.diff(dim=1)[:, 0] == 1
        symbols = torch.full((len(leaf),), -1)
        symbols[leaf] = torch.tensor(self.words.encode(parse.tokens))
        return symbols

    def attributions(self, sentence: Given, label: int | None = None) -> list[tuple[str, float]]:
        """Return how much each word moves the sentence's logit of a label, from that of words without vectors.

        Integrated gradients, Sundararajan, Taly & Yan (2017), Axiomatic attribution for deep networks: along the line
        from vectors of 0 to the words' own, by Gauss-Legendre quadrature in float64. The parts sum to the difference
        of the two logits.

        Args:
            sentence: as of :meth:`score`.
            label: from 0 to 4; by default the sentence's own.

        Raises:
            GraphError: as of :meth:`score`; no such label.
        """
        found = self._parse(sentence)
        count = self.model.classifier.out_features
        if label is not None and (not isinstance(label, int) or not 0 <= label < count):
            raise expected("label", f"an integer from 0 to {count - 1}", label)
        chosen = self._scored([found])[0].label if label is None else label
        model = deepcopy(self.model).double()
        points, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_POINTS))
        symbols, topology = self._symbols(found), batch([found.topology] * _POINTS)
        nodes = (symbols.repeat(_POINTS) >= 0).nonzero()[:, 0]
        own = model.embedding(symbols[symbols >= 0]).detach()
        path = ((points + 1) / 2)[:, None, None] * own
        x = path.flatten(0, 1).requires_grad_()
        logits = model.scores(x, topology, nodes, roots=True)[:, chosen]
        (slope,) = torch.autograd.grad((logits * weights / 2).sum(), x)
        parts = (slope.view_as(path) * own).sum((0, 2))
        return list(zip(found.tokens, parts.tolist(), strict=True))

    def __repr__(self) -> str:
        return f"SentimentModel({len(self.words.words):,} words, {self.model.classifier.out_features} classes)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, as float16, and words to a safetensors file."""
        meta = {"options": self.options, "words": list(self.words.words), "about": self.about}
        save_weights(path, "sentiment", self.model, meta)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, parser: Parser | None = None, device: str = "cpu") -> SentimentModel:
        """Read what :meth:`save` wrote.

        Args:
            path: the file.
            parser: of sentences; by default the one that comes with graphseq.
            device: where the network is.

        Raises:
            GraphError: no such file, or another kind of file.
        """
        weights, meta = load_weights(path, "sentiment", "SentimentModel.save")
        try:
            options = meta["options"]
            model = TreeClassifier(**options)
            model.load_state_dict(weights)
            return cls(model.to(device), meta["words"], options, parser=parser, about=meta["about"])
        except (KeyError, TypeError, RuntimeError) as error:
            got = Words(f"{os.fspath(path)}: {error}")
            raise expected("path", "a file that SentimentModel.save wrote", got) from None


def is_bracketed(text: str) -> bool:
    """Return whether a text is read as a bracketed tree.

    >>> is_bracketed("(_ (_ not) (_ bad))"), is_bracketed("(not bad)"), is_bracketed("(I like it (a bit))")
    (True, False, False)
    """
    return _TREE.match(text) is not None


def _tree(sentence: Given, argument: str = "sentence") -> Parse | None:
    """Return the parse that is given, or that a tree is; None for other sentences."""
    if isinstance(sentence, Parse):
        return sentence
    what, trees = "a tree", [sentence]
    try:
        if isinstance(sentence, str):
            if not is_bracketed(sentence):
                return None
            what = "one bracketed tree (the words of a text that begins like one can be given as a list)"
            trees = read_trees(sentence.strip())
        elif hasattr(sentence, "productions"):
            trees = [from_nltk(sentence)]
        elif not hasattr(sentence, "edge_index"):
            return None
        if len(trees) == 1:
            tree = binarise(collapse_unary(_unlabelled(trees[0])), side="right")
            return Parse(list(tree.tokens), leaf_spans(tree))
    except GraphError as error:
        raise expected(argument, what, Words(str(error).removeprefix("text, "))) from None
    raise expected(argument, what, Words(f"{len(trees)} in {sentence[:80]!r}"))


def _unlabelled(tree: Data) -> Data:
    """Return a tree's nodes and words without its traces, all labels alike, so that none stands for something."""
    from torch_geometric.data import Data

    if getattr(tree, "labels", None) is not None:
        tree = remove_traces(tree)
    labels = ["_"] * (tree.num_nodes or 0)
    return Data(edge_index=tree.edge_index, num_nodes=tree.num_nodes, labels=labels, tokens=getattr(tree, "tokens", []))


def read_sentence(text: str) -> Given:
    """Return a line of a file as a sentence: the parse that a bracketed tree is, else its words.

    Raises:
        GraphError: there is no word in it, or it is no tree.
    """
    return _read(text)


def _read(sentence: Given, argument: str = "sentence") -> Parse | list[str]:
    made = _tree(sentence, argument)
    return tokens_of(cast(Sentence, sentence), argument) if made is None else made


@cache
def sentiment_model() -> SentimentModel:
    """Return the network that comes with graphseq, read on first use."""
    return SentimentModel.load(WEIGHTS)


def sentiment(sentence: Given) -> Sentiment:
    """Return the sentiment of a sentence and of each of its phrases, by the models that come with graphseq; offline.

    They were trained on the Stanford Sentiment Treebank, film reviews in English: a binary Tree-LSTM up and down the
    trees of :func:`graphseq.parsing.parse`. The card beside the weights, ``graphseq/parsing/weights/README.md``, has
    their data, figures and limits.

    Args:
        sentence: a text, which is split into words by the treebank's conventions; a list of words; or a bracketed tree.

    Raises:
        GraphError: there is no word in it, or something else than texts.

    >>> found = sentiment("A wonderful film.")
    >>> found.label > 2, found.phrases[0].text
    (True, 'A wonderful film .')
    """
    return sentiment_model().score(sentence)


def sentiment_many(
    sentences: Iterable[Given], *, batch_size: int = 64, errors: list[GraphError] | None = None
) -> Iterator[Sentiment]:
    """Yield the sentiment of each sentence, in their order, by the models that come with graphseq.

    Arguments and errors are those of :meth:`SentimentModel.score_many`.
    """
    return sentiment_model().score_many(sentences, batch_size=batch_size, errors=errors)
