from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

import graphseq as gs
from graphseq.convert import read_conllu, write_conllu
from graphseq.errors import GraphError
from tests.convert.shapes import fields

# The sentence of the format's own page, with words of a contraction and an empty node added.
TEXT = """\
# newdoc
# text = They buy and sell books.
1\tThey\tthey\tPRON\tPRP\tCase=Nom|Number=Plur\t2\tnsubj\t2:nsubj|4:nsubj\t_
2\tbuy\tbuy\tVERB\tVBP\tNumber=Plur|Person=3|Tense=Pres\t0\troot\t0:root\t_
3\tand\tand\tCCONJ\tCC\t_\t4\tcc\t4:cc\t_
4\tsell\tsell\tVERB\tVBP\tNumber=Plur|Person=3|Tense=Pres\t2\tconj\t0:root|2:conj\t_
5\tbooks\tbook\tNOUN\tNNS\tNumber=Plur\t2\tobj\t2:obj|4:obj\tSpaceAfter=No
6\t.\t.\tPUNCT\t.\t_\t2\tpunct\t2:punct\t_

0.1\ttacit\t_\t_\t_\t_\t_\t_\t1:dep\t_
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\t_\t_\t_\t0\troot\t_\t_
1.1\tx\t_\t_\t_\t_\t_\t_\t_\t_
1.2\ty\t_\t_\t_\t_\t_\t_\t_\t_
2\tnos\tnosotros\t_\t_\t_\t1\tobj\t_\tA b=c
3-4\tal mar\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\t_\t_\t_\t4\tcase\t_\t_
4\tmar\tmar\t_\t_\t_\t1\tobl\t_\t_
4.1\tz\t_\t_\t_\t_\t_\t_\t_\t_

"""
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), min_size=1, max_size=3)
COMMENT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=4)
TAG = st.sampled_from(["_", "NOUN", "A=b|C=d"])


@st.composite
def heads(draw, max_words=7):
    """The head of each word, of one tree: word k of a random order hangs on an earlier one."""
    count = draw(st.integers(1, max_words))
    order = draw(st.permutations(range(1, count + 1)))
    found = [0] * count
    for k in range(1, count):
        found[order[k] - 1] = order[draw(st.integers(0, k - 1))]
    return found


@st.composite
def sentences(draw):
    """The text of a sentence, with comments, ranges and empty nodes."""
    lines = [f"#{comment}" for comment in draw(st.lists(COMMENT, max_size=2))]
    above = draw(heads())
    covered = 0
    for number in range(len(above) + 1):
        for empty in range(draw(st.integers(0, 3)) // 2):
            lines.append("\t".join([f"{number}.{empty + 1}", *(draw(CELL) for _ in range(9))]))
        if number == len(above):
            break
        if covered <= number and draw(st.booleans()):
            covered = draw(st.integers(number + 1, len(above)))
            lines.append("\t".join([f"{number + 1}-{covered}", *(draw(CELL) for _ in range(9))]))
        tags = [draw(TAG) for _ in range(6)]
        cells = [draw(CELL), draw(CELL), *tags[:3], str(above[number]), *tags[3:5], draw(CELL)]
        lines.append("\t".join([str(number + 1), *cells]))
    return "".join(f"{line}\n" for line in [*lines, ""])


@given(st.lists(sentences(), max_size=3))
def test_writing_is_the_inverse_of_reading(texts):
    text = "".join(texts)
    trees = read_conllu(text)
    assert len(trees) == len(texts)
    assert write_conllu(trees) == text


@given(heads(), st.lists(CELL, min_size=7, max_size=7), st.lists(TAG, min_size=7, max_size=7))
def test_reading_is_the_inverse_of_writing(above, words, tags):
    count = len(above)
    pairs = [(k, head - 1) for k, head in enumerate(above) if head]
    edges = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    tree = Data(edge_index=edges, num_nodes=count, tokens=words[:count], relations=tags[:count])
    [again] = read_conllu(write_conllu([tree]))
    assert {name: fields(again)[name] for name in fields(tree)} == fields(tree)
    assert again.upos == again.lemmas == again.misc == ["_"] * count


def test_fields_of_the_sentence_of_the_format():
    first, second = read_conllu(TEXT)
    assert first.edge_index.dtype == torch.int64
    assert first.edge_index.tolist() == [[0, 2, 3, 4, 5], [1, 3, 1, 1, 1]]
    assert first.tokens == ["They", "buy", "and", "sell", "books", "."]
    assert first.relations == ["nsubj", "root", "cc", "conj", "obj", "punct"]
    assert first.upos[:3] == ["PRON", "VERB", "CCONJ"] and first.xpos[:3] == ["PRP", "VBP", "CC"]
    assert first.lemmas[4] == "book" and first.feats[4] == "Number=Plur"
    assert first.deps[4] == "2:obj|4:obj" and first.misc[4] == "SpaceAfter=No"
    assert first.comments == ["# newdoc", "# text = They buy and sell books."] and first.extra == []
    assert second.tokens == ["vamos", "nos", "a", "mar"] and second.num_nodes == 4
    assert [line.split("\t")[0] for line in second.extra] == ["0.1", "1-2", "1.1", "1.2", "3-4", "4.1"]
    assert write_conllu([first, second]) == TEXT


def test_a_sweep_goes_from_the_leaves_to_the_root():
    batch = Batch.from_data_list(read_conllu(TEXT))
    topology = gs.Topology.from_data(batch)
    assert (topology.num_graphs, topology.num_levels) == (2, 3)
    assert (topology.out_degree == 0).nonzero()[:, 0].tolist() == [1, 6]


def row(number, head, form="a"):
    return f"{number}\t{form}\t_\t_\t_\t_\t{head}\tdep\t_\t_\n"


def test_line_ends_and_blank_lines():
    text = row(1, 0)
    assert [tree.tokens for tree in read_conllu(f"\n\n{text} \n\t\n{text}")] == [["a"], ["a"]]
    assert write_conllu(read_conllu(f"# x\n{text}".replace("\n", "\r\n"))) == f"# x\n{text}\n"
    assert read_conllu("") == read_conllu("\n\n") == [] and write_conllu([]) == ""


@pytest.mark.parametrize(
    ("text", "line", "column", "wrong"),
    [
        (row(1, 0) + row(2, 7), 2, 13, "the head 7 is not a number from 0 to 2"),
        (row(1, 0) + row(2, 0), 2, 13, "a second root, beside word 1"),
        ("\n" + row(1, 1), 2, 13, "the cycle 1 → 1"),
        (row(1, 0) + row(2, 3) + row(3, 4) + row(4, 2), 2, 13, "the cycle 2 → 3 → 4 → 2"),
        (row(1, 2) + row(2, 3) + row(3, 2), 2, 13, "the cycle 2 → 3 → 2"),
        (row(1, "x"), 1, 13, "the head 'x' is not a number"),
        (row(1, "_"), 1, 13, "the head '_' is not a number"),
        (row(1, "-1"), 1, 13, "the head '-1' is not a number"),
        (row(1, "9" * 5000), 1, 13, "is not a number"),
        (row(1, 0) + row(3, 1), 2, 1, "the word 3, where 2 follows"),
        (row(0, 0), 1, 1, "the word 0, where 1 follows"),
        (row("x", 0), 1, 1, "'x' is not the number of a word, of a range or of an empty node"),
        (row("1-3", "_") + row(1, 0), 2, 1, "the sentence ends before word 3 of a range"),
        (row("2-3", "_") + row(1, 0), 1, 1, "the range 2-3 after word 0"),
        (row("1-0", "_") + row(1, 0), 1, 1, "'1-0' is not the number of"),
        (row("1-2", "_") + row(1, 0) + row("2-2", "_") + row(2, 1), 3, 1, "the range 2-2 after word 2"),
        (row(1, 0) + row("2-1", "_") + row(2, 1), 2, 1, "the range 2-1 after word 1"),
        (row(1, 0) + row("1.2", "_"), 2, 1, "the empty node 1.2, where 1.1 follows"),
        (row(1, 0) + row("0.1", "_"), 2, 1, "the empty node 0.1, where 1.1 follows"),
        ("# x\n\n" + row(1, 0), 1, 1, "the sentence ends without a word"),
        (row(1, 0) + "# x\n", 2, 1, "a comment after the first word"),
        (row("1-1", "_") + "# x\n" + row(1, 0), 2, 1, "a comment after the first word"),
        ("1 a _ _ _ _ 0 root _ _\n", 1, 1, "1 columns instead of 10, separated by tabs"),
        ("1\ta\t_\t_\t_\t_\t0\troot\t_\n", 1, 1, "9 columns instead of 10"),
        ("1\ta\t_\t\t_\t_\t0\troot\t_\t_\n", 1, 7, "UPOS is empty"),
        ("1\ta\rb\t_\t_\t_\t_\t0\troot\t_\t_\n", 1, 4, "a carriage return inside of a line"),
    ],
)
def test_malformed_text_is_placed(text, line, column, wrong):
    with pytest.raises(GraphError) as caught:
        read_conllu(text)
    assert str(caught.value).startswith(f"text, line {line}, column {column}: ")
    assert wrong in str(caught.value)
    errors = []
    trees = read_conllu(f"{row(1, 0)}\n{text}\n\n{row(1, 0, 'z')}", errors=errors)
    assert trees[0].tokens == ["a"] and trees[-1].tokens == ["z"]
    assert [*map(str, errors)] == [str(caught.value).replace(f"line {line},", f"line {line + 2},")]


def test_several_roots():
    [tree] = read_conllu(row(1, 0) + row(2, 0) + row(3, 1), single_root=False)
    assert tree.edge_index.tolist() == [[2], [0]]
    assert write_conllu([tree]) == row(1, 0) + row(2, 0) + row(3, 1) + "\n"
    with pytest.raises(GraphError, match="line 1, column 13: the cycle 1 → 2 → 1"):
        read_conllu(row(1, 2) + row(2, 1), single_root=False)


def test_files(tmp_path):
    path = tmp_path / "trees.conllu"
    path.write_bytes(
        "\ufeff".encode() + row(1, 0, "\u2028é").encode() + b"\n" + row(1, 0).encode().replace(b"a", b"\xff")
    )
    errors = []
    assert [tree.tokens for tree in read_conllu(path, errors=errors)] == [["\u2028é"]]
    assert [*map(str, errors)] == [f"{path}, line 3, column 3: not UTF-8"]
    with pytest.raises(GraphError, match=r"trees\.conllu, line 3, column 3: not UTF-8: invalid start byte"):
        read_conllu(path)
    with pytest.raises(GraphError, match="cannot be read"):
        read_conllu(tmp_path / "none")
    with pytest.raises(GraphError, match="`source`"):
        read_conllu(None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.tokens.append("a"), r"`sentences\[1\]`: expected `tokens`, a list of 4 strings, one a word"),
        (lambda t: t.__delitem__("tokens"), r"`sentences\[1\]`: expected `tokens`, a list of 4 strings.*, got None"),
        (lambda t: t.upos.__setitem__(0, 3), r"`sentences\[1\]`: expected `upos`, a list of 4 strings"),
        (lambda t: t.tokens.__setitem__(0, ""), r"sentences\[1\], line 3, column 3: FORM is empty"),
        (lambda t: t.misc.__setitem__(0, "a\tb"), r"sentences\[1\], line 3, column 1: 11 columns instead of 10"),
        (lambda t: t.misc.__setitem__(0, "a\nb"), r"`sentences\[1\]`: expected strings without line breaks"),
        (lambda t: t.misc.__setitem__(0, "a\r"), r"sentences\[1\], line 3, column \d+: a carriage return"),
        (lambda t: t.comments.append("x"), r"sentences\[1\], line 1, column 1: 1 columns"),
        (lambda t: t.comments.append(row(1, 0)[:-1]), r"sentences\[1\], line 2, column 1: the empty node 0\.1"),
        (lambda t: t.comments.append(3), r"`sentences\[1\]`: expected `comments`, a list of strings, got list \[3\]"),
        (lambda t: t.extra.append((0, "x")), r"`sentences\[1\]`: expected `extra`, a list of strings"),
        (
            lambda t: t.extra.append("x"),
            r"`sentences\[1\]`: expected `extra`, lines of ranges and of empty nodes, got 'x'",
        ),
        (
            lambda t: t.extra.append(f"9{t.extra[0][1:]}"),
            r"`sentences\[1\]`: expected `extra` in the order of the words",
        ),
        (lambda t: t.extra.reverse(), r"sentences\[1\], line \d+, column 1: the empty node 1\.2, where 1\.1 follows"),
        (lambda t: t.edge_index[1].fill_(9), r"`sentences\[1\]`: expected nodes from 0 to 3, got the edge 1 → 9"),
        (
            lambda t: t.edge_index[0].fill_(1),
            r"`sentences\[1\]`: expected at most one head for each node, got two for node 1",
        ),
        (
            lambda t: t.edge_index[1].copy_(torch.tensor([2, 1, 0])),
            r"`sentences\[1\]`: expected a dependency tree, got the cycle 2 → 3 → 2",
        ),
        (lambda t: t.__setattr__("edge_index", None), r"`sentences\[1\]`: expected a dependency tree as PyG Data"),
    ],
)
def test_what_cannot_be_written(change, message):
    trees = read_conllu(TEXT)
    change(trees[1])
    with pytest.raises(GraphError, match=message):
        write_conllu(trees)


def test_arguments_of_writing():
    for trees in (read_conllu(TEXT)[0], TEXT, None, [None], [SimpleNamespace()]):
        with pytest.raises(GraphError, match="`sentences"):
            write_conllu(trees)


def test_a_sentence_without_words_is_not_written():
    empty = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=0, tokens=[])
    with pytest.raises(GraphError, match=r"`sentences\[0\]`: expected a sentence of at least one word"):
        write_conllu([empty])


def test_long_sentences():
    count = 20_000
    chain = "".join(row(k, k - 1) for k in range(1, count + 1))
    [tree] = read_conllu(chain)
    assert gs.Topology.from_data(tree).num_levels == count and write_conllu([tree]) == f"{chain}\n"
    flat = "".join(row(k, min(k - 1, 1)) for k in range(1, count + 1))
    assert write_conllu(read_conllu(flat)) == f"{flat}\n"
    with pytest.raises(GraphError, match=r"line 1, column 13: the cycle 1 → 2 → 3 → 4 → 5 → 6 → 7 → 8 → … → 1$"):
        read_conllu("".join(row(k, k % count + 1) for k in range(1, count + 1)))


def test_writing_changes_no_tree_and_takes_copies():
    trees = read_conllu(TEXT)
    copies = [tree.clone() for tree in trees]
    assert write_conllu(trees) == write_conllu(copies) == TEXT
    assert [*map(fields, trees)] == [*map(fields, copies)]
