"""``graphseq predict`` and ``graphseq evaluate``: what has been trained, used."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import GraphError, Words, expected
from ..plot import check_path
from ..recipes import Run, Source, open_run
from ..train import METRICS, Machine, read_json
from .options import AsJson, DataRoot, Device, Offline, OwnRecipe
from .pictures import draw_prediction
from .show import cut, number, program, say, say_json, table

__all__ = ["evaluate", "predict"]

_ROWS, _LONGEST = 200, 60  # of a table that is printed: predictions, and characters of an input

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run; of several seeds the best on validation data.")
]


def predict(
    run: RunArgument,
    input: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="A text, or the name of a file with it; - reads standard input."),
    ],
    recipe: OwnRecipe = None,
    picture: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the predictions on the tree or graph: .png, .svg or .pdf."),
    ] = None,
    as_json: AsJson = False,
    data_root: DataRoot = None,
    offline: Offline = False,
) -> None:
    """Predict for an input of your own, with the network of a run.

    What an input may be depends on the recipe: `graphseq recipes NAME` says it and gives an example.
    """
    check_path(picture, argument="--plot")
    opened, source = _opened(run, recipe), Source(data_root, offline)
    text = _input(input, opened)
    with contextlib.redirect_stdout(sys.stderr):
        found = opened.predict(text, source)
        if picture is not None:
            draw_prediction(opened, text, source, picture)
    if as_json:
        say_json({"recipe": opened.name, "run": str(opened.path), "predictions": found})
    else:
        say(table([_row(prediction) for prediction in found[:_ROWS]]) if found else "nothing to predict")
        if len(found) > _ROWS:
            say(f"and {len(found) - _ROWS:,} more; --json prints all")


def _opened(folder: Path, recipe: str | None) -> Run:
    """Open a run, after a look whether its folder holds something else that training makes."""
    folder = folder.expanduser()
    if (folder / "cross.json").is_file():
        got = Words(f"{folder}, a cross-validation, which keeps no network to predict with")
        raise expected("run", "the folder of a run", got)
    begun = sorted(folder.glob("seed-*/config.json"))
    if begun and not (folder / "config.json").is_file() and not (folder / "summary.json").is_file():
        content = read_json(begun[0])
        name = content.get("recipe", "RECIPE") if isinstance(content, dict) else "RECIPE"
        command = f"{program()} train {shlex.quote(str(name))} --seeds N --out {shlex.quote(str(folder))} --resume"
        got = Words(f"{folder}, several seeds, of which not all are over; {command} goes on")
        raise expected("run", "the folder of a run", got)
    return open_run(folder, recipe=recipe)


def _input(given: str, run: Run) -> str:
    """Return the input; what came by standard input ends in a newline, and so is never taken for a file's name."""
    if given != "-":
        if not given.strip():
            raise expected("input", run.recipe.input, Words("nothing"))
        return given
    if sys.stdin is None:  # as `<&-` leaves it
        raise expected("input", "a text on standard input", Words("none: it is closed"))
    try:  # bytes, as some locales let through what is no text
        text = sys.stdin.buffer.read().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise expected("input", "a text on standard input", Words("what is not UTF-8")) from None
    if not text.strip():
        raise expected("input", f"{run.recipe.input}, on standard input", Words("nothing"))
    return text.rstrip("\n") + "\n"


def _row(prediction: dict[str, Any]) -> list[str]:
    name = cut(str(prediction["input"]), _LONGEST)
    if "class" in prediction:
        return [name, str(prediction["class"]), number(100 * prediction["probability"], "%")]
    values = prediction["value"]
    return [name, " ".join(f"{v:.4g}" for v in (values if isinstance(values, list) else [values]))]


def evaluate(
    run: RunArgument,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="train, val (or dev) or test.")] = "test",
    recipe: OwnRecipe = None,
    as_json: AsJson = False,
    data_root: DataRoot = None,
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Judge the network of a run again, on a split of its data."""
    opened = _opened(run, recipe)
    part = "val" if split == "dev" else split
    with contextlib.redirect_stdout(sys.stderr):
        try:
            found = opened.evaluate(part, source=Source(data_root, offline), machine=Machine(device=device))
        except GraphError as error:
            if part != "test" or not str(error).startswith("`split`"):
                raise
            raise expected("split", "train or val, as the run's data have no test split", split) from None
    if as_json:
        say_json({"recipe": opened.name, "run": str(opened.path), "split": split, **found})
    else:
        units = {name: METRICS[name].unit if name in METRICS else "" for name in found}
        say(table([[split, name, number(value, units[name])] for name, value in found.items()]))
