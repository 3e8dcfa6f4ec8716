"""Recurrent layers on sequences compared with torch.nn's, and a user's own cell with a loop over its steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import graphseq as gs
from graphseq import nn as gnn

from .timing import Row, Work, compare, geometric, over, speed_up

SHAPES = [(32, 400, 64, 64), (16, 50, 300, 150), (64, 100, 128, 128)]  # batch, steps, input, hidden
LAYERS = [("GRU", gnn.GRU, nn.GRU, 0.97), ("RNN", gnn.RNN, nn.RNN, 0.95), ("LSTM", gnn.LSTM, nn.LSTM, 0.95)]
OWN_SHAPES = [(32, 100, 64, 64), (64, 50, 128, 128)]


class MinimalGatedUnit(gs.Cell):
    """A cell as a user would write it (Zhou et al. 2016)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.state_sizes = input_size, (hidden_size,)
        self.w = nn.Linear(input_size, 2 * hidden_size)
        self.u_f, self.u_n = (nn.Linear(hidden_size, hidden_size, bias=False) for _ in range(2))

    def project(self, x: Tensor) -> Tensor:
        return self.w(x)

    def update(self, p: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (h,), (p_f, p_n) = state, p.chunk(2, 1)
        f = torch.sigmoid(p_f + self.u_f(h))
        return (h + f * (torch.tanh(p_n + self.u_n(f * h)) - h),)


def rows(notes: list[str]) -> list[Row]:
    found = []
    for name, ours, peer, bar in LAYERS:
        columns = []
        for shape in SHAPES:
            columns.append(_layer(ours, peer, shape))
            found.append(speed_up("chains", f"{name} {shape}", columns[-1], bar))
        found.append(speed_up("chains", f"{name}, geometric mean", geometric(columns), 1.35 if name == "GRU" else None))
    for name, ours, peer, _ in LAYERS:
        found.append(speed_up("chains", f"{name} {SHAPES[2]}, packed", _layer(ours, peer, SHAPES[2], packed=True)))
    for shape in OWN_SHAPES:
        found += _own(shape)
    return found


def _layer(
    ours: type[nn.Module], peer: type[nn.Module], shape: tuple[int, ...], *, packed: bool = False
) -> list[float]:
    """Return torch.nn's time over ours, of training steps with the same weights and inputs."""
    count, steps, wide, hidden = shape
    layers = [kind(wide, hidden, batch_first=True) for kind in (ours, peer)]
    layers[0].load_state_dict(layers[1].state_dict())
    whole: Any = torch.randn(count, steps, wide)
    if packed:
        lengths = torch.randint(1, steps + 1, (count,)).tolist()
        whole = pack_sequence([x[:length] for x, length in zip(whole, lengths, strict=True)], enforce_sorted=False)
    x = (whole.data if packed else whole).requires_grad_()

    def work(layer: nn.Module) -> Work:
        def step() -> None:
            out, _ = layer(whole)
            torch.autograd.grad((out.data if packed else out).sum(), [x, *layer.parameters()])

        return step

    mine, theirs = compare(*map(work, layers))
    return over(theirs, mine)


def hoisted(cell: gs.Cell, x: Tensor) -> Tensor:
    """Return the states of a loop that projects all inputs at once."""
    h, out = None, []
    for p_t in cell.project(x).unbind(1):
        h = cell.step(p_t, h)
        out.append(h[0])
    return torch.stack(out, 1)


def _own(shape: tuple[int, ...]) -> list[Row]:
    count, steps, wide, hidden = shape
    cell = MinimalGatedUnit(wide, hidden)
    layer, chains = gnn.Recurrent(cell), gs.Topology.chain([steps] * count)
    x = torch.randn(count, steps, wide, requires_grad=True)
    leaves = [x, *cell.parameters()]

    def sweep() -> None:
        torch.autograd.grad(layer(x.flatten(0, 1), chains).sum(), leaves)

    def loop() -> None:
        h, out = None, []
        for x_t in x.unbind(1):
            h = cell(x_t, h)
            out.append(h)
        torch.autograd.grad(torch.stack(out, 1).sum(), leaves)

    def better_loop() -> None:
        torch.autograd.grad(hoisted(cell, x).sum(), leaves)

    mine, plain, better = compare(sweep, loop, better_loop)
    return [
        speed_up("chains", f"own cell {shape} over a loop of steps", over(plain, mine), 0.9),
        speed_up("chains", f"own cell {shape} over a loop with inputs projected at once", over(better, mine), 1.0),
    ]
