"""Parses: their trees in every form."""

import pytest
import torch

from graphseq import GraphError
from graphseq.convert import leaf_spans, read_trees
from graphseq.ops.chart import best_trees
from graphseq.parsing import Parse


def random_parse(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(1, n + 1, n + 1, generator=generator)
    return Parse([f"w{i}" for i in range(n)], best_trees(scores, torch.tensor([n]))[0])


@pytest.mark.parametrize("n", [1, 2, 3, 12, 40])
def test_forms_agree(n):
    parse = random_parse(n)
    [tree] = read_trees(parse.bracketed())
    assert tree.tokens == parse.tokens and torch.equal(leaf_spans(tree), parse.spans)
    topology = parse.topology
    assert topology.num_nodes == 2 * n - 1 and topology.num_edges == 2 * n - 2
    assert sorted(topology.edge_index.t().tolist()) == sorted(tree.edge_index.t().tolist())
    for (child, parent), slot in zip(topology.edge_index.t().tolist(), topology.slot.tolist(), strict=True):
        assert slot == (parse.spans[child, 0] != parse.spans[parent, 0])
    lines = parse.drawn().splitlines()
    assert len(lines) == 2 * n - 1 and [line.split()[-1] for line in lines if line[-1] != "┐"] == parse.tokens
    assert parse.to_dict()["spans"] == parse.spans.tolist()


def test_labels_restore_trees_of_more_children():
    spans = torch.tensor([[0, 4], [0, 3], [0, 1], [1, 3], [1, 2], [2, 3], [3, 4]])
    parse = Parse(["a", "b", "c", "d"], spans, ["S", "", "NP", "VP+X", "", "", ""])
    assert parse.bracketed() == "(S (NP (_ a)) (VP (X (_ b) (_ c))) (_ d))"
    assert repr(parse) == f"Parse({parse.bracketed()})"


def test_brackets_are_read_as_such():
    spans = torch.tensor([[0, 3], [0, 1], [1, 3], [1, 2], [2, 3]])
    parse = Parse(["-LRB-", "fine", "-RCB-"], spans)
    assert parse.words == ["(", "fine", "}"] and parse.drawn().splitlines()[1] == "├─ (" and ">(<" in parse._repr_svg_()
    assert parse.bracketed() == "(_ (_ -LRB-) (_ (_ fine) (_ -RCB-)))" and parse.to_dict()["tokens"] == parse.tokens


def test_tags_of_words():
    spans = torch.tensor([[0, 3], [0, 1], [1, 3], [1, 2], [2, 3]])
    parse = Parse(["It", "works", "."], spans, ["S", "NP", "", "VP", ""], ["PRP", "VBZ", "."])
    assert parse.bracketed() == "(S (NP (PRP It)) (VP (VBZ works)) (. .))"
    assert parse.drawn().splitlines() == ["┐ S", "├─ NP PRP It", "└─┐", "  ├─ VP VBZ works", "  └─ . ."]
    assert parse.to_dict()["tags"] == parse.tags and "tags" not in Parse(["a"], torch.tensor([[0, 1]])).to_dict()
    assert "NP PRP" in Parse(["It"], torch.tensor([[0, 1]]), ["NP"], ["PRP"])._repr_svg_()


def test_labels_and_tags_with_brackets_can_be_read_again():
    spans = torch.tensor([[0, 3], [0, 1], [1, 3], [1, 2], [2, 3]])
    parse = Parse(["It", "(", "a\tb"], spans, ["S (", "", "N P", "", ""], ["PRP", "(", "."])
    [tree] = read_trees(parse.bracketed())
    assert tree.tokens == ["It", "-LRB-", "a\xa0b"] and tree.labels[:3] == ["S\xa0-LRB-", "PRP", "N\xa0P"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((["a"], torch.tensor([[0, 2], [0, 1], [1, 2]])), r"`spans`: expected int64 of shape \[1, 2\], for 1 words"),
        ((["a", "b"], torch.tensor([[0, 2], [0, 1], [0, 2]])), "`spans`: expected the nodes of a binary tree over 2"),
        ((["a"], [[0, 1]]), "`spans`: expected int64"),
        ((["a"], torch.tensor([[0.0, 1.0]])), "`spans`: expected int64"),
        (([], torch.zeros(0, 2, dtype=torch.int64)), "`spans`: expected int64 .* n words, at least one"),
        ((["a"], torch.tensor([[0, 1]]), ["A", "B"]), "`labels`: expected 1 texts, or none"),
        ((["a"], torch.tensor([[0, 1]]), [], ["A", "B"]), "`tags`: expected 1 texts, or none"),
        ((["a"], torch.tensor([[0, 1]]), [], torch.tensor([1])), "`tags`: expected 1 texts, or none"),
    ],
)
def test_what_is_no_parse(given, message):
    with pytest.raises(GraphError, match=message):
        Parse(*given)


def test_words_with_brackets_and_spaces_can_be_read_again():
    parse = Parse(["(a)", "b\xa0c"], torch.tensor([[0, 2], [0, 1], [1, 2]]))
    assert read_trees(parse.bracketed())[0].tokens == ["-LRB-a-RRB-", "b\xa0c"]


def test_a_deep_tree():
    n = 5000
    spans = [[i, n] for i in range(n - 1)]
    rows = [row for i, row in enumerate(spans) for row in (row, [i, i + 1])] + [[n - 1, n]]
    parse = Parse(["w"] * n, torch.tensor(rows))
    assert read_trees(parse.bracketed())[0].num_nodes == 2 * n - 1 and parse.topology.num_levels == n


def test_drawings():
    parse = random_parse(12)
    svg = parse._repr_svg_()
    assert svg.count("<svg") == 1 and all(word in svg for word in parse.tokens)
    assert parse._repr_html_().startswith("<div") and parse._repr_svg_() == svg
