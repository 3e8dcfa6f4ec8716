"""Run a recipe: with one seed or several, in one process or several, into a folder that has all of the results."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GraphError, Words, expected
from ..plot import curves
from ..train import MAX_SEED, Machine, RunFolder, first_of_all, fit, launch, may_change, metric, read_json, write_json
from .base import Recipe, Source
from .registry import find_recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Job", "default_folder", "new_folder", "summary", "taken", "train"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """How to run a recipe, apart from its options.

    Args:
        machine: device, precision, processes.
        source: the location of the data.
        resume: whether to resume the run in the folder.
        save_every: seconds between two checkpoints.
        tensorboard: whether to write TensorBoard logs as well.
        verbose: whether to show progress on standard error.
        notify: called with a line of text when the data have been read and a training begins.
    """

    machine: Machine = field(default_factory=Machine)
    source: Source = field(default_factory=Source)
    resume: bool = False
    save_every: float = 30.0
    tensorboard: bool = False
    verbose: bool = False
    notify: Callable[[str], None] | None = None

    def machine_for(self, recipe: Recipe) -> Machine:
        """Return the machine, with the recipe's number of threads unless another one was chosen."""
        return self.machine if self.machine.threads else self.machine.replace(threads=recipe.threads)


def train(
    recipe: str | Recipe, out: str | Path | None = None, *, seeds: Sequence[int] = (0,), job: Job | None = None,
    **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a recipe once with each seed, write everything into a folder, and return a summary.

    Args:
        recipe: a name, as :func:`find_recipe` takes it, or a recipe.
        out: the folder; by default a new one, ``runs/RECIPE/DATE-TIME``. With one seed it is the run's own; with
            several there is a run in each of ``seed-0``, ``seed-1``, ….
        seeds: of the weights, the order of examples and, for some recipes, the split.
        job: how to run it.
        options: of the recipe.

    Returns:
        ``recipe``, ``metric``, ``mean``, ``std``, ``values``, ``seconds``, ``split``, ``unit`` and ``out``, the folder;
        of a recipe that reports the validation part also ``test``, ``mean``, ``std`` and ``values`` of the test part,
        where there is one.

    Raises:
        GraphError: there is no such recipe or option, data or files are missing, or the folder holds another run.

    Example::

        train("cora-gcn", seeds=range(10), hidden=32)["mean"]
    """
    recipe = recipe.replace(**options) if isinstance(recipe, Recipe) else find_recipe(recipe, **options)
    out = default_folder(recipe.name) if out is None else out
    job = Job() if job is None else job
    if not isinstance(seeds, Sequence) or not seeds or len(set(seeds)) < len(seeds):
        raise expected("seeds", "a sequence of different seeds, such as range(3)", seeds)
    for seed in seeds:
        if not isinstance(seed, int) or not 0 <= seed < MAX_SEED:
            raise expected("seed", "an integer from 0 to 2**31 - 1", seed)
    top = RunFolder(out)
    names = [""] if len(seeds) == 1 else [f"seed-{seed}" for seed in seeds]
    folders = [top.path / name for name in names]
    configs = {name: _config(recipe, seed) for name, seed in zip(names, seeds, strict=True)}
    if first_of_all():
        _check(top, configs, resume=job.resume)
    results = [_once(recipe, folder, seed, job) for folder, seed in zip(folders, seeds, strict=True)]
    total = summary(recipe, results, sum(result["seconds"] for result in results))
    if len(seeds) > 1:
        write_json(top / "summary.json", total | {"runs": [folder.name for folder in folders]})
    return total | {"out": str(top.path)}


def default_folder(name: str) -> Path:
    """Return a new folder for a run of the recipe of this name: ``runs/RECIPE/DATE-TIME``."""
    return new_folder(Path("runs") / re.sub(r"[^\w.-]+", "-", name) / time.strftime("%Y-%m-%d-%H%M%S"))


def new_folder(wanted: Path) -> Path:
    """Return this path if nothing is there, else the first of those with -2, -3, … appended."""
    folder, count = wanted, 1
    while folder.exists():
        count += 1
        folder = wanted.with_name(f"{wanted.name}-{count}")
    return folder


def summary(recipe: Recipe, results: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return the mean and sample standard deviation of the results of some runs; shares are in per cent."""
    values = [result["value"] for result in results]
    baselines = [result["baseline"] for result in results if "baseline" in result]
    tests = [result["test"][recipe.metrics[0]] for result in results if result.get("test")]
    also = recipe.reports == "val" and len(tests) == len(results)
    return {
        "recipe": recipe.name,
        "metric": recipe.metrics[0],
        **_spread(values),
        "seconds": seconds,
        "split": "dev" if recipe.reports == "val" else recipe.reports,
        "unit": metric(recipe.metrics[0]).unit,
        **({"test": _spread(tests)} if also else {}),
        **({"baseline": statistics.fmean(baselines)} if baselines else {}),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "std": std, "values": list(values)}


def _config(recipe: Recipe, seed: int) -> dict[str, Any]:
    return {"recipe": recipe.name, "seed": seed, "options": recipe.model_dump()}


def _check(top: RunFolder, configs: Mapping[str, dict[str, Any]], *, resume: bool) -> None:
    """Check that a folder can be made and is empty, or contains these runs and no others.

    Args:
        top: the folder.
        configs: by the name of the run's folder in it, "" for the folder itself.
        resume: whether it may hold anything.
    """
    top.check()
    here = [path.name for path in sorted(top.path.glob("seed-*"))] if top.path.is_dir() else []
    here += [""] if (top / "config.json").exists() or (top / "last.safetensors").exists() else []
    here += ["cross.json"] if (top / "cross.json").exists() else []
    if here and not resume:
        raise taken(top)
    if others := set(here) - set(configs):
        kinds = {"": "a single run", "cross.json": "a cross-validation"}
        what = ", ".join(kinds.get(name, name) for name in sorted(others))
        raise expected("out", "a folder with these runs or none", Words(f"{top.path}, which holds {what}"))
    for name in here:
        _compare(RunFolder(top / name if name else top.path), configs[name])


def taken(folder: RunFolder) -> GraphError:
    """Return the error for a folder that already contains a run, with all the ways out."""
    finished = any((folder / name).exists() for name in ("result.json", "summary.json"))
    kind = "cross-validation" if (folder / "cross.json").exists() else "run"
    got = f"{folder.path}, which holds {'a finished' if finished else 'an unfinished'} {kind}"
    ways = "choose another folder, or none for a new one; remove this one"
    if not finished:
        ways += "; resume it (--resume)"
    elif kind == "run":
        ways += "; use its network (graphseq predict, evaluate); resume it with more epochs (--resume --epochs N)"
    return expected("out", "a folder without a run", Words(f"{got}. Ways out: {ways}"))


def _compare(folder: RunFolder, config: dict[str, Any]) -> None:
    """Check that the run in a folder has these options."""
    if not (folder / "config.json").exists():
        if folder.has_checkpoint:
            raise expected("out", "a run with its config.json", Words(f"{folder.path}, which lacks it"))
        return
    began = read_json(folder / "config.json")
    try:
        before, now = ({"recipe": each["recipe"], "seed": each["seed"], **each["options"]} for each in (began, config))
        for key, value in now.items():
            if before[key] != value and not may_change(key, before, now):
                raise expected(key, f"{before[key]!r}, as in the run in {folder.path}", value)
    except (KeyError, TypeError) as error:
        raise expected("out", "a run's config.json", Words(f"{folder / 'config.json'}, which lacks {error}")) from None


def _once(recipe: Recipe, path: Path, seed: int, job: Job) -> dict[str, Any]:
    folder = RunFolder(path)
    config = _config(recipe, seed)
    if folder.result is not None and read_json(folder / "config.json") == config:
        return folder.result  # already finished: nothing to resume
    result: dict[str, Any] = launch(job.machine_for(recipe), _train, recipe, path, seed, job)
    return result


def _train(fabric: Fabric, recipe: Recipe, path: Path, seed: int, job: Job) -> dict[str, Any]:
    """Train once, in each process."""
    start = time.perf_counter()
    folder = RunFolder(path)
    task, metadata = recipe.task(job.source, seed)
    first = fabric.global_rank == 0
    known = folder / "metadata.json"
    if job.resume and known.exists() and read_json(known) != metadata:
        raise expected("data", f"the data that the run in {folder.path} began with", Words("others"))
    if first:
        if job.notify is not None:
            job.notify("\n".join(filter(None, [f"Training {recipe.name} in {path}", recipe.describe(metadata)])))
        write_json(folder / "metadata.json", metadata)
        write_json(folder / "config.json", _config(recipe, seed))
    outcome = fit(
        task, recipe, seed=seed, fabric=fabric, workers=job.machine.workers, folder=folder, resume=job.resume,
        save_every=job.save_every, tensorboard=job.tensorboard, verbose=job.verbose, name=f"{recipe.name}, seed {seed}",
    )  # fmt: skip
    report = outcome.val if recipe.reports == "val" else outcome.test
    measured = report[recipe.metrics[0]]
    result = {
        "recipe": recipe.name,
        "seed": seed,
        "metric": recipe.metrics[0],
        "split": "dev" if recipe.reports == "val" else recipe.reports,
        "value": round(measured, 4) if metric(recipe.metrics[0]).unit == "%" else measured,
        "best_epoch": outcome.best_epoch,
        "selected_by": outcome.selected_by,
        "epochs": outcome.epochs,
        "val": outcome.val,
        "test": outcome.test,
        "seconds": time.perf_counter() - start,
    }
    if "baseline" in metadata:
        result["baseline"] = metadata["baseline"][recipe.reports]
    if first:
        curves(outcome, folder / "curves.png", title=f"{recipe.name}, seed {seed}")
        write_json(folder / "result.json", result)
    return result
