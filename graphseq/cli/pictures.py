"""The demo's pictures: how training went, a graph and a tree with what was predicted of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .. import plot
from ..recipes import Run, Source, open_run
from ..topology import Topology

__all__ = ["draw"]

_WORDS = range(7, 15)  # in a sentence that is drawn


def draw(folder: Path, names: Sequence[str], source: Source) -> dict[Path, str]:
    """Draw what the runs of these names gave into ``pictures`` in the folder; return files and what they show."""
    home = folder / "pictures"
    home.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name in names:
        path = home / f"{name}-curves.png"
        shutil.copyfile(folder / name / "curves.png", path)
        drawn[path] = f"training of {name}"
    path = home / "karate.png"
    _karate(open_run(folder / "karate-gcn"), path)
    drawn[path] = "the karate club, each member in the colour of the predicted club"
    if "sst-treelstm" in names:
        path = home / "sentence.png"
        _sentence(open_run(folder / "sst-treelstm"), source, path)
        drawn[path] = "a sentence, each phrase in the colour of its predicted sentiment"
    else:
        path = home / "function.png"
        _function(open_run(folder / "stdlib-treelstm"), path)
        drawn[path] = "a function's syntax tree, and the verb predicted for its name"
    return drawn


def _karate(run: Run, path: Path) -> None:
    from ..datasets import karate

    club = karate(seed=run.seed)
    found = run.predict(" ".join(map(str, range(club.num_nodes))))
    predicted = [run.facts["classes"].index(each["class"]) for each in found]
    right = sum(a == b for a, b in zip(predicted, club.y.tolist(), strict=True))
    plot.graph(
        club, path, colours=predicted, labels=[str(v) for v in range(club.num_nodes)],
        names=["Mr. Hi's club", "the officer's club"], title=f"Predicted clubs, {right} of {club.num_nodes} right",
    )  # fmt: skip


@torch.no_grad()
def _sentence(run: Run, source: Source, path: Path) -> None:
    """Draw a sentence of the development split that is read right and has phrases of many kinds."""
    best: tuple[int, Any, torch.Tensor] | None = None
    for tree in run.recipe.data(source, run.seed)[1].trees:
        if len(tree.tokens) in _WORDS:
            topology = Topology.from_data(tree)
            predicted = run.model(tree.word, topology).argmax(1)
            kinds = len(predicted.unique()) + 5 * bool((predicted == tree.y)[topology.roots].all())
            if best is None or kinds > best[0]:
                best = kinds, tree, predicted
    if best is not None:
        _, tree, predicted = best
        classes = run.facts["classes"]
        plot.tree(
            tree, path, colours=predicted.tolist(), labels=[""] * len(predicted), names=classes,
            title="Predicted sentiment of each phrase",
        )  # fmt: skip


def _function(run: Run, path: Path) -> None:
    import ast

    from ..convert import KINDS, syntax_tree

    node = ast.parse(run.recipe.example).body[0]
    tree = syntax_tree(node, hide="f")
    verb = run.predict(run.recipe.example)[0]["class"]
    labels = [token or KINDS[kind] for token, kind in zip(tree.tokens, tree.kind.tolist(), strict=True)]
    plot.tree(Topology.from_data(tree), path, labels=labels, title=f"Predicted verb: {verb}")
