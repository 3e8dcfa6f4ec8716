"""Runs that are over or under way, opened again: the model ready to use, predictions, judging."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import GraphError, Words, expected
from ..train import Machine, RunFolder, Session, metric, read_json, read_tensors
from .base import Metadata, Recipe, Source
from .inputs import text_of
from .registry import find_recipe

__all__ = ["Run", "load", "open_run"]


@dataclass(frozen=True)
class Run:
    """A run's recipe with its options, what it knows of its data, and its model with the best weights.

    Args:
        path: the run's folder.
        name: the recipe's name.
        recipe: with the options of this run.
        seed: of this run.
        metadata: of the data.
        model: in evaluation mode.
    """

    path: Path
    name: str
    recipe: Recipe
    seed: int
    metadata: Metadata
    model: nn.Module

    @torch.no_grad()
    def predict(self, source: str, data: Source | None = None) -> list[dict[str, Any]]:
        """Return the most likely class, and its probability, for each part of an input.

        Args:
            source: the input, or the name of a file with it; the recipe's ``input`` says what it may be.
            data: where data come from, if the recipe needs them.

        Raises:
            GraphError: the input is not what the recipe takes.
        """
        if not isinstance(source, str):
            raise expected("source", "a text or the name of a file", source)
        batch, names = self.recipe.read(text_of(source), self.metadata, Source() if data is None else data)
        output = self.model(*batch.inputs)
        scores = batch.rows(output[0] if isinstance(output, tuple) else output)
        classes = self.metadata.get("classes")
        if classes is None:
            return [{"input": name, "value": row.tolist()} for name, row in zip(names, scores, strict=True)]
        chance, best = scores.softmax(1).max(1)
        return [
            {"input": name, "class": classes[c], "probability": p}
            for name, c, p in zip(names, best.tolist(), chance.tolist(), strict=True)
        ]

    def evaluate(self, split: str = "test", *, source: Source | None = None, machine: Machine | None = None) -> Any:
        """Judge the model on a split of the run's data again.

        Args:
            split: "train", "val" or "test".
            source: where data come from.
            machine: device and precision.

        Returns:
            The mean loss and the metrics, shares in per cent.

        Raises:
            GraphError: there is no such split, or the data are missing or others than the run's.
        """
        if split not in ("train", "val", "test"):
            raise expected("split", "train, val or test", split)
        task, metadata = self.recipe.task(Source() if source is None else source, self.seed)
        if metadata != self.metadata:
            raise expected("source", "the data that the run was trained with", Words("others"))
        part = getattr(task, split)
        if part is None:
            raise expected("split", f"one that {self.name} has", split)
        task.model = self.model
        fabric = (Machine() if machine is None else machine).fabric()
        fabric.launch()
        found = Session(task, self.recipe, fabric, self.seed).judge(part)
        self.model.eval()
        return {k: _told(k, v) for k, v in found.items()}


def _told(name: str, value: float) -> float:
    """Return a metric as it is told: shares in per cent."""
    return round(100 * value, 4) if name != "loss" and metric(name).unit == "%" else value


def open_run(path: str | os.PathLike[str], *, recipe: str | None = None) -> Run:
    """Open the folder of a run; of several seeds' the one that did best on validation data.

    Args:
        path: the folder.
        recipe: ``my_module:MyRecipe``, where the run is of a recipe of your own: what a file says is not imported
            unless you say so too.

    Raises:
        GraphError: it is no run's folder, or it is damaged, or its training has not got to a first checkpoint.

    Example::

        run = open_run("runs/sst")
        run.predict("(3 (2 It) (4 works))")
    """
    if not isinstance(path, str | os.PathLike):
        raise expected("run", "the folder of a run", path)
    folder = RunFolder(_best_of(Path(path).expanduser()))
    config = read_json(folder / "config.json")
    try:
        name, seed, options = config["recipe"], config["seed"], config["options"]
    except (KeyError, TypeError):
        raise GraphError(f"{folder / 'config.json'} is not a run's configuration") from None
    if ":" in str(name) and recipe != name:
        raise expected("recipe", f"{name!r}, the recipe of this run, said by you too", recipe)
    made = find_recipe(str(name))
    try:
        made = made.replace(**options)
    except (GraphError, TypeError) as error:
        what = f"{folder / 'config.json'}: {error}; was it written by another version of graphseq?"
        raise GraphError(what) from None
    metadata = read_json(folder / "metadata.json")
    weights, _ = read_tensors(folder / "best.safetensors")
    model = made.model(metadata)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise expected("run", f"weights of {name}", Words(f"others: {error}")) from None
    return Run(folder.path, name, made, seed, metadata, model.eval())


def load(path: str | os.PathLike[str], *, recipe: str | None = None) -> nn.Module:
    """Return the model of a run, with the weights of its best epoch, in evaluation mode.

    Args:
        path: a run's folder, as ``graphseq train --out`` made it; of several seeds the best on validation data.
        recipe: ``my_module:MyRecipe``, where the run is of a recipe of your own.

    Raises:
        GraphError: it is no run's folder, or it is damaged.

    Example::

        model = graphseq.load("runs/cora")
        model(x, edge_index).argmax(1)
    """
    return open_run(path, recipe=recipe).model


def _best_of(path: Path) -> Path:
    if (path / "config.json").is_file() or not (path / "summary.json").is_file():
        return path
    found: list[tuple[float, Path]] = []
    for name in read_json(path / "summary.json")["runs"]:
        result = read_json(path / name / "result.json")
        best = metric(result["metric"])
        value = result["val"].get(result["metric"], 0.0)
        found.append((value if best.larger_is_better else -value, path / name))
    return max(found, key=lambda pair: pair[0])[1]
