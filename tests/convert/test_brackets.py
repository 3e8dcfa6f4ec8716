import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from graphseq.convert import Vocabulary, encode_words, leaf_spans, read_trees, write_trees
from graphseq.errors import GraphError

FIVE = "01234"
WORD = st.text(
    st.characters(codec="utf-8", exclude_characters="() \t\r\n"), min_size=1, max_size=4
)  # no-break spaces and line separators among them
NESTED = st.recursive(
    st.tuples(st.sampled_from(FIVE), WORD),
    lambda tree: st.tuples(st.sampled_from(FIVE), st.lists(tree, min_size=1, max_size=3)),
    max_leaves=12,
)


def write(nested):
    label, below = nested
    return f"({label} {below if isinstance(below, str) else ' '.join(map(write, below))})"


def rebuild(tree):
    """The nested tuples again, from nothing but the tensors and the leaves' words."""
    words = iter(tree.tokens)
    children = {v: [] for v in range(tree.num_nodes)}
    for child, parent in tree.edge_index.t().tolist():
        children[parent].append(child)

    def node(v):
        return FIVE[tree.y[v]], [node(c) for c in children[v]] if children[v] else next(words)

    return node(0)


@given(st.lists(NESTED, max_size=4))
def test_a_tree_that_is_written_is_read_again(forest):
    trees = read_trees("\n".join(map(write, forest)), labels=FIVE, one_per_line=True)
    assert [rebuild(tree) for tree in trees] == forest


@given(NESTED)
def test_the_leaves_below_each_node(nested):
    [tree] = read_trees(write(nested))
    parent = dict(tree.edge_index.t().tolist())
    leaves = sorted(set(range(tree.num_nodes)) - set(parent.values()))
    below = {v: [] for v in range(tree.num_nodes)}
    for place, node in enumerate(leaves):
        while node is not None:
            below[node].append(place)
            node = parent.get(node)
    spans = leaf_spans(tree)
    assert spans.dtype == torch.int64
    assert [list(range(*span)) for span in spans.tolist()] == [below[v] for v in range(tree.num_nodes)]


def test_fields_of_a_small_tree():
    text = "(3 (2 It) (4 (4 's) (1 (2 a) (0 joke))))"
    vocabulary = Vocabulary(("joke", "It"))
    [tree] = read_trees(text, labels=FIVE, vocabulary=vocabulary)
    assert tree.num_nodes == 7
    assert tree.y.tolist() == [3, 2, 4, 4, 1, 2, 0]
    assert tree.word.tolist() == [-1, 2, -1, 0, -1, 0, 1]
    assert tree.tokens == ["It", "'s", "a", "joke"]
    assert tree.edge_index.tolist() == [[1, 2, 3, 4, 5, 6], [0, 0, 2, 2, 4, 4]]
    assert tree.edge_index.dtype == tree.y.dtype == tree.word.dtype == torch.int64
    assert torch.equal(tree.word, encode_words(tree, vocabulary))


def test_one_leaf_is_a_tree_without_edges():
    [tree] = read_trees("(2 word)", labels=FIVE, vocabulary=Vocabulary(("word",)))
    assert tree.edge_index.shape == (2, 0)
    assert (tree.y.tolist(), tree.word.tolist(), tree.num_nodes) == ([2], [1], 1)


def test_no_trees():
    assert read_trees(" \n\n") == []


def test_only_ascii_blanks_part_words():
    [tree] = read_trees("(2 (2 8\u00a01/2) (2\t\u2028x) (2   -LRB-) )", labels=FIVE)
    assert tree.tokens == ["8\u00a01/2", "\u2028x", "-LRB-"]


def test_string_labels_over_several_lines_as_in_the_penn_treebank():
    text = "( (S\r\n    (NP-SBJ (NNP Vinken))\n    (VP (VBZ is)) (. .)) )\n\n(X y)"
    first, second = read_trees(text)
    assert first.labels == ["", "S", "NP-SBJ", "NNP", "VP", "VBZ", "."]
    assert first.edge_index[1].tolist() == [0, 1, 2, 1, 4, 1]
    assert first.tokens == ["Vinken", "is", "."]
    assert "y" not in first and second.labels == ["X"]


@pytest.mark.parametrize(
    ("text", "line", "column", "wrong"),
    [
        ("(2 (2 a) (2 b)", 1, 15, "ends before 1 open"),
        ("(2 a))", 1, 6, "without an open"),
        ("(2 a)\n ) (2 b)", 2, 2, "without an open"),
        ("(2 (2 a)\n   ( b))", 2, 4, "label is missing"),
        ("(2 (2 a) ((2 b) (2 c)))", 1, 10, "label is missing"),
        ("()", 1, 1, "label is missing"),
        ("(2 a)\n(5 b)", 2, 1, "label '5' is not one of 0, 1, 2, 3, 4"),
        ("(2 (x a) (2 b))", 1, 4, "label 'x' is not one of"),
        ("(02 a)", 1, 1, "label '02' is not one of"),
        ("(2 (3) (2 b))", 1, 6, "empty node"),
        ("(2 (2 a b) (2 c))", 1, 9, "'b' in a node that already has a word"),
        ("(2 (2 a) b)", 1, 10, "'b' in a node that already has a word or a child"),
        ("(2 a (2 b))", 1, 6, "inside a leaf, whose word is 'a'"),
        ("(2 a)\n\n(2 b) tail", 3, 7, "'tail' outside of a tree"),
        ("head (2 a)", 1, 1, "'head' outside of a tree"),
    ],
)
def test_malformed_text_is_placed(text, line, column, wrong):
    with pytest.raises(GraphError) as caught:
        read_trees(text, labels=FIVE)
    assert f"text, line {line}, column {column}: " in str(caught.value)
    assert wrong in str(caught.value)


def test_a_lost_bracket_is_found_in_its_own_line():
    text = "(2 a)\n(2 (2 b) (2 c)\n(2 d)\n"
    with pytest.raises(GraphError, match=r"line 2, column 15: the line ends before 1 open"):
        read_trees(text, labels=FIVE, one_per_line=True)
    with pytest.raises(GraphError, match=r"line 1, column 7: a second tree"):
        read_trees("(2 a) (2 b)", one_per_line=True)
    assert len(read_trees("(2 a) (2 b)")) == 2


def test_files(tmp_path: Path):
    path = tmp_path / "trees.txt"
    path.write_bytes("(2 (2 naïve) (2 8\u00a0½))\r\n".encode())
    assert read_trees(path)[0].tokens == ["naïve", "8\u00a0½"]
    path.write_bytes(b"(2 \xff)")
    with pytest.raises(GraphError, match=r"trees\.txt, line 1, column 4: not UTF-8: invalid start byte"):
        read_trees(path)
    path.write_text("(2 a")
    with pytest.raises(GraphError, match=r"trees\.txt, line 1, column 5"):
        read_trees(path)
    with pytest.raises(GraphError, match="cannot be read"):
        read_trees(tmp_path / "none.txt")
    with pytest.raises(GraphError, match="`source`"):
        read_trees(3)


@pytest.mark.parametrize("side", ["left", "right"])
def test_50_000_deep(side):
    depth = 50_000
    if side == "left":
        text = "(2 " * depth + "(2 a)" + " (3 b))" * depth
    else:
        text = "(2 (3 b) " * depth + "(2 a)" + ")" * depth
    [tree] = read_trees(text, labels=FIVE, vocabulary=Vocabulary(("a",)))
    assert tree.num_nodes == 2 * depth + 1
    assert int((tree.word == 1).sum()) == 1 and int((tree.y == 3).sum()) == depth
    assert bool((tree.edge_index[1] < tree.edge_index[0]).all())
    assert leaf_spans(tree)[0].tolist() == [0, depth + 1]


def test_trees_share_no_memory():
    first, second = read_trees("(1 (2 a) (2 b)) (3 c)", labels=FIVE)
    first.y.fill_(0)
    assert second.y.tolist() == [3]
    assert second.y.untyped_storage().nbytes() == 8


def test_batches_as_pyg_expects():
    trees = read_trees("(1 (2 a) (2 b)) (3 c) (0 (2 a) (2 b))", labels=FIVE, vocabulary=Vocabulary(("a",)))
    batch = Batch.from_data_list(trees)
    assert batch.edge_index.tolist() == [[1, 2, 5, 6], [0, 0, 4, 4]]
    assert batch.word.tolist() == [-1, 1, 0, 0, -1, 1, 0]
    assert batch.batch.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert batch.tokens == [["a", "b"], ["c"], ["a", "b"]]


def test_vocabulary():
    vocabulary = Vocabulary.build(iter("bacbab"), min_count=2)
    assert vocabulary.words == ("b", "a")
    assert (len(vocabulary), vocabulary["b"], vocabulary["a"], vocabulary["c"]) == (3, 1, 2, 0)
    assert vocabulary.encode(["c", "a"]) == [0, 2]
    assert "a" in vocabulary and "c" not in vocabulary
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary
    assert Vocabulary.build(list("abab")).words == ("a", "b")  # by count, then by alphabet
    with pytest.raises(AttributeError):
        vocabulary.words = ()


def test_vocabulary_in_lower_case():
    vocabulary = Vocabulary.build(["The", "the", "A"], min_count=2, lower=True)
    assert vocabulary.words == ("the",) and vocabulary["THE"] == 1 and "tHe" in vocabulary
    assert Vocabulary(("the",))["The"] == 0


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Vocabulary.build(["a"], min_count=0), "min_count"),
        (lambda: Vocabulary.build("abc"), "words"),
        (lambda: Vocabulary("abc"), "words"),
        (lambda: Vocabulary(("a", "a")), "words"),
        (lambda: Vocabulary(("A",), lower=True), "words"),
        (lambda: read_trees("(2 a)", vocabulary={"a": 1}), "vocabulary"),
    ],
)
def test_bad_arguments_are_named(make, argument):
    with pytest.raises(GraphError, match=f"`{argument}`"):
        make()


LABEL = st.text(st.characters(codec="utf-8", exclude_characters="() \t\r\n"), max_size=4)


@given(st.lists(NESTED, max_size=4), st.booleans())
def test_writing_is_the_inverse_of_reading(forest, with_labels):
    text = "".join(f"{write(nested)}\n" for nested in forest)
    labels = None if with_labels else FIVE
    assert write_trees(read_trees(text, labels=labels), labels=labels) == text


@given(LABEL, st.lists(st.tuples(LABEL.filter(bool), WORD), min_size=1, max_size=3))
def test_any_label_and_an_empty_one_at_the_root(root, leaves):
    text = f"({root} {' '.join(map(write, leaves))})\n"
    [tree] = read_trees(text)
    assert tree.labels == [root, *(label for label, _ in leaves)]
    assert write_trees([tree]) == text


@pytest.mark.parametrize("name", ["train", "dev"])
def test_all_of_sst_is_written_as_it_was(data_root, name):
    path = data_root / f"sst/{name}.txt"
    text = path.read_bytes().decode()
    assert write_trees(read_trees(path, labels=FIVE, one_per_line=True), labels=FIVE) == text
    assert text.count("\n") == {"train": 8544, "dev": 1101}[name]


def test_all_of_the_treebank_is_written_as_it_was(data_root):
    count = 0
    with zipfile.ZipFile(data_root / "nltk_data/corpora/treebank.zip") as archive:
        for name in filter(lambda name: name.endswith(".mrg"), archive.namelist()):
            text = archive.read(name).decode()
            written = write_trees(read_trees(text))
            assert re.findall(r"[()]|[^() \n]+", written) == re.findall(r"[()]|[^() \n]+", text)
            assert [*map(vars_of, read_trees(written))] == [*map(vars_of, read_trees(text))]
            count += written.count("\n")
    assert count == 3914


def vars_of(tree):
    return tree.labels, tree.tokens, tree.edge_index.tolist(), tree.num_nodes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.labels.__setitem__(1, ""),
            r"`trees\[1\]`: expected labels without blanks and brackets, none empty",
        ),
        (lambda t: t.labels.__setitem__(1, "N P"), r"`trees\[1\]`: expected labels without blanks .*, got 'N P'"),
        (lambda t: t.labels.__setitem__(0, "("), r"`trees\[1\]`: expected labels"),
        (
            lambda t: t.tokens.__setitem__(0, ""),
            r"`trees\[1\]`: expected words without blanks and brackets, none empty",
        ),
        (lambda t: t.tokens.__setitem__(0, "a)"), r"`trees\[1\]`: expected words .*, got 'a\)'"),
        (lambda t: t.tokens.append("a"), r"`trees\[1\]`: expected `tokens`, a list of 2 words"),
        (lambda t: t.labels.append("a"), r"`trees\[1\]`: expected `labels`, a list of 3 strings"),
        (lambda t: t.__delitem__("labels"), r"`trees\[1\]`: expected a tree with `labels`"),
        (lambda t: t.edge_index.copy_(torch.tensor([[1, 2], [2, 0]])), r"`trees\[1\]`: expected nodes in preorder"),
        (lambda t: t.edge_index.copy_(torch.tensor([[2, 1], [0, 0]])), r"`trees\[1\]`: expected nodes in preorder"),
    ],
)
def test_what_cannot_be_written(change, message):
    trees = read_trees("(S (A a) (B b))\n" * 2)
    change(trees[1])
    with pytest.raises(GraphError, match=message):
        write_trees(trees)


def test_arguments_of_writing():
    [tree] = read_trees("(3 (2 a) (4 b))", labels=FIVE)
    for trees in (tree, "(2 a)", None):
        with pytest.raises(GraphError, match="`trees`: expected a list of trees"):
            write_trees(trees)
    with pytest.raises(GraphError, match=r"`trees\[0\]\.y`: expected numbers from 0 to 3, got 4"):
        write_trees([tree], labels="0123")
    with pytest.raises(GraphError, match=r"`trees\[0\]`: expected a tree with `labels`"):
        write_trees([tree])
    tree.y = tree.y.float()
    with pytest.raises(GraphError, match=r"`trees\[0\]`: expected `y`, int64 of shape \[3\], one a node, got float32"):
        write_trees([tree], labels=FIVE)


GOOD = st.tuples(st.just(True), NESTED.map(write))
BAD = st.tuples(
    st.just(False), st.sampled_from(["(2 a", "(2 a))", "a", "(2 a) (3 b)", "(9 a)", "(2)", "( (2 a))", "(2 \udcff)"])
)
EMPTY = st.tuples(st.just(None), st.sampled_from(["", " ", "\r"]))


@given(st.lists(st.one_of(GOOD, BAD, EMPTY), max_size=6))
def test_malformed_lines_are_skipped_and_collected(lines):
    errors = []
    text = "\n".join(line for _, line in lines)
    trees = read_trees(text, labels=FIVE, one_per_line=True, errors=errors)
    assert write_trees(trees, labels=FIVE) == "".join(f"{line}\n" for good, line in lines if good)
    places = [number for number, (good, _) in enumerate(lines, start=1) if good is False]
    assert [re.match(r"text, line (\d+), column \d+: ", str(error))[1] for error in errors] == [*map(str, places)]


def test_errors_of_lines_are_those_of_the_whole_text(tmp_path):
    errors = []
    text = "(2 a)\n(2 (2 b) (2 c)\n(2 d)\n"
    assert [tree.tokens for tree in read_trees(text, one_per_line=True, errors=errors)] == [["a"], ["d"]]
    with pytest.raises(GraphError) as caught:
        read_trees(text, one_per_line=True)
    assert [*map(str, errors)] == [str(caught.value)]
    with pytest.raises(GraphError, match="`one_per_line`: expected True"):
        read_trees(text, errors=[])
    path = tmp_path / "trees.txt"
    path.write_bytes(b"\xef\xbb\xbf(2 a)\n(2 \xff)\n(2 d)\n")
    assert [tree.tokens for tree in read_trees(path, one_per_line=True, errors=errors)] == [["a"], ["d"]]
    assert str(errors[1]) == f"{path}, line 2, column 4: not UTF-8"
    with pytest.raises(GraphError, match=r"trees\.txt, line 2, column 4: not UTF-8: invalid start byte"):
        read_trees(path)


@pytest.mark.parametrize("word", ["\x00", "\x1b[31m", "שלום", "\u202eabc", "👩‍👩‍👧", "e\u0301", "\x0b", "\x85"])
def test_unusual_words_stay_as_they_are(word):
    [tree] = read_trees(f"(S (A {word}) (B x))")
    assert tree.tokens == [word, "x"]
    assert write_trees([tree]) == f"(S (A {word}) (B x))\n"


def test_wide_and_deep_trees_are_written():
    wide = f"(S {' '.join('(A a)' for _ in range(100))})\n"
    assert write_trees(read_trees(wide)) == wide
    for deep in ("(2 " * 20_000 + "a" + ")" * 20_000 + "\n", "(2 " * 20_000 + "(2 a)" + " (3 b))" * 20_000 + "\n"):
        assert write_trees(read_trees(deep)) == deep
