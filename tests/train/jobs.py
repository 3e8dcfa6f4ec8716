"""Small tasks to train in tests; all that is random in them is PyTorch's."""

from __future__ import annotations

import torch
from torch import nn

from graphseq.train import Batch, Split, Task, seed_all


class Noisy(nn.Module):
    """A perceptron with dropout and batch statistics: its training has random and running state."""

    def __init__(self, inputs: int, classes: int, dropout: float = 0.3, norm: bool = True) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, 16), nn.BatchNorm1d(16) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(16, classes),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def split(size: int, seed: int, inputs: int = 6, classes: int = 3) -> Split:
    """Examples whose class a linear map decides."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, inputs, generator=generator)
    y = (x @ torch.randn(inputs, classes, generator=torch.Generator().manual_seed(99))).argmax(1)
    return Split(size, lambda i: Batch((x[i],), y[i]))


def task(seed: int = 0, *, train: int = 90, val: int = 31, test: int = 17, dropout: float = 0.3, norm: bool = True):
    """A task with weights drawn by the seed."""
    seed_all(seed)
    parts = (split(size, number) for number, size in enumerate((train, val, test), start=1))
    return Task(Noisy(6, 3, dropout, norm), *parts, metrics=("accuracy", "f1"))
