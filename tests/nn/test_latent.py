"""Trees in both directions, and trees that a network builds over a sequence."""

from itertools import pairwise

import pytest
import torch

import graphseq as gs
from graphseq import nn
from tests.oracles import Sent, assert_agree, assert_close, leaf, lstm, nary, recursion

TREE = gs.Topology.tree([2, 2, 8, 5, 5, 7, 7, 8, -1])


# -- both directions ---------------------------------------------------------------------------------------------------


def test_both_directions_equal_recursion():
    up, down, x = nn.NaryTreeLSTMCell(3, 4).double(), nn.LSTMCell(4, 5).double(), leaf(9, 3)
    h, _ = recursion(nary(up), x, TREE.edge_index, (4, 4), slot=TREE.slot)
    back, _ = recursion(lstm(down), h, TREE.edge_index.flip(0), (5, 5))
    layer = nn.BidirectionalTree(up, down)
    assert_agree(layer(x, TREE), torch.cat([h, back], 1), [x, *layer.parameters()])


def test_a_node_knows_of_its_siblings_after_both_directions():
    x = torch.randn(9, 3, requires_grad=True)
    layer = nn.BidirectionalTree(nn.ChildSumTreeLSTMCell(3, 4), nn.GRUCell(4, 4))
    parts = layer(x, TREE)[0].split(4)
    by_up, by_down = (torch.autograd.grad(p.sum(), x, retain_graph=True)[0].abs().sum(1) for p in parts)
    assert by_up.nonzero()[:, 0].tolist() == [0]
    assert bool((by_down > 0).all())


def test_on_a_chain_the_way_back_is_a_second_layer():
    chain, x = gs.Topology.chain([4, 2]), leaf(6, 3)
    up, down = nn.GRUCell(3, 4).double(), nn.GRUCell(4, 5).double()
    h = nn.Recurrent(up)(x, chain)
    wanted = torch.cat([h, nn.Recurrent(down, gs.Sweep(reverse=True))(h, chain)], 1)
    assert_close(nn.BidirectionalTree(up, down)(x, chain), wanted)


def test_widths_of_both_directions():
    with pytest.raises(gs.GraphError, match="`down`: expected a cell with input_size 4, got 3"):
        nn.BidirectionalTree(nn.GRUCell(3, 4), nn.GRUCell(3, 4))
    with pytest.raises(gs.GraphError, match=r"`cell`: expected a graphseq\.Cell"):
        nn.BidirectionalTree(nn.GRUCell(3, 4), None)


# -- latent trees ------------------------------------------------------------------------------------------------------


def one(layer, x):
    """The greedy composition of one sequence, a list of states that shrinks; and its parents and slots."""
    h, c = layer.leaf(x).chunk(2, 1)
    nodes = [(h[i], c[i], i) for i in range(len(x))]
    parent, slot, new = [-1] * (2 * len(x) - 1), [0] * (2 * len(x) - 1), len(x)
    step = nary(layer.cell)
    zero = x.new_zeros(layer.hidden_size)
    while len(nodes) > 1:
        made = [step(zero, [Sent(a[:2], 0, None), Sent(b[:2], 1, None)]) for a, b in pairwise(nodes)]
        at = max(range(len(made)), key=lambda j: float((layer.query @ made[j][0]).detach()))
        for k in (0, 1):
            parent[nodes[at + k][2]], slot[nodes[at + k][2]] = new, k
        nodes[at : at + 2] = [(*made[at], new)]
        new += 1
    return nodes[0][0], nodes[0][1], parent, slot


@pytest.mark.parametrize("lengths", [[5], [1], [6, 1, 4, 9, 2], [3, 0, 4], [0, 2, 0], [2, 2]])
def test_in_evaluation_the_best_pair_is_composed(lengths):
    layer, x = nn.LatentTreeLSTM(3, 4).double().eval(), leaf(sum(lengths), 3)
    h, c, tree = layer(x, gs.Topology.chain(lengths))
    assert tree.num_graphs == len(lengths)
    members, at = gs.unbatch(tree), 0
    wanted_h, wanted_c = [], []
    for member, n in zip(members, lengths, strict=True):
        if n == 0:
            assert member.num_nodes == 0
            wanted_h.append(torch.zeros(4).double())
            wanted_c.append(torch.zeros(4).double())
            continue
        root_h, root_c, parent, slot = one(layer, x[at : at + n])
        at += n
        assert member.num_nodes == 2 * n - 1
        found = gs.Topology.tree(parent, slot)
        assert member.edge_index.tolist() == found.edge_index.tolist()
        assert member.slot.tolist() == found.slot.tolist()
        wanted_h.append(root_h)
        wanted_c.append(root_c)
    wanted = torch.stack(wanted_h), torch.stack(wanted_c)
    assert_agree((h, c), wanted, [x, *layer.cell.parameters(), *layer.leaf.parameters()])


def test_the_states_are_those_of_the_tree_that_is_returned():
    """A sweep over the tree, from the leaves' states, ends in the same root."""
    torch.manual_seed(0)
    layer, x, lengths = nn.LatentTreeLSTM(3, 4).double(), leaf(12, 3), [5, 4, 3]
    h, c, tree = layer(x, gs.Topology.chain(lengths))  # in training, drawn
    leaves = (tree.in_degree == 0).nonzero()[:, 0]
    states = layer.leaf(x).chunk(2, 1)
    done = {int(v): tuple(s[i] for s in states) for i, v in enumerate(leaves)}
    step = nary(layer.cell)
    children = {}
    for (u, v), k in zip(tree.edge_index.t().tolist(), tree.slot.tolist(), strict=True):
        children.setdefault(v, []).append((k, u))
    for v in sorted(children):  # a node is made after its children
        done[v] = step(x.new_zeros(4), [Sent(done[u], k, None) for k, u in children[v]])
    assert_close(h, torch.stack([done[int(r)][0] for r in tree.roots]))
    assert_close(c, torch.stack([done[int(r)][1] for r in tree.roots]))


def test_training_draws_trees_and_learns_the_query():
    layer, chain, x = nn.LatentTreeLSTM(3, 4), gs.Topology.chain([7]), torch.randn(7, 3)
    drawn = {str(layer(x, chain).tree.edge_index.tolist()) for _ in range(20)}
    assert len(drawn) > 3
    layer(x, chain).h.sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())
    assert float(layer.query.grad.abs().sum()) > 0
    layer.eval()
    assert len({str(layer(x, chain).tree.edge_index.tolist()) for _ in range(3)}) == 1


@pytest.mark.parametrize("temperature", [0.9, 0.1, 0.01, 3.0])
def test_gradients_of_sequences_that_end_early_are_finite_at_any_temperature(temperature):
    layer, x = nn.LatentTreeLSTM(3, 4, temperature=temperature), torch.randn(9, 3, requires_grad=True)
    found = layer(x, gs.Topology.chain([5, 1, 3]))
    found.h.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in (x, *layer.parameters()))
    assert found.tree.num_nodes == 15 and len(found.tree.roots) == 3


def test_a_task_whose_tree_matters_is_learnt():
    """Whether the first of two equal neighbours is early: a query must find them."""
    torch.manual_seed(0)
    words = torch.randint(2, (64, 6))
    y = (words[:, 0] == words[:, 1]).long()
    layer, out, table = nn.LatentTreeLSTM(8, 16), torch.nn.Linear(16, 2), torch.nn.Embedding(2, 8)
    modules = torch.nn.ModuleList([layer, out, table])
    optimizer, chains = torch.optim.Adam(modules.parameters(), 0.02), gs.Topology.chain([6] * 64)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(out(layer(table(words.flatten()), chains).h), y)
        loss.backward()
        optimizer.step()
    layer.eval()
    right = out(layer(table(words.flatten()), chains).h).argmax(1) == y
    assert float(right.float().mean()) > 0.85


def test_under_inference_mode_and_later_in_training():
    layer, x = nn.LatentTreeLSTM(3, 4), torch.randn(5, 3)
    with torch.inference_mode():
        tree = layer(x, gs.Topology.chain([5])).tree
    h, _ = nn.TreeLSTM(3, 4, kind="nary")(torch.randn(9, 3, requires_grad=True), tree)
    h.sum().backward()


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nn.LatentTreeLSTM(3, 4, temperature=0), "`temperature`: expected a number above 0, got 0"),
    (lambda: nn.LatentTreeLSTM(0, 4), "`input_size`: expected a whole number"),
    (lambda: nn.LatentTreeLSTM(3, 4)(torch.zeros(5, 4), gs.Topology.chain([5])), "`x`: expected inputs of width 3"),
    (lambda: nn.LatentTreeLSTM(3, 4)(torch.zeros(9, 3), TREE), "`topology`: expected chains"),
    (lambda: nn.LatentTreeLSTM(3, 4)(torch.zeros(5, 3), gs.Topology.chain([5]).reverse()), "`topology`: expected chai"),
    (lambda: nn.LatentTreeLSTM(3, 4)(torch.zeros(4, 3), gs.Topology.chain([5])), "`x`: expected 5 rows"),
])  # fmt: skip
def test_what_is_refused(call, message):
    with pytest.raises(gs.GraphError, match=message):
        call()
