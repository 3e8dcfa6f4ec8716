"""Trees: levels, order of leaves, nothing on top of another, any depth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from matplotlib.collections import LineCollection

from graphseq import GraphError, Topology, plot
from graphseq.convert import read_trees
from tests.strategies import examples, forests, slotted_trees


def places(figure):
    """Where each label stands, by the node's number that it shows."""
    return {int(t.get_text()): t.get_position() for t in figure.axes[0].texts}


def overlaps(figure):
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]


@given(forests())
@examples(15)
def test_parents_stand_one_level_above_amid_their_children(topology):
    figure = plot.tree(topology, labels=range(topology.num_nodes))
    at = places(figure)
    assert len(at) == topology.num_nodes
    below = {}
    for child, parent in topology.edge_index.t().tolist():
        below.setdefault(parent, []).append(at[child][0])
        assert at[parent][1] - at[child][1] == pytest.approx(0.48)
    for parent, xs in below.items():
        assert at[parent][0] == pytest.approx((min(xs) + max(xs)) / 2)
    assert len({at[root][1] for root in topology.roots.tolist()}) <= 1
    assert not overlaps(figure)


@given(slotted_trees(3))
@examples(15)
def test_siblings_stand_in_the_order_of_their_slots(topology):
    at = places(plot.tree(topology, labels=range(topology.num_nodes)))
    edges = list(zip(topology.edge_index.t().tolist(), topology.slot.tolist(), strict=True))
    for (a, parent), i in edges:
        for (b, other), j in edges:
            if parent == other and i < j:
                assert at[a][0] < at[b][0]


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


def test_sentiments_are_coloured_from_red_to_blue():
    [data] = read_trees("(3 (0 dull) (4 brilliant))", labels="01234")
    names = ["very negative", "negative", "neutral", "positive", "very positive"]
    figure = plot.tree(data, names=names)
    key = [text.get_text() for axes in figure.axes[1:] for text in axes.texts]
    assert sorted(key) == sorted(names)
    [dots] = [c for c in figure.axes[0].collections if not isinstance(c, LineCollection)]
    root, negative, positive = dots.get_facecolor()[:, :3]
    assert negative[0] > negative[2] and positive[2] > positive[0] and root[2] > root[0]
    assert root.sum() > positive.sum()  # paler


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
    assert len(plot.tree(Topology.tree([-1]), labels=["a"], tokens=["word"]).axes[0].texts) == 2


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
        ("(S a)", {}, "a Topology or a PyG Data"),
    ],
)
def test_errors(topology, options, message):
    if message is None:
        plot.tree(topology, **options)
        return
    with pytest.raises(GraphError, match=message):
        plot.tree(topology, **options)
