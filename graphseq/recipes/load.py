"""Runs opened again: the model ready to use, predictions, evaluation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import GraphError, Words, expected
from ..train import (
    Batch,
    Machine,
    RunFolder,
    Session,
    Split,
    Splits,
    Task,
    metric,
    read_json,
    read_tensors,
)  # fmt: skip
from .base import Metadata, Recipe, Source
from .inputs import text_of
from .own import OwnRecipe
from .registry import find_recipe

__all__ = ["Predictions", "Run", "load", "open_run"]


class Predictions(list[dict[str, Any]]):
    """Predictions, one for each part of an input, and a ``note`` on how the input was read, which can be empty."""

    def __init__(self, rows: Iterable[dict[str, Any]], note: str = "") -> None:
        super().__init__(rows)
        self.note = note


@dataclass(frozen=True)
class Run:
    """A run's recipe with its options, the metadata of its data, and its model with the best weights.

    Args:
        path: the run's folder.
        name: the recipe's name.
        recipe: with the options of this run.
        seed: of this run.
        metadata: of the data; ``classes`` are the names of the classes.
        model: in evaluation mode.
    """

    path: Path
    name: str
    recipe: Recipe
    seed: int
    metadata: Metadata
    model: nn.Module

    @torch.no_grad()
    def predict(self, source: str, data: Source | None = None) -> Predictions:
        """Return the most likely class, and its probability, for each part of an input.

        Args:
            source: the input, or the name of a file with it; the recipe's ``input`` describes it.
            data: the location of the data, if the recipe needs them.

        Returns:
            For each part a dictionary: ``input``, ``class`` and ``probability`` or ``value``, a number or
            words, and ``depth`` where parts are phrases of a tree. The list's ``note`` describes how the input was
            read, if that may be wrong.

        Raises:
            GraphError: the input is not what the recipe takes.
        """
        if not isinstance(source, str):
            raise expected("source", "a text or the name of a file", source)
        if isinstance(self.recipe, OwnRecipe) and (path := self.recipe.file(source)) is not None:
            return self.predict_file(path)
        read = self.recipe.read(text_of(source), self.metadata, Source() if data is None else data)
        scores = self._scores(read.batch)
        rows = self.recipe.rows(scores, read, self.metadata)
        rows = self._rows(scores, read.names) if rows is None else rows
        for row, depth in zip(rows, read.depths, strict=False):
            row["depth"] = depth
        return Predictions(rows, read.note)

    @torch.no_grad()
    def predict_file(self, path: str | os.PathLike[str], *, nodes: bool = False) -> Predictions:
        """Return a prediction for each example of a file in the format of the training file.

        Args:
            path: the file, with or without labels.
            nodes: predict for each node of a tree, not only for its root.

        Returns:
            For each example in the order of the file a dictionary: ``input``, ``class``, ``probability`` and
            ``probabilities``, those of all classes; or ``input`` and ``value``.

        Raises:
            GraphError: the run's recipe reads no such files, or the file is invalid.
        """
        split, names, note = self._own().unlabelled(Path(path).expanduser(), self.metadata, nodes=nodes)
        parts = torch.arange(split.size).split(self.recipe.eval_batch_size if self.recipe.batch_size else split.size)
        scores = torch.cat([self._scores(split.batch(part)) for part in parts])
        rows = self._rows(scores, names)
        if classes := self.metadata.get("classes"):
            for row, chances in zip(rows, scores.softmax(1).tolist(), strict=True):
                row["probabilities"] = dict(zip(classes, chances, strict=True))
        return Predictions(rows, note)

    def outputs(self, batch: Batch) -> Tensor:
        """Return all rows of the model's scores for a batch, on the CPU."""
        output = self.model(*batch.to(next(self.model.parameters()).device).inputs)
        scores: Tensor = output[0] if isinstance(output, tuple) else output
        return scores.cpu()

    def _scores(self, batch: Batch) -> Tensor:
        return batch.rows(self.outputs(batch))

    def _rows(self, scores: Tensor, names: Sequence[str]) -> list[dict[str, Any]]:
        classes = self.metadata.get("classes")
        rows: list[dict[str, Any]] = [{"input": name} for name in names]
        if classes is None:
            single = isinstance(self.recipe, OwnRecipe)  # one number, not a list of one
            for row, value in zip(rows, (scores[:, 0] if single else scores).tolist(), strict=True):
                row["value"] = value
        else:
            for row, c, p in zip(rows, *(x.tolist() for x in reversed(scores.softmax(1).max(1))), strict=True):
                row |= {"class": classes[c], "probability": p}
        return rows

    def _own(self) -> OwnRecipe:
        if not isinstance(self.recipe, OwnRecipe):
            raise expected("run", "a run on a file of your own (text, sequence, tree, graph, node)", Words(self.name))
        return self.recipe

    @torch.no_grad()
    def evaluate(
        self, split: str | None = None, *, source: Source | None = None, machine: Machine | None = None
    ) -> dict[str, Any]:
        """Evaluate the model on a split of the run's data.

        Args:
            split: "train", "val" (or "dev") or "test"; by default the one that the recipe reports.
            source: the location of the data.
            machine: device and precision.

        Returns:
            The mean loss, the metrics, accuracy, F1 and AUROC in per cent, and in ``classes`` the number of examples of
            each class and how many of them are classified correctly, in per cent.

        Raises:
            GraphError: there is no such split, or the data are missing or not those of the run.
        """
        wanted = {None: self.recipe.reports, "dev": "val"}.get(split, split)
        if wanted not in ("train", "val", "test"):
            raise expected("split", "train, val or test", split)
        task, metadata = self.recipe.task(Source() if source is None else source, self.seed)
        if metadata != self.metadata:
            raise expected("source", "the data that the run was trained with", Words("others"))
        part = getattr(task, wanted)
        if part is None:
            there = [name for name in ("train", "val", "test") if getattr(task, name) is not None]
            raise expected("split", f"{' or '.join(there)}, the splits of the run's data", split)
        return self._measured(task, part, machine)

    def evaluate_file(self, path: str | os.PathLike[str], *, machine: Machine | None = None) -> dict[str, Any]:
        """Evaluate the model on a labelled file in the format of the training file.

        Args:
            path: the file.
            machine: device and precision.

        Returns:
            As of :meth:`evaluate`; and ``baseline``, the first metric if the prediction were always the most frequent
            class, or the mean, of the training part; and ``examples``, their number.

        Raises:
            GraphError: the run's recipe reads no such files, or the file is invalid.
        """
        split, baseline = self._own().labelled(Path(path).expanduser(), self.metadata)
        task = self.recipe.assemble(self.metadata, Splits(split, None, None), self.seed)
        return {**self._measured(task, split, machine), "baseline": baseline, "examples": split.size}

    @torch.no_grad()
    def _measured(self, task: Task, split: Split, machine: Machine | None) -> dict[str, Any]:
        task.model = self.model
        fabric = (Machine() if machine is None else machine).fabric()
        fabric.launch()
        session = Session(task, self.recipe, fabric, self.seed)
        scores, target, weight = session.outputs(split)
        self.model.eval()
        return {**session.measured(scores, target, weight), **self._by_class(scores, target)}

    def _by_class(self, scores: Tensor, target: Tensor) -> dict[str, Any]:
        classes = self.metadata.get("classes")
        if classes is None:
            return {}
        right = scores.argmax(1) == target
        counts = [(name, right[target == c]) for c, name in enumerate(classes)]
        return {"classes": [
            {"class": name, "examples": len(hits), "correct": round(100 * float(hits.float().mean()), 4)}
            for name, hits in counts if len(hits)
        ]}  # fmt: skip


def open_run(path: str | os.PathLike[str], *, recipe: str | None = None, device: str = "cpu") -> Run:
    """Open the folder of a run; of several seeds the one with the best validation result.

    Args:
        path: the folder; or one with runs by date and time, such as ``runs/karate-gcn``, for the newest finished one.
        recipe: ``my_module:MyRecipe``, where the run is of a recipe of your own: a module that is named in a file is
            not imported unless you name it, too.
        device: where the model is: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best one.

    Raises:
        GraphError: it is no run's folder, or it is damaged, or it has no checkpoint yet; there is no such device.

    Example::

        run = open_run("runs/sst")
        run.predict("(3 (2 It) (4 works))")
    """
    if not isinstance(path, str | os.PathLike):
        raise expected("run", "the folder of a run", path)
    place = Machine(device=device).chosen
    folder = _find(Path(path).expanduser())
    config = read_json(folder / "config.json")
    try:
        name, seed, options = config["recipe"], config["seed"], config["options"]
    except (KeyError, TypeError):
        raise GraphError(f"{folder / 'config.json'} is not a run's configuration") from None
    if ":" in str(name) and recipe != name:
        raise expected("recipe", f"{name!r}, the recipe of this run, named explicitly", recipe)
    found = find_recipe(str(name))
    try:
        made = found.replace(**options)
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
    return Run(folder, name, made, seed, metadata, model.to(place).eval())


def load(path: str | os.PathLike[str], *, recipe: str | None = None, device: str = "cpu") -> nn.Module:
    """Return the model of a run, with the weights of its best epoch, in evaluation mode.

    Args:
        path: a run's folder, as :func:`open_run` takes it.
        recipe: ``my_module:MyRecipe``, where the run is of a recipe of your own.
        device: as of :func:`open_run`.

    Raises:
        GraphError: it is no run's folder, or it is damaged; there is no such device.

    Example::

        model = graphseq.load("runs/cora")
        model(x, edge_index).argmax(1)
    """
    return open_run(path, recipe=recipe, device=device).model


def _find(path: Path) -> Path:
    """Return the folder of one run: this one, or the best of several seeds, or the newest of a recipe's.

    Raises:
        GraphError: there is none, with the reason.
    """
    if path.is_file():
        raise expected("run", "the folder of a run", Words(f"{path}, a file; its folder is {path.parent}"))
    if not path.is_dir():
        raise expected("run", "the folder of a run", Words(f"{path}, which does not exist"))
    if (path / "config.json").is_file():
        return path
    if (path / "summary.json").is_file():
        return _best_of(path)
    if (path / "cross.json").is_file():
        got = Words(f"{path}, a cross-validation, which keeps no network to predict with")
        raise expected("run", "the folder of a run", got)
    if begun := sorted(path.glob("seed-*/config.json")):
        content = read_json(begun[0])
        name = content.get("recipe", "RECIPE") if isinstance(content, dict) else "RECIPE"
        command = f"graphseq train {name} --seeds N --out {path} --resume"
        got = Words(f"{path}, with several seeds, not all of which are finished; `{command}` resumes them")
        raise expected("run", "the folder of a run", got)
    dated = (child for child in path.iterdir() if re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}(-\d+)?", child.name))
    kept = [child for child in dated if (child / "summary.json").is_file() or _is_finished_run(child)]
    return _find(max(kept)) if kept else path


def _is_finished_run(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / "result.json").is_file()


def _best_of(path: Path) -> Path:
    found: list[tuple[float, Path]] = []
    for name in read_json(path / "summary.json")["runs"]:
        result = RunFolder(path / name).result or {}
        best = metric(result["metric"])
        value = result["val"].get(result["metric"], 0.0)
        found.append((value if best.larger_is_better else -value, path / name))
    return max(found, key=lambda pair: pair[0])[1]
