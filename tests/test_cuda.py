"""What only CUDA shows, beside what `test_devices.py` tries there: its kernels, its streams, its precisions."""

from copy import deepcopy

import pytest
import torch
from torch import nn as torch_nn
from torch.nn.utils.rnn import pack_sequence

import graphseq as gs
from graphseq import nn
from tests.devices import real
from tests.oracles import assert_close

pytestmark = pytest.mark.cuda

N, F, H = 300, 16, 24
MODES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS = [nn.ElmanCell, nn.GRUCell, nn.LSTMCell, nn.ChildSumTreeLSTMCell, nn.NaryTreeLSTMCell]
CONVS = {
    "gcn": lambda: nn.GCNConv(F, H),
    "gat": lambda: nn.GATConv(F, H, heads=4),
    "gatv2": lambda: nn.GATv2Conv(F, H, heads=4),
    "transformer": lambda: nn.TransformerConv(F, H, heads=4),
    "gin": lambda: nn.GINConv(torch_nn.Sequential(torch_nn.Linear(F, H), torch_nn.ReLU())),
    "sage": lambda: nn.SAGEConv(F, H),
    "sage max": lambda: nn.SAGEConv(F, H, "max"),
    "cheb": lambda: nn.ChebConv(F, H, 3),
    "gated": lambda: nn.GatedGraphConv(H, 2),
}


def graph(pairs=1500):
    return gs.Topology.from_edge_index(torch.randint(N, (2, pairs)), N)


def trees(count=20, leaves=12):
    """Random binary trees whose nodes come children first."""
    parent, slot = [], []
    for _ in range(count):
        base, tops = len(parent), list(range(leaves))
        above, place = [-1] * (2 * leaves - 1), [0] * (2 * leaves - 1)
        for node in range(leaves, 2 * leaves - 1):
            at = int(torch.randint(len(tops) - 1, ()))
            for i, child in enumerate(tops[at : at + 2]):
                above[child], place[child] = base + node, i
            tops[at : at + 2] = [node]
        parent += above
        slot += place
    return gs.Topology.tree(torch.tensor(parent), torch.tensor(slot))


def step(module, given, dtype=None):
    """Return outputs and gradients of a training step."""
    x = given[0].detach().requires_grad_()
    with torch.autocast(x.device.type, dtype, enabled=dtype is not None):
        out = module(x, *given[1:])
    out = out[0] if isinstance(out, tuple) else out
    out = out.data if not isinstance(out, torch.Tensor) else out
    weight = torch.arange(out.numel(), device=out.device, dtype=torch.float32).view_as(out).cos()
    grads = torch.autograd.grad((out.float() * weight).sum(), [x, *module.parameters()], allow_unused=True)
    return [out, *(g for g in grads if g is not None)]


def compared(module, given, *, fused=True, tolerance=2e-5):
    """Steps here and there give the same; a second one there gives the same bits, from PyTorch's parts if asked to."""
    there = deepcopy(module).cuda(), [v.to("cuda") for v in given]
    with real():
        torch.use_deterministic_algorithms(not fused, warn_only=True)
        try:
            once, twice = step(*there), step(*there)
        finally:
            torch.use_deterministic_algorithms(False)
    for a, b, c in zip(step(module, given), once, twice, strict=True):
        assert_close(b.cpu(), a, tolerance)
        assert torch.equal(b, c)


@pytest.mark.parametrize("conv", CONVS)
def test_convolutions_are_deterministic(conv):
    width = H if conv == "gated" else F
    compared(CONVS[conv](), [torch.randn(N, width), graph()], fused=conv != "sage max")


@pytest.mark.parametrize("cell", CELLS)
def test_sweeps_over_trees_are_deterministic(cell):
    topology = trees()
    compared(nn.Recurrent(cell(F, H)), [torch.randn(topology.num_nodes, F), topology])


@pytest.mark.parametrize("mode", MODES)
def test_sequences_run_by_cudnn(mode):
    torch.manual_seed(0)
    ours, theirs = (
        MODES[mode](F, H, 2, bidirectional=True),
        getattr(torch_nn, mode.upper())(F, H, 2, bidirectional=True),
    )
    theirs.load_state_dict(ours.state_dict())
    ours, theirs = ours.cuda(), theirs.cuda()
    for x in (torch.randn(9, 5, F), pack_sequence([torch.randn(n, F) for n in (2, 7, 4)], enforce_sorted=False)):
        found, wanted = ours(x.cuda())[0], theirs(x.cuda())[0]
        assert torch.equal(getattr(found, "data", found), getattr(wanted, "data", wanted))


@pytest.mark.parametrize("mode", MODES)
def test_second_derivatives_of_layers(mode):
    layer = MODES[mode](F, H)
    found = []
    for device in ("cpu", "cuda"):
        copy = deepcopy(layer).to(device)
        x = torch.linspace(-1, 1, 5 * 3 * F).view(5, 3, F).to(device).requires_grad_()
        with torch.backends.cudnn.flags(allow_tf32=False):
            (first,) = torch.autograd.grad(copy(x)[0].pow(2).sum(), x, create_graph=True)
            found.append([g.cpu() for g in torch.autograd.grad(first.pow(2).sum(), [x, *copy.parameters()])])
    for a, b in zip(*found, strict=True):
        assert_close(a, b, 5e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("conv", CONVS)
def test_convolutions_in_16_bits(conv, dtype):
    module, topology = CONVS[conv]().cuda(), graph().to("cuda")
    x = torch.randn(N, H if conv == "gated" else F, device="cuda")
    wanted = step(module, [x, topology])
    for found in (step(module, [x, topology], dtype), step(deepcopy(module).to(dtype), [x.to(dtype), topology])):
        scale = max(float(b.norm()) for b in wanted)  # gradients that should be 0 are roundoff of the others
        for a, b in zip(found, wanted, strict=True):  # which rounding may turn at a kink, here and there
            assert float((a.float() - b).norm()) < 0.05 * float(b.norm()) + 0.01 * scale


@pytest.mark.parametrize("name", ["gcn", "gat", "sage max", "tree"])
def test_a_step_is_captured_in_a_graph(name):
    """A whole training step waits for nothing, so CUDA can record it and replay it on other inputs."""
    topology = trees() if name == "tree" else graph()
    module = (nn.TreeLSTM(F, H, "nary") if name == "tree" else CONVS[name]()).cuda()
    topology = topology.to("cuda")
    x = torch.randn(topology.num_nodes, F, device="cuda")
    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        for _ in range(2):
            step(module, [x, topology])
    torch.cuda.current_stream().wait_stream(aside)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        kept = step(module, [x, topology])
    x.copy_(torch.randn_like(x))
    recorded.replay()
    for a, b in zip(kept, step(module, [x, topology]), strict=True):
        assert_close(a, b, 1e-6)


@pytest.mark.parametrize("name", ["gcn", "gat", "tree"])
def test_compiled(name):
    topology = (trees() if name == "tree" else graph()).to("cuda")
    module = (nn.TreeLSTM(F, H, "nary") if name == "tree" else CONVS[name]()).cuda()
    x = torch.randn(topology.num_nodes, F, device="cuda")
    for a, b in zip(
        step(torch.compile(module, fullgraph=name != "tree"), [x, topology]), step(module, [x, topology]), strict=True
    ):
        assert_close(a, b, 2e-5)
