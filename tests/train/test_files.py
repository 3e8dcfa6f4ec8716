"""Where files are written."""

import os

import pytest

from graphseq import GraphError
from graphseq.train import write_bytes
from graphseq.train.files import check_writable


def test_what_a_link_points_to_is_replaced(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_bytes(link, b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(tmp_path / "pipe", b"some")
    assert os.read(reader, 9) == b"some" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


def test_where_nothing_can_be_written(tmp_path):
    check_writable(tmp_path / "new" / "a", "out")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(GraphError, match="`out`: expected a file to write"):
        check_writable(tmp_path, "out")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(GraphError, match="`out`: expected a file that can be written"):
        check_writable(tmp_path / "file" / "a", "out")
