"""Cross-validation with model selection inside each training fold.

Errica, Podda, Bacciu & Micheli (2020), A fair comparison of graph neural networks for graph classification: the test
part of a fold selects nothing, neither the epoch nor the model.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import Words, expected
from ..train import RunFolder, fit, launch, metric, read_json, write_json
from .base import Metadata, Recipe, Splits
from .folds import hold_out, parts
from .run import Job, summary, taken

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["cross_validate"]

_REPEATS = 3  # runs of the selected model, each with a validation part of its own
_HELD_OUT = 10  # one of this many shares of a fold's training part is for validation


def cross_validate(
    recipe: Recipe, out: str | Path, *, folds: int, seed: int = 0, fixed: Collection[str] = (),
    job: Job | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Evaluate a recipe by K-fold cross-validation, with its options selected inside each training fold.

    For each fold: the other folds are split into nine tenths and one; each candidate of ``recipe.grid`` is trained on
    the nine and evaluated on the one, which also selects its epoch; the best candidate is trained three times, each
    time with another tenth for validation, and evaluated on the fold. The result is the mean over folds of these means.

    Args:
        recipe: of independent examples, with the options that all candidates share.
        out: a folder for all the runs.
        folds: K.
        seed: of the folds, the parts and the weights.
        fixed: options that are not selected but keep the recipe's values.
        job: how to run it; with ``resume`` finished runs are not run again.

    Returns:
        The summary: mean and standard deviation over folds, and the options selected in each.

    Raises:
        GraphError: the recipe cannot be split into folds, or there are too many folds, or the folder holds another run.
    """
    job = Job() if job is None else job
    top, start = RunFolder(out), time.perf_counter()
    config = {"recipe": recipe.name, "seed": seed, "folds": folds, "fixed": sorted(fixed)}
    config["options"] = recipe.model_dump()
    top.check()
    began = any((top / name).exists() for name in ("cross.json", "config.json", "summary.json"))
    if began and not job.resume:
        raise taken(top)
    if began and not ((top / "cross.json").exists() and read_json(top / "cross.json") == config):
        what = "a cross-validation with these options"
        raise expected("out", what, Words(f"{top.path}, which holds another one or other runs"))
    launch(job.machine_for(recipe), _check, recipe, folds, seed, job)  # before anything is written
    if job.notify is not None:
        job.notify(f"Cross-validating {recipe.name} in {top.path}")
    write_json(top / "cross.json", config)
    found = [launch(job.machine_for(recipe), _fold, recipe, top.path, k, folds, seed, fixed, job) for k in range(folds)]
    total = summary(recipe, found, time.perf_counter() - start)
    total |= {"split": "test", "folds": folds, "chosen": [fold["chosen"] for fold in found]}
    write_json(top / "result.json", total)
    return total | {"out": str(top.path)}


def _check(fabric: Fabric, recipe: Recipe, folds: int, seed: int, job: Job) -> None:
    parts(recipe.labels(recipe.load_data(job.source, seed)), folds, seed)


def _fold(
    fabric: Fabric, recipe: Recipe, out: Path, k: int, folds: int, seed: int, fixed: Collection[str],
    job: Job,
) -> dict[str, Any]:  # fmt: skip
    """Select a model and evaluate it on fold k."""
    data = recipe.load_data(job.source, seed)
    metadata, labels = recipe.metadata(data), recipe.labels(data)
    train, val, test = parts(labels, folds, seed)[k]
    rest = train.new_tensor(sorted([*train.tolist(), *val.tolist()]))
    count = max(round(len(rest) / _HELD_OUT), len(labels.unique()))

    def run(variant: Recipe, folder: str, number: int, held_out: Tensor | None) -> dict[str, Any]:
        learn, hold = hold_out(labels, rest, count, seed + number)
        chosen = (learn, hold) if held_out is None else (learn, hold, held_out)
        about = recipe.measure(data, metadata, learn)
        cut = [recipe.subset(data, about, part) for part in chosen]
        splits = Splits(cut[0], cut[1], cut[2] if held_out is not None else None)
        place = RunFolder(out / f"fold-{k}" / folder)
        return _once(fabric, variant, about, splits, place, seed + number, job, f"{recipe.name}, fold {k}, {folder}")

    variants = list(_candidates(recipe, fixed))
    best, chosen = variants[0]
    if len(variants) > 1:
        scores = [run(variant, f"candidate-{i}", 0, None)["val"] for i, (variant, _) in enumerate(variants)]
        best, chosen = variants[max(range(len(variants)), key=lambda i: _rank(recipe, scores[i]))]
    runs = [run(best, f"run-{i}", i, test)["test"][recipe.metrics[0]] for i in range(1, _REPEATS + 1)]
    value = statistics.fmean(runs)
    return {"value": round(value, 4) if metric(recipe.metrics[0]).unit == "%" else value, "chosen": chosen}


def _once(
    fabric: Fabric, recipe: Recipe, metadata: Metadata, splits: Splits, folder: RunFolder, seed: int, job: Job,
    name: str,
) -> dict[str, Any]:  # fmt: skip
    if folder.result is not None:
        return folder.result
    task = recipe.assemble(metadata, splits, seed)
    outcome = fit(
        task, recipe, seed=seed, fabric=fabric, folder=folder, resume=job.resume, save_every=job.save_every, name=name,
        workers=job.machine.workers, tensorboard=job.tensorboard, verbose=job.verbose,
    )  # fmt: skip
    result: dict[str, Any] = {"options": recipe.model_dump(), "val": outcome.val, "test": outcome.test}
    result |= {"best_epoch": outcome.best_epoch, "epochs": outcome.epochs}
    if fabric.global_rank == 0:
        write_json(folder / "result.json", result)
    return result


def _candidates(recipe: Recipe, fixed: Collection[str]) -> Iterator[tuple[Recipe, dict[str, Any]]]:
    """Yield the recipe with each choice of the grid's options."""
    grid = {name: values for name, values in recipe.grid.items() if name not in fixed}
    for values in itertools.product(*grid.values()):
        choice = dict(zip(grid, values, strict=True))
        yield recipe.replace(**choice), choice


def _rank(recipe: Recipe, val: dict[str, float]) -> tuple[float, float]:
    """Return a key that is larger for a better candidate: its metric, and for equal ones the smaller loss."""
    value = val[recipe.metrics[0]]
    return (value if metric(recipe.metrics[0]).larger_is_better else -value, -val["loss"])
