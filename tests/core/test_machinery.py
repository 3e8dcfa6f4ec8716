"""Where cells and layers meet PyTorch's machinery: hooks, transforms, norms of weights, modes, writing in place.

Whatever a cell is and reads, its numbers and gradients are those of a loop over nodes in plain PyTorch, under both
schedules; a layer's are those of the same layer with the weights put into it by hand.
"""

import copy
import pickle
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import settings
from torch import Tensor, func
from torch.nn import Linear, Parameter, Sequential, functional
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint
from torch_geometric.data import Batch, Data

import graphseq as gs
from graphseq import core, nn, spectral
from graphseq.topology import links as links_module
from tests.oracles import Sent, assert_agree, assert_close, child_sum, gradients, gru, leaf, recursion, tensors, total

H = 3
CHAINS = gs.Topology.chain([3, 0, 1, 3])
TREE = gs.Topology.tree([4, 4, 3, 5, 5, -1, 5])
DAG = gs.Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1, 1, 5], [1, 2, 3, 3, 4, 4, 6]]), 7)
RING = gs.Topology.from_edge_index(torch.tensor([[0, 1, 2, 0, 3, 3, 4, 4], [1, 2, 0, 2, 3, 4, 5, 5]]), 7)
DTYPES = torch.float32, torch.float64  # by operators, where there are any; by equations
MODES = torch.enable_grad, torch.no_grad, torch.inference_mode


class Way(NamedTuple):
    """A schedule on a structure of seven nodes."""

    name: str
    schedule: gs.Schedule
    topology: gs.Topology

    @property
    def rounds(self) -> bool:
        return isinstance(self.schedule, gs.Rounds)

    def run(self, cell: gs.Cell, x: Tensor, state: Any = None, **options: Any) -> Any:
        return nn.Recurrent(cell, self.schedule)(x, self.topology, state, **options)

    def by_hand(self, step: Any, x: Tensor, edge_attr: Tensor | None = None) -> Any:
        """Take a step for one node after another: in a sweep `step(x_v, what its predecessors are)`, in rounds
        `step(Σ step.send(a predecessor, its edge), its own state)`.
        """
        edges = self.topology.edge_index
        if not self.rounds:
            return recursion(step, x, edges, (H,), edge_attr=edge_attr)
        h = x
        for _ in range(self.schedule.k):
            h = torch.stack([step(m, [Sent((own,), 0, None)])[0] for m, own in self._merged(step, h, edge_attr)])
        return (h,)

    def _merged(self, step: Any, h: Tensor, edge_attr: Tensor | None) -> Any:
        senders, receivers = self.topology.edge_index.tolist()
        for v in range(7):
            into = [e for e, w in enumerate(receivers) if w == v]
            sent = [step.send(h[senders[e]], None if edge_attr is None else edge_attr[e]) for e in into]
            yield total(sent, h.size(1), h), h[v]

    def twice(self) -> "Way":
        """The same on two such structures, which have two rows a level at least."""
        return self._replace(topology=gs.batch([self.topology, self.topology]))


SWEEPS = [Way("chains", gs.Sweep(), CHAINS), Way("tree", gs.Sweep(), TREE), Way("dag", gs.Sweep(), DAG)]
WAYS = [*SWEEPS, Way("rounds on a tree", gs.Rounds(2), TREE), Way("rounds on a ring", gs.Rounds(3), RING)]
ways = pytest.mark.parametrize("way", WAYS, ids=[w.name for w in WAYS])
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def near(dtype: torch.dtype) -> float:
    return 2e-5 if dtype == torch.float32 else 1e-10


# ------------------------------------------------------------------------------ what a cell reads gets its gradient


class Reads(gs.Cell):
    """``h = tanh(p + W Σ σ(r) ∘ h_u + r)``, where r `[H]` comes from anywhere."""

    state_sizes = (H,)

    def __init__(self, read: Callable[[], Tensor]) -> None:
        super().__init__()
        self.w = Parameter(torch.randn(H, H, dtype=torch.float64) / H)
        self.kept = [read]  # in a list, so that nothing of it is registered

    def message(self, sent, received, edge):
        return (sent[0] * torch.sigmoid(self.kept[0]()),)

    def update(self, p, state):
        return (torch.tanh(p + state[0] @ self.w.t() + self.kept[0]()),)


def reads(cell: Reads, way: Way, cut: bool = False) -> Any:
    """A node of it; with `cut`, what it is given gets no gradient."""
    read = cell.kept[0]

    def send(h, edge=None):
        return torch.sigmoid(read()) * h

    def step(x, sent):
        m = total((s.state[0] if way.rounds else send(s.state[0]) for s in sent), H, x)
        return (torch.tanh(x + cell.w @ (m.detach() if cut else m) + read()),)

    step.send = send
    return step


def a_tensor():
    r = leaf(H)
    return (lambda: r), [r]


def a_module_kept_elsewhere():
    other, ones = Linear(2, H).double(), torch.ones(2, dtype=torch.float64)
    return (lambda: other(ones)), list(other.parameters())


def an_encoders_states():
    source, encoder = leaf(4, 2), torch.nn.GRU(2, H).double()
    states = encoder(source)[0]
    return (lambda: states.mean(0)), [source, *encoder.parameters()]


def a_hypernetworks_weights():
    code, network = leaf(2), Linear(2, H * H).double()
    weight = network(code).view(H, H)
    return (lambda: torch.tanh(weight).sum(1)), [code, *network.parameters()]


def a_buffer():
    holder = torch.nn.Module()
    holder.register_buffer("r", leaf(H))
    return (lambda: holder.r), [holder.r]


SOURCES = [a_tensor, a_module_kept_elsewhere, an_encoders_states, a_hypernetworks_weights, a_buffer]


@ways
@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.__name__)
def test_what_a_cell_captures_gets_its_gradient(way, source):
    read, leaves = source()
    cell, x = Reads(read), leaf(7, H)
    out, (wanted,) = way.run(cell, x), way.by_hand(reads(cell, way), x)
    assert_agree(out, wanted, [x, cell.w, *leaves])
    seed = torch.randn_like(out)
    assert all(float(g.abs().max()) > 0 for g in gradients([out], leaves, [seed]))
    first = [gradients([o], [x, *leaves], [seed], create_graph=True) for o in (out, wanted)]
    ours, theirs = (sum((g**2).sum() for g in found) for found in first)
    assert_agree(ours, theirs, [x, cell.w, *leaves])  # and of the second order


@ways
def test_a_captured_tensor_is_all_that_wants_a_gradient(way):
    read, [r] = a_tensor()
    cell, x = Reads(read).requires_grad_(False), torch.randn(7, H, dtype=torch.float64)
    assert_agree(way.run(cell, x), way.by_hand(reads(cell, way), x), [r])


@ways
def test_what_a_score_captures_gets_its_gradient(way):
    key, x = leaf(H), leaf(7, H)
    cell = Reads(lambda: x.new_zeros(H))
    cell.message, cell.merge = gs.COPY, gs.Softmax(lambda sent, received, edge: sent[0] @ key)

    def weighed(rows):
        return torch.softmax(torch.stack(rows) @ key, 0) @ torch.stack(rows) if rows else x.new_zeros(H)

    def step(p, sent):
        return (torch.tanh(p + cell.w @ weighed([s.state[0] for s in sent])),)

    if way.rounds:
        wanted, pairs = x, way.topology.edge_index.t().tolist()
        for _ in range(way.schedule.k):
            merged = [weighed([wanted[u] for u, w in pairs if w == v]) for v in range(7)]
            wanted = torch.tanh(torch.stack(merged) + wanted @ cell.w.t())
    else:
        wanted = way.by_hand(step, x)
    assert_agree(way.run(cell, x), wanted, [x, key, cell.w])


@ways
def test_a_buffer_of_the_cells_own_and_a_frozen_parameter(way):
    cell, x = Reads(lambda: cell.r), leaf(7, H)
    cell.register_buffer("r", leaf(H))
    cell.w.requires_grad_(False)
    out = way.run(cell, x)
    assert_agree(out, way.by_hand(reads(cell, way), x), [x, cell.r])
    out.sum().backward()
    assert cell.w.grad is None
    assert cell.r.grad is not None


class Cut(Reads):
    """Gradients go no further than one step back."""

    def update(self, p, state):
        return super().update(p, (state[0].detach(),))


@ways
def test_what_an_update_detaches_gets_no_gradient(way):
    read, [r] = a_tensor()
    cell, x = Cut(read), leaf(7, H)
    assert_agree(way.run(cell, x), way.by_hand(reads(cell, way, cut=True), x), [x, r, cell.w])


@ways
def test_a_parameter_of_two_cells_gets_both_gradients(way):
    read, [r] = a_tensor()
    one, two, x = Reads(read), Reads(read), leaf(7, H)
    two.w = one.w

    def by_hand(z):
        return way.by_hand(reads(one, way), z)[0]

    first = way.run(one, x)
    assert_agree(first + way.run(two, first.sin()), by_hand(x) + by_hand(by_hand(x).sin()), [x, r, one.w])
    calls = []
    one.w.register_hook(lambda g: calls.append(g.clone()))
    (way.run(one, x) + way.run(two, x)).sum().backward()
    assert len(calls) == 1
    assert_close(calls[0], 2 * gradients([by_hand(x)], [one.w], [torch.ones_like(x)])[0])


@dtypes
@ways
def test_one_parameter_in_two_places_of_a_cell(way, dtype):
    cell, apart, x = nn.GRUCell(H, H).to(dtype), nn.GRUCell(H, H).to(dtype), leaf(7, H, dtype=dtype)
    cell.weight_hh = cell.weight_ih
    apart.load_state_dict(cell.state_dict())
    calls = []
    cell.weight_hh.register_hook(calls.append)
    way.run(cell, x).sin().sum().backward()
    found = torch.autograd.grad(way.run(apart, x).sin().sum(), (apart.weight_ih, apart.weight_hh))
    assert len(calls) == 1
    assert_close(cell.weight_ih.grad, sum(found), near(dtype))


# --------------------------------------------------------------------------------------------------------- the layers


def peephole(f: int, h: int) -> gs.Cell:
    return nn.LSTMCell(f, h, peephole=True)


def cell_on(topology: gs.Topology, kind: Any, weight: str, k: int | None = None) -> Any:
    schedule, wide = (gs.Sweep(), H) if k is None else (gs.Rounds(k), 4)

    def call(m, x):
        return tensors(m(x.repeat(1, 2)[:, :wide], topology))[-1]

    return (lambda: nn.Recurrent(kind(wide, 4), schedule)), call, f"cell.{weight}"


GRAPH = torch.tensor([[0, 1, 2, 3, 3, 6], [1, 2, 3, 0, 1, 6]])
# name → a new layer, a call of it with x `[7, H]`, and a weight in it
LAYERS = {
    "RNN": (lambda: nn.RNN(H, 4), lambda m, x: m(x)[0], "weight_hh_l0"),
    "RNN on a dag": (lambda: nn.RNN(H, 4), lambda m, x: m(x, topology=DAG)[0], "weight_ih_l0"),
    "GRU": (lambda: nn.GRU(H, 4, 2), lambda m, x: m(x[:, None])[1], "weight_hh_l1"),
    "GRU on a tree": (lambda: nn.GRU(H, 4), lambda m, x: m(x, topology=TREE)[0], "weight_hh_l0"),
    "LSTM": (lambda: nn.LSTM(H, 4), lambda m, x: m(x[:, None])[0], "weight_hh_l0"),
    "LSTM both ways": (lambda: nn.LSTM(H, 4, bidirectional=True), lambda m, x: m(x)[1][1], "weight_ih_l0_reverse"),
    "LSTM on chains": (lambda: nn.LSTM(H, 4), lambda m, x: m(x, topology=CHAINS)[0], "weight_hh_l0"),
    "TreeLSTM": (lambda: nn.TreeLSTM(H, 4), lambda m, x: m(x, TREE)[0], "weight_hh"),
    "TreeLSTM nary": (lambda: nn.TreeLSTM(H, 4, "nary", 3), lambda m, x: m(x, TREE)[1], "weight_ih"),
    "Elman cell": cell_on(CHAINS, nn.ElmanCell, "weight_hh"),
    "GRU cell": cell_on(DAG, nn.GRUCell, "weight_hh"),
    "GRU cell in rounds": cell_on(RING, nn.GRUCell, "weight_ih", 2),
    "LSTM cell": cell_on(TREE, nn.LSTMCell, "weight_ih"),
    "LSTM cell in rounds": cell_on(RING, nn.LSTMCell, "weight_hh", 2),
    "peephole cell": cell_on(DAG, peephole, "weight_hh"),
    "child-sum cell": cell_on(DAG, nn.ChildSumTreeLSTMCell, "weight_hh"),
    "GCN": (lambda: nn.GCNConv(H, 2), lambda m, x: m(x, GRAPH), "lin.weight"),
    "GCN to wider": (lambda: nn.GCNConv(H, 4), lambda m, x: m(x, GRAPH), "lin.weight"),
    "GIN": (lambda: nn.GINConv(Linear(H, 4), train_eps=True), lambda m, x: m(x, GRAPH), "nn.weight"),
    "gated": (lambda: nn.GatedGraphConv(4, 2), lambda m, x: m(x, GRAPH), "rnn.weight_hh"),
    "gated max": (lambda: nn.GatedGraphConv(4, 2, "max"), lambda m, x: m(x, GRAPH), "rnn.weight_ih"),
}
layers = pytest.mark.parametrize("name", LAYERS)


class Called(torch.nn.Module):
    """A layer with the way that it is called, for what calls modules."""

    def __init__(self, layer: Any, call: Any) -> None:
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.layer, x)


def made(name: str, dtype: torch.dtype = torch.float64) -> tuple[Any, Any, Tensor]:
    make, call, _ = LAYERS[name]
    return make().to(dtype), call, torch.randn(7, H, dtype=dtype)


def with_weights(name: str, weights: dict[str, Tensor]) -> Any:
    """A layer of its own whose parameters are copies: what any way of handing weights over should amount to."""
    layer = LAYERS[name][0]().to(next(iter(weights.values())).dtype)
    with torch.no_grad():
        for key, p in layer.named_parameters():
            p.copy_(weights[key])
    return layer


def by_weights(layer: Any, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*layer.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


@layers
def test_hooks_of_parameters_fire_once_with_the_whole_gradient(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        wanted, before, after = by_weights(layer, call(layer, x).sin().sum()), {}, []
        for key, p in layer.named_parameters():

            def clip(g, key=key):
                assert key not in before  # noqa: B023
                before[key] = g.clone()  # noqa: B023
                return g.clamp(-0.1, 0.1)

            p.register_hook(clip)
            p.register_post_accumulate_grad_hook(lambda p, key=key: after.append(key))  # noqa: B023
        call(layer, x).sin().sum().backward()
        assert sorted(before) == sorted(after) == sorted(wanted)
        for key, p in layer.named_parameters():
            assert_close(before[key], wanted[key], near(dtype))
            assert torch.equal(p.grad, before[key].clamp(-0.1, 0.1))


@ways
def test_hooks_of_all_that_a_cell_of_ones_own_reads_fire_once(way):
    read, [r] = a_tensor()
    cell, x = Reads(read), leaf(7, H)
    leaves, seen = [x, r, cell.w], []
    expected = gradients(way.by_hand(reads(cell, way), x), leaves, [torch.ones_like(x)])
    for t in leaves:
        t.register_hook(lambda g: seen.append(g) or g / 10)
        t.register_post_accumulate_grad_hook(seen.append)
    way.run(cell, x).sum().backward()
    assert len(seen) == 2 * len(leaves)
    for t, g in zip(leaves, expected, strict=True):
        assert_close(t.grad, g / 10)


@layers
def test_functional_call_uses_the_weights_that_it_is_given(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        weights = {k: (p + 0.3 * torch.randn_like(p)).detach().requires_grad_() for k, p in layer.named_parameters()}
        out = func.functional_call(Called(layer, call), {f"layer.{k}": w for k, w in weights.items()}, (x,))
        twin = with_weights(name, weights)
        wanted = call(twin, x)
        assert_close(out, wanted, near(dtype))
        assert not torch.allclose(out, call(layer, x), atol=1e-3)
        ours = torch.autograd.grad(out.sin().sum(), list(weights.values()))
        theirs = by_weights(twin, wanted.sin().sum())
        for key, g in zip(weights, ours, strict=True):
            assert_close(g, theirs[key], near(dtype))


@layers
def test_transforms_differentiate_by_weights_and_inputs(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        model, z = Called(layer, call), x.clone().requires_grad_()
        weights = {k: p.detach() for k, p in model.named_parameters()}
        wanted = torch.autograd.grad(model(z).sin().sum(), [*model.parameters(), z])

        def loss(w, x, model=model):
            return func.functional_call(model, w, (x,)).sin().sum()

        by_w, by_x = func.grad(loss, argnums=(0, 1))(weights, x)
        for a, b in zip([*by_w.values(), by_x], wanted, strict=True):
            assert_close(a, b, near(dtype))
        way = {k: torch.randn_like(w) for k, w in weights.items()}, torch.randn_like(x)
        _, tangent = func.jvp(loss, (weights, x), way)
        along = sum((a * b).sum() for a, b in zip([*way[0].values(), way[1]], wanted, strict=True))
        assert_close(tangent.detach(), along, near(dtype))


@pytest.mark.parametrize("name", ["GRU", "LSTM", "TreeLSTM", "GRU cell", "peephole cell", "GCN", "gated"])
def test_many_gradients_in_one_backward_pass(name):
    """As torch.nn's layers have them, and PyG's."""
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        for derivative, z in (
            (torch.autograd.functional.jacobian, lambda x: call(layer, x)),  # noqa: B023
            (torch.autograd.functional.hessian, lambda x: call(layer, x).sin().sum()),  # noqa: B023
        ):
            assert_close(derivative(z, x, vectorize=True), derivative(z, x), near(dtype))


@layers
def test_ensembles_run_as_one(name):
    make, call, _ = LAYERS[name]
    for dtype in DTYPES:
        models, x = [Called(make().to(dtype), call) for _ in range(3)], torch.randn(7, H, dtype=dtype)
        weights, buffers = func.stack_module_state(models)
        base, outs = copy.deepcopy(models[0]).to("meta"), [m(x) for m in models]

        def run(w, b, x, base=base):
            return func.functional_call(base, (w, b), (x,))

        together = func.vmap(run, (0, 0, None))(weights, buffers, x)
        assert_close(together, torch.stack(outs), near(dtype))
        assert not torch.allclose(outs[0], outs[1], atol=1e-3)
        separate = [by_weights(m, out.sin().sum()) for m, out in zip(models, outs, strict=True)]
        each = func.vmap(func.grad(lambda *given: run(*given).sin().sum()), (0, 0, None))(weights, buffers, x)
        together.sin().sum().backward()
        for key, w in weights.items():
            wanted = torch.stack([grads[key] for grads in separate])
            assert_close(each[key], wanted, near(dtype))
            assert_close(w.grad, wanted, near(dtype))


@dtypes
def test_epsilon_is_differentiated_in_forward_mode_and_in_ensembles(dtype):
    conv, x = nn.GINConv(torch.nn.Identity(), 0.5, train_eps=True).to(dtype), torch.randn(7, H, dtype=dtype)
    with torch.autograd.forward_ad.dual_level():
        eps = torch.autograd.forward_ad.make_dual(conv.eps.detach(), torch.full_like(conv.eps, 2.0))
        out = func.functional_call(conv, {"eps": eps}, (x, GRAPH))
        assert_close(torch.autograd.forward_ad.unpack_dual(out).tangent, 2 * x)
    several = torch.tensor([[0.0], [1.0], [-3.0]], dtype=dtype)
    outs = func.vmap(lambda eps: func.functional_call(conv, {"eps": eps}, (x, GRAPH)))(several)
    assert_close(outs - outs[0], several[:, :, None] * x)


# --------------------------------------------------------------------------------------------------- norms of weights

of_old = pytest.mark.filterwarnings("ignore:.*_norm.*:FutureWarning", "ignore:.*RNN module weights.*:UserWarning")
norms = pytest.mark.parametrize("old", [True, False], ids=["of old", "as a parametrization"])


def training_steps(name: str, layer: Any, x: Tensor, weight: Callable[[], Tensor], leaves: list[Tensor]) -> None:
    """Train, and at each step compare with a layer that has `weight()`, made of `leaves`, put in by hand."""
    _, call, path = LAYERS[name]
    optimizer, before, tolerance = torch.optim.SGD(layer.parameters(), 0.1), [], near(x.dtype)
    for _ in range(3):
        optimizer.zero_grad()
        out = call(layer, x)
        out.sin().sum().backward()
        w = weight()
        twin = with_weights(name, {**dict(layer.named_parameters()), path: w})
        wanted = call(twin, x)
        theirs = by_weights(twin, wanted.sin().sum())
        assert_close(out, wanted, tolerance)
        assert all(not torch.allclose(out, old, atol=1e-5) for old in before)
        for t, g in zip(leaves, torch.autograd.grad(w, leaves, theirs.pop(path)), strict=True):
            assert_close(t.grad, g, tolerance)
        for key, p in layer.named_parameters():
            if key in theirs:
                assert_close(p.grad, theirs[key], tolerance)
        before.append(out.detach())
        optimizer.step()


def module_of(name: str, layer: Any) -> tuple[Any, str]:
    path, _, weight = LAYERS[name][2].rpartition(".")
    return layer.get_submodule(path), weight


@of_old
@norms
@layers
def test_weight_norm_trains(name, old):
    for dtype in DTYPES:
        layer, _, x = made(name, dtype)
        module, weight = module_of(name, layer)
        (torch.nn.utils.weight_norm if old else parametrizations.weight_norm)(module, weight)
        names = [f"{weight}_g", f"{weight}_v"]
        if not old:
            names = [f"parametrizations.{weight}.original{i}" for i in (0, 1)]
        g, v = (module.get_parameter(n) for n in names)
        training_steps(name, layer, x, lambda g=g, v=v: v * (g / v.norm(dim=1, keepdim=True)), [g, v])


@of_old
@norms
@layers
def test_spectral_norm_trains(name, old):
    """One step of the power iteration a call, and one weight; in PyG's gated layer, and ours, one a round."""
    for training in (True, False):
        layer, call, x = made(name)
        module, weight = module_of(name, layer)
        (torch.nn.utils.spectral_norm if old else parametrizations.spectral_norm)(module, weight)
        holder = module if old else module.parametrizations[weight][0]
        u, v = (f"{weight}_u", f"{weight}_v") if old else ("_u", "_v")
        original = module.get_parameter(f"{weight}_orig" if old else f"parametrizations.{weight}.original")
        turned = getattr(holder, u).clone()
        with torch.no_grad():
            call(layer, x)
        assert not torch.equal(getattr(holder, u), turned)
        if training and name.startswith("gated"):
            continue
        layer.train(training)

        def divided(holder=holder, original=original, u=u, v=v):
            return original / (getattr(holder, u).clone() @ original @ getattr(holder, v).clone())

        training_steps(name, layer, x, divided, [original])


# ------------------------------------------------------------------------------------------------ writing in place


class Plain(gs.Cell):
    """An update that writes on nothing."""

    state_sizes = (H,)

    def message(self, sent, received, edge):
        return (sent[0] * 2 + received,)

    def update(self, p, state):
        return (torch.tanh(p + 2 * state[0]),)


class OnStates(Plain):
    """The same, done on the state itself."""

    def update(self, p, state):
        return (torch.tanh(p + state[0].mul_(2)),)


class OnStatesAsTheyCome(OnStates):
    """… which is copied from the senders."""

    message = gs.COPY


class OnInputs(Plain):
    """… on the projected inputs, which by default are the inputs."""

    def update(self, p, state):
        return (p.add_(2 * state[0]).tanh(),)


class OnSent(Plain):
    """The message writes on what is sent."""

    def message(self, sent, received, edge):
        return (sent[0].mul_(2) + received,)


class OnReceived(Plain):
    """… on what it reads of the receiver."""

    def message(self, sent, received, edge):
        return (received.add_(2 * sent[0]),)


class Copied(Plain):
    """What the one that copies should be."""

    message = gs.COPY


WRITERS = [(OnStates, Plain), (OnStatesAsTheyCome, Copied), (OnInputs, Plain), (OnSent, Plain), (OnReceived, Plain)]


def initial_states(way: Way) -> list[Tensor | None]:
    if way.rounds:
        return [None, torch.randn(7, H), leaf(7, H, dtype=torch.float32)]
    rows = way.topology.num_graphs
    return [None, torch.randn(rows, H), torch.randn(7, 1, H), leaf(rows, H, dtype=torch.float32)]


def right_or_refused(call: Any, wanted: Tensor, given: list[Tensor | None]) -> None:
    """Autograd itself refuses writing on leaves, and on parts of what was split."""
    before = [None if t is None else t.detach().clone() for t in given]
    try:
        out = call()
    except (gs.GraphError, RuntimeError):
        pass
    else:
        assert_close(out, wanted)
    assert all(b is None or torch.equal(t, b) for t, b in zip(given, before, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "plain"), WRITERS, ids=lambda k: k.__name__)
@ways
def test_a_cell_that_writes_in_place_is_right_or_refused(way, kind, plain, mode):
    with mode():
        for state in initial_states(way):
            for x in (torch.randn(7, H), leaf(7, H, dtype=torch.float32)):
                wanted = way.run(plain(), x, state)
                right_or_refused(lambda: way.run(kind(), x, state), wanted, [x, state])  # noqa: B023


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad])
def test_who_writes_on_states_of_others_is_told_so(mode):
    with mode(), pytest.raises(gs.GraphError, match=r"`update`: .* not to write on the states"):
        nn.Recurrent(OnStatesAsTheyCome())(torch.randn(7, H), CHAINS)


@pytest.mark.parametrize("mode", MODES)
def test_one_step_of_a_cell_that_writes_in_place(mode):
    with mode():
        x, state = torch.randn(2, H), torch.randn(2, H)
        right_or_refused(lambda: OnStates()(x, state), Plain()(x, state), [state])


# ---------------------------------------------------------------------------------------------- nothing is aliased


def edges_and_batch():
    edges, batch = torch.tensor([[0, 1, 3], [1, 2, 4]]), torch.tensor([0, 0, 0, 1, 1])
    return gs.Topology.from_edge_index(edges, batch=batch), [edges, batch]


def parents_and_slots():
    parent, slot = torch.tensor([2, 2, 4, 4, -1]), torch.tensor([1, 0, 1, 0, 0])
    return gs.Topology.tree(parent, slot), [parent, slot]


def lengths_of_chains():
    lengths = torch.tensor([2, 0, 3])
    return gs.Topology.chain(lengths), [lengths]


def a_data():
    data = Data(edge_index=torch.tensor([[0, 1, 3], [1, 2, 4]]), num_nodes=5)
    return gs.Topology.from_data(data), [data.edge_index]


def a_batch_of_data():
    members = [Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3) for _ in range(2)]
    batch = Batch.from_data_list(members)
    return gs.Topology.from_data(batch), [batch.edge_index, batch.ptr, batch.batch]


def links_between():
    edges = torch.tensor([[0, 1, 2], [1, 1, 0]])
    return gs.Links.between(edges, 5, 5), [edges]


def a_subgraph():
    nodes = torch.tensor([0, 1, 3])
    return gs.Topology.chain([4]).subgraph(nodes).topology, [nodes]


def a_coarser_graph():
    cluster = torch.tensor([0, 0, 1, 1])
    return gs.Topology.chain([4]).coarsen(cluster, 2).topology, [cluster]


def members_of_clusters():
    cluster = torch.tensor([0, 0, 1, 1])
    return gs.Topology.chain([4]).coarsen(cluster, 2).members, [cluster]


MAKERS = [
    edges_and_batch, parents_and_slots, lengths_of_chains, a_data, a_batch_of_data, links_between, a_subgraph,
    a_coarser_graph, members_of_clusters,
]  # fmt: skip


@pytest.mark.parametrize("ready", [False, True], ids=["fresh", "compiled"])
@pytest.mark.parametrize("make", MAKERS, ids=lambda m: m.__name__)
def test_no_structure_aliases_what_it_is_made_of(make, ready):
    def parts(made):
        found = [made.edge_index, *made.matrix, made.slot, made.in_degree]
        if isinstance(made, gs.Topology):
            found += [made.batch, made.graph_ptr, made.level, *made.packed, made.reverse().edge_index]
        return [f.clone() for f in found]

    made, given = make()
    wanted = parts(make()[0])
    if ready:
        parts(made)
    for tensor in given:
        tensor.fill_(1)
    assert all(torch.equal(a, b) for a, b in zip(parts(made), wanted, strict=True))


def test_a_layer_that_is_handed_edges_sees_that_they_change():
    conv, x, edges = nn.GINConv(torch.nn.Identity()), torch.randn(4, 2), torch.tensor([[0, 1, 2], [1, 2, 3]])
    assert_close(conv(x, edges)[3], x[3] + x[2])
    edges[0, 2] = 0
    assert_close(conv(x, edges)[3], x[3] + x[0])
    edges.data = torch.tensor([[1, 1], [3, 3]])
    assert_close(conv(x, edges)[3], x[3] + 2 * x[1])


# ------------------------------------------------------------------------------- whoever says anything anew is heard


def another_update(self, p, state):
    return (torch.tanh(p[:, :4] + 3 * state[0]), *state[1:])


def another_message(sent, received, edge):
    return (sent[0] / 2, *sent[1:])


def another_projection(self, x):
    return torch.cat([x, x.sin(), x.cos(), -x, x, 2 * x], 1)[:, : self.weight_ih.size(0)]


class HalfSum(gs.Sum):
    """A merge that inherits from the sum and says something else."""

    def reduce(self, rows, segments, scores):
        return super().reduce(rows, segments, scores) / 2


class Mixin:
    """An update of a class that is no cell."""

    update = another_update


class ProjectingMixin:
    """A projection of such a class."""

    project = another_projection


def set_on_object(name, value):
    def make(kind, patch):
        cell = kind(H, 4)
        setattr(cell, name, types.MethodType(value, cell) if name in ("update", "project") else value)
        return cell

    return make


def patched(name, value):
    def make(kind, patch):
        patch.setattr(kind, name, value)
        return kind(H, 4)

    return make


ANEW = {
    "a mixin": lambda kind, patch: type("Mixed", (Mixin, kind), {})(H, 4),
    "a projecting mixin": lambda kind, patch: type("Mixed", (ProjectingMixin, kind), {})(H, 4),
    "a projecting subclass": lambda kind, patch: type("Projects", (kind,), {"project": another_projection})(H, 4),
    "a subclass of a mixin": lambda kind, patch: type("Low", (type("High", (Mixin, kind), {}),), {})(H, 4),
    "an object's update": set_on_object("update", another_update),
    "an object's message": set_on_object("message", another_message),
    "an object's projection": set_on_object("project", another_projection),
    "an object's merge": set_on_object("merge", HalfSum()),
    "a patched update": patched("update", another_update),
    "a patched projection": patched("project", another_projection),
    "a patched message": patched("message", lambda self, *given: another_message(*given)),
    "a patched merge": patched("merge", HalfSum()),
}


def by_equations(cell: Any, x: Tensor, topology: gs.Topology) -> Any:
    """What the cell's own methods say, called for one node after another, and no engine."""
    p, done, pairs = cell.project(x), {}, topology.edge_index.t().tolist()
    share = 0.5 if isinstance(cell.merge, HalfSum) else 1.0
    for v in topology.level.argsort(stable=True).tolist():
        mine = p[v : v + 1]
        sent = [cell.message(done[u], mine, None) for u, w in pairs if w == v]
        merged = [sum((s[i] for s in sent), x.new_zeros(1, n)) for i, n in enumerate(cell.state_sizes)]
        done[v] = cell.update(mine, tuple(share * m for m in merged))
    return tuple(torch.cat([done[v][i] for v in range(x.size(0))]) for i in range(len(cell.state_sizes)))


@pytest.mark.parametrize("kind", [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell])
@pytest.mark.parametrize("anew", ANEW)
def test_whoever_says_anything_anew_is_heard(anew, kind):
    plain = kind(H, 4)
    for dtype in DTYPES:
        for way in SWEEPS:
            x = leaf(7, H, dtype=dtype)
            with pytest.MonkeyPatch.context() as patch:
                cell = ANEW[anew](kind, patch)
                cell.load_state_dict(plain.state_dict())
                cell.to(dtype)
                out = tensors(way.run(cell, x))
                assert_agree(out, by_equations(cell, x, way.topology), [x], near(dtype))
            assert not torch.allclose(out[0], tensors(way.run(copy.deepcopy(plain).to(dtype), x))[0], atol=1e-3)


# ------------------------------------------------------------------------------------------------- maxima and ties


class Merged(gs.Cell):
    """Its state is its input, and what the merge says."""

    state_sizes = (1,)

    def __init__(self, merge: str) -> None:
        super().__init__()
        self.merge = merge

    def update(self, p, state):
        return (p + state[0],)


HUB = torch.tensor([[2, 0, 1, 3], [4, 4, 4, 4]])  # node 2's edge is the first
# four numbers, and whose edge gets the gradient of their maximum
TIES = [
    ([5.0, 5.0, 5.0, 1.0], 2), ([5.0, 5.0, -1.0, 1.0], 0), ([0.0, 0.0, 0.0, 0.0], 2), ([0.0, -0.0, -1.0, 0.0], 0),
    ([-1.0, -1.0, -2.0, -3.0], 0), ([float("inf")] * 4, 2), ([-3.0, 4.0, 4.0, 4.0], 2),
]  # fmt: skip


def gradient_of(call: Any, x: Tensor, how: str) -> list[float]:
    if how == "torch.func":
        return func.grad(lambda z: call(z).sum())(x).flatten().tolist()
    z = x.clone().requires_grad_()
    return torch.autograd.grad(call(z).sum(), z)[0].flatten().tolist()


@pytest.mark.parametrize("how", ["autograd", "torch.func"])
@pytest.mark.parametrize("merge", ["max", "min"])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.bfloat16])
def test_the_first_edge_of_equals_gets_the_whole_gradient(merge, how, dtype):
    star = gs.Topology.from_edge_index(HUB, 5)
    links = gs.Links.between(HUB - torch.tensor([[0], [3]]), 4, 2)
    one_graph = gs.Topology.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 4)
    layers = [nn.Recurrent(Merged(merge)), nn.Recurrent(Merged(merge), gs.Rounds(1))]
    for values, first in TIES:
        x = torch.tensor(values, dtype=dtype)[:, None] * (1 if merge == "max" else -1)
        whole, wanted = torch.cat([x, x.new_zeros(1, 1)]), [float(v == first) for v in range(4)]
        for layer in layers:
            found = gradient_of(lambda z: layer(z, star)[4], whole, how)  # noqa: B023
            assert found[:4] == wanted, (layer, values)
        for message in (gs.COPY, lambda sent, received, edge: sent):
            aggregate = lambda z: core.aggregate(links, (z,), message=message, merge=merge)[0]  # noqa: B023, E731
            assert gradient_of(aggregate, x, how) == wanted, values
        by_edge = gradient_of(lambda z: core.reduce(star, (z,), merge=merge)[0], x[HUB[0]], how)
        assert by_edge == [wanted[u] for u in HUB[0]], values
        first = int((x == x[first]).int().argmax())
        for batch in (one_graph, torch.zeros(4, dtype=torch.int64)):
            by_node = gradient_of(lambda z: nn.readout(z, batch, merge), x, how)  # noqa: B023
            assert by_node == [float(v == first) for v in range(4)], values


@pytest.mark.parametrize("how", ["autograd", "torch.func"])
@pytest.mark.parametrize("merge", ["max", "min", "sum", "mean", "softmax"])
def test_a_lone_predecessor_gets_the_whole_gradient(merge, how):
    """Whatever its state, on either side of 0 and 0 itself."""
    apart = gs.Topology.from_edge_index(torch.tensor([[0, 2, 3], [1, 4, 4]]), 5)
    layer = nn.Recurrent(Merged(merge))
    for t in (gs.Topology.chain([2]), apart):
        for dtype in DTYPES:
            for value in (0.0, -2.0, 2.0):
                x = torch.full((t.num_nodes, 1), value, dtype=dtype)
                assert float(layer(x, t)[1]) == 2 * value
                assert gradient_of(lambda z: layer(z, t)[1], x, how)[:2] == [1.0, 1.0]  # noqa: B023


# --------------------------------------------------------------------------------------- initial states where N = B


@dtypes
@pytest.mark.parametrize("lengths", [[0, 2], [2, 0], [1, 1], [0, 3, 0], [3, 0, 0], [1, 0, 2]])
def test_a_row_a_graph_is_that_where_there_are_as_many_nodes(lengths, dtype):
    t, n = gs.Topology.chain(lengths), len(lengths)
    assert t.num_nodes == t.num_graphs == n
    cell, layer, twin = (make(2, H).to(dtype) for make in (nn.GRUCell, nn.GRU, torch.nn.GRU))
    layer.load_state_dict(twin.state_dict())
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in twin.state_dict().items()})
    x, h0, parts = leaf(n, 2, dtype=dtype), leaf(n, H, dtype=dtype), []
    for b, rows in enumerate(x.split(lengths)):
        parts.append(twin(rows, h0[None, b]) if len(rows) else (rows.new_zeros(0, H), h0[None, b]))
    outs, ends = zip(*parts, strict=True)
    assert_agree(nn.Recurrent(cell)(x, t, h0), torch.cat(outs), [x, h0], near(dtype))
    assert_agree(layer(x, h0[None], t), (torch.cat(outs), torch.stack(ends, 1)), [x, h0], near(dtype))
    rows = leaf(n, 1, H, dtype=dtype)  # a row a node has a dimension more
    wanted = recursion(gru(cell), x, t.edge_index, (H,), state=(rows[:, 0],))
    assert_agree(nn.Recurrent(cell)(x, t, rows), wanted, [x, rows], near(dtype))


def test_a_row_a_graph_on_other_structures_with_as_many_nodes():
    none, batch = torch.empty(2, 0, dtype=torch.int64), torch.tensor([0, 2, 2])
    for t in (
        gs.Topology.from_edge_index(none, batch=batch),
        gs.Topology.from_edge_index(torch.tensor([[2], [1]]), batch=batch),
        gs.batch([gs.Topology.tree([1, 2, -1]), gs.Topology.tree([]), gs.Topology.tree([])]),
    ):
        cell, x, h0 = nn.GRUCell(2, H).double(), leaf(3, 2), leaf(3, H)
        wanted = recursion(gru(cell), x, t.edge_index, (H,), state=(h0[t.batch],))
        assert_agree(nn.Recurrent(cell)(x, t, h0), wanted, [x, h0])


# ---------------------------------------------------------------------------------------------------------- rounds


class Talks(gs.Cell):
    """Its message reads sender, receiver and edge, and is far from any state."""

    state_sizes = (H, 2)

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.w = Linear(H, H).double(), Linear(H, H).double()

    def project(self, x):
        return self.inner(x)

    def message(self, sent, received, edge):
        return (10 + sent[0] * torch.sigmoid(received) + sent[1].sum(1, keepdim=True) + edge, sent[1])

    def update(self, p, state):
        return torch.tanh(p + self.w(state[0])), state[1] + p[:, :2]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("topology", [CHAINS, TREE, RING], ids=["chains", "tree", "ring"])
def test_rounds_send_along_edges_alone_and_see_receivers_as_they_are(topology, k):
    """A node's own state goes through no message; what a message reads of a receiver is of this round."""
    cell, x, c0, edge = Talks(), leaf(7, H), leaf(7, 2), leaf(topology.num_edges, H)
    h, c, pairs = x, c0, topology.edge_index.t().tolist()
    for _ in range(k):
        received, merged = cell.inner(h), []
        for v in range(7):
            into = [(e, u) for e, (u, w) in enumerate(pairs) if w == v]
            merged.append(total((10 + h[u] * torch.sigmoid(received[v]) + c[u].sum() + edge[e] for e, u in into), H, h))
        p = cell.inner(torch.stack(merged))
        h, c = torch.tanh(p + cell.w(h)), c + p[:, :2]
    out = nn.Recurrent(cell, gs.Rounds(k))(x, topology, (x, c0), edge_attr=edge)
    assert_agree(out, (h, c), [x, c0, edge, *cell.parameters()])


def test_a_child_sum_cell_in_rounds():
    """Its own state comes as that of one child, whose forget gate reads the merged input."""
    cell, x, c0 = nn.ChildSumTreeLSTMCell(H, H).double(), leaf(7, H), leaf(7, H)
    step, h, c, pairs = child_sum(cell), x, c0, RING.edge_index.t().tolist()
    for _ in range(3):
        merged = [total((h[u] for u, w in pairs if w == v), H, h) for v in range(7)]
        new = [step(merged[v], [Sent((h[v], c[v]), 0, None)]) for v in range(7)]
        h, c = (torch.stack(part) for part in zip(*new, strict=True))
    assert_agree(nn.Recurrent(cell, gs.Rounds(3))(x, RING, (x, c0)), (h, c), [x, c0, *cell.parameters()])


def test_slots_are_summed_in_rounds_and_refused_by_name():
    cell, x = nn.NaryTreeLSTMCell(H, H, 3).double(), leaf(7, H)
    by_default, by_sum, by_max = (nn.Recurrent(cell, gs.Rounds(2, m))(x, RING) for m in (None, "sum", "max"))
    assert_agree(by_default, by_sum, [x, *cell.parameters()])
    assert not torch.allclose(by_default[0], by_max[0], atol=1e-3)
    for merge in ("slots", gs.Slots(3)):
        with pytest.raises(gs.GraphError, match="`merge`"):
            gs.Rounds(2, merge=merge)


class Counted(gs.Merge):
    """A sum that notes what it reduces."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def reduce(self, rows, segments, scores):
        self.seen.append(rows)
        return segments.sum(rows)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell, nn.NaryTreeLSTMCell, nn.ChildSumTreeLSTMCell])
def test_rounds_merge_h_alone(kind):
    cell, x, merge = kind(H, H).double(), leaf(7, H), Counted()
    out = nn.Recurrent(cell, gs.Rounds(3, merge))(x, RING)
    assert_agree(out, nn.Recurrent(cell, gs.Rounds(3))(x, RING), [x, *cell.parameters()])
    assert torch.equal(merge.seen[0], x[RING.edge_index[0][RING.edge_index[1].argsort(stable=True)]])
    assert len(merge.seen) == 3


# --------------------------------------------------------------------------------------------- features of edges


class Relations(gs.Cell):
    """Edges are numbers of relations, or flags."""

    state_sizes = (H,)

    def __init__(self) -> None:
        super().__init__()
        self.w = Parameter(torch.randn(4, H, dtype=torch.float64))

    def message(self, sent, received, edge):
        return (sent[0] * self.w[edge.long()],)

    def update(self, p, state):
        return (torch.tanh(p + state[0]),)


@ways
def test_features_of_edges_may_be_whole_numbers(way):
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.bool):
        cell, x, t = Relations(), leaf(7, H), way.topology
        relation = torch.randint(4, (t.num_edges,)).to(dtype)

        def send(h, edge, cell=cell):
            return h if edge is None else h * cell.w[edge.long()]

        def step(v, sent, send=send):
            return (torch.tanh(v + total((send(s.state[0], s.edge) for s in sent), H, v)),)

        step.send = send
        assert_agree(way.run(cell, x, edge_attr=relation), way.by_hand(step, x, relation), [x, cell.w])
        rows = x[t.edge_index[0]] * cell.w[relation.long()]
        merged = core.aggregate(t, (x,), message=cell.message, edge_attr=relation)
        assert_agree(merged, torch.zeros_like(x).index_add(0, t.edge_index[1], rows), [x, cell.w])


# ---------------------------------------------------------------------- structures that move, and that somebody watched


def test_what_is_compiled_moves_along(monkeypatch):
    t = gs.Topology.from_edge_index(torch.tensor([[0, 1, 1], [1, 2, 0]]), 3)
    t.memo("mine", lambda: (torch.ones(2), {"deep": torch.zeros(1)}, "word"))
    t.matrix, t.batch, t.slot, t.reverse().matrix, spectral.gcn_norm(t)
    there = t.to("meta")

    def fail(*given, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(links_module, "csr", fail)
    monkeypatch.setattr(spectral, "remaining_loops", fail)
    monkeypatch.setattr(spectral, "spmm", fail)
    moved, deep, word = there.memo("mine", fail)
    assert (moved.device.type, deep["deep"].device.type, word) == ("meta", "meta", "word")
    parts = (*there.matrix, there.batch, there.slot, there.in_degree, *there.reverse().matrix)
    assert all(part.device.type == "meta" for part in parts)
    assert there.reverse().reverse() is there
    looped, weight = spectral.gcn_norm(there)
    assert (looped.device.type, weight.device.type, looped.num_edges) == ("meta", "meta", 6)
    assert t.to("cpu") is t


def under_grad(call, x):
    func.grad(lambda z: call(z).sum())(x)


def under_vmap(call, x):
    func.vmap(call)(torch.stack([x, x]))


def under_forward_mode(call, x):
    func.jvp(call, (x,), (x,))


def under_a_hessian(call, x):
    func.jacfwd(func.grad(lambda z: call(z).sum()))(x)


def under_inference_mode(call, x):
    with torch.inference_mode():
        call(x)


def maximal(f: int, h: int) -> gs.Cell:
    cell = nn.GRUCell(f, h)
    cell.merge = "max"
    return cell


WATCHERS = [under_grad, under_vmap, under_forward_mode, under_a_hessian, under_inference_mode]
watchers = pytest.mark.parametrize("watch", WATCHERS, ids=lambda w: w.__name__)
USERS = {
    "a cell by its equations": (nn.Recurrent(peephole(H, 4)), lambda m, x, t: m(x, t)[0]),
    "a cell that takes the maximum": (nn.Recurrent(maximal(H, 4)), lambda m, x, t: m(x, t)),
    "slots": (nn.TreeLSTM(H, 4, "nary", 3), lambda m, x, t: m(x, t)[0]),
    "backwards": (nn.Recurrent(nn.GRUCell(H, 4), gs.Sweep(reverse=True)), lambda m, x, t: m(x, t)),
    "rounds": (nn.Recurrent(nn.GRUCell(H, H), gs.Rounds(2)), lambda m, x, t: m(x, t)),
    "both ways": (nn.GRU(H, 4, bidirectional=True), lambda m, x, t: m(x, topology=t)[0]),
    "GCN": (nn.GCNConv(H, 4), lambda m, x, t: m(x, t)),
    "gated max": (nn.GatedGraphConv(4, 2, "max"), lambda m, x, t: m(x, t)),
    "readout": (torch.nn.Identity(), lambda m, x, t: nn.readout(m(x), t, "max")),
}


@watchers
@pytest.mark.parametrize("name", USERS)
def test_a_topology_that_was_first_used_elsewhere_can_be_pickled_and_trains(name, watch):
    layer, call = USERS[name]
    for make in (
        lambda: gs.Topology.chain([3, 0, 1, 3]),
        lambda: gs.Topology.tree([4, 4, 3, 5, 5, -1, 5]),
        lambda: gs.Topology.from_edge_index(DAG.edge_index, 7),
    ):
        t, x = make(), leaf(7, H, dtype=torch.float32)
        watch(lambda z: call(layer, z, t), x.detach())  # noqa: B023
        again, wanted = pickle.loads(pickle.dumps(t)), call(layer, x, make())
        assert again == t == copy.deepcopy(t)
        for other in (t, again):
            assert_agree(call(layer, x, other), wanted, [x])


def several():
    return gs.batch([gs.Topology.chain([3]), gs.Topology.tree([1, -1])]), []


def one_of_several():
    return gs.unbatch(gs.batch([TREE, CHAINS]))[1], []


def the_other_way_round():
    return gs.Topology.chain([3, 2]).reverse(), []


@watchers
@pytest.mark.parametrize("make", [*MAKERS, several, one_of_several, the_other_way_round], ids=lambda m: m.__name__)
def test_a_structure_that_is_made_elsewhere_can_be_pickled_and_trains(make, watch):
    made, layer = [], nn.Recurrent(peephole(H, 4))

    def use(t, x):
        rows = x[:1].expand(t.num_senders, H)
        out = core.aggregate(t, (rows,), merge="max")[0].sum()
        return out + (layer(rows, t)[0].sum() if isinstance(t, gs.Topology) else 0)

    def call(x):
        made.append(make()[0])
        return use(made[-1], x)

    watch(call, torch.randn(2, H))
    x, wanted = leaf(2, H, dtype=torch.float32), make()[0]
    for t in (made[0], pickle.loads(pickle.dumps(made[0]))):
        assert torch.equal(t.edge_index, wanted.edge_index)
        assert_agree(use(t, x), use(wanted, x), [x])


@pytest.mark.parametrize("kind", [gs.Cell, gs.Merge, gs.Schedule, gs.recipes.Recipe], ids=lambda k: k.__name__)
def test_what_is_abstract_has_no_objects(kind):
    with pytest.raises(TypeError, match="abstract"):
        kind()


# ---------------------------------------------------------------------------------------------- backward, and again


@layers
def test_a_second_backward_needs_the_graph(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        x.requires_grad_()
        call(layer, x).sum().backward()  # a sum keeps nothing itself
        once, out = x.grad.clone(), call(layer, x).sum()
        out.backward(retain_graph=True)
        out.backward()
        assert_close(x.grad, 3 * once, near(dtype))
        with pytest.raises(RuntimeError, match="second time"):
            out.backward()


@pytest.mark.parametrize("form", ["padded", "packed", "one sequence", "batch first"])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_second_backward_fails_where_that_of_torch_does(kind, form):
    for dtype in DTYPES:
        makers = [getattr(home, kind) for home in (nn, torch.nn)]
        ours, theirs = (make(2, H, batch_first=form == "batch first").to(dtype) for make in makers)
        ours.load_state_dict(theirs.state_dict())
        x, found = leaf(*((4, 2) if form == "one sequence" else (4, 5, 2)), dtype=dtype), []
        for layer in (ours, theirs):
            out = layer(pack_padded_sequence(x, [4, 3, 3, 2, 1]) if form == "packed" else x)[0]
            loss = (out.data if form == "packed" else out).sum()
            first, second = (torch.autograd.grad(loss, x, retain_graph=keep)[0] for keep in (True, False))
            assert torch.equal(first, second)
            with pytest.raises(RuntimeError, match="second time"):
                torch.autograd.grad(loss, x)
            found.append(second)
        assert_close(*found, near(dtype))


# ------------------------------------------------------------------------------------- modules inside of an update


class Holds(gs.Cell):
    """An update made of a module."""

    state_sizes = (H,)

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def update(self, p, state):
        return (self.inner(p + state[0]),)


def perceptron() -> Sequential:
    return Sequential(Linear(H, H), torch.nn.Tanh(), Linear(H, H), torch.nn.Sigmoid()).double()


def by_levels(inner: Any, way: Way, x: Tensor) -> Tensor:
    """The same in plain PyTorch, level by level or round by round."""
    t = way.topology
    at, ones = (t.edge_index[1], t.edge_index[0]), torch.ones(t.num_edges, dtype=x.dtype)
    dense = x.new_zeros(t.num_nodes, t.num_nodes).index_put(at, ones, accumulate=True)
    if way.rounds:
        h = x
        for _ in range(way.schedule.k):
            h = inner(dense @ h + h)
        return h
    h = torch.zeros_like(x)
    for k in range(t.num_levels):
        rows = (t.level == k).nonzero()[:, 0]
        h = h.index_copy(0, rows, inner(x[rows] + dense[rows] @ h))
    return h


def of_both_orders(out: Tensor, leaves: list[Tensor], seed: Tensor) -> list[Tensor]:
    first = gradients([out], leaves, [seed], create_graph=True)
    return [*first, *gradients([sum((g.sin() * g).sum() for g in first)], leaves, [torch.ones((), dtype=out.dtype)])]


@ways
def test_statistics_of_a_batch_norm_are_updated_once_a_call(way):
    way, inner = way.twice(), Sequential(Linear(H, H), torch.nn.BatchNorm1d(H), torch.nn.Tanh()).double()
    twin, x = copy.deepcopy(inner), leaf(14, H)
    out, wanted = way.run(Holds(inner), x), by_levels(twin, way, x)
    assert_close(out, wanted)
    seed = torch.randn_like(out)
    ours, theirs = (of_both_orders(o, [x, *m.parameters()], seed) for o, m in ((out, inner), (wanted, twin)))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, 1e-8)
    for ours, theirs in zip(inner.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


class Drops(torch.nn.Module):
    """Drops whole columns, so that the order of rows plays no part."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(H, H)

    def forward(self, z):
        return torch.tanh(self.linear(z) * functional.dropout(torch.ones_like(z[:1]), 0.5))


@ways
def test_dropout_is_the_same_in_derivatives_of_both_orders(way):
    inner, x = Drops().double(), leaf(7, H)
    torch.manual_seed(3)
    out = way.run(Holds(inner), x)
    torch.manual_seed(3)
    wanted, leaves, seed = by_levels(inner, way, x), [x, *inner.parameters()], torch.randn_like(out)
    for a, b in zip(of_both_orders(out, leaves, seed), of_both_orders(wanted, leaves, seed), strict=True):
        assert_close(a, b, 1e-10)


@pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", ""])
@ways
def test_an_update_that_is_computed_again_in_backward(way, reentrant):
    """And a layer."""
    inner, x = perceptron(), leaf(7, H)
    leaves = [x, *inner.parameters()]
    wanted = torch.autograd.grad(by_levels(inner, way, x).sin().sum(), leaves)
    step = Holds(lambda z: checkpoint(inner, z, use_reentrant=reentrant))
    for out in (way.run(step, x), checkpoint(way.run, Holds(inner), x, use_reentrant=reentrant)):
        x.grad = None
        inner.zero_grad()
        out.sin().sum().backward()
        for p, g in zip(leaves, wanted, strict=True):
            assert_close(p.grad, g)


@pytest.fixture
def _fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


short = settings.default.max_examples < 1000
thorough = pytest.mark.skipif(short, reason="half a minute; the thorough profile runs it")


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=thorough)])
def test_a_compiled_module_inside_of_an_update(backend):
    inner, x = perceptron(), leaf(14, H)
    cell, leaves = Holds(torch.compile(inner, backend=backend, dynamic=True)), [x, *inner.parameters()]
    for way in map(Way.twice, WAYS):
        out, wanted = way.run(cell, x), by_levels(inner, way, x)
        assert_close(out, wanted)
        ours, theirs = (torch.autograd.grad(o.sin().sum(), leaves) for o in (out, wanted))  # may give buffers away
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, 1e-10)


# ------------------------------------------------------------------------------------------- memory of another layout


def columns(t: Tensor) -> Tensor:
    return t.t().contiguous().t()


def every_other_row(t: Tensor) -> Tensor:
    return torch.stack([t, t + 1], 1).flatten(0, 1)[::2]


def part_of_wider(t: Tensor) -> Tensor:
    return torch.cat([t, t], 1)[:, : t.size(1)]


def expanded(t: Tensor) -> Tensor:
    return t[:1].expand_as(t)


FORMS = [columns, every_other_row, part_of_wider, expanded]


@layers
def test_inputs_and_weights_in_memory_of_any_layout(name):
    for dtype in DTYPES:
        layer, call, x = made(name, dtype)
        x.requires_grad_()
        for form in FORMS:
            assert not form(x).is_contiguous()
            ours, wanted = call(layer, form(x)), call(layer, form(x).contiguous())
            assert_agree(ours, wanted, [x, *layer.parameters()], near(dtype))
        turned = copy.deepcopy(layer)
        for p in turned.parameters():
            p.data = columns(p.data) if p.dim() == 2 else p.data
        grads = by_weights(turned, call(turned, x).sin().sum())
        for key, g in by_weights(layer, call(layer, x).sin().sum()).items():
            assert_close(grads[key], g, near(dtype))


@pytest.mark.parametrize("kind", [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell, peephole])
@ways
def test_states_and_gradients_in_memory_of_any_layout(way, kind):
    rows = 7 if way.rounds else way.topology.num_graphs
    for dtype in DTYPES:
        cell, x = kind(H, H).to(dtype), leaf(7, H, dtype=dtype)
        states = [leaf(rows, H, dtype=dtype) for _ in cell.state_sizes]
        leaves = [x, *states, *cell.parameters()]
        for form in FORMS:
            given = tuple(form(s) for s in states)
            out, wanted = (tensors(way.run(cell, x, s)) for s in (given, tuple(g.contiguous() for g in given)))
            seeds = [form(torch.randn_like(o)) for o in out]
            ours, theirs = gradients(out, leaves, seeds), gradients(wanted, leaves, [s.contiguous() for s in seeds])
            for a, b in zip((*out, *ours), (*wanted, *theirs), strict=True):
                assert_close(a, b, near(dtype))


@pytest.mark.parametrize("merge", ["sum", "mean", "max", "softmax"])
def test_weights_of_edges_in_memory_of_any_layout(merge):
    for dtype in DTYPES:
        x, weight = leaf(7, H, dtype=dtype), leaf(RING.num_edges, 2, dtype=dtype)
        for w in (weight[:, 0], weight[:1, 1].expand(RING.num_edges), columns(weight)[:, 1]):
            for form in FORMS:
                ours, wanted = (
                    core.aggregate(RING, (z,), message=gs.SCALE, merge=merge, edge_attr=e)
                    for z, e in ((form(x), w), (form(x).contiguous(), w.contiguous()))
                )
                assert_agree(ours, wanted, [x, weight], near(dtype))


# ---------------------------------------------------------------------------------------------------------- autocast


def agree_in_16_bits(call: Any, leaves: list[Tensor]) -> None:
    wanted = call()
    with torch.autocast("cpu", torch.bfloat16):
        low = call()
    seed = torch.randn_like(wanted)
    ours, theirs = gradients([low], leaves, [seed.to(low.dtype)]), gradients([wanted], leaves, [seed])
    assert_close(low.float(), wanted, 0.05)
    for a, b in zip(ours, theirs, strict=True):
        assert float(b.abs().max()) > 0
        assert_close(a, b, 0.1)


@layers
def test_layers_under_autocast(name):
    layer, call, x = made(name, torch.float32)
    agree_in_16_bits(lambda: call(layer, x), [x.requires_grad_(), *layer.parameters()])


@ways
def test_what_a_cell_captures_under_autocast(way):
    other, key, x = Linear(H, H), leaf(H, dtype=torch.float32), leaf(7, H, dtype=torch.float32)
    cell = Holds(Sequential(Linear(H, H), torch.nn.Tanh()))
    cell.message = lambda sent, received, edge: (other(sent[0]) * key,)
    agree_in_16_bits(lambda: way.run(cell, x), [x, key, *other.parameters(), *cell.parameters()])
