"""Structures so deep that recursion, or a cost that grows with the square of the depth, could not finish."""

import pytest
import torch

import graphseq as gs
from graphseq.nn import ChildSumTreeLSTMCell, ElmanCell, GRUCell, NaryTreeLSTMCell
from tests.core.cells import Blend
from tests.oracles import tensors
from tests.tiers import Recurrent

DEPTH = 50_000


def caterpillar() -> gs.Topology:
    """A spine with a leaf at each of its nodes: nodes 0 … D - 1 are the spine, D - 1 its root."""
    spine = torch.arange(1, DEPTH + 1)
    spine[-1] = -1
    slot = torch.cat([torch.zeros(DEPTH, dtype=torch.int64), torch.ones(DEPTH, dtype=torch.int64)])
    return gs.Topology.tree(torch.cat([spine, torch.arange(DEPTH)]), slot)


def check(cell: gs.Cell, t: gs.Topology, **options: bool) -> None:
    x = torch.randn(t.num_nodes, cell.input_size, requires_grad=True)
    out = tensors(Recurrent(cell, **options)(x, t))
    sum(o[t.roots].sum() + o.mean() for o in out).backward()
    for value in (*out, x.grad, *(p.grad for p in cell.parameters() if p.grad is not None)):
        assert bool(value.isfinite().all())
    assert all(p.grad is not None for name, p in cell.named_parameters() if name != "gate")


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
    check(ElmanCell(2, 3), gs.Topology.chain([DEPTH]), fast=False)


@pytest.mark.slow
def test_a_caterpillar_in_the_generic_tier():
    check(Blend(2, 3, "slots", "copy", 2), caterpillar())
