import os
from pathlib import Path

import pytest

from graphseq.datasets import cache_folder, data_roots, roots
from graphseq.errors import GraphError

CHECKOUT = Path(roots.__file__).parents[2] / "datasets"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)


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


def test_order_of_the_roots(monkeypatch, tmp_path):
    checkout = [CHECKOUT] if (CHECKOUT / "README.md").is_file() else []
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
        return roots.find_or_fetch("set/raw", ["a", "b"], mine, how="Ask.")

    lay(mine / "set/raw", "a")  # not all
    lay(cache / "set/raw", "a", "b")
    assert find() == cache / "set/raw"
    lay(env / "set/raw", "a", "b")
    assert find() == env / "set/raw"
    lay(mine / "set/raw", "b")
    assert find() == mine / "set/raw"


def test_files_that_are_nowhere(monkeypatch, tmp_path):
    lay(tmp_path / "mine/set", "a")
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path / "env"))

    def fetch(folder):
        raise AssertionError("whoever hands in a root is offline")

    with pytest.raises(GraphError) as caught:
        roots.find_or_fetch("set", ["a", "b", "c"], tmp_path / "mine", how="Ask the author.", fetch=fetch)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("set is in no data root")
    assert lines[1:3] == [
        f"  {tmp_path}/mine/set/b, and 1 more",
        f"  {tmp_path}/env/set/a, and 2 more",
    ]
    assert lines[-2:] == [f"  {tmp_path}/cache/set/a, and 2 more", "Ask the author."]


def test_fetching_into_the_cache(tmp_path):
    server = lay(tmp_path / "server", "a").as_uri()

    def find(name):
        def fetch(folder):
            roots.download(f"{server}/a", folder)
            roots.download(f"{server}/{name}", folder)

        return roots.find_or_fetch("set", ["a"], None, how="Ask.", fetch=fetch)

    with pytest.raises(GraphError, match=r"(?s)looked for.*server/lost could not be downloaded: .*Ask\."):
        find("lost")
    assert not os.listdir(tmp_path / "cache")  # half of a set is nothing
    assert find("a") == tmp_path / "cache" / "set"
    assert (tmp_path / "cache/set/a").read_text() == str(tmp_path / "server")
    assert find("lost") == tmp_path / "cache" / "set"  # it is there: nothing is fetched


def test_what_fails_leaves_nothing_behind(tmp_path):
    def build(folder):
        lay(folder, "half")
        raise GraphError("broken")

    with pytest.raises(GraphError, match="broken"):
        roots.build_once(tmp_path / "cache/it", build)
    assert not os.listdir(tmp_path / "cache")


def test_two_processes_that_build_at_once(tmp_path):
    folder = tmp_path / "cache/it"

    def build(mine):
        roots.build_once(folder, lambda theirs: lay(theirs, "theirs"))  # quicker
        lay(mine, "mine")

    assert roots.build_once(folder, build) == folder
    assert os.listdir(folder) == ["theirs"]
    assert os.listdir(tmp_path / "cache") == ["it"]


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "file"))
    with pytest.raises(GraphError, match="`GRAPHSEQ_CACHE`: expected a cache folder that can be written to"):
        roots.build_once(cache_folder() / "it", lambda folder: None)


def test_cache_key(monkeypatch, tmp_path):
    def key(**files):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return roots.cache_key([tmp_path / name for name in files])

    keys = [key(a="1", b="2"), key(a="12", b=""), key(a="1", c="2"), key(a="1", b="3"), key(a="1")]
    for package in ("graphseq", "torch_geometric"):
        monkeypatch.setattr(roots, "_version", lambda name, package=package: str(name == package))
        keys.append(key(a="1", b="2"))
    assert len(set(keys)) == len(keys)
    assert key(a="1", b="2") == keys[-1]
