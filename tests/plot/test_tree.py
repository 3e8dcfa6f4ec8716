"""Trees: levels, order of leaves, nothing on top of another, any depth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from matplotlib.collections import LineCollection

from graphseq import GraphError, Topology, plot
from graphseq.convert import KINDS, read_trees, syntax_tree
from tests.plot.looks import outside, overlaps
from tests.strategies import examples, forests, slotted_trees


def places(figure):
    """Where each label stands, by the node's number that it shows."""
    return {int(t.get_text()): t.get_position() for t in figure.axes[0].texts}


@given(forests())
@examples(15)
def test_parents_stand_one_level_above_amid_their_children(topology):
    figure = plot.tree(topology, labels=range(topology.num_nodes), sideways=False)
    at = places(figure)
    assert len(at) == topology.num_nodes
    below = {}
    for child, parent in topology.edge_index.t().tolist():
        below.setdefault(parent, []).append(at[child][0])
        assert at[parent][1] - at[child][1] == pytest.approx(0.46)
    for parent, xs in below.items():
        assert at[parent][0] == pytest.approx((min(xs) + max(xs)) / 2)
    assert len({at[root][1] for root in topology.roots.tolist()}) <= 1
    assert not overlaps(figure)


@given(slotted_trees(3))
@examples(15)
def test_siblings_stand_in_the_order_of_their_slots(topology):
    at = places(plot.tree(topology, labels=range(topology.num_nodes), sideways=False))
    lying = places(plot.tree(topology, labels=range(topology.num_nodes), sideways=True))
    edges = list(zip(topology.edge_index.t().tolist(), topology.slot.tolist(), strict=True))
    for (a, parent), i in edges:
        for (b, other), j in edges:
            if parent == other and i < j:
                assert at[a][0] < at[b][0]
                assert lying[a][1] > lying[b][1]


def test_words_stand_under_the_leaves_as_a_sentence():
    [data] = read_trees("(S (NP (DT The) (NN $cat$)) (VP (VBZ sat) (PP (IN on) (NP (DT the) (NN mat)))))")
    figure = plot.tree(data)
    by_text = {t.get_text(): t.get_position() for t in figure.axes[0].texts}
    words = ["The", "$cat$", "sat", "on", "the", "mat"]
    assert {"S", "NP", "VP", *words} <= set(by_text)
    xs = [by_text[word][0] for word in words]
    assert xs == sorted(xs)
    assert not overlaps(figure)
    again = plot.tree(Topology.from_data(data), labels=data.labels, tokens=data.tokens)
    assert [t.get_position() for t in again.axes[0].texts] == [t.get_position() for t in figure.axes[0].texts]


NAMES = ["very negative", "negative", "neutral", "positive", "very positive"]


def fills(figure):
    """The colour of each word's box."""
    return {t.get_text(): t.get_bbox_patch().get_facecolor()[:3] for t in figure.axes[0].texts if t.get_bbox_patch()}


def test_sentiments_are_coloured_from_red_to_blue():
    [data] = read_trees("(3 (0 dull) (3 (2 and) (4 brilliant)))", labels="01234")
    figure = plot.tree(data, names=NAMES)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == NAMES
    found = fills(figure)
    assert found["dull"][0] > found["dull"][2] and found["brilliant"][2] > found["brilliant"][0]
    assert min(found["and"]) > 0.95
    [dots] = [c for c in figure.axes[0].collections if not isinstance(c, LineCollection)]
    assert dots.get_facecolor()[0, :3].sum() > sum(found["brilliant"])  # paler


def sentence(length, *, right=False):
    """A tree over words of many lengths: balanced, or right-branching."""
    words = [("w" * (1 + i % 13)) for i in range(length)]

    def join(words):
        if len(words) == 1:
            return f"({len(words[0]) % 5} {words[0]})"
        cut = 1 if right else len(words) // 2
        return f"({len(words) % 5} {join(words[:cut])} {join(words[cut:])})"

    [data] = read_trees(join(words), labels="01234")
    return data


@pytest.mark.parametrize("right", [False, True], ids=["balanced", "right"])
@pytest.mark.parametrize("length", [1, 3, 12, 60])
def test_no_text_is_covered_or_cut_off_however_long_the_sentence(length, right):
    data = sentence(length, right=right)
    signs = [("−−", "−", "0", "+", "++")[y] if v in data.edge_index[1] else "" for v, y in enumerate(data.y.tolist())]
    for labels in (None, signs, [str(y) for y in data.y.tolist()]):
        for sideways in (None, True, False):
            figure = plot.tree(data, labels=labels, names=NAMES, title="Each phrase's sentiment", sideways=sideways)
            assert not overlaps(figure) and not outside(figure)
    width = plot.tree(data).get_size_inches()[0]
    assert width < (10 if length < 60 or not right else 26)


def test_a_long_sentence_is_laid_out_sideways_and_read_downwards():
    data = sentence(60)
    texts = plot.tree(data).axes[0].texts
    places = [t.get_position()[1] for t in texts if t.get_text().startswith("w")]
    assert len(places) == 60 and places == sorted(places, reverse=True)


def test_syntax_trees_are_readable():
    source = "def f(self, key, default=None):\n    return [self.items.get(key, default) for i in self.items if i]\n"
    tree = syntax_tree(source)
    labels = [token or KINDS[kind] for token, kind in zip(tree.tokens, tree.kind.tolist(), strict=True)]
    for sideways in (True, False):
        figure = plot.tree(Topology.from_data(tree), labels=labels, sideways=sideways)
        assert sorted(text.get_text() for text in figure.axes[0].texts) == sorted(labels)
        assert not overlaps(figure) and not outside(figure)


def test_lines_are_bent_where_straight_ones_would_run_behind_a_sibling():
    def bends(parent):
        [lines] = [c for c in plot.tree(Topology.tree(parent)).axes[0].collections if isinstance(c, LineCollection)]
        return {len(segment) for segment in lines.get_segments()}

    assert bends([-1, 0, 0]) == {2}
    assert bends([-1, *[0] * 12]) == {4}


@pytest.mark.parametrize("topology", [Topology.chain([2000]), Topology.tree([-1] + [0] * 2000)])
def test_deep_and_wide_trees(topology, tmp_path):
    figure = plot.tree(topology, tmp_path / "a.svg")
    assert np.prod(figure.get_size_inches() * figure.dpi) < 1e8
    assert (tmp_path / "a.svg").stat().st_size > 10_000


def test_empty_and_one_node():
    assert not plot.tree(Topology.tree([])).axes[0].texts
    for sideways in (True, False):
        figure = plot.tree(Topology.tree([-1]), labels=["a"], tokens=["word"], sideways=sideways)
        assert len(figure.axes[0].texts) == 2 and not overlaps(figure) and not outside(figure)


@pytest.mark.parametrize(
    ("topology", "options", "message"),
    [
        (Topology.chain([2]).reverse(), {}, None),
        (Topology.tree([-1, 0, 0]).reverse(), {}, "give its reverse"),
        (Topology.from_edge_index(torch.tensor([[0, 1], [1, 0]])), {}, "or a cycle"),
        (Topology.from_edge_index(torch.tensor([[0, 0, 1, 2], [1, 2, 3, 3]])), {}, "two parents"),
        (Topology.tree([-1, 0, 0]), {"tokens": ["a"]}, "2 leaves or 3 nodes"),
        (Topology.tree([-1, 0, 0]), {"tokens": "ab"}, "`tokens`"),
        (Topology.tree([-1, 0, 0]), {"labels": [1, 2]}, "`labels`: expected one entry for each of 3 nodes"),
        (Topology.tree([-1, 0, 0]), {"colours": [1]}, "`colours`"),
        (Topology.chain([3001]), {}, "at most 3000 nodes"),
        (Topology.tree([-1, 0, 0]), {"path": "a.bmp"}, "`path`"),
        ("(S a)", {}, "a Topology or a PyG Data"),
    ],
)
def test_errors(topology, options, message):
    if message is None:
        plot.tree(topology, **options)
        return
    with pytest.raises(GraphError, match=message):
        plot.tree(topology, **options)
