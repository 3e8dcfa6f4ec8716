"""Your own cell on your own trees: the value of a logical expression such as ``(not t) and (f or t)``.

The cell knows nothing about logic: it learns from each node's symbol and the values of random expressions, and is
evaluated on deeper ones than those in training. Run ``python examples/expressions.py``; needs no data.
"""

from __future__ import annotations

import argparse
import random

import torch
from torch import Tensor, nn

import graphseq as gs
from graphseq.train import Batch, Split, Task, Training, fit

SYMBOLS = ("f", "t", "not", "and", "or")


class Gate(gs.Cell):
    """``h = tanh(W_s [h_1, h_2] + b_s)``: a matrix for each symbol s."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.state_sizes, self.merge, self.slots = (size,), "slots", 2  # two distinguished children
        self.weight = nn.Parameter(torch.randn(len(SYMBOLS), size, 2 * size) / size**0.5 / 2)
        self.bias = nn.Parameter(torch.randn(len(SYMBOLS), size))

    def update(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        children = state[0].flatten(1)  # [M, 2 * H], zeros for a child that is not there
        every = torch.einsum("shc,mc->msh", self.weight, children) + self.bias
        return (torch.tanh((x[:, :, None] * every).sum(1)),)  # x selects the symbol's


class Evaluator(nn.Module):
    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.layer = gs.nn.Recurrent(Gate(size))
        self.classifier = nn.Linear(size, 2)

    def forward(self, x: Tensor, trees: gs.Topology) -> Tensor:
        return self.classifier(self.layer(x, trees)[trees.roots])


def expression(depth: int, draw: random.Random) -> tuple[list[int], list[int], bool]:
    """Draw an expression: symbols, parents (the last node is the root) and value."""
    if depth == 0 or draw.random() < 0.2:
        value = draw.random() < 0.5
        return [int(value)], [-1], value
    operator = draw.choice(SYMBOLS[2:])
    symbols: list[int] = []
    parents: list[int] = []
    values, roots = [], []
    for _ in range(1 if operator == "not" else 2):
        inner, above, value = expression(depth - 1, draw)
        parents += [-1 if p < 0 else p + len(symbols) for p in above]
        symbols += inner
        roots.append(len(symbols) - 1)
        values.append(value)
    for root in roots:
        parents[root] = len(symbols)
    result = {"not": not values[0], "and": all(values), "or": any(values)}[operator]
    return [*symbols, SYMBOLS.index(operator)], [*parents, -1], result


def expressions(count: int, depth: int, seed: int) -> Split:
    """Return a split of random expressions."""
    draw = random.Random(seed)
    drawn = [expression(depth, draw) for _ in range(count)]
    x = [nn.functional.one_hot(torch.tensor(symbols), len(SYMBOLS)).float() for symbols, _, _ in drawn]
    trees = [gs.Topology.tree(parents) for _, parents, _ in drawn]
    y = torch.tensor([int(value) for _, _, value in drawn])

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        return Batch((torch.cat([x[i] for i in chosen]), gs.batch([trees[i] for i in chosen])), y[indices])

    return Split(count, collate)


def main(epochs: int = 15, seed: int = 0) -> float:
    """Train on expressions of depth 4 and return the accuracy, in per cent, on those of depth 8."""
    torch.manual_seed(seed)
    task = Task(Evaluator(), expressions(1000, 4, seed), expressions(300, 4, seed + 1), expressions(300, 8, seed + 2))
    settings = Training(epochs=epochs, batch_size=50, lr=0.02, schedule="cosine", clip_norm=1.0)
    outcome = fit(task, settings, seed=seed, verbose=True, name="expressions")
    print(f"Right: {outcome.val['accuracy']:.1f} % at depth 4, {outcome.test['accuracy']:.1f} % at depth 8.")
    return outcome.test["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0, help="of the expressions and the weights")
    main(**vars(parser.parse_args()))
