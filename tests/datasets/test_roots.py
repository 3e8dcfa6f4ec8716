from pathlib import Path

import pytest

from graphseq.datasets import cache_folder, data_roots, roots
from graphseq.errors import GraphError


def lay(folder, *files):
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).write_text(str(folder))
    return folder


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("GRAPHSEQ_CACHE", "~/mine")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_folder() == Path("~/mine").expanduser()
    monkeypatch.delenv("GRAPHSEQ_CACHE")
    assert cache_folder() == Path("/shared/graphseq")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("~/.cache/graphseq").expanduser()


def test_order_of_the_roots(monkeypatch, tmp_path, no_checkout):
    monkeypatch.setattr(roots, "__file__", no_checkout)
    here = Path(__file__).parents[2] / "datasets"
    checkout = [here] if (here / "README.md").is_file() else []
    assert data_roots() == [*checkout, tmp_path / "cache"]
    monkeypatch.setenv("GRAPHSEQ_DATA", "data")
    assert data_roots(str(tmp_path)) == [tmp_path, Path("data"), *checkout, tmp_path / "cache"]


def test_an_installed_package_takes_no_neighbour_for_a_data_root(monkeypatch, tmp_path):
    """Beside it there may be another package called datasets."""
    lay(tmp_path / "site" / "datasets", "README.md")
    monkeypatch.setattr(roots, "__file__", str(tmp_path / "site" / "graphseq" / "datasets" / "roots.py"))
    assert data_roots() == [tmp_path / "cache"]
    lay(tmp_path / "site", "pyproject.toml")
    assert data_roots() == [tmp_path / "site" / "datasets", tmp_path / "cache"]


@pytest.mark.parametrize("root", ["no/such/folder", 3])
def test_a_root_that_is_none(root):
    with pytest.raises(GraphError, match="`root`: expected a folder"):
        data_roots(root)


def test_the_first_root_that_holds_all_files(monkeypatch, tmp_path):
    mine, env, cache = tmp_path / "mine", tmp_path / "env", tmp_path / "cache"
    monkeypatch.setenv("GRAPHSEQ_DATA", str(env))

    def find():
        return roots.find("set/raw", ["a", "b"], mine)

    lay(mine / "set/raw", "a")  # not all
    assert find() is None
    lay(cache / "set/raw", "a", "b")
    assert find() == cache / "set/raw"
    lay(env / "set/raw", "a", "b")
    assert find() == env / "set/raw"
    lay(mine / "set/raw", "b")
    assert find() == mine / "set/raw"


@pytest.mark.parametrize(("value", "offline"), [("", False), ("0", False), ("no", False), ("1", True), ("yes", True)])
def test_offline_by_the_environment(monkeypatch, value, offline):
    assert not roots.is_offline() and roots.is_offline(True)
    monkeypatch.setenv("GRAPHSEQ_OFFLINE", value)
    assert roots.is_offline() is offline and roots.is_offline(True)
