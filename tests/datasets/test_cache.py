import json
import multiprocessing
import os
import shutil
import time

import pytest
import torch

from graphseq.datasets import cache as module
from graphseq.datasets.cache import Stored, cache_key, cached

THINGS = {"b": torch.tensor([True]), "empty": torch.empty(0, 3), "i": torch.arange(6).view(2, 3).t()}


def make(number=0):
    return lambda: Stored({**THINGS, "n": torch.tensor(number)}, {"words": ["naïve", "\u00a0"], "number": number})


def same(one, other):
    assert one.meta == other.meta and one.arrays.keys() == other.arrays.keys()
    assert all(torch.equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def never():
    raise AssertionError("it was made again")


def test_is_made_once(cache):
    same(cached("it", "key", make()), make()())
    same(cached("it", "key", never), make()())
    assert os.listdir(cache / "processed") == ["it-key"]
    assert sorted(os.listdir(cache / "processed/it-key")) == ["SHA256SUMS", "arrays.safetensors", "meta.json"]
    with pytest.raises(AssertionError):
        cached("it", "other", never)


def change(path, content):
    path.write_bytes(content(path.read_bytes()))


@pytest.mark.parametrize("file", ["arrays.safetensors", "meta.json", "SHA256SUMS"])
@pytest.mark.parametrize(
    "content",
    [
        lambda data: b"",
        lambda data: data[:-2],
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: b"\x80\x04" + data,
    ],
    ids=["emptied", "cut", "edited", "longer"],
)
def test_what_is_not_sound_is_made_anew(cache, file, content):
    cached("it", "key", make())
    change(cache / "processed/it-key" / file, content)
    same(cached("it", "key", make(1)), make(1)())
    same(cached("it", "key", never), make(1)())
    assert os.listdir(cache / "processed") == ["it-key"]


@pytest.mark.parametrize("file", ["arrays.safetensors", "meta.json", "SHA256SUMS"])
def test_a_lost_file(cache, file):
    cached("it", "key", make())
    (cache / "processed/it-key" / file).unlink()
    same(cached("it", "key", make(1)), make(1)())
    same(cached("it", "key", never), make(1)())


def test_what_fails_leaves_nothing_behind(cache):
    def fail():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cached("it", "key", fail)
    assert not (cache / "processed").exists() or not os.listdir(cache / "processed")


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHSEQ_CACHE", str(tmp_path / "file"))
    for number in (1, 2):
        with pytest.warns(UserWarning, match="file/processed/it-key can't be cached"):
            same(cached("it", "key", make(number)), make(number)())


def test_a_full_disk(monkeypatch, cache):
    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", fail)
        with pytest.warns(UserWarning, match="No space left"):
            same(cached("it", "key", make()), make()())
    assert not os.listdir(cache / "processed")


def test_keys(monkeypatch):
    def key():
        return [
            cache_key({"a": "1", "b": "2"}),
            cache_key({"a": "1"}),
            cache_key({"a": "2", "b": "1"}),
            cache_key({"a": "1", "b": "2"}, "seed", 1),
            cache_key({"a": "1", "b": "2"}, "seed", 2),
        ]

    first = key()
    assert first == key() and cache_key({"b": "2", "a": "1"}) == first[0]
    monkeypatch.setattr(module, "_version", lambda package: f"{package} 2")
    second = key()
    monkeypatch.setattr(module, "_code", lambda: "edited")
    assert len({*first, *second, *key()}) == 15


def test_the_checksum_of_the_code_changes_with_it(monkeypatch, tmp_path):
    shutil.copytree(os.path.dirname(module.__file__), tmp_path / "datasets")
    before = module._code.__wrapped__()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "datasets/cache.py"))
    (tmp_path / "convert").mkdir()
    copy = module._code.__wrapped__()
    (tmp_path / "convert/brackets.py").write_text("changed = True\n")
    changed = module._code.__wrapped__()
    (tmp_path / "convert/code").mkdir()
    (tmp_path / "convert/code/variables.py").write_text("changed = True\n")
    assert len({before, copy, changed, module._code.__wrapped__()}) == 4


def _cache_in_a_process(made, results):
    def build():
        made.put(None)
        time.sleep(0.2)
        return make()()

    results.put(cached("it", "key", build).meta["number"])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_two_processes_at_once(cache):
    context = multiprocessing.get_context("fork")
    made, results = context.SimpleQueue(), context.SimpleQueue()
    processes = [context.Process(target=_cache_in_a_process, args=(made, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [results.get(), results.get()] == [0, 0]
    made.get()
    assert made.empty()  # the second waited, and found it


def test_nothing_in_an_entry_is_a_pickle(cache):
    cached("it", "key", make())
    folder = cache / "processed/it-key"
    head = (folder / "arrays.safetensors").read_bytes()
    assert json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])["n"]["dtype"] == "I64"
    assert json.loads((folder / "meta.json").read_text())["words"] == ["naïve", "\u00a0"]
