"""Pictures of predictions, for the command line and the demo."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import plot
from ..convert import KINDS, NAME
from ..datasets import SENTIMENTS
from ..errors import Words, expected
from ..recipes import Run, Source, open_run
from ..recipes.inputs import text_of
from ..topology import Topology, batch
from .show import note

__all__ = ["draw", "draw_prediction"]

_WORDS = range(7, 15)  # number of words of a sentence that the demo draws
_CLASSES = 20  # that can be told apart in a picture
_MOST, _NUMBERED = 300, 60  # nodes of a graph that are drawn, and up to which they have their numbers
_SIGNS = {tuple(SENTIMENTS): ("− −", "−", "0", "+", "+ +"), ("negative", "positive"): ("−", "+")}


def draw(folder: Path, names: Sequence[str], source: Source) -> dict[Path, str]:
    """Draw the demo's pictures of these runs into ``pictures`` in the folder; return files and what they show."""
    home = folder / "pictures"
    home.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name in names:
        path = home / f"{name}-curves.png"
        shutil.copyfile(folder / name / "curves.png", path)
        drawn[path] = f"training of {name}"
    path = home / "karate.png"
    _karate(open_run(folder / "karate-gcn"), path)
    drawn[path] = "the karate club: predicted clubs, members known in training, wrong predictions"
    if "sst-treelstm" in names:
        path = home / "sentence.png"
        _sentence(open_run(folder / "sst-treelstm"), source, path)
        drawn[path] = "a sentence, each phrase in the colour of its predicted sentiment"
    else:
        path = home / "function.png"
        run = open_run(folder / "stdlib-treelstm")
        draw_prediction(run, run.recipe.example, source, path)
        drawn[path] = "a function's syntax tree, and the verb predicted for its name"
    return drawn


@torch.no_grad()
def draw_prediction(run: Run, given: str, source: Source, path: Path) -> None:
    """Draw the predictions of a run for an input: phrases or nodes in the colours of their classes, or trees and graphs
    with theirs.

    Args:
        run: of a recipe whose predictions have structures.
        given: as for ``Run.predict``.
        source: the location of the data, if the recipe needs them.
        path: a .png, .svg or .pdf file.

    Raises:
        GraphError: the recipe's predictions have no structures, the input is invalid, the path can't be written.
    """
    asked, names, structures, *_ = run.recipe.read(text_of(given), run.metadata, source)
    if not structures:
        raise expected("--plot", "a run of a recipe on trees or graphs", Words(f"one of {run.name}"))
    scores = run.outputs(asked)
    classes = run.metadata.get("classes")
    data = structures[0]
    if len(structures) == 1 and len(scores) == data.num_nodes:
        colours = scores[:, 0] if classes is None else scores.argmax(1)
        if hasattr(data, "tokens"):
            root = int(Topology.from_data(data).roots[0])
            _phrases(data, colours, classes, path, f"Predicted: {_answer(scores[root], classes)}")
        else:
            _nodes(data, colours, classes, asked.index, path)
        return
    answers = [_answer(row, classes) for row in scores]
    if hasattr(data, "tokens"):
        roots = [f"{name}: {answer}" for name, answer in zip(names, answers, strict=True)]
        _trees(structures, path, *(("", roots) if len(roots) > 1 else (f"Predicted for {roots[0]}", ())))
    else:
        if len(structures) > 1:
            note(f"{path} shows the first of {len(structures):,} graphs, {names[0]}")
        # Nodes with one feature each, such as an atom's kind, are coloured by it.
        one_hot = bool(((data.x == 0) | (data.x == 1)).all()) and bool((data.x.sum(1) == 1).all())
        kinds = data.x.argmax(1) if one_hot and int(data.x.any(0).sum()) <= _CLASSES else None
        features = data.get("feature_names") or [f"feature {k}" for k in range(data.x.size(1))]
        plot.graph(Topology.from_data(data), path, colours=kinds, names=features, title=f"Predicted: {answers[0]}")


def _answer(scores: Tensor, classes: Sequence[str] | None) -> str:
    if classes is None:
        return " ".join(f"{score:.4g}" for score in scores.tolist())
    chance, best = scores.softmax(0).max(0)
    return f"{classes[int(best)]}, {100 * float(chance):.0f} %"


def _phrases(tree: Any, colours: Tensor, classes: Sequence[str] | None, path: Path, title: str) -> None:
    """Draw a tree with a class or a value for each node; sentiments from red to blue, with signs as well as colours."""
    signs = _SIGNS.get(tuple(classes or ()))
    inner = set(tree.edge_index[1].tolist())
    labels = [signs[c] if signs and v in inner else "" for v, c in enumerate(colours.tolist())]
    names = [f"{sign} {name}" for sign, name in zip(signs, classes or (), strict=True)] if signs else classes
    scale: Any = "diverging" if signs or classes is None else "classes"
    plot.tree(tree, path, colours=colours, labels=labels, names=names, scale=scale, title=title)


def _nodes(graph: Any, colours: Tensor, classes: Sequence[str] | None, asked: Tensor | None, path: Path) -> None:
    """Draw a graph with a class or a value for each node; of a large one only what is near the input's nodes."""
    from torch_geometric.data import Data
    from torch_geometric.utils import k_hop_subgraph

    count = int(graph.num_nodes)
    asked = torch.arange(count) if asked is None else asked
    nodes, edges, hops = torch.arange(count), graph.edge_index, 3
    while len(nodes) > _MOST and hops > 0:
        hops -= 1
        nodes, edges, _, _ = k_hop_subgraph(asked, hops, graph.edge_index, relabel_nodes=True, num_nodes=count)
    marked = torch.isin(nodes, asked)
    numbered = torch.ones_like(marked) if len(nodes) <= _NUMBERED else marked & (len(asked) <= _NUMBERED)
    plot.graph(
        Data(edge_index=edges, num_nodes=len(nodes)), path, colours=colours[nodes], names=classes,
        labels=[str(v) if shown else "" for v, shown in zip(nodes.tolist(), numbered.tolist(), strict=True)],
        marks=None if marked.all() else {"in the input": marked},
        title=f"Predicted classes of {len(nodes)} of {count} nodes" if len(nodes) < count else "Predicted classes",
    )  # fmt: skip


def _trees(trees: Sequence[Any], path: Path, title: str, answers: Sequence[str]) -> None:
    """Draw trees, such as functions' syntax trees, below each other, with the prediction in each root, if given."""
    forest = batch([Topology.from_data(tree) for tree in trees])
    tokens = [token for tree in trees for token in tree.tokens]
    if not hasattr(trees[0], "kind"):
        plot.tree(forest, path, tokens=tokens, title=title)
        return
    kinds = [KINDS[kind] for tree in trees for kind in tree.kind.tolist()]
    marks = {"Attribute": ".{}", "keyword": "{}="}
    labels = [marks.get(kind, "{}").format(token) if token else kind for kind, token in zip(kinds, tokens, strict=True)]
    for root, answer in zip(forest.roots.tolist(), answers, strict=False):
        labels[root] = answer
    # A scale around white, of which the pale middle is used: text on it is easy to read.
    sorts = [1 if not token else 0 if token.startswith("<") and token != NAME else 2 for token in tokens]
    names = ["constant", "syntax", "name"]
    plot.tree(forest, path, labels=labels, colours=sorts, names=names, limits=(-2, 4), title=title)


def _karate(run: Run, path: Path) -> None:
    from ..datasets import karate

    club = karate(seed=run.seed)
    found = run.predict(" ".join(map(str, range(club.num_nodes))))
    predicted = torch.tensor([run.metadata["classes"].index(each["class"]) for each in found])
    wrong = predicted != club.y
    plot.graph(
        club, path, colours=predicted, labels=range(club.num_nodes), names=run.metadata["classes"],
        marks={"known in training": club.train_mask, "wrong": wrong},
        title=f"Predicted clubs: {int((~wrong).sum())} of {club.num_nodes} right",
    )  # fmt: skip


@torch.no_grad()
def _sentence(run: Run, source: Source, path: Path) -> None:
    """Draw a sentence of the development split that is classified correctly and has phrases of many classes."""
    best: tuple[int, Any, Tensor] | None = None
    for tree in run.recipe.load_data(source, run.seed)[1].trees:
        if len(tree.tokens) in _WORDS:
            predicted = run.model(tree.word, Topology.from_data(tree)).argmax(1)
            kinds = len(predicted.unique()) + 5 * int(predicted[0] == tree.y[0])  # node 0 is the root
            if best is None or kinds > best[0]:
                best = kinds, tree, predicted
    if best is not None:
        _phrases(best[1], best[2], run.metadata["classes"], path, "Predicted sentiment of each phrase")
