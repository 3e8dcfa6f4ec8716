"""A recipe in Python: train with three seeds, then use the network of the best run.

Run ``python examples/cora.py``; Cora is read from a data root or downloaded. ``graphseq train cora-gcn --seeds 3`` does
the same.
"""

from __future__ import annotations

import argparse

from torch_geometric.transforms import NormalizeFeatures

import graphseq as gs
from graphseq.datasets import planetoid
from graphseq.recipes import Job, train


def main(out: str = "runs/examples/cora", epochs: int = 200) -> float:
    """Train, and return the mean accuracy on the test split, in per cent."""
    resume = Job(resume=True, verbose=True)  # when run again, it finds the finished runs
    summary = train("cora-gcn", out, seeds=range(3), job=resume, hidden=32, epochs=epochs)
    print(f"Cora: test accuracy {summary['mean']:.1f} ± {summary['std']:.1f} %")

    graph = planetoid("Cora", transform=NormalizeFeatures())[0]
    model = gs.load(out)  # a torch.nn.Module, in evaluation mode
    predicted = model(graph.x, graph.edge_index).argmax(1)
    right = (predicted == graph.y)[graph.test_mask].float().mean()
    print(f"The best run on validation data has {right:.1%}. Topics of the first papers: {predicted[:8].tolist()}")
    return float(summary["mean"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/examples/cora", help="the folder of the runs")
    parser.add_argument("--epochs", type=int, default=200)
    main(**vars(parser.parse_args()))
