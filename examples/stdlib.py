"""Which verb begins a function's name, from its syntax tree: a child-sum Tree-LSTM on Python's standard library.

Beside it two baselines that see no structure: the most frequent verb, and logistic regression on how many nodes of each
kind the tree has. Run ``python examples/stdlib.py``; needs no data. ``--epochs 20`` is a long run.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from tqdm import tqdm

import graphseq as gs
from graphseq.convert import KINDS
from graphseq.datasets import VERBS, FunctionTrees, bag_of_kinds, stdlib_functions


class FunctionClassifier(nn.Module):
    """Scores of verbs from the state of a tree's root; a node's input is its kind's vector plus its token's."""

    def __init__(self, num_tokens: int, hidden_size: int = 128) -> None:
        super().__init__()
        self.kind = nn.Embedding(len(KINDS), hidden_size)
        self.token = nn.Embedding(num_tokens + 1, hidden_size, padding_idx=0)  # row 0: a node without a token
        self.tree_lstm = gs.nn.TreeLSTM(hidden_size, hidden_size, "child-sum")
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(hidden_size, len(VERBS))

    def forward(self, trees: list[Data]) -> Tensor:
        topology = gs.batch([tree.topology for tree in trees])
        kind, token = (torch.cat([tree[name] for tree in trees]) for name in ("kind", "token"))
        h, _ = self.tree_lstm(self.dropout(self.kind(kind) + self.token(token + 1)), topology)
        return self.classifier(self.dropout(h[topology.roots]))


def baselines(functions: FunctionTrees) -> dict[str, list[float]]:
    """Return the accuracy on validation and test of what sees no structure."""
    y = [torch.cat([tree.y for tree in part]) for part in (functions.train, functions.val, functions.test)]
    x = [bag_of_kinds(part).log1p() for part in (functions.train, functions.val, functions.test)]
    majority = y[0].mode().values
    logistic = LogisticRegression(max_iter=2000).fit(x[0], y[0])
    return {
        "majority class": [float((part == majority).float().mean()) for part in y[1:]],
        "bag of kinds": [float(logistic.score(x[i], y[i])) for i in (1, 2)],
    }


def main(epochs: int = 12, seed: int = 0) -> dict[str, str | float]:
    """Train on one split and return a row of results, of the epoch with the lowest validation loss."""
    torch.manual_seed(seed)
    functions = stdlib_functions(seed=seed)
    for name, (val, test) in baselines(functions).items():
        print(f"stdlib, {name}: validation {val:.1%}, test {test:.1%}")
    for tree in functions.train + functions.val + functions.test:
        tree.topology = gs.Topology.from_data(tree)
        _ = tree.topology.level  # computed once here, then joined in every batch
    model = FunctionClassifier(len(functions.vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    steps = -(-len(functions.train) // 25)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)

    best, found = float("inf"), [0.0, 0.0]
    bar = tqdm(total=epochs * steps, desc="stdlib", disable=None)
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(functions.train)).split(25):
            trees = [functions.train[i] for i in chosen]
            loss = cross_entropy(model(trees), torch.cat([tree.y for tree in trees]))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            bar.update()

        model.eval()
        with torch.no_grad():
            scores = [model(functions.val), model(functions.test)]
        y = [torch.cat([tree.y for tree in part]) for part in (functions.val, functions.test)]
        val_loss = float(cross_entropy(scores[0], y[0]))
        if val_loss < best:
            best, found = val_loss, [float((s.argmax(1) == c).float().mean()) for s, c in zip(scores, y, strict=True)]

    bar.close()
    print(f"stdlib, Tree-LSTM: validation {found[0]:.1%}, test {found[1]:.1%}")
    return {"model": "child-sum Tree-LSTM", "metric": "accuracy", "validation": found[0], "test": found[1]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of the split and the weights")
    main(**vars(parser.parse_args()))
