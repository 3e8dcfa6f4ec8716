"""A sweep over chains is torch.nn's recurrent layer; a Tree-LSTM over chains its LSTM."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import graphseq as gs
from graphseq.nn import ChildSumTreeLSTMCell, ElmanCell, GRUCell, LSTMCell, NaryTreeLSTMCell
from tests.oracles import assert_agree, assert_close, copy_weights, leaf, tensors
from tests.strategies import examples, trees
from tests.tiers import Recurrent

TWINS = [
    (ElmanCell, nn.RNN, {}),
    (ElmanCell, nn.RNN, {"nonlinearity": "relu"}),
    (GRUCell, nn.GRU, {}),
    (LSTMCell, nn.LSTM, {}),
    (ElmanCell, nn.RNN, {"bias": False}),
    (GRUCell, nn.GRU, {"bias": False}),
    (LSTMCell, nn.LSTM, {"bias": False}),
    (ChildSumTreeLSTMCell, nn.LSTM, {}),
    (lambda f, h, **options: NaryTreeLSTMCell(f, h, arity=1, **options), nn.LSTM, {}),
]
NAMES = ["elman", "relu", "gru", "lstm", "elman bare", "gru bare", "lstm bare", "child-sum", "1-ary"]
twins = pytest.mark.parametrize(("ours", "theirs", "options"), TWINS, ids=NAMES)
tiers = pytest.mark.parametrize("fast", [True, False], ids=["fast", "generic"])
both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def ends(lengths: list[int], *, first: bool = False) -> list[int]:
    at, found = 0, []
    for length in lengths:
        found.append(at if first else at + length - 1)
        at += length
    return found


def pad(x: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence(list(x.split(lengths)))


def by_torch(layer, x, lengths, state=None):
    """Outputs `[N, D H]` and final states of torch.nn's layer over chains of any lengths, in any order."""
    packed = pack_padded_sequence(pad(x, lengths), torch.tensor(lengths), enforce_sorted=False)
    hx = None if state is None else tuple(s[None] for s in state)
    out, final = layer(packed, hx if hx is None or len(hx) > 1 else hx[0])
    padded, _ = pad_packed_sequence(out)
    return torch.cat([padded[:length, b] for b, length in enumerate(lengths)]), tensors(final)


def bias_gradients(cell, layer, suffix="_l0"):
    """Pairs of gradients of the same weight; a Tree-LSTM's one bias stands for both."""
    for name, p in cell.named_parameters():
        yield p.grad, getattr(layer, ("bias_ih" if name == "bias" else name) + suffix).grad


@tiers
@both
@twins
def test_outputs_final_states_and_gradients(ours, theirs, options, dtype, fast):
    @given(lengths=LENGTHS, started=st.booleans())
    @examples(15)
    def check(lengths, started):
        layer = theirs(3, 4, **options).to(dtype)
        cell = copy_weights(ours(3, 4, **options).to(dtype), layer)
        x = leaf(sum(lengths), 3, dtype=dtype)
        state = tuple(leaf(len(lengths), 4, dtype=dtype) for _ in cell.state_sizes) if started else None
        mine = tensors(Recurrent(cell, fast=fast)(x, gs.Topology.chain(lengths), state))
        out, final = by_torch(layer, x, lengths, state)
        outputs = mine[0], *(s[ends(lengths)] for s in mine)
        assert_agree(outputs, (out, *(s[0] for s in final)), [x, *(state or ())])
        seed = torch.randn_like(out)
        for module, states in ((cell, outputs), (layer, (out, *final))):
            module.zero_grad()
            ((states[0] * seed).sum() + sum(s.sum() for s in states[1:])).backward(retain_graph=True)
        for a, b in bias_gradients(cell, layer):
            assert_close(a, b)

    check()


@tiers
@twins
@given(lengths=LENGTHS)
@examples(10)
def test_a_reversed_sweep_is_the_backward_direction(ours, theirs, options, fast, lengths):
    layer = theirs(3, 4, bidirectional=True, **options).double()
    x, t = leaf(sum(lengths), 3), gs.Topology.chain(lengths)
    out, final = by_torch(layer, x, lengths)
    halves = []
    for d, suffix in enumerate(("_l0", "_l0_reverse")):
        cell = copy_weights(ours(3, 4, **options).double(), layer, suffix)
        mine = tensors(Recurrent(cell, gs.Sweep(reverse=d == 1), fast=fast)(x, t))
        halves.append(mine[0])
        for a, b in zip(mine, final, strict=True):
            assert_agree(a[ends(lengths, first=d == 1)], b[d], [x])
    assert_agree(torch.cat(halves, 1), out, [x])


@twins
def test_a_packed_sequence_is_a_batch_of_packed_levels(ours, theirs, options):
    lengths = [2, 4, 1, 4]
    t, x = gs.Topology.chain(lengths), leaf(sum(lengths), 3)
    layer = theirs(3, 4, **options).double()
    cell = copy_weights(ours(3, 4, **options).double(), layer)
    out, _ = layer(PackedSequence(x[t.packed.order], t.packed.level_ptr.diff()))
    mine = tensors(Recurrent(cell)(x, t))[0]
    assert_agree(mine[t.packed.order], out.data, [x])


@both
@twins
def test_stacked(ours, theirs, options, dtype):
    lengths = [3, 1, 4]
    t, x = gs.Topology.chain(lengths), leaf(8, 3, dtype=dtype)
    layer = theirs(3, 4, num_layers=2, **options).to(dtype)
    h = x
    for k in range(2):
        cell = copy_weights(ours(h.size(1), 4, **options).to(dtype), layer, f"_l{k}")
        h = tensors(Recurrent(cell)(h, t))[0]
    assert_agree(h, by_torch(layer, x, lengths)[0], [x])


@tiers
@pytest.mark.parametrize("lengths", [[0], [], [0, 3, 0], [1], [0, 1, 0, 2]])
@twins
def test_chains_without_nodes(ours, theirs, options, fast, lengths):
    layer = theirs(3, 4, **options).double()
    cell = copy_weights(ours(3, 4, **options).double(), layer)
    x = leaf(sum(lengths), 3)
    mine = tensors(Recurrent(cell, fast=fast)(x, gs.Topology.chain(lengths)))[0]
    inner = [length for length in lengths if length]
    assert_agree(mine, by_torch(layer, x, inner)[0] if inner else mine.new_zeros(0, 4), [x])


@tiers
def test_one_initial_state_a_graph(fast):
    lengths = [2, 0, 3, 1]
    t, cell = gs.Topology.chain(lengths), LSTMCell(3, 4).double()
    x, state = leaf(6, 3), (leaf(4, 4), leaf(4, 4))
    wanted = Recurrent(cell, fast=fast)(x, t, tuple(s[t.batch][:, None] for s in state))
    assert_agree(Recurrent(cell, fast=fast)(x, t, state), wanted, [x, *state])


@pytest.mark.parametrize("lengths", [[2, 0], [0, 2]])
def test_as_many_graphs_as_nodes(lengths):
    """A row a graph has two dimensions, a row a node three, so that the two are never taken for each other."""
    x, state, t = leaf(2, 3), leaf(2, 4), gs.Topology.chain(lengths)
    cell = GRUCell(3, 4).double()
    own = state[lengths.index(2)][None]
    wanted = Recurrent(cell)(x, gs.Topology.chain([2]), own)
    assert_agree(Recurrent(cell)(x, t, state), wanted, [x, state])
    nodes = leaf(2, 4)
    wanted = Recurrent(cell)(x, gs.Topology.chain([2]), nodes[:1])
    assert_agree(Recurrent(cell)(x, t, nodes[:, None]), wanted, [x, nodes])


def test_states_of_which_one_has_a_row_a_node_and_one_a_row_a_graph():
    t, cell = gs.Topology.chain([2, 3]), LSTMCell(3, 4).double()
    with pytest.raises(gs.GraphError, match=r"`state\[1\]`: expected shape \[2, 4\], one row a graph"):
        Recurrent(cell)(leaf(5, 3), t, (leaf(2, 4), leaf(5, 1, 4)))


@tiers
@given(t=trees(), data=st.data())
@examples(25)
def test_inputs_of_some_nodes_alone(fast, t, data):
    leaves_alone = data.draw(st.booleans())
    every = [v for v in range(t.num_nodes) if t.in_degree[v] == 0] if leaves_alone else list(range(t.num_nodes))
    some = data.draw(st.permutations(every))
    some = some if leaves_alone else some[: data.draw(st.integers(0, t.num_nodes))]
    nodes = torch.tensor(some, dtype=torch.int64)
    for cell in (GRUCell(3, 4), LSTMCell(3, 4), ChildSumTreeLSTMCell(3, 4), NaryTreeLSTMCell(3, 4, arity=t.num_nodes)):
        x = leaf(len(some), 3)
        full = torch.zeros(t.num_nodes, 3, dtype=x.dtype).index_copy(0, nodes, x)
        layer = Recurrent(cell.double(), fast=fast)
        assert_agree(layer(x, t, nodes=nodes), layer(full, t), [x, *cell.parameters()])
