"""Which molecules are mutagenic: a graph isomorphism network that classifies whole graphs.

One fold of a 10-fold cross-validation is for test; of the other nine, one is for validation. Run
``python examples/mutag.py --fold 3``.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader
from tqdm import trange

import graphseq as gs
from graphseq.datasets import tudataset


def main(epochs: int = 100, seed: int = 0, fold: int = 0) -> dict[str, str | float]:
    """Train on one fold and return a row of results, of the epoch with the lowest validation loss."""
    torch.manual_seed(seed)
    dataset = tudataset("MUTAG")
    labels = np.array([int(graph.y) for graph in dataset])
    rest, held_out = list(StratifiedKFold(10, shuffle=True, random_state=seed).split(labels, labels))[fold]
    inner = StratifiedKFold(9, shuffle=True, random_state=seed)
    train, val = next(inner.split(rest, labels[rest]))
    loader = DataLoader(dataset[rest[train]], batch_size=32, shuffle=True)
    parts = [Batch.from_data_list(list(dataset[part])) for part in (rest[val], held_out)]
    model = gs.nn.GraphClassifier(dataset.num_features, 32, dataset.num_classes, num_layers=4, dropout=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 50, 0.5)

    best, found = float("inf"), [0.0, 0.0]
    for _ in trange(epochs, desc="MUTAG", disable=None):
        model.train()
        for batch in loader:
            loss = cross_entropy(model(batch.x, gs.Topology.from_data(batch)), batch.y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        schedule.step()

        model.eval()
        with torch.no_grad():
            scores = [model(part.x, gs.Topology.from_data(part)) for part in parts]
        val_loss = float(cross_entropy(scores[0], parts[0].y))
        if val_loss < best:
            best = val_loss
            found = [float((s.argmax(1) == p.y).float().mean()) for s, p in zip(scores, parts, strict=True)]

    print(f"MUTAG, fold {fold}: validation {found[0]:.1%}, test {found[1]:.1%}")
    return {"model": "GIN", "metric": "accuracy", "validation": found[0], "test": found[1]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the folds and the weights")
    parser.add_argument("--fold", type=int, default=0, choices=range(10), help="for test")
    main(**vars(parser.parse_args()))
