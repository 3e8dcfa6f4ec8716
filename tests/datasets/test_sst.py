import os
from pathlib import Path

import pytest
import torch
from torch_geometric.loader import DataLoader

from graphseq.convert import Vocabulary
from graphseq.datasets import SST
from graphseq.errors import GraphError

DATA = Path(os.environ.get("GRAPHSEQ_DATA", ""))


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    folder = tmp_path / "root/sst"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("(3 (2 It) (4 (4 works) (2 .)))\n(2 (2 It) (2 .))\n", encoding="utf-8")
    (folder / "dev.txt").write_text("(1 (2 It) (0 fails))\n", encoding="utf-8")
    return tmp_path / "root"


def test_a_small_treebank(root):
    train = SST("train", root, check=False)
    assert len(train) == 2 and train.num_classes == 5
    assert train.vocabulary.words == (".", "It", "works")
    assert train[0].word.tolist() == [-1, 2, -1, 3, 1]
    assert [tree.y.tolist() for tree in train] == [[3, 2, 4, 4, 2], [2, 2, 2]]
    dev = SST("dev", root, check=False)  # its words are looked up among those of the training split
    assert dev.vocabulary == train.vocabulary
    assert dev[0].word.tolist() == [-1, 2, 0]
    assert not (root.parent / "cache").exists()


def test_options(root):
    assert SST("train", root, check=False, min_count=2, lower=True).vocabulary == Vocabulary(
        (".", "it"), True
    )
    vocabulary = Vocabulary(("fails",))
    dev = SST("dev", root, vocabulary=vocabulary, transform=lambda tree: tree.word[2:], check=False)
    assert torch.equal(dev[0], torch.tensor([1])) and dev.vocabulary is vocabulary
    with pytest.raises(IndexError):
        dev[1]


def test_loads_in_batches(root):
    [batch] = DataLoader(SST("train", root, check=False), batch_size=2)
    assert batch.word.tolist() == [-1, 2, -1, 3, 1, -1, 2, 1]
    assert batch.edge_index.tolist() == [[1, 2, 3, 4, 6, 7], [0, 0, 2, 2, 5, 5]]


def test_a_cut_file_is_noticed(root):
    with pytest.raises(GraphError, match=r"the 1101 trees of the published dev split, got 1 in .*dev\.txt"):
        SST("dev", root)


def test_a_malformed_file_is_placed(root):
    (root / "sst/train.txt").write_text("(3 (2 It) (4 works))\n(2 (7 It) (2 .))\n")
    with pytest.raises(GraphError, match=r"train\.txt, line 2, column 4: the label '7'"):
        SST("train", root, check=False)


def test_a_missing_file(root):
    with pytest.raises(GraphError) as caught:
        SST("test", root, check=False)
    assert f"  {root}/sst/test.txt\n" in str(caught.value)
    assert f"  {root.parent}/cache/sst/test.txt\n" in str(caught.value)
    assert "https://nlp.stanford.edu/sentiment" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"split": "valid"}, "split"),
        ({"split": "dev", "vocabulary": ["a"]}, "vocabulary"),
        ({"split": "dev", "vocabulary": Vocabulary(()), "lower": True}, "vocabulary"),
        ({"split": "dev", "min_count": 0}, "min_count"),
    ],
)
def test_bad_arguments(root, options, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        SST(root=root, check=False, **options)


@pytest.mark.skipif(not (DATA / "sst").is_dir(), reason="needs sst in the data root GRAPHSEQ_DATA")
def test_the_published_treebank():
    train = SST("train", DATA)
    assert len(train) == 8544
    assert sum(tree.num_nodes for tree in train) == 318_582
    children = torch.bincount(torch.cat([torch.bincount(tree.edge_index[1]) for tree in train]))
    assert children[1] == 0 and children[2] > 0 and len(children) == 3  # every tree is binary
    assert torch.bincount(torch.stack([tree.y[0] for tree in train])).tolist() == [
        1092,
        2218,
        1624,
        2322,
        1288,
    ]
    assert sum("\u00a0" in word for tree in train for word in tree.tokens) == 3
    assert sum(tree.tokens.count("-LRB-") for tree in train) == 356
    dev = SST("dev", DATA, vocabulary=train.vocabulary)
    assert len(dev) == 1101
    assert torch.bincount(torch.stack([tree.y[0] for tree in dev])).tolist() == [139, 289, 229, 279, 165]
