import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nltk.parse import DependencyGraph
from nltk.tree import ImmutableTree, ParentedTree, Tree

from graphseq.convert import (
    from_dependency_graph,
    from_nltk,
    read_conllu,
    read_trees,
    to_dependency_graph,
    to_nltk,
    write_conllu,
    write_trees,
)
from graphseq.datasets import treebank
from graphseq.errors import GraphError
from tests.convert.shapes import data_of, fields, nested, nested_of
from tests.convert.test_conllu import TEXT, sentences


def nltk_of(tree, kind=Tree):
    label, below = tree
    return kind(label, [below] if isinstance(below, str) else [nltk_of(child, kind) for child in below])


@given(nested(), st.sampled_from([Tree, ParentedTree, ImmutableTree]))
def test_both_ways(tree, kind):
    theirs = nltk_of(tree, kind)
    assert fields(from_nltk(theirs)) == fields(data_of(tree))
    again = to_nltk(data_of(tree), kind=kind)
    assert again == theirs and type(again) is kind
    assert {type(node) for node in again.subtrees()} == {kind}


def test_parents():
    tree = to_nltk(read_trees("(S (NP a) (VP b))")[0], kind=ParentedTree)
    assert tree[1].parent() is tree and tree[0].right_sibling() is tree[1]


def test_classes():
    [tree] = read_trees("(3 (2 It) (4 works))", labels="01234")
    assert to_nltk(tree, labels="01234") == Tree.fromstring("(3 (2 It) (4 works))")
    with pytest.raises(GraphError, match="`tree`: expected a tree with `labels`"):
        to_nltk(tree)


@pytest.mark.parametrize("kind", [Tree, ParentedTree])
def test_deep_and_wide_trees(kind):
    deep = read_trees("(S (A a) " * 10_000 + "(S a)" + ")" * 10_000)[0]
    assert fields(from_nltk(to_nltk(deep, kind=kind))) == fields(deep)
    wide = read_trees(f"(S {' '.join('(A a)' for _ in range(1000))})")[0]
    assert fields(from_nltk(to_nltk(wide, kind=kind))) == fields(wide)


def cyclic():
    tree = Tree("S", [Tree("A", ["a"])])
    tree.append(Tree("B", [tree]))
    return tree


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("(S a)", r"`tree`: expected an nltk\.Tree, got '"),
        (Tree("S", []), "`tree`: expected a word or a child below each label, got none below 'S'"),
        (
            Tree("S", [Tree("A", ["a"]), "b"]),
            "`tree`: expected a word alone below its label, got 'b' beside other children",
        ),
        (Tree("S", ["a", "b"]), "`tree`: expected a word alone below its label"),
        (Tree(3, ["a"]), "`tree`: expected labels that are strings, got 3"),
        (Tree("S", [("a", "DT")]), "`tree`: expected leaves that are strings, got tuple"),
        (cyclic(), "`tree`: expected a tree, got a node that is below itself"),
    ],
)
def test_what_is_no_tree(tree, message):
    with pytest.raises(GraphError, match=message):
        from_nltk(tree)


def test_a_subtree_that_stands_twice_is_no_cycle():
    shared = Tree("A", ["a"])
    assert from_nltk(Tree("S", [shared, Tree("B", [shared])])).labels == ["S", "A", "B", "A"]


def test_arguments():
    with pytest.raises(GraphError, match=r"`kind`: expected nltk\.Tree or a subclass"):
        to_nltk(read_trees("(S a)")[0], kind=list)
    with pytest.raises(GraphError, match="`tree`: expected a tree as PyG Data"):
        to_nltk(None)


def test_the_published_treebank(data_root):
    for tree in treebank(data_root)[:500]:
        theirs = to_nltk(tree)
        assert theirs == Tree.fromstring(write_trees([tree]))
        again = from_nltk(theirs)
        assert (again.labels, again.tokens) == (tree.labels, tree.tokens) and again.edge_index.equal(tree.edge_index)


COLUMNS = ("tokens", "lemmas", "upos", "xpos", "feats", "relations")


@given(sentences())
def test_dependency_graphs_both_ways(text):
    [tree] = read_conllu(text)
    graph = to_dependency_graph(tree)
    again = from_dependency_graph(graph)
    assert {name: again[name] for name in COLUMNS} == {name: tree[name] for name in COLUMNS}
    assert again.edge_index.equal(tree.edge_index)


@pytest.mark.parametrize("number", [0, 1])
def test_dependency_graphs_as_nltk_reads_them(number):
    tree = read_conllu(TEXT)[number]
    lines = [line for line in write_conllu([tree]).splitlines() if line[:1].isdigit() and line.split("\t")[0].isdigit()]
    theirs = DependencyGraph("\n".join(lines), cell_separator="\t", top_relation_label="root")
    ours = to_dependency_graph(tree)
    assert ours.nodes == theirs.nodes and ours.root == theirs.root
    assert ours.tree() == theirs.tree() and [*ours.triples()] == [*theirs.triples()]
    assert from_dependency_graph(theirs).edge_index.equal(tree.edge_index)


def test_what_is_no_dependency_tree():
    def graph(text):
        return DependencyGraph(text)

    for text, message in [
        ("a X 2\nb X 1", "`graph`: expected a dependency tree, got the cycle 1 → 2 → 1"),
        ("a X 0\nb X 7", "`graph`: expected a dependency tree, got the head 7 is not"),
        ("a X 0\nb X 0", "`graph`: expected a dependency tree, got a second root, beside word 1"),
    ]:
        with pytest.raises(GraphError, match=message):
            from_dependency_graph(graph(text))
    assert from_dependency_graph(graph("a X 0\nb X 0"), single_root=False).num_nodes == 2
    broken = graph("a X 0\nb X 1\nc X 1")
    broken.remove_by_address(2)
    with pytest.raises(GraphError, match=r"`graph`: expected nodes from 1 to 2, got \[1, 3\]"):
        from_dependency_graph(broken)
    broken = graph("a X 0")
    broken.nodes[1]["head"] = None
    with pytest.raises(GraphError, match="`graph`: expected a number as the head of word 1, got None"):
        from_dependency_graph(broken)
    with pytest.raises(GraphError, match=r"`graph`: expected an nltk\.DependencyGraph"):
        from_dependency_graph("a X 0")
    with pytest.raises(GraphError, match="`tree`: expected `tokens`"):
        to_dependency_graph(read_trees("(S (A a) (B b))")[0])
    assert torch.equal(from_dependency_graph(DependencyGraph()).edge_index, torch.empty(2, 0, dtype=torch.int64))


def test_nested_tuples_of_a_tree():
    tree = Tree.fromstring("(S (NP (DT the) (NN cat)) (VP sat))")
    assert nested_of(from_nltk(tree)) == ("S", [("NP", [("DT", "the"), ("NN", "cat")]), ("VP", "sat")])
