"""Who follows whom when a karate club splits: a graph convolutional network on a graph of 34 nodes.

Four members' sides are known, the others' are predicted. Run ``python examples/karate.py``; needs no data.
"""

from __future__ import annotations

import argparse

import torch
from torch.nn.functional import cross_entropy
from tqdm import trange

import graphseq as gs
from graphseq.datasets import karate


def main(epochs: int = 100, seed: int = 0) -> dict[str, str | float]:
    """Train on one split and return a row of results, of the epoch with the lowest validation loss."""
    torch.manual_seed(seed)
    club = karate(seed=seed)
    topology = gs.Topology.from_data(club)
    model = gs.nn.NodeClassifier(club.num_features, 16, 2, dropout=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)

    best, val, test = float("inf"), 0.0, 0.0
    for _ in trange(epochs, desc="karate", disable=None):
        model.train()
        loss = cross_entropy(model(club.x, topology)[club.train_mask], club.y[club.train_mask])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

        model.eval()
        with torch.no_grad():
            scores = model(club.x, topology)
        right = (scores.argmax(1) == club.y).float()
        val_loss = float(cross_entropy(scores[club.val_mask], club.y[club.val_mask]))
        if val_loss < best:
            best, val, test = val_loss, float(right[club.val_mask].mean()), float(right[club.test_mask].mean())

    print(f"karate: validation {val:.1%}, test {test:.1%}")
    return {"model": "GCN", "metric": "accuracy", "validation": val, "test": test}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the split and the weights")
    main(**vars(parser.parse_args()))
