"""Graphs as nodes and links: nothing overlaps, links join what they should, colours say what they should."""

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch
from torch_geometric.data import Data

from graphseq import GraphError, Topology, plot
from tests.plot.looks import outside, overlaps
from tests.strategies import any_graph, examples


def parts(figure, kind):
    return [c for c in figure.axes[0].collections if isinstance(c, kind)]


def places(figure):
    """The nodes' centres, if all are circles, in the order of their numbers."""
    return np.asarray(nodes(figure)[0].get_offsets())


def nodes(figure):
    """The collections that hold nodes: circles, then squares; before them come rings of loops."""
    return parts(figure, PathCollection)[1:]


def links(figure):
    """The ends of each line or arrow."""
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    lines = [segment for lines in parts(figure, LineCollection) for segment in lines.get_segments()]
    return lines, [arrow._posA_posB for arrow in arrows]


@given(any_graph())
@examples(15)
def test_any_graph_is_drawn_with_all_its_nodes_apart(topology):
    figure = plot.graph(topology)
    if topology.num_nodes:
        at = places(figure)
        assert at.shape == (topology.num_nodes, 2)
        assert np.isfinite(at).all()
        gap = np.linalg.norm(at[:, None] - at, axis=2) + 9 * np.eye(len(at))
        assert gap.min() > 0.24  # a node's diameter, in inches


def test_links_join_the_nodes_and_heads_show_one_way_links():
    topology = Topology.from_edge_index(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 2]]), 4)
    figure = plot.graph(topology)
    at = places(figure)
    lines, arrows = links(figure)
    joined = [tuple(int(np.linalg.norm(at - end, axis=1).argmin()) for end in arrow) for arrow in arrows]
    assert not lines and sorted(joined) == [(0, 1), (1, 0), (1, 2)]
    [ring] = parts(figure, PathCollection)[0].get_offsets()
    assert int(np.linalg.norm(at - ring, axis=1).argmin()) == 2  # the loop


def test_an_undirected_graph_has_lines_without_heads():
    figure = plot.graph(Topology.from_networkx(networkx.cycle_graph(4)))
    lines, arrows = links(figure)
    assert len(lines) == 4 and not arrows


def test_links_lead_to_the_right():
    xs = places(plot.graph(Topology.chain([5])))[:, 0]
    assert (np.diff(xs) > 0).all()


def test_the_same_graph_gives_the_same_picture(tmp_path):
    topology = Topology.from_networkx(networkx.karate_club_graph())
    for name in ("a.svg", "b.svg"):
        plot.graph(topology, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_long_labels_do_not_cover_each_other():
    topology = Topology.from_networkx(networkx.star_graph(6))
    figure = plot.graph(topology, labels=[f"{'node ' * 2}{i}" for i in range(7)])
    assert len(figure.axes[0].texts) == 7
    assert not overlaps(figure) and not outside(figure)


def test_colours():
    topology = Topology.chain([4])

    def fills(**options):
        found = nodes(plot.graph(topology, **options))[0].get_facecolor()
        return [tuple(c) for c in (found if len(found) > 1 else np.repeat(found, 4, 0))]

    def hexes(*names):
        return [to_rgba(name) for name in names]

    assert fills(colours=[0, 1, 0, 2]) == hexes("#0072B2", "#D55E00", "#0072B2", "#009E73")
    assert fills(colours=[2, 2, 2, 1])[0] == hexes("#009E73")[0]  # a class keeps its colour
    assert len(set(fills(colours=torch.tensor([0.0, 0.5, 1.0, float("nan")])))) == 4
    assert fills(colours=[0.1, float("nan"), 0.2, 0.3])[1] == hexes("#FFFFFF")[0]
    assert len(set(fills(colours=range(4), scale="values"))) == 4
    data = Data(edge_index=topology.edge_index, num_nodes=4, y=torch.tensor([1, 1, 0, 0]))
    figure = plot.graph(data, names=["no", "yes"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no", "yes"]


def test_twenty_classes_are_told_apart():
    figure = plot.graph(Topology.chain([20]), colours=range(20), names=[f"topic {i}" for i in range(20)])
    assert len({tuple(c) for c in nodes(figure)[0].get_facecolor()}) == 20
    assert len(figure.legends[0].get_texts()) == 20 and not overlaps(figure) and not outside(figure)
    with pytest.raises(GraphError, match="at most 20 classes"):
        plot.graph(Topology.chain([21]), colours=[str(i) for i in range(21)])


def test_marks_are_seen_and_explained():
    figure = plot.graph(
        Topology.chain([4]), colours=[0, 1, 0, 1], labels=range(4),
        marks={"known": [True, False, False, False], "wrong": torch.tensor([False, False, True, False])},
    )  # fmt: skip
    circles, squares = nodes(figure)
    assert len(circles.get_offsets()) == 3 and len(squares.get_offsets()) == 1
    assert sorted(circles.get_linewidths()) == pytest.approx([0.6, 0.6, 2.4])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0", "1", "known", "wrong"]


@pytest.mark.parametrize("size", [10, 100, 300])
def test_large_graphs_keep_their_nodes_apart(size):
    graph = networkx.connected_watts_strogatz_graph(size, 4, 0.1, seed=0)
    figure = plot.graph(Topology.from_networkx(graph))
    at = places(figure)
    dot = np.sqrt(nodes(figure)[0].get_sizes()[0]) / 72
    assert (np.linalg.norm(at[:, None] - at, axis=2) + np.eye(size)).min() > dot
    assert figure.get_size_inches().max() < 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colours": [1, 2]}, "`colours`: expected one entry for each of 3 nodes"),
        ({"colours": [1, "a", 2]}, "integers, numbers or strings"),
        ({"colours": [0, 1, 2], "names": ["a"]}, "a name for each class up to 2"),
        ({"colours": [0, 1, 2], "scale": "rainbow"}, "`scale`"),
        ({"colours": ["a", "b", "c"], "scale": "values"}, "numbers"),
        ({"colours": [0.0, 1.0, 2.0], "limits": (3, 1)}, "the lower first"),
        ({"labels": "abc"}, "`labels`"),
        ({"marks": {"a": [True]}}, r"`marks\['a'\]`: expected one entry for each of 3 nodes"),
        ({"marks": {"a": [1] * 3, "b": [1] * 3, "c": [1] * 3}}, "at most 2 names"),
        ({"title": 3}, "`title`"),
        ({"path": "a.gif"}, "`path`"),
    ],
)
def test_errors(options, message):
    with pytest.raises(GraphError, match=message):
        plot.graph(Topology.chain([3]), **options)


def test_only_small_graphs_are_drawn():
    with pytest.raises(GraphError, match=r"at most 1000 nodes.*got 1001"):
        plot.graph(Topology.chain([1001]))
    with pytest.raises(GraphError, match="a Topology or a PyG Data"):
        plot.graph(torch.zeros(2, 0))
