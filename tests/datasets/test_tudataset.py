import os
import zipfile
from pathlib import Path

import pytest
import torch
import torch_geometric.datasets

from graphseq.datasets import tudataset
from graphseq.errors import GraphError

DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))

# A triangle and an edge; every undirected edge stands in both directions, nodes count from 1.
FILES = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n3, 1\n1, 3\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "0\n2\n1\n0\n0\n",
    "node_attributes": "0.5\n1.5\n2.5\n3.5\n4.5\n",
}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    raw = tmp_path / "root/tudataset/TWO/raw"
    raw.mkdir(parents=True)
    for part, text in FILES.items():
        (raw / f"TWO_{part}.txt").write_text(text)
    return tmp_path / "root"


def test_two_graphs(root, cache):
    before = sorted(root.rglob("*"))
    graphs = tudataset("TWO", root)
    assert sorted(root.rglob("*")) == before
    triangle, edge = graphs
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (2, 2, 3)
    assert triangle.x.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert triangle.edge_index.tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    assert edge.edge_index.tolist() == [[0, 1], [1, 0]]
    assert [int(graph.y) for graph in graphs] == [1, 0]
    assert os.listdir(cache) == ["processed"]


def test_attributes_and_transform(root):
    graphs = tudataset("TWO", root, use_node_attr=True, transform=lambda graph: graph.x[:, 0])
    assert torch.equal(graphs[1], torch.tensor([3.5, 4.5]))


def test_is_processed_once_and_again_when_a_file_changes(root, monkeypatch):
    tudataset("TWO", root)
    with monkeypatch.context() as patch:
        patch.setattr(torch_geometric.datasets.TUDataset, "process", None)
        assert len(tudataset("TWO", root)) == 2
    (root / "tudataset/TWO/raw/TWO_graph_labels.txt").write_text("4\n4\n")
    assert tudataset("TWO", root).num_classes == 1


@pytest.mark.parametrize("edges", ["1, 2\n2, 99\n", "1, 2\n99, 2\n", "1, 2\n2, x\n", ""])
def test_broken_files(root, cache, edges):
    (root / "tudataset/TWO/raw/TWO_A.txt").write_text(edges)
    with pytest.raises(GraphError, match="tudataset/TWO/raw: these files cannot be read"):
        tudataset("TWO", root)
    assert not os.listdir(cache / "processed")


def test_files_that_are_nowhere(root):
    (root / "tudataset/TWO/raw/TWO_graph_indicator.txt").unlink()
    with pytest.raises(GraphError) as caught:
        tudataset("TWO", root)
    assert str(root / "tudataset/TWO/raw/TWO_graph_indicator.txt") in str(caught.value)
    assert "/TWO.zip" in str(caught.value)


def test_download(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_geometric.datasets.TUDataset, "url", tmp_path.as_uri())
    with zipfile.ZipFile(tmp_path / "TWO.zip", "w") as archive:
        for part, text in FILES.items():
            archive.writestr(f"TWO/../../TWO_{part}.txt", text)
        archive.writestr("TWO/README", "")
    assert len(tudataset("TWO")) == 2
    assert sorted(os.listdir(cache / "tudataset/TWO/raw")) == sorted(f"TWO_{part}.txt" for part in FILES)
    (tmp_path / "BAD.zip").write_text("an error page")
    with pytest.raises(GraphError, match=r"BAD\.zip from the server is not a zip file"):
        tudataset("BAD")
    assert os.listdir(cache / "tudataset") == ["TWO"] or not os.listdir(cache / "tudataset/BAD")


@pytest.mark.parametrize("name", ["../MUTAG", "", "a/b", ".", 3, None])
def test_bad_names(root, name):
    with pytest.raises(GraphError, match="`name`: expected a set's name"):
        tudataset(name, root)


@pytest.mark.skipif(
    not (DATA / "tudataset").is_dir(), reason="needs tudataset in the data root GRAPHSEQ_DATA"
)
@pytest.mark.parametrize(
    ("name", "count", "features", "first"), [("MUTAG", 188, 7, 17), ("PROTEINS", 1113, 3, 42)]
)
def test_sets_as_published(name, count, features, first):
    graphs = tudataset(name, DATA)
    assert (len(graphs), graphs.num_classes, graphs.num_features) == (count, 2, features)
    assert graphs[0].num_nodes == first and graphs[0].is_undirected()
    assert bool((graphs[0].x.sum(1) == 1).all())
