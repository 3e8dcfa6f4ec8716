"""``graphseq predict`` and ``graphseq evaluate``: use trained networks."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import Words, expected
from ..plot import check_path
from ..recipes import Run, Source, open_run
from ..train import METRICS, Machine, write_bytes
from .options import AsJson, DataRoot, Device, Offline, OwnRecipe, pairs
from .pictures import draw_prediction
from .show import cut, note, number, say, say_json, table

__all__ = ["evaluate", "predict"]

_ROWS, _LONGEST = 200, 60  # of a table that is printed: predictions, and characters of an input

RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="The folder of a run; the best of several seeds, or the newest of a recipe's runs."
    ),
]

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A column of FILE that has another name than in training, as text_column=Body; of a run on the sentiment "
        "treebank, evaluated=phrases or =sentences.",
    ),
]


def predict(
    run: RunArgument,
    input: Annotated[
        str | None, typer.Argument(metavar="INPUT", help="A text, or the name of a file with it; - for standard input.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all predictions to this table, a .csv file.")
    ] = None,
    nodes: Annotated[bool, typer.Option("--nodes", help="For a file of trees, predict for every node.")] = False,
    columns: Columns = None,
    recipe: OwnRecipe = None,
    picture: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the predictions on the tree or graph: .png, .svg or .pdf."),
    ] = None,
    as_json: AsJson = False,
    data_root: DataRoot = None,
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Predict for an input with the network of a run.

    The kind of input depends on the recipe: `graphseq recipes NAME` describes it and gives an example.
    """
    check_path(picture, argument="--plot")
    opened, source = _opened(run, recipe, columns, device), Source(data_root, offline)
    text = _input(input, opened)
    with contextlib.redirect_stdout(sys.stderr):
        found = opened.predict_file(text, nodes=True) if nodes else opened.predict(text, source)
        if picture is not None:
            draw_prediction(opened, text, source, picture)
    if out is not None:
        write_bytes(out.expanduser(), _table(found).encode())
        note(f"{len(found):,} predictions in {out}")
    if as_json:
        about = {"note": found.note} if found.note else {}
        say_json({"recipe": opened.name, "run": str(opened.path), "predictions": found, **about})
    elif out is None:
        say(table([_row(prediction) for prediction in found[:_ROWS]]) if found else "nothing to predict")
        if len(found) > _ROWS:
            say(f"and {len(found) - _ROWS:,} more; --json prints all, --out FILE writes them")
        if found.note:
            say(f"\nNote: {found.note}.")


def _opened(folder: Path, recipe: str | None, columns: Sequence[str] | None, device: str) -> Run:
    opened = open_run(folder, recipe=recipe, device=device)
    if opened.path != folder.expanduser():
        note(f"Run: {opened.path}")
    named = pairs(columns or [])
    if other := [name for name in named if not name.endswith("_column") and name not in opened.recipe.evaluation]:
        what = " or ".join(["the name of a column, such as label_column=y", *opened.recipe.evaluation])
        raise expected("--set", what, Words(other[0]))
    return dataclasses.replace(opened, recipe=opened.recipe.parse(named)) if named else opened


def _input(given: str | None, run: Run) -> str:
    """Return the input; standard input ends in a newline here, so it is never mistaken for a file name."""
    if given != "-":
        if given is None or not given.strip():
            such = f", such as {cut(run.recipe.example, _LONGEST)}" if run.recipe.example else ""
            raise expected("input", f"{run.recipe.input}{such}", Words("nothing"))
        return given
    if sys.stdin is None:  # as `<&-` leaves it
        raise expected("input", "a text on standard input", Words("none: it is closed"))
    try:  # bytes, since some locales accept invalid text
        text = sys.stdin.buffer.read().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise expected("input", "a text on standard input", Words("what is not UTF-8")) from None
    if not text.strip():
        raise expected("input", f"{run.recipe.input}, on standard input", Words("nothing"))
    return text.rstrip("\n") + "\n"


def _row(prediction: dict[str, Any]) -> list[str]:
    name = cut("  " * prediction.get("depth", 0) + str(prediction["input"]), _LONGEST)
    if "class" in prediction:
        return [name, str(prediction["class"]), number(100 * prediction["probability"], "%")]
    found = prediction["value"]
    values = found if isinstance(found, list) else [found]
    return [name, " ".join(value if isinstance(value, str) else f"{value:.4g}" for value in values)]


def _table(predictions: Sequence[dict[str, Any]]) -> str:
    """Return predictions as a table, with a column for the probability of each class where they are known."""
    rows: list[dict[str, Any]] = []
    for prediction in predictions:
        chances = prediction.get("probabilities", {})
        plain = {name: value for name, value in prediction.items() if name != "probabilities"}
        if "probability" in plain:
            plain["probability"] = f"{plain['probability']:.6g}"
        rows.append(plain | {f"p({name})": f"{chance:.6g}" for name, chance in chances.items()})
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def evaluate(
    run: RunArgument,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A labelled file in the format of the training file.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="SPLIT", help="train, val (or dev) or test; by default the reported one."),
    ] = None,
    columns: Columns = None,
    recipe: OwnRecipe = None,
    as_json: AsJson = False,
    data_root: DataRoot = None,
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Evaluate the network of a run on a split of its data or on a file of your own."""
    opened = _opened(run, recipe, columns, device)
    if file is not None and split is not None:
        raise expected("--split", "no split together with a file", split)
    if file is None and (told := [name for name in pairs(columns or []) if name.endswith("_column")]):
        raise expected("--set", "columns of a file, together with FILE", Words(told[0]))
    machine = Machine(device=device)
    with contextlib.redirect_stdout(sys.stderr):
        if file is not None:
            found = opened.evaluate_file(file, machine=machine)
        else:
            found = opened.evaluate(split, source=Source(data_root, offline), machine=machine)
    place = str(file) if file else split or ("dev" if opened.recipe.reports == "val" else opened.recipe.reports)
    if as_json:
        say_json({"recipe": opened.name, "run": str(opened.path), "file" if file else "split": place, **found})
        return
    classes, first = found.pop("classes", []), METRICS[opened.recipe.metrics[0]]
    units = {name: METRICS[name].unit for name in found if name in METRICS} | {"baseline": first.unit}
    names = {"baseline": "most frequent class" if first.classes else "always the mean"}
    say(table([[place, names.get(name, name), number(value, units.get(name, ""))] for name, value in found.items()]))
    if classes:
        rows = [[row["class"], str(row["examples"]), number(row["correct"], "%")] for row in classes]
        say("\n" + table(rows, ["class", "examples", "correct"]))
