import io
import os
import pickle
import shutil
import sys
import warnings
import zipfile

import numpy
import pytest
import torch
import torch_geometric.datasets

from graphseq.datasets import tudataset
from graphseq.errors import CorruptData, DataWarning, GraphError, MissingData

# NumPy 1 reads another number, the smallest one, instead of refusing.
TOO_LARGE = ": could not convert"
if numpy.lib.NumpyVersion(numpy.__version__) < "2.0.0":
    TOO_LARGE = ", line 1: expected two nodes from 1 to 5, the lines of graph_indicator, got 1, -9223372036854775808"

# A triangle and an edge; every undirected edge stands in both directions, nodes count from 1.
FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n3, 1\n1, 3\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "0\n2\n1\n0\n0\n",
    "node_attributes": "0.5\n1.5\n2.5\n3.5\n4.5\n",
}


@pytest.fixture
def root(tmp_path):
    raw = tmp_path / "root/tudataset/TWO/raw"
    raw.mkdir(parents=True)
    for part, text in FILES.items():
        (raw / f"TWO_{part}.txt").write_text(text)
    return tmp_path / "root"


def write(root, **parts):
    for part, text in parts.items():
        (root / f"tudataset/TWO/raw/TWO_{part}.txt").write_text(text, encoding="latin1")


def test_two_graphs(root, cache, listing):
    before = listing(root)
    graphs = tudataset("TWO", root)
    assert listing(root) == before
    triangle, edge = graphs
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (2, 2, 4)
    assert triangle.x.tolist() == [[0.5, 1, 0, 0], [1.5, 0, 0, 1], [2.5, 0, 1, 0]]
    assert triangle.edge_index.tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    assert edge.edge_index.tolist() == [[0, 1], [1, 0]]
    assert [int(graph.y) for graph in graphs] == [1, 0] and graphs.classes == [-1, 1]
    assert sorted(os.listdir(cache)) == [".locks", "processed"]
    assert (graphs.name, repr(graphs), graphs.num_node_labels, graphs.num_node_attributes) == ("TWO", "TWO(2)", 3, 1)
    assert (graphs.num_edge_labels, graphs.num_edge_attributes, graphs.num_edge_features) == (0, 0, 0)
    assert len(graphs[1:]) == 1 and torch.equal(graphs[1:][0].x, edge.x)
    assert torch.equal(graphs[torch.tensor([True, False])][0].x, triangle.x)
    assert torch.equal(pickle.loads(pickle.dumps(graphs))[1].x, edge.x)


def test_graphs_without_features(root):
    for part in ("node_labels", "node_attributes"):
        (root / f"tudataset/TWO/raw/TWO_{part}.txt").unlink()
    for _ in range(2):  # made, and from the cache
        graphs = tudataset("TWO", root)
        assert [graph.num_nodes for graph in graphs] == [3, 2] and graphs[0].x is None


def test_attributes_and_transform(root):
    graphs = tudataset("TWO", root, transform=lambda graph: graph.x[:, 0])
    assert torch.equal(graphs[1], torch.tensor([3.5, 4.5]))
    assert tudataset("TWO", root, use_node_attr=False)[1].x.tolist() == [[1, 0, 0], [1, 0, 0]]
    write(root, edge_attributes="".join(f"{k}, 0.5\n" for k in range(8)), edge_labels="0\n1\n" * 4)
    for used, width in ((False, 2), (True, 4)):
        assert tudataset("TWO", root, use_edge_attr=used)[0].edge_attr.shape == (6, width)
    assert tudataset("TWO", root, use_edge_attr=True)[1].edge_attr.tolist() == [[6, 0.5, 1, 0], [7, 0.5, 0, 1]]


def test_is_processed_once_and_again_when_a_file_changes(root, monkeypatch):
    tudataset("TWO", root)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["graphseq.datasets.tudataset"], "_read", None)
        assert len(tudataset("TWO", root)) == 2
    (root / "tudataset/TWO/raw/TWO_graph_labels.txt").write_text("4\n4\n")
    assert tudataset("TWO", root).num_classes == 1


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("A", "1, 2\n\n2, 99\n", ", line 3: expected two nodes from 1 to 5, the lines of graph_indicator, got 2, 99"),
        ("A", "1, 2\n0, 2\n", ", line 2: expected two nodes from 1 to 5, the lines of graph_indicator, got 0, 2"),
        ("A", "1, 2\n2, x\n", ", line 2: expected 2 whole numbers separated by commas, got '2, x'"),
        ("A", "1, 2\n2\n", ", line 2: expected 2 whole numbers separated by commas, got '2'"),
        ("A", "1, 2, 3\n", ", line 1: expected two nodes, got 1, 2, 3"),
        ("A", "1, 2\n2, 1\n3, 4\n", ", line 3: expected two nodes of one graph, got 3, 4"),
        ("A", "", ": expected lines of numbers, got 0"),
        ("A", "1, 99999999999999999999\n", TOO_LARGE),
        ("graph_indicator", "", ": expected lines of numbers, got 0"),
        ("graph_indicator", "1\n2\n1\n2\n2\n", ", line 3: expected graphs from 1 on, in ascending order, got 1"),
        ("graph_indicator", "0\n0\n0\n1\n1\n", ", line 1: expected graphs from 1 on, in ascending order, got 0"),
        ("graph_labels", "1\n", ": expected 2 lines, one for each graph, got 1"),
        ("graph_attributes", "1\n2\n3\n", ": expected 2 lines, one for each graph, got 3"),
        ("node_labels", "0\n2\n1\n0\n", ": expected 5 lines, one for each node, got 4"),
        ("node_labels", "0\n1000000000\n1\n0\n0\n", ": expected labels close to each other, got 1000000000 between"),
        ("node_attributes", "0.5\n1.5\nten\n1\n1\n", ", line 3: expected 1 numbers separated by commas, got 'ten'"),
        ("node_attributes", "\xff\n", ", line 1: expected 1 numbers"),
        ("edge_labels", "0\n1\n", ": expected 8 lines, one for each edge, got 2"),
    ],
)
def test_broken_files_are_named_with_the_line(root, cache, part, text, message):
    write(root, **{part: text})
    with pytest.raises(GraphError) as caught:
        tudataset("TWO", root)
    assert str(caught.value).startswith(f"{root}/tudataset/TWO/raw/TWO_{part}.txt{message}")
    assert not (cache / "processed").exists()


def test_a_last_line_without_a_line_feed_counts(root):
    """PyG drops it, and is then one line off."""
    write(root, graph_labels="1\n-1", node_labels="0\n2\n1\n0\n0")
    assert [int(graph.y) for graph in tudataset("TWO", root)] == [1, 0]


def test_numbers_of_graphs_that_nothing_confirms(root):
    (root / "tudataset/TWO/raw/TWO_graph_labels.txt").unlink()
    write(root, graph_indicator="1\n1\n1\n2000000000000\n2000000000000\n")
    with pytest.raises(GraphError, match=r"indicator\.txt, line 4: expected graphs from 1 to 5, each with a node"):
        tudataset("TWO", root)


def test_targets_of_a_regression(root):
    (root / "tudataset/TWO/raw/TWO_graph_labels.txt").unlink()
    assert "y" not in tudataset("TWO", root)[0]
    write(root, graph_attributes="0.5\n-1.5\n")
    graphs = tudataset("TWO", root)
    assert [graph.y.tolist() for graph in graphs] == [[0.5], [-1.5]] and graphs[0].y.dtype == torch.float32
    write(root, graph_attributes="0.5, 1\n-1.5, nan\n")
    assert tudataset("TWO", root)[0].y.tolist() == [[0.5, 1]]
    write(root, graph_labels="3\n7\n")
    graph = tudataset("TWO", root)[0]
    assert (graph.y.tolist(), graph.graph_attr.tolist()) == ([0], [[0.5, 1]])


def caught_warnings(root):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graphs = tudataset("TWO", root, check=False)
    assert all(warning.category is DataWarning for warning in caught)
    return graphs, [str(warning.message) for warning in caught]


def test_a_set_that_looks_cut(root):
    assert caught_warnings(root)[1] == []
    write(root, A="1, 2\n2, 1\n2, 3\n3, 1\n4, 5\n5, 4\n3, 3\n")
    for _ in range(2):  # made, and from the cache
        graphs, [text] = caught_warnings(root)
        assert text.startswith("TWO: 2 of 6 edges are in one direction only") and "ToUndirected" in text
    assert graphs[0].edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 0]]
    write(root, A="1, 1\n")
    graphs, [text] = caught_warnings(root)
    assert "last 2 graphs" in text and [graph.num_edges for graph in graphs] == [0, 0]
    write(root, A="1, 2\n2, 1\n")
    graphs, [text] = caught_warnings(root)
    assert text == "TWO: no edges in the last 1 graphs of several nodes; was the file truncated?"
    assert graphs[1].num_edges == 0 and graphs[1].x.shape == (2, 4)
    write(root, graph_indicator="1\n1\n2\n3\n4\n", graph_labels="1\n1\n2\n2\n")  # graphs of one node have none
    assert caught_warnings(root)[1] == []


def test_a_set_without_checksums_is_told(root):
    with pytest.warns(DataWarning, match=r"^tudataset/TWO/raw: no checksum is recorded of TWO_A\.txt \(and 4 more\)"):
        tudataset("TWO", root)


def test_the_folder_itself_is_a_root_too(root, listing):
    (root / "tudataset/TWO/raw/TWO_readme.txt").write_text("no numbers")
    before = listing(root)
    assert len(tudataset("TWO", root / "tudataset/TWO/raw")) == 2
    assert listing(root) == before


def test_a_published_set_needs_all_of_its_files(data_root, tmp_path):
    raw = shutil.copytree(data_root / "tudataset/MUTAG/raw", tmp_path / "tudataset/MUTAG/raw")
    (raw / "MUTAG_graph_labels.txt").unlink()
    with pytest.raises(MissingData, match=r"MUTAG/raw/MUTAG_graph_labels\.txt\n"):
        tudataset("MUTAG", tmp_path)
    assert "y" not in tudataset("MUTAG", tmp_path, check=False)[0]


def test_files_that_are_nowhere(root):
    (root / "tudataset/TWO/raw/TWO_graph_indicator.txt").unlink()
    with pytest.raises(MissingData) as caught:
        tudataset("TWO", root)
    assert str(root / "tudataset/TWO/raw/TWO_graph_indicator.txt") in str(caught.value)
    assert "/TWO.zip" in str(caught.value)


def test_download(cache, site, address):
    address("tudataset", site.url)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for part, text in FILES.items():
            archive.writestr(f"TWO/../../TWO_{part}.txt", text)
        archive.writestr("TWO/README", "")
    site.lay("TWO.zip", content.getvalue())
    assert len(tudataset("TWO")) == 2
    raw = cache / "tudataset/TWO/raw"
    assert sorted(os.listdir(raw)) == sorted(["SHA256SUMS", *(f"TWO_{part}.txt" for part in FILES)])
    (raw / "TWO_node_labels.txt").write_text("0\n2\n1\n0\n1\n")
    with pytest.raises(CorruptData, match=r"TWO_node_labels\.txt was altered"):
        tudataset("TWO")
    assert tudataset("TWO", check=False)[1].x.tolist() == [[3.5, 1, 0, 0], [4.5, 0, 1, 0]]
    site.lay("BAD.zip", "an error page")
    with pytest.raises(MissingData, match=r"BAD\.zip from the server is not a valid archive"):
        tudataset("BAD")
    assert not (cache / "tudataset/BAD/raw").exists()


def test_offline(no_sockets):
    with pytest.raises(MissingData, match=r"(?s)TWO_A\.txt, TWO_graph_indicator\.txt.*offline.*/TWO\.zip"):
        tudataset("TWO", offline=True)


@pytest.mark.parametrize("name", ["../MUTAG", "", "a/b", ".", 3, None])
def test_bad_names(root, name):
    with pytest.raises(GraphError, match="`name`: expected a set's name"):
        tudataset(name, root)


@pytest.mark.parametrize(("name", "count", "features", "first"), [("MUTAG", 188, 7, 17), ("PROTEINS", 1113, 4, 42)])
def test_sets_as_published(data_root, name, count, features, first):
    graphs = tudataset(name, data_root)
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (count, 2, features)
    assert graphs[0].num_nodes == first and graphs[0].is_undirected()
    assert bool((graphs[0].x[:, graphs.num_node_attributes :].sum(1) == 1).all())


@pytest.mark.parametrize(("name", "edge_features"), [("MUTAG", 4), ("PROTEINS", 0)])
@pytest.mark.parametrize("attributes", [False, True])
def test_equals_pyg(data_root, tmp_path, name, edge_features, attributes):
    shutil.copytree(data_root / f"tudataset/{name}/raw", tmp_path / f"{name}/raw")
    options = {"use_node_attr": attributes, "use_edge_attr": attributes}
    ours = tudataset(name, data_root, **options)
    theirs = torch_geometric.datasets.TUDataset(str(tmp_path), name, **options)
    assert len(ours) == len(theirs) and repr(ours) == repr(theirs) and ours.num_edge_features == edge_features
    for one, other in zip(ours, theirs, strict=True):
        assert sorted(one.keys()) == sorted(other.keys())
        assert all(torch.equal(one[key], other[key]) for key in other.keys())  # noqa: SIM118


def test_an_altered_file(data_root, tmp_path):
    raw = shutil.copytree(data_root / "tudataset/MUTAG/raw", tmp_path / "tudataset/MUTAG/raw")
    labels = raw / "MUTAG_graph_labels.txt"
    labels.chmod(0o644)
    labels.write_text(labels.read_text().replace("-1", " 1", 1))
    with pytest.raises(
        CorruptData, match=r"MUTAG_graph_labels\.txt was altered: expected \d+ bytes of SHA-256 a1518ea39"
    ):
        tudataset("MUTAG", tmp_path)
    assert int(tudataset("MUTAG", tmp_path, check=False).y.sum()) == int(tudataset("MUTAG", data_root).y.sum()) + 1
