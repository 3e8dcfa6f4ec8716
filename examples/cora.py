"""Topics of papers from their words and citations: a graph convolutional network on Cora.

The setup of Kipf & Welling (2017): 16 hidden units, dropout 0.5, weight decay on the first layer alone, rows of
features that sum to 1, at most 200 epochs. Run ``python examples/cora.py``.
"""

from __future__ import annotations

import argparse

import torch
from torch.nn.functional import cross_entropy
from torch_geometric.transforms import NormalizeFeatures
from tqdm import trange

import graphseq as gs
from graphseq.datasets import planetoid


def main(epochs: int = 200, seed: int = 0) -> dict[str, str | float]:
    """Train on the public split and return a row of results, of the epoch with the lowest validation loss."""
    torch.manual_seed(seed)
    dataset = planetoid("Cora", transform=NormalizeFeatures())
    graph = dataset[0]
    topology = gs.Topology.from_data(graph)
    model = gs.nn.NodeClassifier(graph.num_features, 16, dataset.num_classes, dropout=0.5)
    first, second = model.convs
    optimizer = torch.optim.Adam(
        [{"params": first.parameters(), "weight_decay": 5e-4}, {"params": second.parameters()}], lr=0.01
    )

    best, val, test = float("inf"), 0.0, 0.0
    for _ in trange(epochs, desc="Cora", disable=None):
        model.train()
        loss = cross_entropy(model(graph.x, topology)[graph.train_mask], graph.y[graph.train_mask])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

        model.eval()
        with torch.no_grad():
            scores = model(graph.x, topology)
        right = (scores.argmax(1) == graph.y).float()
        val_loss = float(cross_entropy(scores[graph.val_mask], graph.y[graph.val_mask]))
        if val_loss < best:
            best, val, test = val_loss, float(right[graph.val_mask].mean()), float(right[graph.test_mask].mean())

    print(f"Cora: validation {val:.1%}, test {test:.1%}")
    return {"model": "GCN", "metric": "accuracy", "validation": val, "test": test}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    main(**vars(parser.parse_args()))
