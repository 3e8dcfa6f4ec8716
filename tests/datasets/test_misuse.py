"""Functions in which one local variable is hidden."""

import itertools

import pytest
import torch

from graphseq.convert import HIDDEN
from graphseq.datasets import variable_misuse
from graphseq.errors import GraphError

TEXT = """
def keep{i}(self, first{i}, second):
    if first{i} > second:
        first{i}, second = second, first{i}
    return second - first{i}.part{i}{more}

def single(a):
    return a.b.c
"""


def many(folder, count=12):
    for i in range(count):
        (folder / f"m{i:02}.py").write_text(TEXT.format(i=i, more=" + 1" * i))
    return folder


def parts(found):
    return [found.train, found.val, found.test]


def test_examples(tmp_path):
    found = variable_misuse(folder=many(tmp_path), min_count=1)
    modules = [{graph.origin.partition(":")[0] for graph in part} for part in parts(found)]
    assert all(modules) and sum(map(len, modules)) == 12 == len(set.union(*modules))
    assert len(found.train) == 3 * len(modules[0])
    for graph in itertools.chain(*parts(found)):
        assert graph.candidates == [f"first{int(graph.origin[1:3])}", "second"]
        assert graph.part[graph.count.cumsum(0)[graph.place] - 1] == found.vocabulary[HIDDEN]
        assert len(graph.count) == graph.num_nodes and graph.count.sum() == len(graph.part)
        assert graph.edge_type.shape == graph.edge_index.shape[1:] and int(graph.edge_index.max()) < graph.num_nodes
    words = {f"part{i}" for i in range(12)} | {str(i) for i in range(12)}
    known = {graph.origin[1:3] for graph in found.train}
    assert {w for w in found.vocabulary.words if w in words} == {str(int(number)) for number in known}


def test_the_cache_and_the_seed(tmp_path):
    first, again, other = (variable_misuse(folder=many(tmp_path), min_count=1, seed=seed) for seed in (0, 0, 1))
    for one, two in zip(parts(first), parts(again), strict=True):
        for a, b in zip(one, two, strict=True):
            assert a.to_dict().keys() == b.to_dict().keys()
            for key, value in a.to_dict().items():
                assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
    assert [graph.origin for graph in other.train] != [graph.origin for graph in first.train]


def test_no_function_is_in_two_parts(tmp_path):
    for i in range(12):
        (tmp_path / f"m{i:02}.py").write_text("def f(a, b):\n    return a + b + a + b\n")
    with pytest.raises(GraphError, match="with 3 / 0 / 0 in the training, validation and test part"):
        variable_misuse(folder=tmp_path, min_count=1)


def test_options(tmp_path):
    folder = many(tmp_path)
    assert len(variable_misuse(folder=folder, min_count=1, limit=5).train) == 5
    one = variable_misuse(folder=folder, min_count=1, places=1)
    assert [len(part) for part in parts(one)] == [9, 2, 1]
    with pytest.raises(GraphError, match=r"`folder`: expected .* two or more local variables in at least three"):
        variable_misuse(folder=folder, max_nodes=10)
    for name in ("max_nodes", "places", "limit"):
        with pytest.raises(GraphError, match=f"`{name}`: expected an integer of at least"):
            variable_misuse(folder=folder, **{name: -1})
    (tmp_path / "none").mkdir()
    with pytest.raises(GraphError, match="functions that read local variables"):
        variable_misuse(folder=tmp_path / "none")
