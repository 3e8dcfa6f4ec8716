import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nltk.tree import Tree
from nltk.tree.transforms import chomsky_normal_form
from nltk.tree.transforms import collapse_unary as nltk_collapse

from graphseq.convert import (
    binarise,
    collapse_unary,
    from_nltk,
    head_children,
    read_trees,
    restore_unary,
    to_nltk,
    unbinarise,
    write_trees,
)
from graphseq.datasets import SST, treebank
from graphseq.errors import GraphError
from tests.convert.shapes import LABEL, data_of, fields, nested, nested_of, storages

SIDES = ["left", "right", "head"]
CHAINS = st.recursive(
    st.tuples(LABEL, st.text("abc", min_size=1, max_size=2)),
    lambda tree: st.tuples(
        LABEL, st.one_of(st.lists(tree, min_size=1, max_size=1), st.lists(tree, min_size=1, max_size=3))
    ),
    max_leaves=10,
)


@given(nested(max_children=6), st.sampled_from(["left", "right"]))
def test_equals_nltk(tree, side):
    theirs = to_nltk(data_of(tree))
    chomsky_normal_form(theirs, factor=side)
    for node in theirs.subtrees():
        label, mark, _ = node.label().partition("|")
        node.set_label("@" + label if mark else label)
    ours = binarise(data_of(tree), side=side)
    assert nested_of(ours) == nested_of(from_nltk(theirs))
    assert ours.intermediate.tolist() == [label.startswith("@") for label in ours.labels]


def by_head(tree, heads):
    """Plain recursion; `heads` holds the place of the head child of each inner node in preorder."""
    label, below = tree
    if isinstance(below, str):
        return tree
    head = next(heads)
    below = [by_head(child, heads) for child in below]

    def group(children, head, name):
        if len(children) <= 2:
            return name, children
        if head > 0:
            return name, [children[0], group(children[1:], head - 1, "@" + label)]
        return name, [group(children[:-1], head, "@" + label), children[-1]]

    return group(below, head, label)


@given(nested(max_children=6))
def test_heads_equal_recursion(tree):
    data = data_of(tree)
    children = {v: [] for v in range(data.num_nodes)}
    for child, parent in data.edge_index.t().tolist():
        children[parent].append(child)
    heads = head_children(data).tolist()
    places = iter([below.index(heads[v]) for v, below in children.items() if below])
    assert nested_of(binarise(data, side="head")) == by_head(tree, places)


@given(nested(max_children=6), st.sampled_from(SIDES), st.sampled_from(["@", "~~"]))
def test_undone_exactly_from_memory_and_from_text(tree, side, mark):
    data = data_of(tree)
    data.y, data.word = torch.arange(data.num_nodes), torch.arange(data.num_nodes) + 7
    two = binarise(data, side=side, mark=mark)
    degree = torch.bincount(two.edge_index[1], minlength=two.num_nodes)
    assert int(degree.max()) <= 2 and bool((degree[two.intermediate] == 2).all())
    assert bool((two.y[two.intermediate] == -1).all()) and bool((two.word[two.intermediate] == -1).all())
    assert fields(unbinarise(two)) == fields(data)
    again = unbinarise(read_trees(write_trees([two]))[0], mark=mark)
    assert fields(again) == fields(data_of(tree))


def test_the_head_and_its_right_siblings_first():
    [tree] = read_trees("(VP (RB not) (VB see) (NP it) (PP here))")
    assert write_trees([binarise(tree, side="head")]) == "(VP (RB not) (@VP (@VP (VB see) (NP it)) (PP here)))\n"


def test_classes_without_labels():
    [tree] = read_trees("(3 (2 a) (2 b) (4 c))", labels="01234")
    two = binarise(tree)
    assert two.y.tolist() == [3, 2, -1, 2, 4] and "labels" not in two
    assert fields(unbinarise(two)) == fields(tree)
    with pytest.raises(GraphError, match="`tree`: expected a tree that is not binarised"):
        binarise(two)
    with pytest.raises(GraphError, match="`tree`: expected a tree with `labels`"):
        binarise(tree, side="head")
    with pytest.raises(GraphError, match="`tree`: expected a tree with `labels`"):
        unbinarise(tree)


@given(CHAINS, st.booleans())
def test_chains_equal_nltk(tree, leaves):
    theirs = to_nltk(data_of(tree))
    nltk_collapse(theirs, collapsePOS=leaves, collapseRoot=True)
    assert nested_of(collapse_unary(data_of(tree), leaves=leaves)) == nested_of(from_nltk(theirs))


@given(CHAINS, st.booleans(), st.sampled_from(["+", "<>"]))
def test_chains_are_restored_exactly(tree, leaves, join):
    data = data_of(tree)
    leaf = torch.ones(data.num_nodes, dtype=torch.bool)
    leaf[data.edge_index[1]] = False
    data.word = torch.where(leaf, torch.arange(data.num_nodes), -1)
    single = collapse_unary(data, leaves=leaves, join=join)
    degree = torch.bincount(single.edge_index[1], minlength=single.num_nodes)
    assert int((degree == 1).sum()) == 0 or not leaves
    assert fields(restore_unary(single, join=join)) == fields(data)


def test_an_empty_root_in_a_chain():
    [tree] = read_trees("( (S (VP (VB Go))))")
    assert collapse_unary(tree).labels == ["+S+VP+VB"]
    assert fields(restore_unary(collapse_unary(tree))) == fields(tree)


@pytest.mark.parametrize("side", SIDES)
def test_both_undone_in_either_order(side):
    [tree] = read_trees("(S (NP (NN a)) (VP (VP (X (A b) (B c) (C d)))) (. .))")
    for there in ((collapse_unary, binarise), (binarise, collapse_unary)):
        two = tree
        for change in there:
            two = change(two, side=side) if change is binarise else change(two)
        for change in (unbinarise, restore_unary):
            two = change(two)
        assert fields(two) == fields(tree)
    with pytest.raises(GraphError, match="`tree`: expected a tree without intermediate nodes"):
        restore_unary(binarise(tree))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: binarise(t, side="up"), '`side`: expected "left", "right" or "head", got \'up\''),
        (lambda t: binarise(t, mark=""), "`mark`: expected a string of at least one character"),
        (lambda t: binarise(t, mark="N"), r"`tree`: expected no label that begins with 'N' \(see `mark`\), got 'NP'"),
        (lambda t: binarise(t, side="head", rules={"S": [("up", ())]}), '`rules`: expected "left", "right" or "last"'),
        (lambda t: unbinarise(t, mark="S"), "`tree`: expected a root and leaves that are not intermediate"),
        (lambda t: unbinarise(t, mark="A"), "`tree`: expected a root and leaves that are not intermediate"),
        (lambda t: collapse_unary(t, join="P"), r"`tree`: expected no label with 'P' \(see `join`\), got 'NP'"),
        (lambda t: collapse_unary(t, join=""), "`join`: expected a string of at least one character"),
        (lambda t: restore_unary(t, join=None), "`join`: expected a string of at least one character, got None"),
        (lambda t: binarise(None), "`tree`: expected a tree as PyG Data"),
    ],
)
def test_bad_arguments(call, message):
    [tree] = read_trees("(S (NP (A a)))")
    with pytest.raises(GraphError, match=message):
        call(tree)


@pytest.mark.parametrize("change", [binarise, collapse_unary, unbinarise, restore_unary])
def test_the_callers_tree_stays_and_shares_nothing(change):
    [tree] = read_trees("(S (NP (A a)) (B b) (C c))")
    tree.y = tree.word = torch.arange(5)
    before = fields(tree.clone())
    changed = change(tree)
    assert fields(tree) == before
    assert not storages(tree) & storages(changed)
    assert changed.labels is not tree.labels and changed.tokens is not tree.tokens


def test_wide_and_deep_trees():
    wide = read_trees(f"(S {' '.join('(A a)' for _ in range(10_000))})")[0]
    for side in SIDES:
        two = binarise(wide, side=side)
        assert two.num_nodes == 19_999
        assert fields(unbinarise(two)) == fields(wide)
    deep = read_trees("(S " * 20_000 + "(S a)" + ")" * 20_000)[0]
    one = collapse_unary(deep)
    assert one.num_nodes == 1 and fields(restore_unary(one)) == fields(deep)
    deep = read_trees("(S (A a) (B b) " * 10_000 + "(S a)" + ")" * 10_000)[0]
    assert fields(unbinarise(binarise(deep, side="head"))) == fields(deep)


def test_the_published_treebank(data_root):
    for number, tree in enumerate(treebank(data_root)):
        plain = read_trees(write_trees([tree]))[0]
        two = binarise(collapse_unary(plain), side=SIDES[number % 3])
        assert set(torch.bincount(two.edge_index[1]).tolist()) <= {0, 2}
        assert fields(restore_unary(unbinarise(two))) == fields(plain)


def test_sst_is_binary(data_root):
    for tree in SST("dev", data_root).trees:
        two = binarise(tree)
        assert two.edge_index.equal(tree.edge_index) and not two.intermediate.any() and two.y.equal(tree.y)


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("(S (NP a) (VP b) (. .))", "VP"),
        ("(S-TPC-1 (NP-SBJ a) (ADJP-PRD b))", "ADJP-PRD"),
        ("(VP (MD a) (VP b))", "MD"),
        ("(VP (ADVP a) (VBZ b) (VP c))", "VBZ"),
        ("(NP (DT a) (NN b) (NN c))", 3),
        ("(NP (DT a) (NN b) (POS c))", "POS"),
        ("(NP (NP a) (PP b))", 1),
        ("(NP (DT a) (CD b) (JJ c))", "CD"),
        ("(NP (DT a) (JJ b) (ADVP c))", "JJ"),
        ("(NP (DT a) (EX b))", "EX"),
        ("(PP (IN a) (NP b))", "IN"),
        ("(PP (ADVP a) (IN b) (IN c))", 3),
        ("(SBAR (WHNP a) (S b))", "WHNP"),
        ("(SBARQ (WHNP a) (SQ b) (. ?))", "SQ"),
        ("(QP (RB a) ($ b) (CD c))", "$"),
        ("(PRN (, ,) (S a) (, ,))", "S"),
        ("(UCP (NP a) (ADJP b))", "ADJP"),
        ("(UNKNOWN (A a) (B b))", "A"),
        ("(NP (NN a) (CC and) (NN b))", 1),
        ("(VP (VB a) (, ,) (CC and) (VB b))", 1),
        ("(NP (CC both) (NN a))", "NN"),
        ("(X (, ,) (. .))", ","),
    ],
)
def test_heads_of_phrases(text, head):
    [tree] = read_trees(text)
    found = head_children(tree)
    assert found.dtype == torch.int64
    assert found[0] == (head if isinstance(head, int) else tree.labels.index(head))
    assert found[1:].tolist() == [-1] * (tree.num_nodes - 1)


def test_rules_of_ones_own():
    [tree] = read_trees("(S (A a) (B b) (C c))")
    assert head_children(tree, rules={"S": [("right", ("A", "B"))]}).tolist()[0] == 2
    assert head_children(tree, rules={"S": [("last", ("A",)), ("right", ())]}).tolist()[0] == 3


def test_nltk_of_a_binarised_tree():
    tree = Tree.fromstring("(S (A a) (B b) (C c))")
    assert to_nltk(unbinarise(binarise(from_nltk(tree)))) == tree
