import os
import shutil
import sys

import pytest

from graphseq.datasets import SetStatus, status
from graphseq.datasets.files import write_sums
from graphseq.errors import GraphError


def look(root=None):
    return {each.name: each for each in status(root)}


@pytest.fixture
def root(data_root, tmp_path):
    """A root with links to the published files."""
    for path in data_root.rglob("*"):
        if path.is_file() and path.parent != data_root:
            copy = tmp_path / "root" / path.relative_to(data_root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path, copy)
    return tmp_path / "root"


def test_nothing_is_here(cache, no_sockets):
    found = look()
    assert found["karate"] == SetStatus("karate", None, "built in", "comes with networkx")
    assert found["stdlib_functions"].state == "built in"
    missing = [
        "sst",
        "planetoid/Cora",
        "planetoid/CiteSeer",
        "planetoid/PubMed",
        "tudataset/MUTAG",
        "tudataset/PROTEINS",
    ]
    missing += ["treebank", "molecules/delaney-processed"]
    assert {name for name, each in found.items() if each.state == "missing"} >= {*missing}
    assert all(found[name].folder is None for name in missing)
    assert not cache.exists()


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(sys.modules["graphseq.datasets.status"], "find_spec", lambda name: None)
    assert look()["digits"] == SetStatus("digits", None, "missing", "needs sklearn, which is not installed")


def test_published_files(root, listing, no_sockets):
    before = listing(root)
    found = look(root)
    assert listing(root) == before
    assert found["sst"] == SetStatus("sst", root / "sst", "sound", "no test.txt")
    for name, folder in (
        ("planetoid/Cora", "planetoid/Cora/raw"),
        ("tudataset/PROTEINS", "tudataset/PROTEINS/raw"),
        ("treebank", "nltk_data/corpora"),
        ("molecules/delaney-processed", "molecules"),
    ):
        assert found[name] == SetStatus(name, root / folder, "sound")
    assert found["planetoid/PubMed"].state == "missing"


def test_altered_and_unknown_files(root):
    for name in ("sst/dev.txt", "planetoid/Cora/raw/ind.cora.x"):
        (root / name).unlink()
        (root / name).write_text("something else")
    (root / "planetoid/Cora/raw/ind.cora.y").unlink()
    (root / "sst/test.txt").write_text("any")
    (root / "molecules/own.csv").write_text("any")
    shutil.copytree(root / "tudataset/MUTAG", root / "tudataset/TWO")
    for path in (root / "tudataset/TWO/raw").iterdir():
        path.rename(path.with_name(path.name.replace("MUTAG", "TWO")))
    found = look(root)
    assert (found["sst"].state, found["sst"].note) == ("altered", "dev.txt")
    assert found["planetoid/Cora"].state == "missing"  # a file is lost
    assert found["molecules/own"].state == found["tudataset/TWO"].state == "found, not checked"
    assert found["molecules/own"].note == "no checksum is recorded of own.csv"
    shutil.copy(root / "sst/train.txt", root / "sst/dev.txt")
    assert look(root)["sst"].state == "altered"


def test_the_test_split_is_not_checked(root):
    (root / "sst/test.txt").write_text("any")
    found = look(root)["sst"]
    assert (found.state, found.note) == ("found, not checked", "no checksum is recorded of test.txt")


def test_what_was_downloaded(cache):
    folder = cache / "molecules"
    folder.mkdir(parents=True)
    (folder / "own.csv").write_text("any")
    assert look()["molecules/own"].state == "found, not checked"
    write_sums(folder, ["own.csv"])
    assert look()["molecules/own"] == SetStatus("molecules/own", folder, "sound")
    (folder / "own.csv").write_text("another")
    assert look()["molecules/own"].state == "altered"


def test_a_root_that_is_none():
    with pytest.raises(GraphError, match="`root`"):
        status("no/such/folder")
