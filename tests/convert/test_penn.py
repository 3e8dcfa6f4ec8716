import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.convert import read_trees, remove_root, remove_traces, strip_function, strip_functions, write_trees
from graphseq.datasets import treebank
from graphseq.errors import GraphError
from tests.convert.shapes import LABEL, data_of, fields, nested, nested_of, storages, text_of

TRACED = nested(st.one_of(LABEL, st.just("-NONE-")))
PHRASES = """
    ADJP ADVP CONJP FRAG INTJ LST NAC NP NX PP PRN PRT QP RRC S SBAR SBARQ SINV SQ UCP VP WHADJP WHADVP WHNP WHPP X
    ADVP|PRT
"""
TAGS = """
    CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH VB VBD VBG VBN VBP VBZ
    WDT WP WP$ WRB # $ . , : `` '' -LRB- -RRB-
"""


def without_traces(tree):
    label, below = tree
    if isinstance(below, str):
        return None if label == "-NONE-" else tree
    left = [child for child in map(without_traces, below) if child]
    return (label, left) if left else None


@given(TRACED)
def test_traces_and_what_they_leave_empty_are_removed(tree):
    left = without_traces(tree)
    if left is None:
        with pytest.raises(GraphError, match="`tree`: expected a leaf whose label is not '-NONE-', got none"):
            remove_traces(data_of(tree))
    else:
        assert nested_of(remove_traces(data_of(tree))) == left


def test_an_inner_node_named_as_a_trace_stays_with_its_words():
    [tree] = read_trees("(S (-NONE- (A a) (-NONE- b)))")
    assert write_trees([remove_traces(tree)]) == "(S (-NONE- (A a)))\n"
    [tree] = read_trees("(S (A a) (B b))")
    assert remove_traces(tree, trace="A").tokens == ["b"]


@pytest.mark.parametrize(
    ("label", "bare"),
    [
        ("NP", "NP"), ("NP-SBJ", "NP"), ("NP-SBJ-1", "NP"), ("NP=2", "NP"), ("NP-SBJ=1-3", "NP"),
        ("ADVP-PRD-LOC=3", "ADVP"),
        ("PRP$", "PRP$"), ("WP$", "WP$"), ("ADVP|PRT", "ADVP|PRT"), ("-LRB-", "-LRB-"), ("-RRB-", "-RRB-"),
        ("-NONE-", "-NONE-"), ("", ""), ("-", "-"), ("=", "="), ("``", "``"), (":", ":"), ("3", "3"), ("$", "$"),
    ],
)  # fmt: skip
def test_labels_without_functions(label, bare):
    assert strip_function(label) == bare


@given(nested(st.builds("{}{}".format, LABEL, st.sampled_from(["", "-SBJ", "-1", "=2", "-TPC-1", "-LOC=3"]))))
def test_functions_of_all_labels(tree):
    assert text_of(nested_of(strip_functions(data_of(tree)))) == re.sub(r"(\([A-Z]+)[-=][^ ]*", r"\1", text_of(tree))


@given(nested(), st.lists(st.sampled_from(["", "ROOT", "TOP"]), max_size=3))
def test_roots_that_hold_a_tree(tree, roots):
    text = text_of(tree)
    for place, root in enumerate(roots):  # only the outermost can be empty
        text = f"({root if place == len(roots) - 1 else root or 'S1'} {text})"
    assert nested_of(remove_root(read_trees(text)[0])) == tree


def test_roots_that_stay():
    for text in ("( (A a) (B b))", "( a)", "(ROOT a)", "(S (ROOT (A a)))"):
        [tree] = read_trees(text)
        assert write_trees([remove_root(tree)]) == f"{text}\n"
    [tree] = read_trees("(ROOT (S (A a)))")
    assert remove_root(tree, labels=["S"]).labels == ["ROOT", "S", "A"]
    assert remove_root(tree, labels=["S", "ROOT"]).labels == ["A"]
    with pytest.raises(GraphError, match="`labels`"):
        remove_root(tree, labels="ROOT")


@pytest.mark.parametrize("change", [remove_traces, strip_functions, remove_root])
def test_the_callers_tree_stays_and_shares_nothing(change):
    [tree] = read_trees("( (S-1 (NP (-NONE- *)) (VP (VB Go))))")
    tree.y, tree.word, tree.note = torch.arange(6), torch.tensor([-1, -1, -1, 0, -1, 1]), "x"
    before = fields(tree.clone())
    changed = change(tree)
    assert fields(tree) == before
    assert not storages(tree) & storages(changed)
    assert changed.labels is not tree.labels and changed.tokens is not tree.tokens
    expected = {"y": {remove_traces: [0, 1, 4, 5], remove_root: [1, 2, 3, 4, 5]}.get(change)}
    assert {name: fields(changed).get(name) for name in expected} == expected
    assert "note" not in changed and changed.word.shape == (changed.num_nodes,)


@pytest.mark.parametrize("change", [remove_traces, strip_functions, remove_root])
def test_what_is_no_tree(change):
    with pytest.raises(GraphError, match="`tree`: expected a tree as PyG Data, got None"):
        change(None)
    with pytest.raises(GraphError, match="`tree`: expected a tree with `labels`"):
        change(read_trees("(2 a)", labels="2")[0])


@pytest.mark.parametrize("change", [remove_traces, strip_functions, remove_root])
def test_deep_trees(change):
    [tree] = read_trees("(S-1 (NP (-NONE- *)) " * 10_000 + "(A a)" + ")" * 10_000)
    count = {remove_traces: 10_001, strip_functions: 30_001, remove_root: 30_001}[change]
    assert change(tree).num_nodes == count


def test_the_published_treebank(data_root):
    for tree in treebank(data_root):
        plain = strip_functions(remove_root(remove_traces(tree)))
        inner = set(plain.edge_index[1].tolist())
        leaves = [label for node, label in enumerate(plain.labels) if node not in inner]
        assert set(leaves) <= set(TAGS.split()) and {plain.labels[node] for node in inner} <= set(PHRASES.split())
        assert [*zip(leaves, plain.tokens, strict=True)] == tagged(tree)
        assert read_trees(write_trees([plain]))[0].edge_index.equal(plain.edge_index)


def tagged(tree):
    """The words with their tags, but for the traces."""
    inner = set(tree.edge_index[1].tolist())
    leaves = [label for node, label in enumerate(tree.labels) if node not in inner]
    return [pair for pair in zip(leaves, tree.tokens, strict=True) if pair[0] != "-NONE-"]
