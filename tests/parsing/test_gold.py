"""What is taken of a treebank's trees, and evalb's rules, by hand."""

from collections import Counter
from dataclasses import replace

import pytest

from graphseq.convert import Vocabulary, read_trees
from graphseq.datasets import treebank
from graphseq.errors import MissingData
from graphseq.parsing import GoldTree, labelled_tree, matched, unlabelled_tree

TEXT = """( (S (`` ``) (NP-SBJ-1 (NP (DT the) (NN cat)) (SBAR (WHNP-2 (-NONE- 0)) (S (NP-SBJ (-NONE- *T*-2))
(VP (VBD sat) (PRT (RP down)))))) (VP (MD will) (VP (VB go) (NP (-NONE- *)))) (, ,) (NP (NP (PRP it)))) )"""


def test_a_tree_with_traces_chains_and_punctuation():
    gold = labelled_tree(read_trees(TEXT)[0])
    assert gold.tokens == ["``", "the", "cat", "sat", "down", "will", "go", ",", "it"]
    assert gold.counted == [False, True, True, True, True, True, True, False, True]
    named = {(i, j): label for i, j, label in gold.nodes}
    assert named == {
        (0, 9): "S", (1, 5): "NP", (1, 3): "NP", (3, 5): "SBAR+S+VP", (4, 5): "PRT", (5, 7): "VP", (6, 7): "VP",
        (8, 9): "NP+NP",
    }  # fmt: skip
    assert not set(gold.null) & set(named) and (0, 5) in gold.null and (0, 4) not in gold.null and (1, 2) in gold.null
    assert gold.brackets() == Counter({
        (0, 7, "S"): 1, (0, 4, "NP"): 1, (0, 2, "NP"): 1, (2, 4, "SBAR"): 1, (2, 4, "S"): 1, (2, 4, "VP"): 1,
        (3, 4, "ADVP"): 1, (4, 6, "VP"): 1, (5, 6, "VP"): 1, (6, 7, "NP"): 2,
    })  # fmt: skip


def test_brackets_of_an_answer():
    gold = labelled_tree(read_trees(TEXT)[0])
    found = gold.brackets([(0, 9, "S"), (1, 3, "NP"), (3, 5, "S+VP"), (4, 5, "ADVP"), (7, 8, "NP"), (1, 5, "X")])
    assert matched(gold.brackets(), found) == (5, 6, 11)


def test_targets_know_chains_that_are_not_among_the_labels():
    gold = labelled_tree(read_trees(TEXT)[0])
    labels = Vocabulary(("S", "NP", "VP", "PRT"))
    rows = {(i, j): k for i, j, k in gold.target(labels).tolist()}
    assert rows[3, 5] == 3 and rows[8, 9] == 2 and rows[0, 5] == 0
    assert len(rows) == len(gold.target(labels))


def test_tags_are_labels_of_words_below_the_others():
    gold = labelled_tree(read_trees(TEXT)[0])
    assert gold.tags == ["``", "DT", "NN", "VBD", "RP", "MD", "VB", ",", "PRP"]
    tagged = gold.with_tags()
    named = {(i, j): label for i, j, label in tagged.nodes}
    assert [named[i, i + 1] for i in range(9)] == [
        "``", "DT", "NN", "VBD", "PRT+RP", "MD", "VP+VB", ",", "NP+NP+PRP"
    ]  # fmt: skip
    assert {span: label for span, label in named.items() if span[1] - span[0] > 1} == {
        (i, j): label for i, j, label in gold.nodes if j - i > 1
    }
    assert tagged.null == [(i, j) for i, j in gold.null if j - i > 1] and len(named) == len(tagged.nodes)
    assert len(tagged.target(Vocabulary(("S",)))) == len(gold.target(None))
    assert tagged.brackets() == gold.brackets() == tagged.brackets(tagged.nodes)
    assert replace(gold, evaluated=False).brackets() == Counter()


def test_labels_that_are_not_known():
    gold = labelled_tree(read_trees(TEXT)[0]).unlabelled()
    assert gold.target(Vocabulary(("S",)))[: len(gold.nodes), 2].unique().tolist() == [-1]
    assert gold.target(None)[:, 2].unique().tolist() == [0] and not any(label for *_, label in gold.brackets())


def test_without_labels():
    gold = unlabelled_tree(read_trees("(1 (2 (2 a) (2 b)) (3 (2 c) (2 d)))")[0])
    assert gold.brackets() == Counter({(0, 2, ""): 1, (2, 4, ""): 1})
    assert gold.brackets([(0, 4, ""), (0, 3, ""), (0, 2, ""), (0, 1, "")]) == Counter({(0, 3, ""): 1, (0, 2, ""): 1})
    assert gold.target(None).shape == (7, 3)


def test_only_traces():
    assert labelled_tree(read_trees("( (S (NP (-NONE- *)) ) )")[0]) is None


def test_the_newspaper():
    try:
        trees = treebank(offline=True)
    except MissingData as error:
        pytest.skip(str(error))
    for i in range(400):
        gold = labelled_tree(trees[i])
        assert isinstance(gold, GoldTree) and "-NONE-" not in str(gold.nodes) and len(gold.counted) == len(gold.tokens)
        spans = {(i, j) for i, j, _ in gold.nodes}
        assert not any(a < i < b < j for a, b in spans for i, j in spans)
        assert not any(a < i < b < j or i < a < j < b for a, b in gold.null for i, j in spans)
        assert (0, len(gold.tokens)) in spans
