"""Local variables of functions, and graphs in which one of them is hidden: nothing must tell which."""

import ast

import pytest
import torch

from graphseq.convert import EDGES, HIDDEN, KINDS, hide_place, variable_places

LOOP = """
def total(items, start, *rest, scale=1):
    result = start
    for item in items:
        if item > {0}:
            result += item * {1}
        else:
            start = result
    while rest:
        result, rest = {2} + scale, rest[1:]
    return [{3} for other in items], result
"""


def function(text):
    return ast.parse(text).body[0]


def hidden(text, number):
    """Hide the read of a variable that stands in place of a marker."""
    tree = function(text)
    [place] = [each for each in variable_places(tree) if (each.lineno, each.col_offset) == number]
    return hide_place(tree, place)


def places_of(text, marker):
    """Return the line and column where a marker stands in a template."""
    before = text[: text.index(marker)]
    return before.count("\n") + 1, len(before) - before.rfind("\n") - 1


@pytest.mark.parametrize("marker", ["{0}", "{1}", "{2}", "{3}"])
def test_functions_that_differ_in_the_hidden_variable_alone_have_one_graph(marker):
    """Nodes, tokens, sub-tokens, edges, candidates and their occurrences; only the target differs."""
    template = LOOP
    for other in {"{0}", "{1}", "{2}", "{3}"} - {marker}:
        template = template.replace(other, "scale")
    at = places_of(template, marker)
    graphs = [hidden(template.replace(marker, name), at) for name in ("start", "result", "items", "rest", "item")]
    first = graphs[0]
    assert first.tokens[int(first.place)] == HIDDEN and first.parts[int(first.place)] == [HIDDEN]
    assert len({int(each.y) for each in graphs}) == 5
    for other in graphs[1:]:
        assert set(other.keys()) == set(first.keys())
        for key in set(first.keys()) - {"y", "lines"}:
            same = torch.equal(first[key], other[key]) if isinstance(first[key], torch.Tensor) else None
            assert first[key] == other[key] if same is None else same, key
        assert torch.equal(first.lines, other.lines)
    assert [each.candidates[int(each.y)] for each in graphs] == ["start", "result", "items", "rest", "item"]


def test_the_place_has_no_edge_of_a_variable_and_is_no_occurrence():
    tree = function("def f(a, b):\n    c = a\n    a = b + a\n    return c + a\n")
    for place in variable_places(tree):
        graph = hide_place(tree, place)
        node = int(graph.place)
        assert KINDS[graph.kind[node]] == "Name" and node not in graph.occurrence[0].tolist()
        flow = (graph.edge_type == EDGES.index("last_use")) | (graph.edge_type == EDGES.index("last_write"))
        assert not (graph.edge_index[:, flow] == node).any()
        assert place.id != HIDDEN  # the tree is as it was
        names = {graph.tokens[each] for each in graph.occurrence[0].tolist()}
        assert names == set(graph.candidates) == {"a", "b", "c"}
        assert all(graph.tokens[n] == graph.candidates[c] for n, c in graph.occurrence.T.tolist())


def test_which_places_there_are():
    text = """
def f(self, a: T, *args, b=default, **rest):
    global g
    x = self.y(a, b)
    g = x
    [x for z in args]
    def inner(a2):
        return x + a2
    z = lambda k: k + a
    import os
    try:
        del x
    except E as e:
        print(e, os, z, k, g, rest)
"""
    found = [(place.id, place.lineno) for place in variable_places(ast.parse(text).body[0])]
    assert found == [("a", 4), ("b", 4), ("x", 5), ("x", 6), ("args", 6), ("rest", 14)]
    assert variable_places(function("def f(a, b): pass")) == []
    assert [place.id for place in variable_places(function("async def f(a, /): return a"))] == ["a"]


def test_constants_show_their_type_alone():
    graph = hidden("def f(a, b):\n    return a + b + 1 + 'text' + None + True\n", (2, 11))
    assert [part for each in graph.parts for part in each][-4:] == ["<int>", "<str>", "<None>", "<True>"]
