"""Sentiment of phrases and sentences: a binary Tree-LSTM on the Stanford Sentiment Treebank.

Trained on the label of every phrase, words' vectors included; judged by the five-class accuracy at the roots of the
development split. Run ``python examples/sst.py``; ``--epochs 6`` is a long run.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch_geometric.data import Data
from tqdm import tqdm

import graphseq as gs
from graphseq.datasets import SST


def join(trees: list[Data]) -> tuple[Tensor, gs.Topology, Tensor]:
    """Lay trees side by side: their words, structure and labels."""
    return torch.cat([t.word for t in trees]), gs.batch([t.topology for t in trees]), torch.cat([t.y for t in trees])


@torch.no_grad()
def root_accuracy(model: nn.Module, trees: list[Data]) -> float:
    """Return the share of sentences whose label is right."""
    model.eval()
    right = 0
    for start in range(0, len(trees), 256):
        word, topology, y = join(trees[start : start + 256])
        right += int((model(word, topology, roots=True).argmax(1) == y[topology.roots]).sum())
    return right / len(trees)


def main(epochs: int = 3, seed: int = 0, limit: int | None = None) -> dict[str, str | float | None]:
    """Train and return a row of results, of the epoch that is best on the development split.

    Args:
        epochs: over which the learning rate falls to 0.
        seed: of the weights and the order of sentences.
        limit: train and validate on this many sentences alone.
    """
    torch.manual_seed(seed)
    dataset = SST("train", lower=True)
    train, dev = dataset.trees[:limit], SST("dev", vocabulary=dataset.vocabulary).trees[:limit]
    for tree in train + dev:
        tree.topology = gs.Topology.from_data(tree)
        _ = tree.topology.level  # computed once here, then joined in every batch

    model = gs.nn.TreeClassifier(len(dataset.vocabulary), 300, 150, SST.num_classes, dropout=0.5)
    nn.init.normal_(model.embedding.weight, std=0.1)
    others = [p for p in model.parameters() if p is not model.embedding.weight]
    groups = [{"params": others, "weight_decay": 0.1}, {"params": [model.embedding.weight], "weight_decay": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, fused=True)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))  # of the weights, over some 100 steps
    steps = -(-len(train) // 25)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)

    best = 0.0
    bar = tqdm(total=epochs * steps, desc="SST", disable=None)
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(train)).split(25):
            word, topology, y = join([train[i] for i in chosen])
            unknown = (word > 0) & (torch.rand(word.shape) < 0.1)  # so that unknown words get a vector
            losses = cross_entropy(model(word.masked_fill(unknown, 0), topology), y, reduction="none")
            weight = torch.ones_like(losses).index_fill(0, topology.roots, 3.0)
            (losses * weight).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(model)
            schedule.step()
            bar.update()
        best = max(best, root_accuracy(average, dev))
        bar.set_postfix(dev=f"{best:.1%}")

    bar.close()
    print(f"SST: development {best:.1%} (the test split is left alone)")
    return {"model": "binary Tree-LSTM", "metric": "root accuracy", "validation": best, "test": None}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the order of sentences")
    parser.add_argument("--limit", type=int, help="train and validate on this many sentences alone")
    main(**vars(parser.parse_args()))
