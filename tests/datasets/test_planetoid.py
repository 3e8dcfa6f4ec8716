import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
import torch_geometric.datasets

from graphseq.datasets import planetoid
from graphseq.errors import GraphError

DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))
NODES, TRAIN, TEST, FEATURES, CLASSES = (
    640,
    40,
    60,
    12,
    3,
)  # PyG validates on 500 nodes after the training ones


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    """A data root with a small random Cora."""
    random = np.random.default_rng(0)
    x = scipy.sparse.csr_matrix((random.random((NODES, FEATURES)) < 0.2).astype(np.float32))
    y = np.eye(CLASSES, dtype=np.int32)[random.integers(0, CLASSES, NODES)]
    graph = {int(v): [int(u) for u in random.integers(0, NODES, 3)] for v in range(NODES)}
    rest = NODES - TEST
    parts = {
        "x": x[:TRAIN],
        "allx": x[:rest],
        "tx": x[rest:],
        "y": y[:TRAIN],
        "ally": y[:rest],
        "ty": y[rest:],
        "graph": graph,
    }
    raw = tmp_path / "root/planetoid/Cora/raw"
    raw.mkdir(parents=True)
    for part, content in parts.items():
        (raw / f"ind.cora.{part}").write_bytes(pickle.dumps(content, protocol=4))
    (raw / "ind.cora.test.index").write_text("\n".join(map(str, range(rest, NODES))))
    return tmp_path / "root"


def listing(folder):
    return {
        path: path.stat().st_mtime_ns if path.is_file() else sorted(os.listdir(path))
        for path in [folder, *folder.rglob("*")]
    }


def lock(folder, writable):
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if writable else 0o555)


def test_equals_pyg_and_leaves_a_read_only_root_alone(root, cache):
    lock(root, writable=False)
    before = listing(root)
    graph = planetoid("Cora", root)[0]
    assert listing(root) == before
    lock(root, writable=True)
    theirs = torch_geometric.datasets.Planetoid(str(root / "planetoid"), "Cora")[0]
    assert graph.keys() == theirs.keys()
    assert all(torch.equal(graph[key], theirs[key]) for key in graph.keys())  # noqa: SIM118
    assert graph.x.shape == (NODES, FEATURES) and int(graph.train_mask.sum()) == TRAIN
    assert len(os.listdir(cache / "processed")) == 1


def test_full_split_and_transform(root):
    def mark(graph):
        graph.marked = True
        return graph

    graph = planetoid("Cora", root, split="full", transform=mark)[0]
    assert graph.marked
    masks = graph.train_mask.int() + graph.val_mask.int() + graph.test_mask.int()
    assert bool((masks == 1).all()) and int(graph.val_mask.sum()) == 500


def test_is_processed_once_and_again_when_a_file_changes(root, cache, monkeypatch):
    first = planetoid("Cora", root)[0]
    with monkeypatch.context() as patch:
        patch.setattr(torch_geometric.datasets.Planetoid, "process", None)
        assert torch.equal(planetoid("Cora", root)[0].edge_index, first.edge_index)
    graph = root / "planetoid/Cora/raw/ind.cora.graph"
    graph.write_bytes(pickle.dumps({0: [1], 1: [0]}))
    assert planetoid("Cora", root)[0].num_edges == 2
    assert len(os.listdir(cache / "processed")) == 2


def test_can_be_sent_to_a_worker(root):
    graphs = pickle.loads(pickle.dumps(planetoid("Cora", root)))
    assert graphs[0].num_nodes == NODES


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("part", ["x", "graph"])
def test_a_pickle_that_runs_code_is_not_run(root, cache, tmp_path, part):
    trace = tmp_path / "trace"
    poison = pickle.dumps({0: [Evil(trace)]}, protocol=2)
    (root / f"planetoid/Cora/raw/ind.cora.{part}").write_bytes(poison)
    with pytest.raises(
        GraphError, match=rf"planetoid/Cora/raw: .*ind\.cora\.{part} .*\.open, which is not data"
    ):
        planetoid("Cora", root)
    assert not trace.exists()
    assert not os.listdir(cache / "processed")
    pickle.loads(poison)[0][0].close()  # the poison works
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04no pickle", pickle.dumps(np.zeros(3))])
def test_broken_files(root, content):
    (root / "planetoid/Cora/raw/ind.cora.allx").write_bytes(content)
    with pytest.raises(GraphError, match="planetoid/Cora/raw: these files cannot be read"):
        planetoid("Cora", root)


def test_an_edge_to_nowhere(root):
    (root / "planetoid/Cora/raw/ind.cora.graph").write_bytes(pickle.dumps({0: [NODES]}))
    with pytest.raises(GraphError, match="planetoid/Cora/raw: these files cannot be read"):
        planetoid("Cora", root)


def test_a_lost_file(root):
    (root / "planetoid/Cora/raw/ind.cora.ty").unlink()
    with pytest.raises(GraphError) as caught:
        planetoid("Cora", root)
    assert str(root / "planetoid/Cora/raw/ind.cora.ty") in str(caught.value)
    assert "kimiyoung/planetoid" in str(caught.value)


def test_download(root, cache, monkeypatch):
    server = (root / "planetoid/Cora/raw").as_uri()
    monkeypatch.setattr(torch_geometric.datasets.Planetoid, "url", server)
    assert planetoid("Cora")[0].num_nodes == NODES
    assert (cache / "planetoid/Cora/raw/ind.cora.x").is_file()
    with pytest.raises(GraphError, match=r"ind\.pubmed\.x could not be downloaded"):
        planetoid("PubMed")


@pytest.mark.parametrize(
    ("name", "split", "argument"), [("cora", "public", "name"), ("Cora", "random", "split")]
)
def test_bad_arguments(root, name, split, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        planetoid(name, root, split=split)


@pytest.mark.skipif(
    not (DATA / "planetoid").is_dir(), reason="needs planetoid in the data root GRAPHSEQ_DATA"
)
def test_cora_as_published():
    graphs = planetoid("Cora", DATA)
    graph = graphs[0]
    assert graph.x.shape == (2708, 1433) and graph.num_edges == 2 * 5278 and graphs.num_classes == 7
    assert [int(graph[f"{split}_mask"].sum()) for split in ("train", "val", "test")] == [140, 500, 1000]
    assert round(float((graph.x != 0).float().mean()), 4) == 0.0127
    assert torch.bincount(graph.y[graph.train_mask]).tolist() == [20] * 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing old is read from the cache
        planetoid("Cora", DATA)
