"""``graphseq recipes``: what can be trained, and with which options."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from ..recipes import Recipe, all_recipes, find_recipe, reference_results
from .options import AsJson
from .show import cut, say, say_json, table

__all__ = ["recipes"]


def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A recipe, or module:Recipe, to list the options of.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the recipes, or the options of one."""
    if name is not None:
        recipe = find_recipe(name)
        options = [{"name": o.name, "type": o.kind, "default": o.value, "help": o.help} for o in recipe.described()]
        say_json(_card(recipe) | {"options": options}) if as_json else say(_details(recipe))
    elif as_json:
        say_json([_card(recipe) for recipe in all_recipes().values()])
    else:
        rows = [[r.name, r.network, reference_results().get(r.name, ""), r.summary] for r in all_recipes().values()]
        say(table(rows, ["recipe", "network", "reference result", "predicts"]))
        say("\ngraphseq recipes NAME    lists the options of one\ngraphseq train NAME      trains it")


def _card(recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "network": recipe.network,
        "predicts": recipe.summary,
        "metric": recipe.metrics[0],
        "reference_result": reference_results().get(recipe.name),
        "input": recipe.input,
        "example": recipe.example,
    }


def _details(recipe: Recipe) -> str:
    rows = [[o.name, _default(o.value), o.kind, o.help] for o in recipe.described()]
    about = [
        ["Reference result:", reference_results().get(recipe.name, "none")],
        ["Reports:", f"{recipe.metrics[0]}, on the {'dev' if recipe.reports == 'val' else recipe.reports} split"],
        ["Input to predict:", recipe.input],
        *([["", f"such as {cut(recipe.example, 90)}"]] if recipe.example else []),
    ]
    head = f"{recipe.name}: {recipe.network}, {recipe.summary}\n{inspect.getdoc(type(recipe)) or ''}"
    options = table(rows, ["name", "default", "type", "meaning"])
    return f"{head}\n\n{table(about)}\n\nOptions, set by --NAME VALUE:\n\n{options}"


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "''" if value == "" else str(value)
