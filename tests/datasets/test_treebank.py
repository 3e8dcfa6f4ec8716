import pickle
import sys
import zipfile

import pytest
import torch

from graphseq.datasets import treebank
from graphseq.errors import CorruptData, GraphError, MissingData

FILES = {
    "treebank/combined/wsj_0002.mrg": "( (S (NP-SBJ (DT The) \n (NN cat)) (VP (VBD sat)) (. .)) )\n",
    "treebank/combined/wsj_0001.mrg": "\n( (S (NP (-NONE- *)) (VP (VB Go))) )\n( (INTJ (UH Oh)) )\n",
    "treebank/parsed/wsj_0001.prd": "no tree",
    "treebank/README": "",
}


def lay(root, files=FILES):
    path = root / "nltk_data/corpora/treebank.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def root(tmp_path):
    lay(tmp_path / "root")
    return tmp_path / "root"


def test_a_small_archive(root, listing, monkeypatch):
    before = listing(root)
    for _ in range(2):  # read, and from the cache
        trees = treebank(root, check=False)
        assert [tree.origin for tree in trees] == ["wsj_0001:1", "wsj_0001:2", "wsj_0002:1"]
        assert trees[2].tokens == ["The", "cat", "sat", "."]
        assert trees[2].labels == ["", "S", "NP-SBJ", "DT", "NN", "VP", "VBD", "."]
        assert trees[2].edge_index.tolist() == [[1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 2, 1, 5, 1]]
        assert trees[2].span.tolist() == [[0, 4], [0, 4], [0, 2], [0, 1], [1, 2], [2, 3], [2, 3], [3, 4]]
        assert [trees.labels[y] for y in trees[0].y.tolist()] == ["", "S", "NP", "-NONE-", "VP", "VB"]
        assert (len(trees), repr(trees)) == (3, "Treebank(trees=3, labels=13)")
        monkeypatch.setattr(sys.modules["graphseq.datasets.treebank"], "_read", None)
    assert listing(root) == before
    again = pickle.loads(pickle.dumps(treebank(root, transform=tokens_of, check=False)))
    assert again[1] == ["Oh"]


def tokens_of(tree):
    return tree.tokens


def test_an_archive_that_is_not_the_published_one(root):
    with pytest.raises(CorruptData, match=r"treebank\.zip was truncated: expected \d+ bytes of SHA-256 9da92d76c3"):
        treebank(root)


@pytest.mark.parametrize("content", [b"", b"an error page", b"PK\x03\x04"])
def test_what_is_no_archive(root, content):
    (root / "nltk_data/corpora/treebank.zip").write_bytes(content)
    with pytest.raises(GraphError, match=r"treebank\.zip: not a sound zip file of trees"):
        treebank(root, check=False)


def test_a_cut_member(root):
    path = lay(root, {"treebank/combined/wsj_0001.mrg": "( (S (NP (NN cat))"})
    with pytest.raises(GraphError, match=r"treebank\.zip, treebank/combined/wsj_0001\.mrg: text, line 1, column 19"):
        treebank(root, check=False)
    data = bytearray(path.read_bytes())
    data[data.index(b"cat")] ^= 1
    path.write_bytes(data)
    with pytest.raises(GraphError, match=r"treebank\.zip: not a sound zip file of trees: Bad CRC"):
        treebank(root, check=False)


def test_download_and_offline(cache, site, address, root, no_checkout):
    address("treebank", f"{site.url}/treebank.zip")
    with pytest.raises(MissingData, match="offline"):
        treebank(offline=True)
    assert not site.requests
    site.lay("treebank.zip", (root / "nltk_data/corpora/treebank.zip").read_bytes())
    with pytest.raises(CorruptData, match=r"nltk_data/corpora/treebank\.zip as it was downloaded: expected"):
        treebank()


def test_the_published_sample(data_root):
    trees = treebank(data_root)
    assert len(trees) == 3914
    assert trees[0].tokens[:3] == ["Pierre", "Vinken", ","] and trees[0].labels[:3] == ["", "S", "NP-SBJ"]
    assert sum(len(tree.tokens) for tree in trees) == 100_676  # as NLTK counts them
    assert {tree.origin.partition(":")[0] for tree in trees} == {f"wsj_{n:04}" for n in range(1, 200)}
    assert all(torch.equal(tree.span[0], torch.tensor([0, len(tree.tokens)])) for tree in trees)


def test_equals_what_nltk_reads(data_root, monkeypatch):
    reader = pytest.importorskip("nltk.corpus.reader.bracket_parse")
    data = pytest.importorskip("nltk.data")
    monkeypatch.setattr(data, "path", [str(data_root / "nltk_data")])  # NLTK reads nowhere else
    packed = data.ZipFilePathPointer(str(data_root / "nltk_data/corpora/treebank.zip"), "treebank/combined/")
    theirs = reader.BracketParseCorpusReader(packed, r"wsj_0[0-1]\d\d\.mrg").parsed_sents("wsj_0003.mrg")
    ours = [tree for tree in treebank(data_root) if tree.origin.startswith("wsj_0003:")]
    assert len(ours) == len(theirs) == 30
    for one, other in zip(ours, theirs, strict=True):
        assert one.tokens == other.leaves()
        assert one.labels[1:] == [node.label() for node in other.subtrees()]
