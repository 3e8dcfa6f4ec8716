import io
import multiprocessing
import os
import zipfile

import pytest

from graphseq.datasets.files import find_or_fetch
from graphseq.errors import CorruptData, GraphError, MissingData

TEXT = bytes(range(256)) * 1000


def lay(folder, *files):
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).write_text(str(folder))
    return folder


def urls(site, *names):
    return [f"{site.url}/{name}" for name in names]


def test_the_files_land_in_the_cache_with_their_checksums(site, cache):
    for name in "ab":
        site.lay(name, f"text {name}")
    home = find_or_fetch("set/raw", ["a"], urls(site, "a", "b"))
    assert home == cache / "set/raw"
    assert sorted(os.listdir(home)) == ["SHA256SUMS", "a", "b"]
    assert [line.split()[1] for line in (home / "SHA256SUMS").read_text().splitlines()] == ["a", "b"]
    assert os.listdir(cache / "set") == ["raw"]
    assert find_or_fetch("set/raw", ["a"], urls(site, "lost")) == home
    assert len(site.requests) == 2


def test_half_of_a_set_is_not_used_but_not_downloaded_twice(site, cache):
    site.lay("a", "text a")

    def find():
        return find_or_fetch("set", ["a", "b"], urls(site, "a", "b"))

    with pytest.raises(MissingData, match=r"(?s)looked for.*/b could not be .*404.*\nPut .*/a \(and 1 more\) into"):
        find()
    assert not (cache / "set").exists()
    site.lay("b", "text b")
    assert (find() / "b").read_text() == "text b"
    assert [path for path, *_ in site.requests] == ["a", "b", "b"]


def test_files_that_lie_in_the_cache_already_are_kept(site, cache):
    lay(cache / "set", "a")
    for name in "ab":
        site.lay(name, f"text {name}")
    home = find_or_fetch("set", ["a", "b"], urls(site, "a", "b"))
    assert (home / "a").read_text() == str(home) and (home / "b").read_text() == "text b"
    assert (home / "SHA256SUMS").read_text().split()[1:] == ["b"]
    assert not (cache / ".set.coming").exists()


def test_a_set_without_the_files_that_it_should_have(site, cache):
    site.lay("a", "text a")
    with pytest.raises(MissingData, match="b, c was not in what was downloaded"):
        find_or_fetch("set", ["a", "b", "c"], urls(site, "a"))


def test_what_is_not_as_recorded_is_refused_and_downloaded_again(site, cache, monkeypatch):
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of "foo"
    monkeypatch.setattr("graphseq.datasets.files.RECORDED", {"set": {"a": (digest, 3)}})
    site.lay("a", "fop")

    def find():
        return find_or_fetch("set", ["a"], urls(site, "a"))

    with pytest.raises(CorruptData, match=f"set/a as it was downloaded: expected 3 bytes of SHA-256 {digest}, got 3 "):
        find()
    assert not (cache / "set").exists()
    site.lay("a", "foo")
    assert (find() / "a").read_text() == "foo"


def test_files_that_are_nowhere(monkeypatch, tmp_path, no_sockets):
    lay(tmp_path / "mine/set", "a")
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path / "env"))
    with pytest.raises(MissingData) as caught:
        find_or_fetch("set", ["a", "b", "c"], ["http://127.0.0.1:1/set.zip"], tmp_path / "mine")
    assert str(caught.value).splitlines() == [
        "set is in no data root; looked for",
        f"  {tmp_path}/mine/set/b, c",
        f"  {tmp_path}/env/set/a, b, c  (GRAPHSEQ_DATA: there is no folder {tmp_path}/env)",
        f"  {tmp_path}/cache/set/a, b, c",
        "Nothing was downloaded, since a data root is named.",
        "Put http://127.0.0.1:1/set.zip, unpacked, into the folder set of a data root, and name that root:",
        "GRAPHSEQ_DATA=DIR in the environment, --data-root DIR on the command line, root= in Python.",
    ]
    (tmp_path / "env").mkdir()
    with pytest.raises(MissingData) as caught:
        find_or_fetch("set", ["a"], ["http://127.0.0.1:1/a"])
    with pytest.raises(MissingData, match=r"/set/a, b, c and 2 more\n"):
        find_or_fetch("set", list("abcde"), ["http://127.0.0.1:1/a"])
    assert "there is no folder" not in str(caught.value) and "\nPut http://127.0.0.1:1/a into the" in str(caught.value)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline(monkeypatch, cache, no_sockets, how):
    if how == "environment":
        monkeypatch.setenv("GRAPHSEQ_OFFLINE", "1")
    with pytest.raises(MissingData, match="Nothing was downloaded: offline"):
        find_or_fetch("set", ["a"], ["http://127.0.0.1:1/a"], offline=how == "argument")
    assert not cache.exists()
    monkeypatch.setenv("GRAPHSEQ_OFFLINE", "0")
    with pytest.raises(AssertionError, match="a socket was opened"):  # else the test could not fail
        find_or_fetch("set", ["a"], ["http://127.0.0.1:1/a"])


def test_an_archive_is_unpacked_flat(site, cache):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for member in ("set/../../a.txt", "/abs/b.txt", "set/run.py"):
            archive.writestr(member, member)
    site.lay("set.zip", content.getvalue())
    home = find_or_fetch("set", ["a.txt"], urls(site, "set.zip"))
    assert sorted(os.listdir(home)) == ["SHA256SUMS", "a.txt", "b.txt"]
    assert sorted(os.listdir(cache)) == [".locks", "set"]


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path, site):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "file"))
    with pytest.raises(GraphError, match="`GRAPHSEQ_CACHE`: expected a cache folder that can be written to"):
        find_or_fetch("set", ["a"], urls(site, "a"))


def _find_in_a_process(site, results):
    home = find_or_fetch("set", ["a"], urls(site, "a"))
    results.put((home / "a").read_bytes() == TEXT)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_two_processes_at_once(site, cache):
    site.lay("a", TEXT, delay=0.3)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    processes = [context.Process(target=_find_in_a_process, args=(site, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert results.get() and results.get()
    assert len(site.requests) == 1  # the second waited, and found it
