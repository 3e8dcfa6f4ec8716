"""``graphseq train``: train a recipe, with one seed or several, and say what came out."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import GraphError, Words, expected
from ..recipes import Job, Recipe, Source, find_recipe
from ..recipes import cross_validate as cross_validate_recipe
from ..recipes import train as train_recipe
from ..train import Machine, Stopped, read_json
from .options import AsJson, DataRoot, Device, Offline, out_folder, pairs, ranks_here
from .show import note, program, say, say_json, table, told

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
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, max=2**31 - 1, help="The first seed; 0 by default.")
    ] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(metavar="K", min=2, help="Judge by K folds, in each choosing options on its training data."),
    ] = None,
    out: Annotated[
        str | None,
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
    precision: Annotated[str, typer.Option(metavar="PRECISION", help="32-true, 16-mixed or bf16-mixed.")] = "32-true",
    threads: Annotated[
        int, typer.Option(metavar="N", min=0, help="Threads of each process; 0 for as many as PyTorch takes.")
    ] = 0,
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
    machine = Machine(
        device=device, precision=_precision(precision), processes=processes or here or 1, threads=threads,
        workers=workers,
    )  # fmt: skip
    source, texts = Source(data_root, offline), pairs(settings or [])
    job = Job(machine=machine, source=source, resume=resume, save_every=save_every, tensorboard=tensorboard)
    find_recipe(recipe).parse(texts)  # names and values are right before a folder is looked for
    folder = _folder(recipe, out, resume=resume, together=here is not None)
    began = _began(folder) if resume else None
    if began is not None and began.get("recipe") != recipe:  # before options that only one of the two has
        raise expected("recipe", f"{began.get('recipe')!r}, as the run in {folder} began with", recipe)
    chosen, first = _recipe(recipe, began, texts), _first_seed(seed, began)
    folds = cross_validate if began is None or cross_validate is not None else began.get("folds")
    if folds is not None and seeds is not None:
        raise expected("--seeds", "nothing beside --cross-validate", seeds)
    note(f"Training {recipe} in {folder}")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if folds is not None:
                fixed = {*texts, *(() if began is None else began.get("fixed", ()))}
                summary = cross_validate_recipe(chosen, folder, folds=folds, seed=first, fixed=fixed, job=job)
            else:
                summary = train_recipe(chosen, folder, seeds=_seeds(first, seeds, began, folder), job=job)
    except (Stopped, KeyboardInterrupt) as error:
        note(f"\n{str(error) or 'stopped'}. To go on:\n\n  {_again(context, folder)}")
        raise typer.Exit(130) from None
    if as_json:
        say_json(summary)
    else:
        say(_report(summary, chosen, folder))


def _precision(text: str) -> Any:
    """Return it as it is: Machine checks it."""
    return text


def _folder(name: str, out: str | None, *, resume: bool, together: bool) -> Path:
    """Return where the run is to be: a new folder, or with `resume` the newest that is not over."""
    if out is not None:
        return out_folder(out)
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
    return not over and _began(folder) is not None


def _began(folder: Path) -> dict[str, Any] | None:
    """Return with what the run in a folder began: one run, the first of several, or a cross-validation."""
    for path in (folder / "cross.json", folder / "config.json", *sorted(folder.glob("seed-*/config.json"))):
        if path.is_file():
            content = read_json(path)
            if not isinstance(content, dict) or not {"recipe", "seed", "options"} <= content.keys():
                raise GraphError(f"{path} is not a run's configuration")
            return content
    return None


def _recipe(name: str, began: dict[str, Any] | None, texts: dict[str, str]) -> Recipe:
    """Return the recipe with its options; what the run began with needn't be said again."""
    recipe = find_recipe(name)
    if began is not None:
        known = type(recipe).model_fields
        recipe = recipe.replace(**{k: v for k, v in began["options"].items() if k in known})
    return recipe.parse(texts)


def _first_seed(given: int | None, began: dict[str, Any] | None) -> int:
    return given if given is not None else 0 if began is None else int(began["seed"])


def _seeds(first: int, count: int | None, began: dict[str, Any] | None, folder: Path) -> range:
    if count is None and began is not None and not (folder / "config.json").is_file():
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
    """Return the result in words, and what to do with it."""
    name, count, folds = summary["recipe"], len(summary["values"]), summary.get("folds")
    runs = f", {folds} folds" if folds else f", {count} runs" if count > 1 else ""
    lines = [f"{name}{runs}: {told(summary)}, in {summary['seconds']:.0f} s", f"Folder: {folder}"]
    if folds:
        return "\n".join([*lines, *_chosen(summary["chosen"])])
    where, own = shlex.quote(str(folder)), name if ":" in name else None
    more = "" if own is None else f" --recipe {own}"
    split = "" if recipe.reports == "test" else " --split dev"
    lines += ["", "To go on:"]
    lines += [f"  {program()} predict {where} {shlex.quote(recipe.example)}{more}"] if recipe.example else []
    lines += [f"  {program()} evaluate {where}{split}{more}"]
    said = repr(str(folder)) if own is None else f"{str(folder)!r}, recipe={own!r}"
    return "\n".join([*lines, f"  graphseq.load({said})  # in Python: the trained network"])


def _chosen(choices: Sequence[Mapping[str, Any]]) -> list[str]:
    if not any(choices):
        return []
    rows = [[f"  fold {k}", *(f"{key}={value}" for key, value in choice.items())] for k, choice in enumerate(choices)]
    return ["", "Chosen on validation data:", table(rows)]
