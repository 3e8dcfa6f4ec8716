"""Handwritten digits, one pixel after the other: a gated recurrent network over sequences of 64 steps.

Run ``python examples/digits.py``; needs no data. ``--epochs 100`` is a long run.
"""

from __future__ import annotations

import argparse

import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

import graphseq as gs
from graphseq.datasets import digits


def main(epochs: int = 30, seed: int = 0) -> dict[str, str | float]:
    """Train on one split and return a row of results, of the epoch with the lowest validation loss."""
    torch.manual_seed(seed)
    data = digits(seed=seed)
    train = data.train_mask.nonzero()[:, 0]
    model = gs.nn.SequenceClassifier(1, 64, 10, layer="gru")
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, epochs * len(train.split(32)))

    best, val, test = float("inf"), 0.0, 0.0
    bar = tqdm(range(epochs), desc="digits", disable=None)
    for _ in bar:
        model.train()
        for chosen in train[torch.randperm(len(train))].split(32):
            loss = cross_entropy(model(data.x[chosen]), data.y[chosen])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()

        model.eval()
        with torch.no_grad():
            scores = model(data.x)
        right = (scores.argmax(1) == data.y).float()
        val_loss = float(cross_entropy(scores[data.val_mask], data.y[data.val_mask]))
        if val_loss < best:
            best, val, test = val_loss, float(right[data.val_mask].mean()), float(right[data.test_mask].mean())
        bar.set_postfix(validation=f"{val:.1%}")

    print(f"digits: validation {val:.1%}, test {test:.1%}")
    return {"model": "GRU", "metric": "accuracy", "validation": val, "test": test}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the split and the weights")
    main(**vars(parser.parse_args()))
