"""Structures so deep that recursion, or a cost that grows with the square of the depth, could not finish."""

import pytest
import torch

import graphseq as gs
from graphseq.nn import ChildSumTreeLSTMCell, ElmanCell, GRUCell, NaryTreeLSTMCell
from tests.oracles import tensors
from tests.tiers import Recurrent

DEPTH = 50_000


def caterpillar(depth: int = DEPTH) -> gs.Topology:
    """A spine with a leaf at each of its nodes: nodes 0 … D - 1 are the spine, D - 1 its root."""
    spine = torch.arange(1, depth + 1)
    spine[-1] = -1
    slot = torch.cat([torch.zeros(depth, dtype=torch.int64), torch.ones(depth, dtype=torch.int64)])
    return gs.Topology.tree(torch.cat([spine, torch.arange(depth)]), slot)


class Plain(gs.Cell):
    """As few operations per level as possible: the walk is what is tested here."""

    state_sizes, input_size = (3,), 3

    def __init__(self, slots: int = 1) -> None:
        super().__init__()
        self.merge, self.slots = "sum" if slots == 1 else "slots", slots
        self.u = torch.nn.Parameter(torch.randn(3 * slots, 3) / 3)

    def update(self, p, state):
        return (torch.tanh(torch.addmm(p, state[0].flatten(1), self.u)),)


def check(cell: gs.Cell, t: gs.Topology, **options: bool) -> None:
    x = torch.randn(t.num_nodes, cell.input_size, requires_grad=True)
    out = tensors(Recurrent(cell, **options)(x, t))
    sum(o[t.roots].sum() + o.mean() for o in out).backward()
    for value in (*out, x.grad, *(p.grad for p in cell.parameters())):
        assert bool(value.isfinite().all())


@pytest.mark.parametrize("kind", [GRUCell, ChildSumTreeLSTMCell])
def test_a_chain_in_the_fast_tier(kind):
    check(kind(2, 3), gs.Topology.chain([DEPTH]))


@pytest.mark.parametrize("kind", [ElmanCell, NaryTreeLSTMCell])
def test_a_caterpillar_in_the_fast_tier(kind):
    t = caterpillar()
    assert t.num_levels == DEPTH + 1
    check(kind(2, 3), t)


@pytest.mark.slow
def test_a_chain_in_the_generic_tier():
    check(Plain(), gs.Topology.chain([DEPTH]))


@pytest.mark.slow
def test_a_caterpillar_in_the_generic_tier():
    check(Plain(), caterpillar())
    check(Plain(2), caterpillar(DEPTH // 10))  # slots and sums differ only within a level
