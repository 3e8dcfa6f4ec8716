import io
import os
import pickle
import shutil
import sys
import zipfile

import pytest
import torch
import torch_geometric.datasets

from graphseq.datasets import tudataset
from graphseq.errors import CorruptData, GraphError, MissingData

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


def test_two_graphs(root, cache, listing):
    before = listing(root)
    graphs = tudataset("TWO", root)
    assert listing(root) == before
    triangle, edge = graphs
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (2, 2, 3)
    assert triangle.x.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert triangle.edge_index.tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    assert edge.edge_index.tolist() == [[0, 1], [1, 0]]
    assert [int(graph.y) for graph in graphs] == [1, 0]
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
    graphs = tudataset("TWO", root, use_node_attr=True, transform=lambda graph: graph.x[:, 0])
    assert torch.equal(graphs[1], torch.tensor([3.5, 4.5]))


def test_is_processed_once_and_again_when_a_file_changes(root, monkeypatch):
    tudataset("TWO", root)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["graphseq.datasets.tudataset"], "_read", None)
        assert len(tudataset("TWO", root)) == 2
    (root / "tudataset/TWO/raw/TWO_graph_labels.txt").write_text("4\n4\n")
    assert tudataset("TWO", root).num_classes == 1


@pytest.mark.parametrize("edges", ["1, 2\n2, 99\n", "1, 2\n99, 2\n", "1, 2\n2, x\n", ""])
def test_broken_files(root, cache, edges):
    (root / "tudataset/TWO/raw/TWO_A.txt").write_text(edges)
    with pytest.raises(GraphError, match="tudataset/TWO/raw: these files cannot be read"):
        tudataset("TWO", root)
    assert not (cache / "processed").exists()


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
    assert tudataset("TWO", check=False)[1].x.tolist() == [[1, 0, 0], [0, 1, 0]]
    site.lay("BAD.zip", "an error page")
    with pytest.raises(MissingData, match=r"BAD\.zip from the server is not a sound archive"):
        tudataset("BAD")
    assert not (cache / "tudataset/BAD/raw").exists()


def test_offline(no_sockets):
    with pytest.raises(MissingData, match=r"(?s)TWO_A\.txt, TWO_graph_indicator\.txt.*offline.*/TWO\.zip"):
        tudataset("TWO", offline=True)


@pytest.mark.parametrize("name", ["../MUTAG", "", "a/b", ".", 3, None])
def test_bad_names(root, name):
    with pytest.raises(GraphError, match="`name`: expected a set's name"):
        tudataset(name, root)


@pytest.mark.parametrize(("name", "count", "features", "first"), [("MUTAG", 188, 7, 17), ("PROTEINS", 1113, 3, 42)])
def test_sets_as_published(data_root, name, count, features, first):
    graphs = tudataset(name, data_root)
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (count, 2, features)
    assert graphs[0].num_nodes == first and graphs[0].is_undirected()
    assert bool((graphs[0].x.sum(1) == 1).all())


@pytest.mark.parametrize("attributes", [False, True])
def test_equals_pyg(data_root, tmp_path, attributes):
    shutil.copytree(data_root / "tudataset/MUTAG/raw", tmp_path / "MUTAG/raw")
    options = {"use_node_attr": attributes, "use_edge_attr": attributes}
    ours = tudataset("MUTAG", data_root, **options)
    theirs = torch_geometric.datasets.TUDataset(str(tmp_path), "MUTAG", **options)
    assert len(ours) == len(theirs) and repr(ours) == repr(theirs) and ours.num_edge_features == 4
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
