"""spaCy's documents; spaCy itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Words, expected
from .dependencies import dependencies, fault

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["from_spacy"]


def from_spacy(document: Any, *, single_root: bool = True) -> list[Data]:
    """Return the dependency trees of a spaCy ``Doc``, or of any object with the same attributes.

    The attributes: https://spacy.io/api/token. Of a document ``sents``; of a token ``i``, ``head``, ``text``, ``dep_``,
    ``pos_`` and ``tag_``. A root is its own head.

    Args:
        document: with ``sents``; or a single sentence, an iterable of tokens.
        single_root: whether each sentence must have one root.

    Returns:
        One ``Data`` per sentence of N words: ``edge_index`` int64 [2, N-1], dependent → head; ``num_nodes``; lists of N
        strings, ``"_"`` where there is nothing: ``tokens``, ``upos``, ``xpos``, ``relations``.

    Raises:
        GraphError: it is no such object, a head is outside of its sentence, or the heads are not a tree's.

    >>> from types import SimpleNamespace as Token
    >>> works = Token(i=1, text="works", dep_="ROOT", pos_="VERB", tag_="VBZ")
    >>> works.head = works
    >>> it = Token(i=0, text="It", dep_="nsubj", pos_="PRON", tag_="PRP", head=works)
    >>> [tree] = from_spacy([it, works])
    >>> tree.tokens, tree.edge_index.tolist(), tree.relations
    (['It', 'works'], [[0], [1]], ['nsubj', 'ROOT'])
    """
    try:
        sentences = [list(sentence) for sentence in getattr(document, "sents", [document])]
    except (TypeError, ValueError) as error:  # spaCy raises ValueError where nothing has divided it into sentences
        raise expected("document", "a spaCy document with sentences", Words(str(error))) from None
    trees = []
    for number, sentence in enumerate(sentences):
        argument = f"document.sents[{number}]"
        try:
            place = {token.i: at for at, token in enumerate(sentence, start=1)}
            above = [token.head.i for token in sentence]
            fields = {
                "tokens": [str(token.text) for token in sentence],
                "upos": [str(token.pos_ or "_") for token in sentence],
                "xpos": [str(token.tag_ or "_") for token in sentence],
                "relations": [str(token.dep_ or "_") for token in sentence],
            }
        except AttributeError as error:
            raise expected(argument, "tokens as spaCy's, each with a head", Words(str(error))) from None
        heads = [0 if head == token.i else place.get(head, -1) for token, head in zip(sentence, above, strict=True)]
        if -1 in heads:
            word = heads.index(-1) + 1
            raise expected(argument, "heads in the same sentence", Words(f"token {above[word - 1]} for word {word}"))
        if wrong := fault(heads, single_root=single_root):
            raise expected(argument, "a dependency tree", Words(wrong[1]))
        trees.append(dependencies(heads, fields))
    return trees
