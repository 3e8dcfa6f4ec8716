"""Stanza's documents; Stanza itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Words, expected
from .dependencies import dependencies, fault
from .nested import flatten

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["constituency_from_stanza", "from_stanza"]


def from_stanza(document: Any, *, single_root: bool = True) -> list[Data]:
    """Return the dependency trees of a Stanza ``Document``, or of any object with the same attributes.

    The attributes: https://stanfordnlp.github.io/stanza/data_objects.html. Of a document ``sentences``, of a sentence
    ``words``, of a word ``id``, ``head``, ``text``, ``deprel``, ``upos`` and ``xpos``.

    Args:
        document: with ``sentences``.
        single_root: whether each sentence must have one root.

    Returns:
        One ``Data`` per sentence, with the fields that :func:`graphseq.convert.from_spacy` describes.

    Raises:
        GraphError: it is no such object, a head is out of range, or the heads are not a tree's.

    >>> from types import SimpleNamespace as Of
    >>> it = Of(id=1, text="It", head=2, deprel="nsubj", upos="PRON", xpos="PRP")
    >>> works = Of(id=2, text="works", head=0, deprel="root", upos="VERB", xpos="VBZ")
    >>> [tree] = from_stanza(Of(sentences=[Of(words=[it, works])]))
    >>> tree.tokens, tree.edge_index.tolist(), tree.relations
    (['It', 'works'], [[0], [1]], ['nsubj', 'root'])
    """
    trees = []
    for number, sentence in enumerate(_sentences(document)):
        argument = f"document.sentences[{number}]"
        try:
            words = list(sentence.words)
            ids, heads = [word.id for word in words], [word.head for word in words]
            fields = {
                "tokens": [str(word.text) for word in words],
                "upos": [str(word.upos or "_") for word in words],
                "xpos": [str(word.xpos or "_") for word in words],
                "relations": [str(word.deprel or "_") for word in words],
            }
        except (AttributeError, TypeError) as error:
            raise expected(argument, "words as Stanza's", Words(str(error))) from None
        if ids != list(range(1, len(ids) + 1)):
            raise expected(argument, f"words with the ids 1 to {len(ids)}", Words(f"{ids[:9]}"))
        for word, head in zip(ids, heads, strict=True):
            if type(head) is not int:  # None where the pipeline has no dependency parser
                raise expected(argument, f"a number as the head of word {word}", head)
        if wrong := fault(heads, single_root=single_root):
            raise expected(argument, "a dependency tree", Words(wrong[1]))
        trees.append(dependencies(heads, fields))
    return trees


def constituency_from_stanza(document: Any) -> list[Data]:
    """Return the phrase structure trees of a Stanza ``Document``, or of any object with the same attributes.

    The attributes: https://stanfordnlp.github.io/stanza/constituency.html. Of a document ``sentences``, of a sentence
    ``constituency``, of a node ``label`` and ``children``; a word is a node without children.

    Args:
        document: with ``sentences``.

    Returns:
        One ``Data`` per sentence, as :func:`graphseq.convert.read_trees` makes it: ``edge_index`` int64 [2, N-1], child
        → parent; ``labels``, a list of N strings; ``tokens``, the list of the words; ``num_nodes``.

    Raises:
        GraphError: it is no such object.

    >>> from types import SimpleNamespace as Of
    >>> it, works = Of(label="It", children=()), Of(label="works", children=())
    >>> top = Of(label="S", children=(Of(label="NP", children=(it,)), Of(label="VP", children=(works,))))
    >>> [tree] = constituency_from_stanza(Of(sentences=[Of(constituency=top)]))
    >>> tree.labels, tree.tokens, tree.edge_index.tolist()
    (['S', 'NP', 'VP'], ['It', 'works'], [[1, 2], [0, 0]])
    """
    trees = []
    for number, sentence in enumerate(_sentences(document)):
        argument = f"document.sentences[{number}].constituency"
        try:
            top = sentence.constituency
            if not top.children:
                raise expected(argument, "a tree of at least one label above a word", top)
            trees.append(flatten(top, _split, argument))
        except (AttributeError, TypeError) as error:
            raise expected(argument, "a tree as Stanza's", Words(str(error))) from None
    return trees


def _split(node: Any) -> tuple[Any, list[Any]] | str:
    return (node.label, list(node.children)) if node.children else str(node.label)


def _sentences(document: Any) -> list[Any]:
    sentences = getattr(document, "sentences", None)
    if not isinstance(sentences, list | tuple):
        raise expected("document", "a Stanza document, with `sentences`", document)
    return list(sentences)
