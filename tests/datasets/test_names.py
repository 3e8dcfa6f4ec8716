"""Functions with the sub-tokens of their names."""

import pytest
import torch

from graphseq.convert import NAME
from graphseq.datasets import function_names
from graphseq.errors import GraphError


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def many(folder, count=12):
    text = "def {verb}_item{i}(self, a{i}):\n    return self.{verb}_item{i}(a{i}){more}\n"
    names = [("get", "set")[i % 2] for i in range(count)]
    return write(
        folder, {f"m{i:02}.py": text.format(i=i, verb=verb, more=" + self.count" * i) for i, verb in enumerate(names)}
    )


def test_names_are_hidden_and_split(tmp_path):
    text = (
        "def readLine(self, size):\n    import os.readLine\n"
        "    return self._readLine(size) or readLine() or read_lines\n"
        "def __init__(self, size):\n    self.size = size\n    self.line = None\n"
    )
    found = function_names(folder=write(many(tmp_path), {"line.py": text}), min_count=1)
    [tree] = [tree for part in (found.train, found.val, found.test) for tree in part if tree.origin == "line.py:1"]
    assert tree.words == ["line", "read"]
    parts = [found.vocabulary.words[i - 1] if i else "" for i in tree.part.tolist()]
    if tree in found.train:
        assert parts.count(NAME) == 4 and "os" in parts and "lines" in parts and "line" not in parts
    assert not any(tree.origin == "line.py:4" for part in (found.train, found.val, found.test) for tree in part)


def test_parts_are_of_whole_modules_and_vocabularies_of_training(tmp_path):
    found = function_names(folder=many(tmp_path), min_count=1)
    parts = [found.train, found.val, found.test]
    modules = [{tree.origin.partition(":")[0] for tree in part} for part in parts]
    assert all(modules) and sum(map(len, modules)) == 12 == len(set.union(*modules))
    assert set(found.names.words) == {word for tree in found.train for word in tree.words}
    for part in parts:
        for tree in part:
            assert tree.count.sum() == len(tree.part) and len(tree.count) == tree.num_nodes
            assert tree.y.tolist() == found.names.encode(tree.words)
    assert any((tree.y == 0).any() for tree in found.test)  # a number that no training function has


def test_a_function_is_once_in_all_parts(tmp_path):
    folder = many(tmp_path)
    for i in range(12):  # the same in each module, and with unknown names
        (folder / f"m{i:02}.py").open("a").write(
            f"def same_{i}(a, b):\n    return a.{'abcdefghijkl'[i] * 5}(b, b, b)\n"
        )
    found = function_names(folder=folder, min_count=3)
    trees = [tree for part in (found.train, found.val, found.test) for tree in part]
    seen = {(*tree.kind.tolist(), *tree.part.tolist(), *tree.edge_index[1].tolist()) for tree in trees}
    assert len(seen) == len(trees) and sum("same" in tree.words for tree in trees) == 1


def test_limit_and_sizes(tmp_path):
    assert len(function_names(folder=many(tmp_path), limit=3, min_count=1).train) == 3
    with pytest.raises(GraphError, match=r"`folder`: expected Python source with functions, got .*5000 to 6000 nodes"):
        function_names(folder=many(tmp_path), min_nodes=5000, max_nodes=6000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_nodes": 0}, "`min_nodes`: expected"),
        ({"min_nodes": 9, "max_nodes": 8}, "`min_nodes`: expected"),
        ({"limit": -1}, "`limit`: expected"),
        ({"min_count": 0}, "`min_count`: expected"),
    ],
)
def test_bad_arguments(tmp_path, options, message):
    with pytest.raises(GraphError, match=message):
        function_names(folder=many(tmp_path), **options)


def test_folders_of_too_little_source(tmp_path):
    with pytest.raises(GraphError, match=r"`folder`: expected a folder of Python source, got .*nowhere, which does"):
        function_names(folder=tmp_path / "nowhere")
    (tmp_path / "file.py").write_text("")
    with pytest.raises(GraphError, match=r"`folder`: expected a folder of Python source, got .*, a file"):
        function_names(folder=tmp_path / "file.py")
    with pytest.raises(GraphError, match=r"`folder`: expected Python source with functions, got"):
        function_names(folder=tmp_path)
    with pytest.raises(GraphError, match=r"three modules, one for each part, got .*, with 2 / 0 / 0 in the training"):
        function_names(folder=many(tmp_path, 2), min_count=1)
    assert len(function_names(folder=many(tmp_path, 3), min_count=1).test) == 1
    assert torch.equal(*(function_names(folder=tmp_path, min_count=1).train[0].kind for _ in range(2)))
