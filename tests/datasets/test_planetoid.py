import os
import pickle
import shutil
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
import torch_geometric.datasets

from graphseq.datasets import planetoid
from graphseq.errors import CorruptData, GraphError, MissingData

NODES, TRAIN, TEST, FEATURES, CLASSES = 640, 40, 60, 12, 3  # 500 nodes after the training ones are for validation


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
    (raw / "ind.cora.test.index").write_text("".join(f"{paper}\n" for paper in range(rest, NODES)))
    return tmp_path / "root"


def test_equals_pyg_and_leaves_the_root_alone(root, cache, listing):
    before = listing(root)
    graphs = planetoid("Cora", root, check=False)
    assert listing(root) == before
    theirs = torch_geometric.datasets.Planetoid(str(root / "planetoid"), "Cora")
    same(graphs[0], theirs[0])
    assert graphs[0].x.shape == (NODES, FEATURES) and int(graphs[0].train_mask.sum()) == TRAIN
    assert (graphs.name, graphs.num_classes, graphs.num_features) == ("Cora", CLASSES, FEATURES)
    assert (len(graphs), repr(graphs)) == (1, "Cora()")
    full = torch_geometric.datasets.Planetoid(str(root / "planetoid"), "Cora", split="full")
    same(planetoid("Cora", root, split="full", check=False)[0], full[0])


def same(ours, theirs):
    assert sorted(ours.keys()) == sorted(theirs.keys())
    for key in theirs.keys():  # noqa: SIM118
        assert ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key]), key


def test_papers_that_are_missing_from_the_index_of_citeseer(root):
    """Eight test papers have no features, no label and no line in test.index; the others are shuffled."""
    raw = root / "planetoid/CiteSeer/raw"
    raw.mkdir(parents=True)
    for path in (root / "planetoid/Cora/raw").iterdir():
        (raw / path.name.replace("cora", "citeseer")).write_bytes(path.read_bytes())
    random = np.random.default_rng(1)
    first = NODES - TEST
    papers = np.delete(np.arange(first, first + TEST + 8), random.choice(np.arange(1, TEST + 7), 8, replace=False))
    random.shuffle(papers)
    (raw / "ind.citeseer.test.index").write_text("".join(f"{paper}\n" for paper in papers))
    graph = planetoid("CiteSeer", root)[0]
    same(graph, torch_geometric.datasets.Planetoid(str(root / "planetoid"), "CiteSeer")[0])
    lost = sorted(set(range(first, first + TEST + 8)) - set(papers.tolist()))
    assert graph.num_nodes == NODES + 8 and not graph.x[lost].any() and not graph.test_mask[lost].any()


def test_an_index_that_does_not_end_in_a_line_feed(root):
    """PyG drops its last paper."""
    first = planetoid("Cora", root, check=False)[0]
    index = root / "planetoid/Cora/raw/ind.cora.test.index"
    index.write_text(index.read_text().rstrip())
    same(planetoid("Cora", root, check=False)[0], first)


def test_full_split_and_transform(root):
    def mark(graph):
        graph.marked = True
        return graph

    graph = planetoid("Cora", root, split="full", transform=mark, check=False)[0]
    assert graph.marked
    masks = graph.train_mask.int() + graph.val_mask.int() + graph.test_mask.int()
    assert bool((masks == 1).all()) and int(graph.val_mask.sum()) == 500
    assert int(planetoid("Cora", root, check=False)[0].train_mask.sum()) == TRAIN  # the cache is as it was


def test_is_processed_once_and_again_when_a_file_changes(root, cache, monkeypatch):
    first = planetoid("Cora", root, check=False)[0]
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["graphseq.datasets.planetoid"], "_read", None)
        same(planetoid("Cora", root, check=False)[0], first)
    graph = root / "planetoid/Cora/raw/ind.cora.graph"
    graph.write_bytes(pickle.dumps({0: [1], 1: [0]}))
    assert planetoid("Cora", root, check=False)[0].num_edges == 2
    assert len(os.listdir(cache / "processed")) == 2


def test_processed_files_of_pyg_are_never_read(root, tmp_path):
    processed = root / "planetoid/Cora/processed"
    processed.mkdir()
    for name in ("data.pt", "pre_transform.pt", "pre_filter.pt"):
        (processed / name).write_bytes(pickle.dumps(Evil(tmp_path / "trace"), protocol=2))
    assert planetoid("Cora", root, check=False)[0].num_nodes == NODES
    assert not (tmp_path / "trace").exists()


def test_nothing_is_pickled(root, cache, monkeypatch):
    monkeypatch.setattr("torch.save", None)
    monkeypatch.setattr("torch.load", None)
    for _ in range(2):
        planetoid("Cora", root, check=False)
    assert {path.suffix for path in cache.rglob("*") if path.is_file()} == {".safetensors", ".json", "", ".lock"}


def test_can_be_sent_to_a_worker(root):
    graphs = pickle.loads(pickle.dumps(planetoid("Cora", root, check=False)))
    assert graphs[0].num_nodes == NODES and graphs.name == "Cora"


def test_files_that_are_not_the_published_ones(root, cache):
    with pytest.raises(CorruptData, match=r"ind\.cora\.x.* was truncated: expected 22119 bytes of SHA-256 23cfa55d91"):
        planetoid("Cora", root)
    assert not cache.exists()


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
    with pytest.raises(GraphError, match=rf"planetoid/Cora/raw/ind\.cora\.{part}: .*\.open, which is not data"):
        planetoid("Cora", root, check=False)
    assert not trace.exists()
    assert not (cache / "processed").exists()
    pickle.loads(poison)[0][0].close()  # the poison works
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04no pickle", pickle.dumps(np.zeros(3))])
def test_broken_files(root, content):
    (root / "planetoid/Cora/raw/ind.cora.allx").write_bytes(content)
    with pytest.raises(GraphError, match=r"planetoid/Cora/raw/ind\.cora\.allx: not a (file of Planetoid|matrix)"):
        planetoid("Cora", root, check=False)


def test_an_edge_to_nowhere(root):
    (root / "planetoid/Cora/raw/ind.cora.graph").write_bytes(pickle.dumps({0: [NODES]}))
    with pytest.raises(GraphError, match="planetoid/Cora/raw: these files can't be read"):
        planetoid("Cora", root, check=False)


def test_a_broken_index(root):
    index = root / "planetoid/Cora/raw/ind.cora.test.index"
    lines = index.read_text().splitlines()
    index.write_text("\n".join([*lines[:4], "x", *lines[5:]]))
    with pytest.raises(GraphError, match=r"ind\.cora\.test\.index, line 5: expected 1 whole numbers .*, got 'x'"):
        planetoid("Cora", root, check=False)


def test_a_lost_file(root):
    (root / "planetoid/Cora/raw/ind.cora.ty").unlink()
    with pytest.raises(MissingData) as caught:
        planetoid("Cora", root)
    assert str(root / "planetoid/Cora/raw/ind.cora.ty") in str(caught.value)
    assert "kimiyoung/planetoid" in str(caught.value)


def sparse(indices, indptr, shape):
    matrix = scipy.sparse.csr_matrix((1, 1), dtype=np.float32)
    matrix.__dict__.update(data=np.ones(len(indices), np.float32), indices=indices, indptr=indptr, _shape=shape)
    return matrix


@pytest.mark.parametrize(
    "matrix",
    [
        sparse(np.array([10**6], np.int32), np.array([0, 1], np.int32), (1, 12)),
        sparse(np.array([-5], np.int32), np.array([0, 1], np.int32), (1, 12)),
        sparse(np.array([0], np.int32), np.array([0, 10**6], np.int32), (1, 12)),
        sparse(np.array([0], np.int32), np.array([0, 1], np.int32), (10**9, 12)),
    ],
)
def test_a_matrix_that_points_outside_of_itself(root, matrix):
    """SciPy would write there."""
    (root / "planetoid/Cora/raw/ind.cora.allx").write_bytes(pickle.dumps(matrix))
    with pytest.raises(GraphError, match=r"planetoid/Cora/raw/ind\.cora\.allx: not a matrix"):
        planetoid("Cora", root, check=False)


def test_download(root, cache, site, address, no_checkout):
    address("planetoid", site.url)
    for path in (root / "planetoid/Cora/raw").iterdir():
        site.lay(path.name.replace("cora", "pubmed"), path.read_bytes())
    assert planetoid("PubMed")[0].num_nodes == NODES
    assert (cache / "planetoid/PubMed/raw/ind.pubmed.x").is_file()
    (cache / "planetoid/PubMed/raw/ind.pubmed.x").write_bytes(b"")
    with pytest.raises(CorruptData, match=r"ind\.pubmed\.x was altered: .*delete it to download it again"):
        planetoid("PubMed")
    with pytest.raises(MissingData, match=r"ind\.citeseer\.x could not be downloaded"):
        planetoid("CiteSeer")


def test_offline(no_sockets):
    with pytest.raises(MissingData, match=r"(?s)cache/planetoid/PubMed/raw/ind\.pubmed\.x, ind\.pubmed\.tx, .*offline"):
        planetoid("PubMed", offline=True)


@pytest.mark.parametrize(("name", "split", "argument"), [("cora", "public", "name"), ("Cora", "random", "split")])
def test_bad_arguments(root, name, split, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        planetoid(name, root, split=split)


def test_cora_as_published(data_root, tmp_path):
    graphs = planetoid("Cora", data_root)
    graph = graphs[0]
    assert graph.x.shape == (2708, 1433) and graph.num_edges == 2 * 5278 and graphs.num_classes == 7
    assert [int(graph[f"{split}_mask"].sum()) for split in ("train", "val", "test")] == [140, 500, 1000]
    assert round(float((graph.x != 0).float().mean()), 4) == 0.0127
    assert torch.bincount(graph.y[graph.train_mask]).tolist() == [20] * 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing old is read from the cache
        planetoid("Cora", data_root)
    shutil.copytree(data_root / "planetoid/Cora/raw", tmp_path / "theirs/Cora/raw")
    same(graph, torch_geometric.datasets.Planetoid(str(tmp_path / "theirs"), "Cora")[0])
