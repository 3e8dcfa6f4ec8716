"""Recursive cells: what they are special cases of, and cells whose matrices depend on the type of the edge."""

import copy

import pytest
import torch
from hypothesis import given
from torch import nn as torch_nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import graphseq as gs
from graphseq import lowering, nn
from tests import oracles
from tests.oracles import assert_agree, assert_close, gradients, leaf, recursion, tensors
from tests.strategies import examples, structure_for

TREE = gs.Topology.tree([2, 2, 8, 5, 5, 7, 7, 8, -1])
GRAPH = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1, 4, 5], [1, 2, 3, 3, 3, 5, 6]]), 8)
TYPED = [(nn.TypedRecursiveCell, oracles.typed), (nn.DependencyTreeLSTMCell, oracles.dependency)]
typed = pytest.mark.parametrize(("make", "oracle"), TYPED, ids=["recursive", "dependency"])


def drawn(cell):
    with torch.no_grad():
        for p in cell.parameters():
            p.normal_(0, 0.5)
    return cell.double()


@pytest.mark.parametrize(("make", "twin"), [
    (lambda: nn.RecursiveCell(3, 4, 1), "RNN"),
    (lambda: nn.NaryTreeGRUCell(3, 4, 1), "GRU"),
    (lambda: nn.TreeGRUCell(3, 4), "GRU"),
    (lambda: nn.AttentiveTreeLSTMCell(3, 4), "LSTM"),
    (lambda: nn.DependencyTreeLSTMCell(3, 4, 2), "LSTM"),
    (lambda: nn.TypedRecursiveCell(3, 4, 1), "RNN"),
])  # fmt: skip
def test_on_a_chain_they_are_the_recurrent_networks(make, twin):
    """The degenerate tree, outputs and gradients of inputs and of all shared weights."""
    cell, peer, x = make().double(), getattr(torch_nn, twin)(3, 4).double(), leaf(7, 3)
    bias = hasattr(cell, "bias_ih")
    with torch.no_grad():
        cell.weight_ih.copy_(peer.weight_ih_l0)
        cell.weight_hh.view_as(peer.weight_hh_l0).copy_(peer.weight_hh_l0)
        if bias:
            cell.bias_ih.copy_(peer.bias_ih_l0)
            cell.bias_hh.copy_(peer.bias_hh_l0)
        else:
            cell.bias.copy_(peer.bias_ih_l0 + peer.bias_hh_l0)
    types = torch.zeros(6, dtype=torch.int64) if "num_" in repr(cell) else None
    h = tensors(nn.Recurrent(cell)(x, gs.Topology.chain([7]), edge_attr=types))[0]
    wanted = peer(x[:, None])[0][:, 0]
    assert_agree(h, wanted, [x])
    grads = gradients([h], [cell.weight_ih, cell.weight_hh], [torch.ones_like(h)])
    theirs = gradients([wanted], [peer.weight_ih_l0, peer.weight_hh_l0], [torch.ones_like(h)])
    for ours, other in zip(grads, theirs, strict=True):
        assert_close(ours.view_as(other), other)


def test_without_its_tensor_an_rntn_is_a_recursive_network():
    rntn, plain, x = nn.RNTNCell(3, 4).double(), nn.RecursiveCell(3, 4).double(), leaf(9, 3)
    plain.load_state_dict({k: v for k, v in rntn.state_dict().items() if k != "weight_tensor"})
    with torch.no_grad():
        rntn.weight_tensor.zero_()
    assert_agree(nn.Recurrent(rntn)(x, TREE), nn.Recurrent(plain)(x, TREE), [x])


def test_both_parts_of_an_rntn_begin_alike_in_size():
    cell = nn.RNTNCell(30, 30)
    c = torch.rand(200, 60) * 2 - 1
    cell.requires_grad_(False)
    linear = c @ cell.weight_hh.t()
    bilinear = torch.einsum("mi,kij,mj->mk", c, cell.weight_tensor, c)
    assert 0.3 < float(bilinear.std() / linear.std()) < 3


def test_a_words_matrix_changes_its_sibling():
    """Of "very good": the matrix of "very" doubles the vector of "good"."""
    cell = nn.MatrixVectorCell(6, 2, bias=False).double()
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(2, 6))
        cell.weight_im.copy_(torch.eye(4, 6).roll(2, 1))
        cell.weight_hh.copy_(torch.eye(2).repeat(1, 2))
    very, good = torch.tensor([0, 0, 1.0, 0, 0, 1]), torch.tensor([0.1, 0.2, 0, 0, 0, 0])
    h, m = nn.Recurrent(cell)(torch.stack([very, good, torch.zeros(6)]).double(), gs.Topology.tree([2, 2, -1]))
    torch.testing.assert_close(h[2], torch.tanh(2 * torch.tanh(good[:2].double())))
    torch.testing.assert_close(m[2], torch.tensor([0.5, 0, 0, 0.5]).double())  # the mean of I and 0


def test_a_state_stays_within_bounds_at_any_depth():
    x = torch.randn(2**11 - 1, 3)
    parent = [-1, *((i - 1) // 2 for i in range(1, 2**11 - 1))]
    h = nn.Recurrent(nn.NaryTreeGRUCell(3, 4))(x, gs.Topology.tree(parent))
    assert float(h.detach().abs().max()) < 1


# -- types of edges ----------------------------------------------------------------------------------------------------


@typed
@pytest.mark.parametrize("count", [1, 3, 11])  # one product for all types, or one for each
@pytest.mark.parametrize("graph", [TREE, GRAPH], ids=["tree", "graph"])
@pytest.mark.parametrize("started", [False, True])
def test_cells_with_types_equal_recursion(make, oracle, count, graph, started):
    cell, x = drawn(make(3, 4, count)), leaf(graph.num_nodes, 3)
    types = torch.randint(count, (graph.num_edges,))
    state = tuple(leaf(graph.num_nodes, 4) for _ in cell.state_sizes) if started else None
    wanted = recursion(oracle(cell), x, graph.edge_index, cell.state_sizes, edge_attr=types, state=state)
    start = None if state is None else tuple(s[:, None] for s in state)
    found = tensors(nn.Recurrent(cell)(x, graph, start, edge_attr=types))
    assert_agree(found, wanted, [x, *(state or ()), *cell.parameters()])


@typed
@pytest.mark.parametrize("count", [2, 7])
def test_derivatives_of_cells_with_types(make, oracle, count):
    cell = drawn(make(2, 3, count))
    types, layer = torch.randint(count, (TREE.num_edges,)), nn.Recurrent(cell)
    names = [f"cell.{name}" for name, _ in cell.named_parameters()]

    def call(x, *weights):
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(layer, given, (x, TREE), {"edge_attr": types})

    given = [leaf(TREE.num_nodes, 2), *cell.parameters()]
    assert torch.autograd.gradcheck(call, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, given, fast_mode=True)


@typed
def test_rounds_of_cells_with_types(make, oracle):
    """A gated graph network over typed edges where the cell is gated."""
    cell, x = drawn(make(4, 4, 5)), leaf(GRAPH.num_nodes, 4)
    types = torch.randint(5, (GRAPH.num_edges,))
    weight = cell.weight_hh if make is nn.TypedRecursiveCell else cell.weight_rh
    state = (x, *(torch.zeros_like(x) for _ in cell.state_sizes[1:]))
    for _ in range(2):
        merged = [torch.zeros(4, dtype=x.dtype) for _ in range(GRAPH.num_nodes)]
        for (u, v), k in zip(GRAPH.edge_index.t().tolist(), types.tolist(), strict=True):
            merged[v] = merged[v] + weight[k] @ state[0][u]
        new = [
            oracle(cell)(m, [oracles.Sent(tuple(s[v] for s in state), 0, None)]) for v, m in enumerate(merged)
        ]
        state = tuple(torch.stack(part) for part in zip(*new, strict=True))
    assert_agree(nn.Recurrent(cell, gs.Rounds(2))(x, GRAPH, edge_attr=types), state, [x, *cell.parameters()])


@typed
def test_compiled_and_transformed(make, oracle):
    cell = drawn(make(3, 4, 6))
    types, layer, x = torch.randint(6, (TREE.num_edges,)), nn.Recurrent(cell), leaf(TREE.num_nodes, 3)
    wanted = tensors(layer(x, TREE, edge_attr=types))
    compiled = tensors(torch.compile(layer, fullgraph=True, backend="aot_eager")(x, TREE, edge_attr=types))
    assert_agree(compiled, wanted, [x])
    tangent = torch.randn_like(x)
    _, forward = torch.func.jvp(lambda x: tensors(layer(x, TREE, edge_attr=types))[0], (x,), (tangent,))
    grad = torch.autograd.grad(wanted[0].sum(), x)[0]
    torch.testing.assert_close(forward.sum(), (grad * tangent).sum())


def test_at_the_identity_relations_change_nothing():
    plain, cell, x = nn.ChildSumTreeLSTMCell(3, 4), nn.DependencyTreeLSTMCell(3, 4, 9), leaf(9, 3).float()
    cell.load_state_dict(plain.state_dict() | {"weight_rh": cell.weight_rh})
    found = nn.Recurrent(cell)(x, TREE, edge_attr=torch.randint(9, (8,)))
    assert_agree(found, nn.Recurrent(plain)(x, TREE), [x])


@pytest.mark.parametrize("kind", [nn.DependencyTreeLSTMCell, nn.TypedRecursiveCell])
@given(t=structure_for(0))
@examples(25)
def test_the_lowering_equals_the_equations(kind, t):
    cell = kind(3, 4, 3)
    for p in cell.parameters():
        torch.nn.init.normal_(p, std=0.5)
    layer, x, types = nn.Recurrent(cell), torch.randn(t.num_nodes, 3, requires_grad=True), torch.arange(t.num_edges) % 3
    wanted = [x, *cell.parameters()]
    found = tensors(layer(x, t, edge_attr=types))
    with lowering.disabled():
        assert_agree(found, tensors(layer(x, t, edge_attr=types)), wanted)


def test_what_runs_by_the_equations(monkeypatch):
    """A subclass, and a cell whose parent's message is another, are not lowered."""
    cell, x, types = nn.DependencyTreeLSTMCell(3, 4, 9), torch.randn(9, 3), torch.arange(8)

    class Negated(nn.DependencyTreeLSTMCell):
        def message(self, sent, received, edge):
            return tuple(-m for m in super().message(sent, received, edge))

    other = Negated(3, 4, 9)
    other.load_state_dict(cell.state_dict())
    before = nn.Recurrent(cell)(x, TREE, edge_attr=types)[0]
    after = nn.Recurrent(other)(x, TREE, edge_attr=types)[0]
    assert not torch.allclose(before, after)
    message = nn.ChildSumTreeLSTMCell.message
    monkeypatch.setattr(
        nn.ChildSumTreeLSTMCell, "message", lambda *given: tuple(-m for m in message(*given)), raising=True
    )
    assert_close(nn.Recurrent(cell)(x, TREE, edge_attr=types)[0], after)


@pytest.mark.parametrize("kind", [nn.DependencyTreeLSTMCell, nn.TypedRecursiveCell])
def test_types_in_compiled_code_are_checked(kind):
    layer, x = nn.Recurrent(kind(3, 4, 3)), torch.randn(9, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for wrong in (3, -1):
        with pytest.raises(gs.GraphError, match=f"`edge_attr`: expected numbers from 0 to 2, got {wrong}"):
            compiled(x, TREE, edge_attr=torch.tensor([0, 1, 2, wrong, 0, 0, 0, 0]))


def test_types_that_are_the_places_of_children():
    plain, cell, x = nn.RecursiveCell(3, 4).double(), nn.TypedRecursiveCell(3, 4, 2).double(), leaf(9, 3)
    weight = plain.weight_hh.detach().view(4, 2, 4).transpose(0, 1)
    cell.load_state_dict(plain.state_dict() | {"weight_hh": weight})
    assert_agree(nn.Recurrent(cell)(x, TREE, edge_attr=TREE.slot), nn.Recurrent(plain)(x, TREE), [x])


@typed
@pytest.mark.parametrize(("types", "message"), [
    (None, "`edge_attr`: expected int64 of shape"),
    (torch.zeros(8), "`edge_attr`: expected int64 of shape"),
    (torch.full((8,), 5), "`edge_attr`: expected numbers from 0 to 4, got 5"),
    (torch.full((8,), -1), "`edge_attr`: expected numbers from 0 to 4, got -1"),
    (torch.zeros(7, dtype=torch.int64), "`edge_attr`: expected 8 rows"),
])  # fmt: skip
def test_types_that_are_refused(make, oracle, types, message):
    with pytest.raises(gs.GraphError, match=message):
        nn.Recurrent(make(3, 4, 5))(torch.zeros(9, 3), TREE, edge_attr=types)


@typed
def test_sizes_of_cells_with_types(make, oracle):
    for sizes, name in (((0, 4, 5), "input_size"), ((3, 0, 5), "hidden_size"), ((3, 4, 0), "num_")):
        with pytest.raises(gs.GraphError, match=f"`{name}"):
            make(*sizes)


@pytest.mark.parametrize("make", [nn.AttentiveTreeLSTMCell, lambda f, h: nn.DependencyTreeLSTMCell(f, h, 2)])
def test_a_copy_is_apart(make):
    """The attention's score reads the copy's weights, not the original's."""
    cell, x, types = make(3, 4), torch.randn(9, 3), torch.zeros(8, dtype=torch.int64)
    other = copy.deepcopy(cell)
    before = nn.Recurrent(other)(x, TREE, edge_attr=types)[0]
    with torch.no_grad():
        for p in cell.parameters():
            p.add_(1.0)
    assert torch.equal(nn.Recurrent(other)(x, TREE, edge_attr=types)[0], before)


# -- PyTorch's machinery -----------------------------------------------------------------------------------------------

ALL = {
    "recursive": lambda: nn.RecursiveCell(3, 4), "rntn": lambda: nn.RNTNCell(3, 4),
    "matrix-vector": lambda: nn.MatrixVectorCell(3, 4), "tree-gru": lambda: nn.TreeGRUCell(3, 4),
    "nary-gru": lambda: nn.NaryTreeGRUCell(3, 4), "attentive": lambda: nn.AttentiveTreeLSTMCell(3, 4),
    "dependency": lambda: nn.DependencyTreeLSTMCell(3, 4, 6), "typed": lambda: nn.TypedRecursiveCell(3, 4, 6),
}  # fmt: skip
every = pytest.mark.parametrize("name", ALL)


def called(layer, x):
    return tensors(layer(x, TREE, edge_attr=torch.arange(8) % 6 if "num_" in repr(layer) else None))[0]


@every
@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
def test_weights_that_are_functions_of_others(name, norm):
    cell, plain, x = ALL[name](), ALL[name](), torch.randn(9, 3)
    norm(cell, "weight_hh")
    cell.eval()
    own = {k: v for k, v in cell.state_dict().items() if "parametr" not in k}
    plain.load_state_dict(own | {"weight_hh": cell.weight_hh.detach()})
    found = called(nn.Recurrent(cell), x)
    assert_close(found, called(nn.Recurrent(plain), x))
    found.sum().backward()
    assert all(p.grad is not None for p in cell.parameters())


@every
def test_hooks_on_parameters_fire_once(name):
    cell, fired = ALL[name](), []
    for key, p in cell.named_parameters():
        p.register_hook(lambda grad, key=key: fired.append(key))
    called(nn.Recurrent(cell), torch.randn(9, 3)).sum().backward()
    assert sorted(fired) == sorted(key for key, _ in cell.named_parameters())


@every
def test_an_ensemble_by_vmap(name):
    layers, x = [nn.Recurrent(ALL[name]()) for _ in range(3)], torch.randn(9, 3)
    params, _ = torch.func.stack_module_state(layers)
    kwargs = {"edge_attr": torch.arange(8) % 6} if "num_" in repr(layers[0]) else {}

    def call(p):
        return tensors(torch.func.functional_call(layers[0], p, (x, TREE), kwargs))[0]

    assert_close(torch.func.vmap(call)(params), torch.stack([called(layer, x) for layer in layers]))


@every
def test_a_method_set_on_an_object_counts(name):
    cell, x = ALL[name](), torch.randn(9, 3)
    once, update = called(nn.Recurrent(cell), x), cell.update
    cell.update = lambda p, state: tuple(2 * s for s in update(p, state))
    doubled = called(nn.Recurrent(cell), x)
    leaves = TREE.in_degree == 0
    assert_close(doubled[leaves], 2 * once[leaves])
    assert not torch.allclose(doubled[~leaves], 2 * once[~leaves])
