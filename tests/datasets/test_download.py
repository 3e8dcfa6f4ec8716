import os
import socket

import pytest

from graphseq.datasets.download import download, unpack
from graphseq.errors import CorruptData, GraphError

TEXT = bytes(range(256)) * 1000  # longer than a block


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_a_download(site, into):
    site.lay("a.txt", TEXT)
    assert download(f"{site.url}/a.txt", into) == into / "a.txt"
    assert (into / "a.txt").read_bytes() == TEXT
    assert os.listdir(into) == ["a.txt"]
    download(f"{site.url}/a.txt", into)
    assert len(site.requests) == 1  # it is there


def test_one_that_breaks_off_is_resumed(site, into):
    site.lay("a.txt", TEXT, cut=[100_000, 200_000])
    download(f"{site.url}/a.txt", into)
    assert (into / "a.txt").read_bytes() == TEXT
    assert site.requests == [
        ("a.txt", None, None),
        ("a.txt", "bytes=100000-", '"1"'),
        ("a.txt", "bytes=200000-", '"1"'),
    ]


def test_what_another_process_left_is_resumed(site, into):
    page = site.lay("a.txt", TEXT, cut=[100_000])
    with pytest.raises(CorruptData, match=r"a\.txt was truncated: expected 256000 bytes, got 100000"):
        download(f"{site.url}/a.txt", into, retries=0)
    assert not (into / "a.txt").exists() and (into / "a.txt.part").stat().st_size == 100_000
    download(f"{site.url}/a.txt", into, retries=0)
    assert (into / "a.txt").read_bytes() == page.content and site.requests[-1][1] == "bytes=100000-"
    assert os.listdir(into) == ["a.txt"]


def test_a_file_that_changed_in_the_meantime_starts_over(site, into):
    site.lay("a.txt", TEXT, cut=[100_000])
    with pytest.raises(CorruptData):
        download(f"{site.url}/a.txt", into, retries=0)
    site.lay("a.txt", TEXT[::-1], etag='"2"')
    download(f"{site.url}/a.txt", into)
    assert (into / "a.txt").read_bytes() == TEXT[::-1]
    assert site.requests[-1] == ("a.txt", "bytes=100000-", '"1"')


@pytest.mark.parametrize("options", [{"ranges": False}, {"etag": None}, {"etag": 'W/"1"'}])
def test_a_server_that_cannot_resume_is_asked_for_all(site, into, options):
    site.lay("a.txt", TEXT, cut=[100_000], **options)
    download(f"{site.url}/a.txt", into)
    assert (into / "a.txt").read_bytes() == TEXT
    assert len(site.requests) == 2


def test_a_part_as_long_as_the_whole(site, into):
    """A process that dies just before the last step leaves one."""
    site.lay("a.txt", TEXT, cut=[100_000])
    with pytest.raises(CorruptData):
        download(f"{site.url}/a.txt", into, retries=0)
    (into / "a.txt.part").write_bytes(TEXT)
    download(f"{site.url}/a.txt", into, retries=0)
    assert (into / "a.txt").read_bytes() == TEXT and len(site.requests) == 3


def test_a_part_whose_note_is_broken_starts_over(site, into):
    site.lay("a.txt", TEXT)
    (into / "a.txt.part").write_bytes(b"something else")
    for note in ("", "[]", "{}", '{"url": "http://other", "version": "1"}'):
        (into / "a.txt.part.json").write_text(note)
        download(f"{site.url}/a.txt", into)
        assert (into / "a.txt").read_bytes() == TEXT
        (into / "a.txt").rename(into / "a.txt.part")
    assert {asked for _, asked, _ in site.requests} == {None}


def test_failures_that_pass_are_tried_again_and_others_are_not(site, into):
    site.lay("a.txt", TEXT, fail=[503, 500])
    assert download(f"{site.url}/a.txt", into).is_file() and len(site.requests) == 3
    with pytest.raises(GraphError, match=r"b\.txt could not be downloaded: HTTP Error 404"):
        download(f"{site.url}/b.txt", into)
    assert len(site.requests) == 4
    site.lay("c.txt", TEXT, fail=[503] * 9)
    with pytest.raises(GraphError, match=r"c\.txt could not be downloaded: HTTP Error 503"):
        download(f"{site.url}/c.txt", into, retries=2)
    assert len(site.requests) == 7


def test_one_that_is_cut_each_time_is_named(site, into):
    site.lay("a.txt", TEXT, ranges=False, cut=[10, 20, 30])
    with pytest.raises(CorruptData, match=r"a\.txt was truncated: expected 256000 bytes, got 30"):
        download(f"{site.url}/a.txt", into, retries=2)
    assert not (into / "a.txt").exists()


def test_a_server_that_says_nothing(into, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.txt"
        with pytest.raises(GraphError, match=r"a\.txt could not be downloaded: .*timed out"):
            download(url, into, timeout=0.05, retries=0)
        monkeypatch.setenv("GRAPHSEQ_TIMEOUT", "0.05")
        with pytest.raises(GraphError, match="timed out"):
            download(url, into, retries=0)
    with pytest.raises(GraphError, match=r"could not be downloaded: .*refused"):
        download(url, into, retries=0)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan"])
def test_a_timeout_that_is_none(into, monkeypatch, value):
    monkeypatch.setenv("GRAPHSEQ_TIMEOUT", value)
    with pytest.raises(GraphError, match="`GRAPHSEQ_TIMEOUT`: expected a number of seconds above 0"):
        download("http://127.0.0.1:1/a.txt", into)


@pytest.mark.parametrize("name", ["a.zip", "a.gz"])
@pytest.mark.parametrize("content", [b" ", b"an error page", b"PK\x03\x04 cut", b"\x1f\x8b\x08\x00 cut"])
def test_archives_that_are_none(into, name, content):
    (into / name).write_bytes(content)
    with pytest.raises(GraphError, match=rf"{name[0]}\.{name[2:]} from the server is not a valid archive"):
        unpack(into / name, into)
    assert not os.listdir(into)
