import hashlib
import re
import warnings
from pathlib import Path

import pytest

from graphseq.datasets import files
from graphseq.datasets.files import RECORDED, SUMS, checksum, read_sums, verify, write_sums
from graphseq.errors import CorruptData, DataWarning

CARDS = Path(__file__).parents[2] / "datasets"
FOO = hashlib.sha256(b"foo").hexdigest()


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(files, "RECORDED", {"set": {"a": (FOO, 3)}})


def lay(path, text="foo"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_sound_file(tmp_path, recorded):
    assert verify("set", [lay(tmp_path / "a")]) == {"a": FOO}


@pytest.mark.parametrize(
    ("text", "what"), [("fo", "truncated"), ("", "truncated"), ("fop", "altered"), ("food", "altered")]
)
def test_a_file_that_is_not_as_recorded(tmp_path, recorded, text, what):
    path = lay(tmp_path / "a", text)
    came = hashlib.sha256(text.encode()).hexdigest()
    message = (
        f"{path} was {what}: expected 3 bytes of SHA-256 {FOO}, got {len(text)} bytes of SHA-256 {came}; "
        "check=False reads it anyway"
    )
    with pytest.raises(CorruptData, match=f"^{re.escape(message)}$"):
        verify("set", [path])
    assert verify("set", [path], check=False) == {"a": came}


def test_files_of_which_nothing_is_recorded_are_read_with_a_warning(tmp_path, recorded):
    paths = [lay(tmp_path / "b", "anything"), lay(tmp_path / SUMS, f"{FOO}  b\n")]
    with pytest.warns(DataWarning, match=r"^set: no checksum is recorded of b \(and 1 more\), .*; check=False if"):
        assert set(verify("set", paths)) == {"b", SUMS}  # SHA256SUMS counts in the cache alone
    with pytest.warns(DataWarning, match="^other: no checksum is recorded of a, so a damaged file would go unnoticed"):
        assert set(verify("other", [lay(tmp_path / "a", "anything")])) == {"a"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verify("other", [tmp_path / "a"], check=False)


def test_what_the_first_download_brought_is_what_later_ones_read(cache, recorded):
    path = lay(cache / "other/a", "first")
    write_sums(cache / "other", ["a"])
    assert verify("other", [path])
    path.write_text("second")
    with pytest.raises(CorruptData, match=r"other/a was altered: expected SHA-256 .*delete it to download it again"):
        verify("other", [path])
    assert verify("other", [path], check=False)


def test_lists_of_checksums(tmp_path):
    lay(tmp_path / "a"), lay(tmp_path / "b c", "bar")
    write_sums(tmp_path, ["a"])
    write_sums(tmp_path, ["b c"])
    assert read_sums(tmp_path) == {"a": FOO, "b c": hashlib.sha256(b"bar").hexdigest()}
    (tmp_path / SUMS).write_bytes(b"\xff")
    assert read_sums(tmp_path) == {}
    (tmp_path / SUMS).write_text("no list\n")
    assert read_sums(tmp_path) == {}


def test_the_cards_show_what_is_recorded():
    shown = {}
    for card in CARDS.glob("*/README.md"):
        for digest, file in re.findall(r"^([0-9a-f]{64})  (\S+)$", card.read_text(encoding="utf-8"), re.MULTILINE):
            path = card.parent.relative_to(CARDS) / file
            shown.setdefault(path.parent.as_posix(), {})[path.name] = digest
    assert shown == {folder: {name: sha for name, (sha, _) in files.items()} for folder, files in RECORDED.items()}


@pytest.mark.parametrize("folder", sorted(RECORDED))
def test_the_published_files_are_what_is_recorded(data_root, folder):
    here = data_root / folder
    if not here.is_dir():
        pytest.skip(f"needs {folder} in the data root GRAPHSEQ_DATA")
    for name, (digest, size) in RECORDED[folder].items():
        assert checksum(here / name) == (digest, size)
