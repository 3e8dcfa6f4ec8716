import io
import json
import os
import pickle
import sys
import zipfile

import pytest
import torch
from torch_geometric.loader import DataLoader

from graphseq.convert import Vocabulary
from graphseq.datasets import SST
from graphseq.errors import CorruptData, GraphError, MissingData


@pytest.fixture
def root(tmp_path):
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


def test_options(root):
    assert SST("train", root, check=False, min_count=2, lower=True).vocabulary == Vocabulary((".", "it"), True)
    vocabulary = Vocabulary(("fails",))
    dev = SST("dev", root, vocabulary=vocabulary, transform=lambda tree: tree.word[2:], check=False)
    assert torch.equal(dev[0], torch.tensor([1])) and dev.vocabulary is vocabulary
    with pytest.raises(IndexError):
        dev[1]


def test_loads_in_batches(root):
    [batch] = DataLoader(SST("train", root, check=False), batch_size=2)
    assert batch.word.tolist() == [-1, 2, -1, 3, 1, -1, 2, 1]
    assert batch.edge_index.tolist() == [[1, 2, 3, 4, 6, 7], [0, 0, 2, 2, 5, 5]]


def test_spans(root):
    train = SST("train", root, check=False)
    assert train[0].span.tolist() == [[0, 3], [0, 1], [1, 3], [1, 2], [2, 3]]
    assert train[1].span.tolist() == [[0, 2], [0, 1], [1, 2]] and train[1].span.dtype == torch.int64
    [batch] = DataLoader(train, batch_size=2)
    assert batch.span.shape == (8, 2)


def test_two_classes(root):
    train = SST("train", root, task="binary", check=False)
    assert (len(train), train.num_classes, train.task) == (1, 2, "binary")
    assert train[0].y.tolist() == [1, -1, 1, 1, -1] and train[0].tokens == ["It", "works", "."]
    assert train[0].word.tolist() == [-1, 2, -1, 3, 1]
    dev = SST("dev", root, task="binary", check=False)
    assert dev[0].y.tolist() == [0, -1, 0] and dev.vocabulary == train.vocabulary


def test_the_vocabulary_of_two_classes_is_of_the_sentences_that_are_kept(root):
    (root / "sst/train.txt").write_text("(3 (2 It) (4 works))\n(2 (2 Is) (2 neutral))\n")
    assert SST("train", root, task="binary", check=False).vocabulary.words == ("It", "works")
    assert "neutral" in SST("train", root, check=False).vocabulary


def spoken(phrases, vocabulary):
    words = ["?", *vocabulary.words]
    return [(" ".join(words[w] for w in phrase.tolist()), y) for phrase, y in phrases]


def test_phrases(root):
    train = SST("train", root, check=False)
    every = [("It works .", 3), ("It", 2), ("works .", 4), ("works", 4), (".", 2), ("It .", 2), ("It", 2), (".", 2)]
    phrases = train.phrases(unique=False)
    assert spoken(phrases, train.vocabulary) == every and len(phrases) == 8
    assert phrases.word.dtype == phrases.offsets.dtype == phrases.y.dtype == torch.int64
    assert phrases.offsets.tolist() == [0, 3, 4, 6, 7, 8, 10, 11, 12]
    assert spoken(train.phrases(), train.vocabulary) == every[:6]
    binary = SST("train", root, task="binary", check=False)
    assert spoken(binary.phrases(), binary.vocabulary) == [("It works .", 1), ("works .", 1), ("works", 1)]
    unknown = SST("train", root, vocabulary=Vocabulary(()), check=False).phrases()
    assert len(unknown) == 6 and not unknown.word.any()  # they differ in words that the vocabulary does not know


def test_a_phrase_with_two_sentiments_is_two(root):
    (root / "sst/train.txt").write_text("(3 (2 a) (4 b))\n(3 (1 a) (4 b))\n")
    train = SST("train", root, check=False)
    assert spoken(train.phrases(), train.vocabulary) == [("a b", 3), ("a", 2), ("b", 4), ("a", 1)]


def test_trees_are_made_once_and_own_their_tensors(root):
    train = SST("train", root, check=False)
    assert train[0] is train.trees[0] is next(iter(train)) and train[-1] is train.trees[1]
    assert train[1:] == [train[1]] and train[::-1] == [train[1], train[0]]
    train[0].y.fill_(0)
    assert train[1].y.tolist() == [2, 2, 2] and train[1].y.untyped_storage().nbytes() == 24
    again = pickle.loads(pickle.dumps(train))
    assert again[0].y.tolist() == [0] * 5 and again[1].tokens == ["It", "."] and again.vocabulary == train.vocabulary


def test_the_root_is_only_read(root, cache, listing):
    before = listing(root)
    SST("dev", root, check=False)
    assert listing(root) == before
    assert sorted(name.rpartition("-")[0] for name in os.listdir(cache / "processed")) == ["sst-dev", "sst-train"]


def test_is_read_once_and_again_when_the_file_changes(root, monkeypatch):
    first = SST("train", root, check=False)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["graphseq.datasets.sst"], "read_trees", None)
        again = SST("train", root, check=False)
    assert again.vocabulary == first.vocabulary
    for one, other in zip(first, again, strict=True):
        assert one.keys() == other.keys() and one.tokens == other.tokens and one.num_nodes == other.num_nodes
        assert all(torch.equal(one[name], other[name]) for name in ("edge_index", "y", "word", "span"))
    text = (root / "sst/train.txt").read_text()
    (root / "sst/train.txt").write_text(text.replace("works", "breaks"))
    assert "breaks" in SST("train", root, check=False).vocabulary


def test_a_cache_that_was_edited_is_not_trusted(root, cache):
    SST("train", root, check=False)
    [folder] = (cache / "processed").iterdir()
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({"table": [word.upper() for word in meta["table"]]}))
    assert SST("train", root, check=False)[0].tokens == ["It", "works", "."]


def test_a_file_that_is_not_the_published_one(root):
    with pytest.raises(CorruptData, match=r"train\.txt was truncated: expected 2160058 bytes of SHA-256 e2f3f41b0b1e"):
        SST("train", root)
    (root / "sst/test.txt").write_text("(1 (2 It) (0 fails))\n")  # nothing is recorded of it but the number of trees
    with pytest.raises(GraphError, match=r"the 2210 trees of the published test split, got 1 in .*test\.txt"):
        SST("test", root, vocabulary=Vocabulary(()))


def test_download(cache, site, address):
    address("sst", f"{site.url}/trees.zip")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for split in ("train", "dev", "test"):
            archive.writestr(f"trees/{split}.txt", "(1 (2 It) (0 fails))\n")
    site.lay("trees.zip", content.getvalue())
    with pytest.raises(CorruptData, match=r"sst/dev\.txt as it was downloaded: expected 280825 bytes"):
        SST("train")
    assert not (cache / "sst").exists()


def test_offline(no_sockets):
    with pytest.raises(MissingData, match=r"(?s)cache/sst/train\.txt.*offline.*nlp\.stanford\.edu"):
        SST("train", offline=True)


def test_a_malformed_file_is_placed(root):
    (root / "sst/train.txt").write_text("(3 (2 It) (4 works))\n(2 (7 It) (2 .))\n")
    with pytest.raises(GraphError, match=r"train\.txt, line 2, column 4: the label '7'"):
        SST("train", root, check=False)


def test_a_missing_file(root):
    with pytest.raises(GraphError) as caught:
        SST("test", root, check=False)
    assert isinstance(caught.value, MissingData)
    assert f"  {root}/sst/test.txt\n" in str(caught.value)
    assert f"  {root.parent}/cache/sst/test.txt\n" in str(caught.value)
    assert "https://nlp.stanford.edu/sentiment" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"split": "valid"}, "split"),
        ({"split": "dev", "task": "ternary"}, "task"),
        ({"split": "dev", "vocabulary": ["a"]}, "vocabulary"),
        ({"split": "dev", "vocabulary": Vocabulary(()), "lower": True}, "vocabulary"),
        ({"split": "dev", "min_count": 0}, "min_count"),
    ],
)
def test_bad_arguments(root, options, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        SST(root=root, check=False, **options)


def test_the_published_treebank(data_root):
    train = SST("train", data_root)
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
    dev = SST("dev", data_root, vocabulary=train.vocabulary)
    assert len(dev) == 1101
    assert torch.bincount(torch.stack([tree.y[0] for tree in dev])).tolist() == [139, 289, 229, 279, 165]
    assert sum(len(tree.tokens) for tree in train) == int(train.phrases(unique=False).offsets.diff().eq(1).sum())
    assert len(train.phrases(unique=False)) == 318_582
    sizes = [len(SST(split, data_root, task="binary")) for split in ("train", "dev")]
    assert sizes == [6920, 872]


def test_every_phrase_of_a_tree_is_the_words_below_its_node(data_root):
    dev = SST("dev", data_root)
    phrases = iter(dev.phrases(unique=False))
    for tree in dev:
        below = [[] for _ in range(tree.num_nodes)]
        parent = dict(tree.edge_index.t().tolist())
        for leaf in (tree.word >= 0).nonzero().flatten().tolist():
            node = leaf
            while node is not None:
                below[node].append(int(tree.word[leaf]))
                node = parent.get(node)
        for words, y in zip(below, tree.y.tolist(), strict=True):
            phrase, label = next(phrases)
            assert (phrase.tolist(), label) == (words, y)
    assert next(phrases, None) is None
