"""Your own graph, and a network that learns from the labels of two of its nodes.

Training needs a task: a model, splits that make batches, a metric. Here there is only one graph, so every batch is the
whole graph, with the indices of the nodes that have targets. Run ``python examples/karate.py``; needs no data.
"""

from __future__ import annotations

import argparse

import networkx
import torch

import graphseq as gs
from graphseq import plot
from graphseq.train import Batch, Split, Task, Training, fit


def main(epochs: int = 200, seed: int = 0, picture: str | None = None) -> float:
    """Train with the two leaders' sides known, and return the per cent of the others whose side is found."""
    club = networkx.karate_club_graph()
    side = torch.tensor([int(name != "Mr. Hi") for _, name in club.nodes(data="club")])
    graph = gs.Topology.from_networkx(club)
    x = torch.eye(graph.num_nodes)  # the only feature of a member is its identity

    def part(members: torch.Tensor) -> Split:
        return Split(len(members), lambda i: Batch((x, graph), side[members[i]], index=members[i]))

    leaders, others = torch.tensor([0, 33]), torch.arange(1, 33)
    torch.manual_seed(seed)
    model = gs.nn.NodeClassifier(graph.num_nodes, 16, num_classes=2, dropout=0.5)
    task = Task(model, train=part(leaders), test=part(others))  # without a validation split: the last epoch
    outcome = fit(task, Training(epochs=epochs, lr=0.01, weight_decay=5e-4), seed=seed, verbose=True, name="karate")

    print(f"The sides of two leaders known, {outcome.test['accuracy']:.1f} % of the others' are found.")
    if picture is not None:
        predicted = model.eval()(x, graph).argmax(1)
        known = torch.isin(torch.arange(graph.num_nodes), leaders)
        plot.graph(
            graph, picture, colours=predicted, labels=range(graph.num_nodes),
            names=["Mr. Hi's club", "the officer's club"],
            marks={"known in training": known, "wrong": predicted != side},
        )  # fmt: skip
    return outcome.test["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and of dropout")
    parser.add_argument("--picture", metavar="FILE", help="draw the predictions: a .png, .svg or .pdf file")
    main(**vars(parser.parse_args()))
