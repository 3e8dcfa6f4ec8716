import os
import sys
from collections import Counter

import pytest
import torch

from graphseq.convert import KINDS, NAME
from graphseq.datasets import VERBS, bag_of_kinds, stdlib_functions
from graphseq.errors import GraphError

BODY = "({0}, {1}):\n    return {0}.{1}({0})\n"


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def splits(functions):
    return functions.train, functions.val, functions.test


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHSEQ_CACHE", str(tmp_path_factory.mktemp("cache")))
        first = stdlib_functions(max_nodes=80)
        patch.setattr(sys.modules["graphseq.datasets.stdlib"], "_read", None)
        again = stdlib_functions(max_nodes=80)  # from the cache
    assert again.vocabulary == first.vocabulary
    for one, other in zip(splits(first), splits(again), strict=True):
        assert [tree.origin for tree in one] == [tree.origin for tree in other]
        assert [tree.tokens for tree in one] == [tree.tokens for tree in other]
        assert all(torch.equal(a.kind, b.kind) and torch.equal(a.y, b.y) for a, b in zip(one, other, strict=True))
    return again


def test_every_verb_is_in_every_split_of_the_library(library):
    counts = [Counter(VERBS[int(tree.y)] for tree in trees) for trees in splits(library)]
    assert all(set(count) == set(VERBS) for count in counts)
    sizes = [count.total() for count in counts]
    assert sum(sizes) > 1000
    assert 0.6 < sizes[0] / sum(sizes) < 0.8 and min(sizes[1:]) > 0.1 * sum(sizes)
    assert all(max(count.values()) < 0.5 * count.total() for count in counts)


def test_no_module_and_no_tree_is_in_two_splits(library):
    modules = [{tree.origin.rpartition(":")[0] for tree in trees} for trees in splits(library)]
    assert not (modules[0] & modules[1] or modules[0] & modules[2] or modules[1] & modules[2])
    everything = [
        (*tree.kind.tolist(), *tree.token.tolist(), *tree.edge_index[1].tolist())
        for trees in splits(library)
        for tree in trees
    ]
    assert len(everything) == len(set(everything))


def test_trees_of_the_library(library):
    for tree in library.train[:200]:
        assert 8 <= tree.num_nodes <= 80
        assert tree.kind.shape == tree.token.shape == (tree.num_nodes,)
        assert tree.edge_index.shape == (2, tree.num_nodes - 1) and tree.y.shape == (1,)
        assert KINDS[tree.kind[0]] in ("FunctionDef", "AsyncFunctionDef")
        assert tree.tokens[0] == NAME
    assert "self" in library.vocabulary and "" not in library.vocabulary
    tokens = torch.cat([tree.token for tree in library.test])
    assert int(tokens.max()) < len(library.vocabulary) and int(tokens.min()) == -1


def test_which_functions_are_read(tmp_path):
    names = ["get", "get_a", "_get_b", "getC", "__getD", "getter", "__get__", "forget", "Get_e", "get2"]
    text = "".join(f"def {name}" + BODY.format("abcdefghij"[i], i * "x" + "y") for i, name in enumerate(names))
    text += "if True:\n  class A:\n    async def set_z(self):\n      def get_inner(a, b): return a.b(a, b)\n"
    text += "f = lambda get: get(get, get, get)\n"
    functions = stdlib_functions(folder=write(tmp_path, {"m.py": text}))
    lines = sorted(int(tree.origin.split(":")[1]) for tree in functions.train)
    kept = [i for i, name in enumerate(names) if name not in ("getter", "forget", "Get_e")]
    assert lines == [*(2 * i + 1 for i in kept), 2 * len(names) + 3]
    assert Counter(VERBS[int(tree.y)] for tree in functions.train) == {"get": 7, "set": 1}


def test_the_name_is_hidden(tmp_path):
    text = "def get_x(self):\n    if self: return self._get_x() + get_x() + super().get_x()\n    return get_y\n"
    [tree] = stdlib_functions(folder=write(tmp_path, {"m.py": text}), min_count=1).train
    assert tree.tokens.count(NAME) == 4 and "get_y" in tree.tokens
    assert not [token for token in tree.tokens if "get_x" in token]


def test_which_files_are_read(tmp_path):
    good = "def get_it" + BODY
    files = {
        "a.py": good.format("a", "b"),
        "sub/b.py": good.format("c", "d"),
        "test/c.py": good.format("e", "f"),
        "sub/site-packages/d.py": good.format("g", "h"),
        "broken.py": good.format("i", "j") + "=",
        "null.py": good.format("k", "l") + "\0",
        "text.txt": good.format("m", "n"),
    }
    functions = stdlib_functions(folder=write(tmp_path, files))
    assert {tree.origin for trees in splits(functions) for tree in trees} == {"a.py:1", "sub/b.py:1"}


def many(folder):
    return write(folder, {f"m{i:02}.py": f"def get_{i}" + BODY.format(f"a{i}", f"b{i % 4}") for i in range(20)})


def test_modules_are_dealt_by_seed(tmp_path):
    def origins(seed):
        found = stdlib_functions(seed=seed, folder=many(tmp_path), min_count=1)
        return [[tree.origin for tree in trees] for trees in splits(found)]

    assert len(origins(0)[0]) == 14 and 0 < len(origins(0)[1]) <= 3 and 0 < len(origins(0)[2]) <= 3
    assert origins(0) == origins(0)
    assert origins(0) != origins(1)


def test_the_vocabulary_is_of_the_training_split(tmp_path):
    functions = stdlib_functions(folder=many(tmp_path), min_count=1)
    seen = {f"a{int(tree.origin[1:3])}" for tree in functions.train}
    assert {word for word in functions.vocabulary.words if word[0] == "a"} == seen


def test_trees_that_look_equal_to_a_model_are_one_tree(tmp_path):
    """With all words unknown but the hidden name, nothing tells these functions apart."""
    functions = stdlib_functions(folder=many(tmp_path), min_count=13)
    assert functions.vocabulary.words == (NAME,)
    assert [len(trees) for trees in splits(functions)] == [1, 0, 0]


def test_sizes(tmp_path):
    text = "def get_a(): pass\ndef get_b(a, b): return a.b + a\ndef get_c(): return [" + "1," * 40 + "]\n"
    folder = write(tmp_path, {"m.py": text})

    def lines(**sizes):
        return [tree.origin[-1] for tree in stdlib_functions(folder=folder, **sizes).train]

    assert lines() == ["2", "3"]
    assert lines(min_nodes=3) == ["1", "2", "3"]
    assert lines(min_nodes=3, max_nodes=3) == ["1"]


def test_bag_of_kinds(library):
    counts = bag_of_kinds(library.val)
    assert counts.shape == (len(library.val), len(KINDS)) and counts.dtype == torch.float32
    assert counts.sum(1).tolist() == [tree.num_nodes for tree in library.val]
    assert float(counts[0, KINDS.index("Name")]) == sum(KINDS[k] == "Name" for k in library.val[0].kind)
    assert bag_of_kinds([]).shape == (0, len(KINDS))


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"min_nodes": 0}, "min_nodes"),
        ({"min_nodes": 9, "max_nodes": 8}, "min_nodes"),
        ({"min_count": 0}, "min_count"),
        ({"min_nodes": 200}, "folder"),
    ],
)
def test_bad_arguments(tmp_path, options, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        stdlib_functions(folder=many(tmp_path), **options)


def test_other_sources_are_read_anew(tmp_path, cache, monkeypatch):
    def names():
        return sorted(name for name in stdlib_functions(folder=tmp_path, min_count=1).vocabulary.words if len(name) < 4)

    write(tmp_path, {"m.py": "def get_it" + BODY.format("a1", "b1")})
    assert names() == ["a1", "b1"]
    write(tmp_path, {"m.py": "def get_it" + BODY.format("c1", "d1")})  # as long as before
    os.utime(tmp_path / "m.py", (1, 1))
    assert names() == ["c1", "d1"]
    write(tmp_path, {"n.py": "def get_it" + BODY.format("e1", "f1")})
    assert len(os.listdir(cache / "processed")) == 2
    stdlib_functions(folder=tmp_path, min_count=1)
    assert len(os.listdir(cache / "processed")) == 3
    monkeypatch.setattr("sys.version", "another")
    stdlib_functions(folder=tmp_path, min_count=1)
    assert len(os.listdir(cache / "processed")) == 4


def test_options_are_applied_to_what_is_cached(tmp_path, monkeypatch):
    folder = many(tmp_path)
    stdlib_functions(folder=folder, min_count=1)
    monkeypatch.setattr(sys.modules["graphseq.datasets.stdlib"], "_read", None)
    seeds = {tuple(tree.origin for tree in stdlib_functions(folder=folder, min_count=1, seed=s).test) for s in (0, 1)}
    assert len(seeds) == 2
    with pytest.raises(GraphError, match="`folder`"):
        stdlib_functions(folder=folder, min_nodes=200)
