"""Documents of spaCy and Stanza, by objects that have the same attributes."""

from types import SimpleNamespace as Of

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphseq.convert import constituency_from_stanza, from_spacy, from_stanza, read_conllu, write_conllu
from graphseq.errors import GraphError
from tests.convert.shapes import data_of, fields, nested
from tests.convert.test_conllu import TEXT, sentences

KEPT = ("edge_index", "num_nodes", "tokens", "upos", "xpos", "relations")


def spacy_of(trees):
    """A document whose tokens count through all sentences, as spaCy's do."""
    tokens, sents = [], []
    for tree in trees:
        first = len(tokens)
        for k in range(tree.num_nodes):
            texts = {"text": tree.tokens[k], "pos_": tree.upos[k], "tag_": tree.xpos[k], "dep_": tree.relations[k]}
            tokens.append(Of(i=first + k, **{name: "" if text == "_" else text for name, text in texts.items()}))
        heads = dict(tree.edge_index.t().tolist())
        for k, token in enumerate(tokens[first:]):
            token.head = tokens[first + heads.get(k, k)]
        sents.append(tokens[first:])
    return Of(sents=iter(sents))


def stanza_of(trees):
    document = []
    for tree in trees:
        heads = dict(tree.edge_index.t().tolist())
        words = []
        for k in range(tree.num_nodes):
            texts = {"text": tree.tokens[k], "upos": tree.upos[k], "xpos": tree.xpos[k], "deprel": tree.relations[k]}
            texts = {name: None if text == "_" and name != "text" else text for name, text in texts.items()}
            words.append(Of(id=k + 1, head=heads.get(k, -1) + 1, **texts))
        document.append(Of(words=words))
    return Of(sentences=document)


def kept(tree):
    return {name: fields(tree)[name] for name in KEPT}


@given(st.lists(sentences(), max_size=3))
def test_dependencies_both_ways(texts):
    trees = read_conllu("".join(texts))
    for tree in trees:
        tree.tokens = [token if token != "_" else "-" for token in tree.tokens]
    for found in (from_spacy(spacy_of(trees)), from_stanza(stanza_of(trees))):
        assert [*map(kept, found)] == [*map(kept, trees)]
        assert [*map(kept, read_conllu(write_conllu(found)))] == [*map(kept, trees)]


def test_one_sentence_of_spacy():
    [sentence] = spacy_of(read_conllu(TEXT)[:1]).sents
    assert [tree.tokens for tree in from_spacy(sentence)] == [["They", "buy", "and", "sell", "books", "."]]


def change_word(number, **values):
    document = stanza_of(read_conllu(TEXT))
    document.sentences[1].words[number].__dict__.update(values)
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "`document`: expected a Stanza document, with `sentences`, got None"),
        (Of(sentences=None), "`document`: expected a Stanza document"),
        (Of(sentences=[Of()]), r"`document\.sentences\[0\]`: expected words as Stanza's, got .*words"),
        (change_word(0, head=7), r"`document\.sentences\[1\]`: expected a dependency tree, got the head 7 is not"),
        (change_word(0, head=2), r"`document\.sentences\[1\]`: expected a dependency tree, got the cycle 1 → 2 → 1"),
        (change_word(1, head=0), r"`document\.sentences\[1\]`: expected a dependency tree, got a second root"),
        (change_word(1, head=None), r"`document\.sentences\[1\]`: expected a number as the head of word 2, got None"),
        (change_word(1, id=(1, 2)), r"`document\.sentences\[1\]`: expected words with the ids 1 to 4"),
    ],
)
def test_what_is_no_document_of_stanza(document, message):
    with pytest.raises(GraphError, match=message):
        from_stanza(document)


def tokens(*heads):
    made = [Of(i=i, text="a", pos_="", tag_="", dep_="") for i in range(len(heads))]
    for token, head in zip(made, heads, strict=True):
        token.head = made[head]
    return made


class Undivided:
    @property
    def sents(self):
        raise ValueError("[E030] Sentence boundaries unset.")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "`document`: expected a spaCy document with sentences"),
        (Undivided(), r"`document`: expected a spaCy document with sentences, got \[E030\] Sentence boundaries unset"),
        ([Of(i=0)], r"`document\.sents\[0\]`: expected tokens as spaCy's, each with a head"),
        (tokens(1, 0), r"`document\.sents\[0\]`: expected a dependency tree, got the cycle 1 → 2 → 1"),
        (tokens(0, 1), r"`document\.sents\[0\]`: expected a dependency tree, got a second root, beside word 1"),
        (tokens(1, 1)[:1], r"`document\.sents\[0\]`: expected heads in the same sentence, got token 1 for word 1"),
    ],
)
def test_what_is_no_document_of_spacy(document, message):
    with pytest.raises(GraphError, match=message):
        from_spacy(document)


def test_several_roots():
    assert from_spacy(tokens(0, 1), single_root=False)[0].edge_index.shape == (2, 0)
    assert from_stanza(change_word(1, head=0), single_root=False)[1].edge_index.shape == (2, 2)


def constituent(tree):
    label, below = tree
    if isinstance(below, str):
        return Of(label=label, children=(Of(label=below, children=()),))
    return Of(label=label, children=tuple(map(constituent, below)))


@given(st.lists(nested(), max_size=3))
def test_phrases_of_stanza(trees):
    document = Of(sentences=[Of(constituency=constituent(tree)) for tree in trees])
    assert [*map(fields, constituency_from_stanza(document))] == [fields(data_of(tree)) for tree in trees]


def test_deep_phrases_of_stanza():
    top = Of(label="a", children=())
    for _ in range(10_000):
        top = Of(label="S", children=(top,))
    assert constituency_from_stanza(Of(sentences=[Of(constituency=top)]))[0].num_nodes == 10_000


@pytest.mark.parametrize(
    ("top", "message"),
    [
        (Of(label="S", children=()), "expected a tree of at least one label above a word"),
        (None, "expected a tree as Stanza's"),
        (Of(label="S", children=(Of(label="a", children=()), Of(label="b", children=()))), "expected a word alone"),
        (Of(label=3, children=(Of(label="a", children=()),)), "expected labels that are strings, got 3"),
    ],
)
def test_what_are_no_phrases(top, message):
    with pytest.raises(GraphError, match=rf"`document\.sentences\[0\]\.constituency`: {message}"):
        constituency_from_stanza(Of(sentences=[Of(constituency=top)]))
