import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import graphseq as gs
from graphseq.convert import branching
from graphseq.errors import GraphError

LEFT = {"balanced": lambda n: n - n // 2, "left": lambda n: n - 1, "right": lambda n: 1}
KINDS = list(LEFT)


def parents(n, kind, above=-1, first=0):
    """The parent of each node in preorder, by plain recursion."""
    if n == 1:
        return [above]
    left = LEFT[kind](n)
    one = parents(left, kind, first, first + 1)
    return [above, *one, *parents(n - left, kind, first, first + 1 + len(one))]


@given(st.lists(st.integers(0, 12), max_size=5), st.sampled_from(KINDS))
def test_equals_recursion(lengths, kind):
    made = branching(lengths, kind)
    one_by_one = [gs.Topology.tree(parents(n, kind)) if n else gs.Topology.chain([0]) for n in lengths]
    assert made == gs.batch(one_by_one)
    leaves = torch.zeros(len(lengths), dtype=torch.int64).index_add(0, made.batch, (made.in_degree == 0).long())
    assert leaves.tolist() == lengths


@given(st.integers(1, 300))
def test_a_balanced_tree_is_as_low_as_any(n):
    assert branching([n], "balanced").num_levels == (n - 1).bit_length() + 1


@pytest.mark.parametrize("kind", ["left", "right"])
def test_a_long_sentence(kind):
    made = branching(torch.tensor([10_000, 2]), kind)
    assert (made.num_nodes, made.num_levels, made.num_graphs) == (20_002, 10_000, 2)


def test_siblings_are_in_the_order_of_their_words():
    layer = gs.nn.TreeLSTM(2, 3, kind="nary", arity=2)
    x = torch.randn(5, 2)
    for kind, parent, slot in [
        ("left", [-1, 0, 1, 1, 0], [0, 0, 0, 1, 1]),
        ("right", [-1, 0, 0, 2, 2], [0, 0, 1, 0, 1]),
    ]:
        expected, _ = layer(x, gs.Topology.tree(parent, slot))
        assert layer(x, branching([3], kind))[0].equal(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([2], "up"), '`kind`: expected "balanced", "left" or "right"'),
        (([-1],), "`lengths`: expected numbers ≥ 0, got -1"),
        ((3,), r"`lengths`: expected int64 of shape \[B\], got 3"),
        (("3",), r"`lengths`: expected int64 of shape \[B\]"),
        (([2.0],), r"`lengths`: expected int64 of shape \[B\]"),
        ((torch.ones(2),), r"`lengths`: expected int64 of shape \[B\], got float32"),
        ((torch.ones(2, 2).long(),), r"`lengths`: expected int64 of shape \[B\], got int64 of shape \[2, 2\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(GraphError, match=message):
        branching(*arguments)
