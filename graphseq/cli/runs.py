"""``graphseq predict`` and ``graphseq evaluate``: what has been trained, used."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import Words, expected
from ..recipes import Run, Source, open_run
from ..train import METRICS, Machine
from .options import AsJson, DataRoot, Device, Offline, OwnRecipe
from .show import number, say, say_json, table

__all__ = ["evaluate", "predict"]

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
    as_json: AsJson = False,
    data_root: DataRoot = None,
    offline: Offline = False,
) -> None:
    """Predict for an input of your own, with the network of a run.

    What an input may be depends on the recipe: `graphseq recipes NAME` says it and gives an example.
    """
    opened = open_run(run, recipe=recipe)
    with contextlib.redirect_stdout(sys.stderr):
        found = opened.predict(_input(input, opened), Source(data_root, offline))
    if as_json:
        say_json({"recipe": opened.name, "run": str(opened.path), "predictions": found})
    else:
        say(table([_row(prediction) for prediction in found]) if found else "nothing to predict")


def _input(given: str, run: Run) -> str:
    """Return the input; what came by standard input ends in a newline, and so is never taken for a file's name."""
    if given != "-":
        return given
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError:
        raise expected("input", "a text on standard input", Words("what is not UTF-8")) from None
    if not text.strip():
        raise expected("input", f"{run.recipe.input}, on standard input", Words("nothing"))
    return text.rstrip("\n") + "\n"


def _row(prediction: dict[str, Any]) -> list[str]:
    if "class" in prediction:
        return [str(prediction["input"]), str(prediction["class"]), number(100 * prediction["probability"], "%")]
    values = prediction["value"]
    return [str(prediction["input"]), " ".join(f"{v:.4g}" for v in (values if isinstance(values, list) else [values]))]


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
    opened = open_run(run, recipe=recipe)
    part = "val" if split == "dev" else split
    with contextlib.redirect_stdout(sys.stderr):
        found = opened.evaluate(part, source=Source(data_root, offline), machine=Machine(device=device))
    if as_json:
        say_json({"recipe": opened.name, "run": str(opened.path), "split": split, **found})
    else:
        units = {name: METRICS[name].unit if name in METRICS else "" for name in found}
        say(table([[split, name, number(value, units[name])] for name, value in found.items()]))
