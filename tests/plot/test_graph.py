"""Graphs as nodes and links: nothing overlaps, links join what they should, colours say what they should."""

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from torch_geometric.data import Data

from graphseq import GraphError, Topology, plot
from tests.strategies import any_graph, examples


def parts(figure, kind):
    return [c for c in figure.axes[0].collections if isinstance(c, kind)]


def places(figure):
    """The nodes' centres: the last circles that are drawn."""
    return np.asarray(parts(figure, EllipseCollection)[-1].get_offsets())


def overlaps(figure):
    """Pairs of texts, or of a text and another node, that cover each other."""
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]


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
    [lines], [heads] = parts(figure, LineCollection), parts(figure, PolyCollection)
    joined = [{int(np.linalg.norm(at - end, axis=1).argmin()) for end in segment} for segment in lines.get_segments()]
    assert sorted(map(sorted, joined)) == [[0, 1], [1, 2]]
    assert len(heads.get_paths()) == 3  # 0 → 1, 1 → 0, 1 → 2
    assert len(parts(figure, EllipseCollection)) == 2  # the loop's ring, and the nodes


def test_an_undirected_graph_has_no_heads():
    figure = plot.graph(Topology.from_networkx(networkx.cycle_graph(4)))
    assert len(parts(figure, PolyCollection)[0].get_paths()) == 0


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
    assert not overlaps(figure)


def test_colours():
    topology = Topology.chain([4])

    def fills(**options):
        return [tuple(c) for c in parts(plot.graph(topology, **options), EllipseCollection)[-1].get_facecolor()]

    def hexes(*names):
        from matplotlib.colors import to_rgba

        return [to_rgba(name) for name in names]

    assert fills(colours=[0, 1, 0, 2]) == hexes("#0072B2", "#D55E00", "#0072B2", "#009E73")
    assert fills(colours=[2, 2, 2, 1])[0] == hexes("#009E73")[0]  # a class keeps its colour
    assert len(set(fills(colours=torch.tensor([0.0, 0.5, 1.0, float("nan")])))) == 4
    assert fills(colours=[0.1, float("nan"), 0.2, 0.3])[1] == hexes("#FFFFFF")[0]
    assert len(set(fills(colours=range(4), scale="values"))) == 4
    data = Data(edge_index=topology.edge_index, num_nodes=4, y=torch.tensor([1, 1, 0, 0]))
    figure = plot.graph(data, names=["no", "yes"])
    assert {text.get_text() for axes in figure.axes[1:] for text in axes.texts} == {"no", "yes"}


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
        ({"seed": -1}, "`seed`"),
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
