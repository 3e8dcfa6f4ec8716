"""NLTK's sample of the Penn Treebank: parsed sentences of a newspaper."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..convert import read_trees
from ..errors import GraphError, Words, expected
from .cache import Stored, cache_key, cached
from .download import BAD_ARCHIVE
from .files import find_or_fetch, verify
from .roots import Root
from .trees import Sentences, SentenceSet, texts_to_ids

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["Treebank", "treebank"]

_SENTENCES = 3914
_FOLDER, _FILE = "nltk_data/corpora", "treebank.zip"
_URL = f"https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/{_FILE}"


class Treebank(SentenceSet):
    """The sentences that :func:`treebank` reads.

    Attributes:
        labels: the labels of nodes, ``"S"``, ``"NP-SBJ"``, ``"NN"``, …; a tree's ``y`` holds indices into them.
    """

    def __init__(self, stored: Stored, *, transform: Any = None) -> None:
        """Keep the arrays."""
        super().__init__(Sentences.load(stored), transform=transform)
        self.labels: tuple[str, ...] = tuple(stored.meta["labels"])
        self._origins: list[str] = stored.meta["origins"]

    def __repr__(self) -> str:
        """Return the numbers of sentences and of labels."""
        return f"Treebank(trees={len(self)}, labels={len(self.labels)})"

    def _texts(self, index: int) -> dict[str, Any]:
        y = self._sentences.nodes["y"][self._starts[index] : self._starts[index + 1]]
        labels = [self.labels[label] for label in y.tolist()]
        return super()._texts(index) | {"labels": labels, "origin": self._origins[index]}


def treebank(
    root: Root = None, *, transform: Callable[[Data], Data] | None = None, check: bool = True, offline: bool = False
) -> Treebank:
    """Return the parsed sentences of NLTK's sample of the Penn Treebank, 199 texts of the Wall Street Journal.

    Source: M. Marcus, B. Santorini and M. A. Marcinkiewicz, "Building a Large Annotated Corpus of English: The Penn
    Treebank", Computational Linguistics 19 (1993); LDC 1995, for non-commercial use, through NLTK, which is not needed.

    Args:
        root: a data root with ``nltk_data/corpora/treebank.zip``, searched first; only read.
        transform: applied to a tree each time it is taken out.
        check: whether the archive must be the published one; False for your own.
        offline: whether downloads are forbidden, as with ``GRAPHSEQ_OFFLINE=1``.

    Returns:
        A data set of 3,914 ``Data``, as published, with traces (``-NONE-``), function tags and punctuation.
        Each has ``edge_index`` int64 [2, N-1], child → parent; ``y`` int64 [N], indices into the set's ``labels``;
        ``span`` int64 [N, 2], the first and the past-the-last word below each node; ``labels`` and ``tokens``, lists
        of the nodes' labels and of the leaves' words; ``origin``, its file and its number there, ``"wsj_0001:1"``.

    Raises:
        MissingData: the archive is in no data root and was not downloaded.
        CorruptData: it is not the published one.
        GraphError: it can't be read.

    Example::

        tree = treebank()[0]
        tree.tokens[:3], tree.labels[:3]  # ['Pierre', 'Vinken', ','], ['', 'S', 'NP-SBJ']
    """
    path = find_or_fetch(_FOLDER, [_FILE], [_URL], root, offline=offline) / _FILE
    key = cache_key(verify(_FOLDER, [path], check=check))
    trees = Treebank(cached("treebank", key, lambda: _read(path)), transform=transform)
    if check and len(trees) != _SENTENCES:
        came = Words(f"{len(trees)} in {path} (check=False for your own)")
        raise expected("root", f"the {_SENTENCES} sentences of the published archive", came)
    return trees


def _read(path: Path) -> Stored:
    """Return the trees of all files ``combined/*.mrg`` in the archive, in the order of their names."""
    trees, origins = [], []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(name for name in archive.namelist() if name.endswith(".mrg")):
                try:
                    found = read_trees(archive.read(member).decode("utf-8"))
                except GraphError as error:
                    raise GraphError(f"{path}, {member}: {error}") from None
                trees += found
                origins += [f"{Path(member).stem}:{number}" for number in range(1, len(found) + 1)]
    except (*BAD_ARCHIVE, UnicodeDecodeError) as error:
        raise GraphError(f"{path}: not a sound zip file of trees: {error}") from None
    ids, labels = texts_to_ids([label for tree in trees for label in tree.labels])
    for tree, y in zip(trees, ids.split([tree.num_nodes for tree in trees]), strict=True):
        tree.y = y
    return Sentences.of(trees).store(labels=labels, origins=origins)
