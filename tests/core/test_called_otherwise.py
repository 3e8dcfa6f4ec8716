"""Layers and cells called by `functional_call`, under `torch.func`, as ensembles, with norms of their weights."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, func
from torch.nn.utils import parametrizations

from graphseq import nn
from tests.core.ways import (
    DTYPES,
    GRAPH,
    LAYERS,
    H,
    Reads,
    a_tensor,
    by_weights,
    dtypes,
    layers,
    made,
    near,
    reads,
    ways,
)
from tests.oracles import assert_close, gradients, leaf

# name → a new layer, a call of it with x `[7, H]`, and a weight in it


class Called(torch.nn.Module):
    """A layer with the way that it is called, for what calls modules."""

    def __init__(self, layer: Any, call: Any) -> None:
        super().__init__()
        self.layer, self.call = layer, call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.layer, x)


def with_weights(name: str, weights: dict[str, Tensor]) -> Any:
    """A layer of its own whose parameters are copies: what any way of handing weights over should amount to."""
    layer = LAYERS[name][0]().to(next(iter(weights.values())).dtype)
    with torch.no_grad():
        for key, p in layer.named_parameters():
            p.copy_(weights[key])
    return layer


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
