"""``graphseq train``: train a recipe, with one seed or several, and report the result."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import GraphError, Words, expected
from ..recipes import Job, OwnRecipe, Recipe, Source, default_folder, find_recipe
from ..recipes import cross_validate as cross_validate_recipe
from ..recipes import train as train_recipe
from ..train import Machine, Stopped, read_json
from .options import AsJson, DataRoot, Offline, out_folder, pairs, ranks_here
from .show import note, number, program, say, say_json, table, told

__all__ = ["train"]


def train(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's name, or module:Recipe for one of your own.")
    ],
    machine: dict[str, str],
    data_root: DataRoot = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", min=1, help="Train N times, with different seeds.")] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", min=0, max=2**31 - 1, help="The first seed; 0 by default.")
    ] = None,
    cross_validate: Annotated[
        int | None,
        typer.Option(metavar="K", min=2, help="Evaluate by K-fold cross-validation, with model selection per fold."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="The run's folder; by default a new one, runs/RECIPE/DATE-TIME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in --out, by default the newest unfinished one of RECIPE.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the recipe; the same as --KEY VALUE."),
    ] = None,
    save_every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Seconds between two checkpoints.")
    ] = 30.0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard, too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe: data, network and training under one name.

    `graphseq train RECIPE --help` lists the recipe's options. Ctrl-C saves the state of training; the
    same command with --resume continues from there, and gives the result of an uninterrupted run.
    """
    here = ranks_here()
    texts = pairs(settings or [])
    job = Job(
        machine=Machine(processes=here or 1).parse(machine), source=Source(data_root, offline), resume=resume,
        save_every=save_every, tensorboard=tensorboard, verbose=not quiet, notify=note,
    )  # fmt: skip
    find_recipe(recipe).parse(texts)  # wrong options are reported before a folder is looked for
    folder = _folder(recipe, out, resume=resume, together=here is not None)
    began = _began(folder) if resume else {}
    if began and began["recipe"] != recipe:  # before an error about options that only one of the two has
        raise expected("recipe", f"{began['recipe']!r}, the recipe of the run in {folder}", recipe)
    chosen = find_recipe(recipe, **began.get("options", {})).parse(texts)
    first = began.get("seed", 0) if seed is None else seed
    folds = cross_validate or began.get("folds")
    if folds is not None and seeds is not None:
        raise expected("--seeds", "no --seeds together with --cross-validate", seeds)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            if folds is not None:
                fixed = {*texts, *began.get("fixed", ())}
                summary = cross_validate_recipe(chosen, folder, folds=folds, seed=first, fixed=fixed, job=job)
            else:
                if seeds is None and began and not (folder / "config.json").is_file():
                    raise expected("--seeds", f"the number of seeds of the run in {folder}", None)
                summary = train_recipe(chosen, folder, seeds=range(first, first + (seeds or 1)), job=job)
    except (Stopped, KeyboardInterrupt) as error:
        note(f"\n{str(error) or 'stopped'}. To resume:\n\n  {_again(context, folder)}")
        raise typer.Exit(130) from None
    if as_json:
        say_json(summary)
    else:
        say(_report(summary, chosen, folder))


def _folder(name: str, out: str | None, *, resume: bool, together: bool) -> Path:
    """Return the run's folder: a new one, or with `resume` the newest that is unfinished."""
    if out is not None:
        return out_folder(out)
    if together:
        raise expected("--out", "a folder, the same for all of torchrun's processes", None)
    new = default_folder(name)
    if not resume:
        return new
    begun = sorted(path for path in new.parent.glob("*") if _is_under_way(path))
    if not begun:
        raise expected("--resume", "an unfinished run", Words(f"none in {new.parent}"))
    return begun[-1]


def _is_under_way(folder: Path) -> bool:
    over = (folder / "result.json").exists() or (folder / "summary.json").exists()
    return not over and bool(_began(folder))


def _began(folder: Path) -> dict[str, Any]:
    """Return the configuration of the run in a folder: a single run, the first of several, or a cross-validation."""
    for path in (folder / "cross.json", folder / "config.json", *sorted(folder.glob("seed-*/config.json"))):
        if path.is_file():
            content = read_json(path)
            if not isinstance(content, dict) or not {"recipe", "seed", "options"} <= content.keys():
                raise GraphError(f"{path} is not a run's configuration")
            return content
    return {}


def _again(context: typer.Context, folder: Path) -> str:
    """Return the command that resumes the run: the given options, the run's folder and ``--resume``."""
    words = ["train", context.params["recipe"]]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name in ("recipe", "out", "resume") or value is None:
            continue
        if isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            for each in value if isinstance(value, list | tuple) else [value]:
                words += [parameter.opts[0], str(each)]
    return f"{program()} {shlex.join([*words, '--out', str(folder), '--resume'])}"


def _report(summary: dict[str, Any], recipe: Recipe, folder: Path) -> str:
    """Return the result in words, and commands that use it."""
    name, count, folds = summary["recipe"], len(summary["values"]), summary.get("folds")
    runs = f", {folds} folds" if folds else f", {count} runs" if count > 1 else ""
    lines = [f"{name}{runs}: {told(summary)}, in {summary['seconds']:.0f} s", f"Folder: {folder}"]
    if "test" in summary:
        lines.insert(1, f"Test part, evaluated once: {told({**summary, **summary['test'], 'split': 'test'})}")
    if "baseline" in summary:
        what = "the most frequent class" if summary["unit"] == "%" else "the mean"
        constant = number(summary["baseline"], summary["unit"])
        lines.insert(1, f"Always predicting {what} of the training part: {constant}")
    if folds:
        return "\n".join([*lines, *_chosen(summary["chosen"])])
    where, own = shlex.quote(str(folder)), name if ":" in name else None
    more = "" if own is None else f" --recipe {own}"
    lines += ["", "To use the trained network:"]
    lines += [f"  {program()} predict {where} {shlex.quote(recipe.example)}{more}"] if recipe.example else []
    if isinstance(recipe, OwnRecipe):
        lines += [f"  {program()} predict {where} FILE --out predictions.csv"]
    lines += [f"  {program()} evaluate {where}{more}"]
    text = repr(str(folder)) if own is None else f"{str(folder)!r}, recipe={own!r}"
    return "\n".join([*lines, f"  graphseq.load({text})  # in Python"])


def _chosen(choices: Sequence[Mapping[str, Any]]) -> list[str]:
    if not any(choices):
        return []
    rows = [[f"  fold {k}", *(f"{key}={value}" for key, value in choice.items())] for k, choice in enumerate(choices)]
    return ["", "Selected on validation data:", table(rows)]
