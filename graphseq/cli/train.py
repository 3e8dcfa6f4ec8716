"""``graphseq train``: train a recipe, with one seed or several, and say what came out."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import Words, expected
from ..recipes import Job, Recipe, Source, find_recipe
from ..recipes import train as train_recipe
from ..train import Machine, Stopped, describe_options, from_text, read_json
from .options import AsJson, DataRoot, Device, Offline, pairs, ranks_here
from .show import note, program, say, say_json, told

__all__ = ["train"]


def train(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's name, or module:Recipe for one of your own.")
    ],
    data_root: DataRoot = None,
    device: Device = "auto",
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Train N times, with N seeds one after the other.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", min=0, help="The first seed; 0 by default.")] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(metavar="K", min=2, help="Train on K folds, choosing on validation data from the recipe's grid."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's folder; by default a new one, runs/RECIPE/DATE-TIME."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out, by default the newest of RECIPE that is not over."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the recipe; may be given several times."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(metavar="P", min=1, help="Processes that train together; by default 1, under torchrun its own."),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="PRECISION", help="32-true, 16-mixed, bf16-mixed or 64-true.")
    ] = "32-true",
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes that prepare batches; 0 for none beside the trainer.")
    ] = 0,
    save_every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Seconds between two checkpoints.")
    ] = 30.0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard too.")] = False,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe: data, network and training under one name.

    `graphseq recipes` lists them, `graphseq recipes NAME` their options. Ctrl-C saves where training is; the same
    command with --resume goes on from there, and comes out as if it had not been stopped.
    """
    here = ranks_here()
    machine = Machine(device=device, precision=_precision(precision), processes=processes or here or 1, workers=workers)
    source = Source(data_root, offline)
    job = Job(machine=machine, source=source, resume=resume, save_every=save_every, tensorboard=tensorboard)
    find_recipe(recipe, pairs(settings or []))  # names and values are right before a folder is looked for
    folder = _folder(recipe, out, resume=resume, together=here is not None)
    chosen, began = _recipe(recipe, folder, pairs(settings or []), resume=resume)
    note(f"Training {recipe} in {folder}")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if cross_validate is not None:
                _alone("--cross-validate", {"--seeds": seeds, "--seed": seed})
                summary = _cross_validate(recipe, chosen, folder, cross_validate, job)
            else:
                summary = train_recipe(recipe, chosen, folder, seeds=_seeds(seed, seeds, began, folder), job=job)
    except (Stopped, KeyboardInterrupt) as error:
        note(f"\n{str(error) or 'stopped'}. To go on:\n\n  {_again(context, folder)}")
        raise typer.Exit(130) from None
    if as_json:
        say_json(summary | {"out": str(folder)})
    else:
        say(_report(summary, chosen, folder))


def _precision(text: str) -> Any:
    """Return it as it is: Machine checks it."""
    return text


def _cross_validate(name: str, recipe: Recipe, folder: Path, folds: int, job: Job) -> dict[str, Any]:
    from ..recipes import cross_validate

    summary: dict[str, Any] = cross_validate(name, recipe, folder, folds=folds, job=job)
    return summary


def _alone(name: str, others: Mapping[str, object]) -> None:
    for other, value in others.items():
        if value is not None:
            raise expected(other, f"nothing beside {name}", value)


def _folder(name: str, out: Path | None, *, resume: bool, together: bool) -> Path:
    """Return where the run is to be: a new folder, or with `resume` the newest that is not over."""
    if out is not None:
        return out.expanduser()
    if together:
        raise expected("--out", "a folder, which all of torchrun's processes know", None)
    home = Path("runs") / re.sub(r"[^\w.-]+", "-", name)
    if resume:
        begun = sorted(path for path in home.glob("*") if _is_under_way(path))
        if not begun:
            raise expected("--resume", "a run that is not over", Words(f"none in {home}"))
        return begun[-1]
    wanted = home / time.strftime("%Y-%m-%d-%H%M%S")
    folder, count = wanted, 1
    while folder.exists():
        count += 1
        folder = wanted.with_name(f"{wanted.name}-{count}")
    return folder


def _is_under_way(folder: Path) -> bool:
    over = (folder / "result.json").exists() or (folder / "summary.json").exists()
    return not over and next(_configs(folder), None) is not None


def _configs(folder: Path) -> Any:
    return (path for path in (folder / "config.json", *sorted(folder.glob("*/config.json"))) if path.is_file())


def _recipe(name: str, folder: Path, texts: dict[str, str], *, resume: bool) -> tuple[Recipe, dict[str, Any] | None]:
    """Return the recipe with its options, and the configuration of the run that it goes on with, if any.

    What the run began with needn't be said again.
    """
    recipe = find_recipe(name)
    path = next(_configs(folder), None) if resume else None
    began: dict[str, Any] | None = None if path is None else read_json(path)
    if began is not None and began.get("recipe") == name:
        known = {option.name for option in describe_options(recipe)}
        recipe = dataclasses.replace(recipe, **{k: v for k, v in began["options"].items() if k in known})
    return from_text(recipe, texts), began


def _seeds(first: int | None, count: int | None, began: dict[str, Any] | None, folder: Path) -> range:
    alone = began is not None and (folder / "config.json").is_file()
    if first is None:
        first = int(began["seed"]) if began is not None else 0
    if count is None and began is not None and not alone:
        raise expected("--seeds", f"as many as the run in {folder} began with", None)
    return range(first, first + (count or 1))


def _again(context: typer.Context, folder: Path) -> str:
    """Return the command that goes on: what was given, with the run's folder and ``--resume``."""
    words = ["train"]
    for parameter in context.command.params:
        name = parameter.name or ""
        source, value = context.get_parameter_source(name), context.params.get(name)
        if source is None or source.name != "COMMANDLINE" or name in ("out", "resume") or value is None:
            continue
        if parameter.param_type_name == "argument":
            words.append(str(value))
        elif isinstance(value, bool):
            words.append(parameter.opts[0])
        else:
            for each in value if isinstance(value, list | tuple) else [value]:
                words += [parameter.opts[0], str(each)]
    return f"{program()} {shlex.join([*words, '--out', str(folder), '--resume'])}"


def _report(summary: dict[str, Any], recipe: Recipe, folder: Path) -> str:
    count = len(summary["values"])
    runs = f", {count} runs" if count > 1 else ""
    where = shlex.quote(str(folder))
    lines = [f"{summary['recipe']}{runs}: {told(summary)}, in {summary['seconds']:.0f} s", f"Folder: {folder}"]
    if recipe.example:
        lines += ["", "To go on:", f"  {program()} predict {where} {shlex.quote(recipe.example)}"]
        lines += [f"  {program()} evaluate {where}"] if recipe.reports == "test" else []
        lines += [f"  graphseq.load({str(folder)!r})  # in Python: the trained network"]
    return "\n".join(lines)
