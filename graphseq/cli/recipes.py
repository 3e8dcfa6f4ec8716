"""``graphseq recipes``: what can be trained, and with which options."""

from __future__ import annotations

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
    if name is None:
        every = all_recipes()
        if as_json:
            say_json([_card(key, recipe) for key, recipe in every.items()])
        else:
            say(_overview(every))
        return
    recipe = find_recipe(name)
    if as_json:
        say_json(_card(name, recipe) | {"options": _options(recipe)})
    else:
        say(_details(name, recipe))


def _card(name: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe": name,
        "network": recipe.network,
        "predicts": recipe.summary,
        "metric": recipe.metrics[0],
        "reference_result": reference_results().get(name),
        "input": recipe.input,
        "example": recipe.example,
    }


def _options(recipe: Recipe) -> list[dict[str, Any]]:
    return [
        {"name": o.name, "type": o.kind, "default": o.value, "help": o.help}
        for o in recipe.described()
    ]


def _overview(every: dict[str, Recipe]) -> str:
    rows = [[name, recipe.network, reference_results().get(name, ""), recipe.summary] for name, recipe in every.items()]
    return "\n".join([
        table(rows, ["recipe", "network", "reference result", "predicts"]),
        "",
        "graphseq recipes NAME    lists the options of one",
        "graphseq train NAME      trains it; --set KEY=VALUE changes an option",
    ])  # fmt: skip


def _details(name: str, recipe: Recipe) -> str:
    rows = [[o.name, _default(o.value), o.kind, o.help] for o in recipe.described()]
    lines = [f"{name}: {recipe.network}, {recipe.summary}", *_about(type(recipe)), ""]
    if name in reference_results():
        lines += [f"Reference result: {reference_results()[name]}"]
    lines += [
        f"Reports:     {recipe.metrics[0]}, on the {'dev' if recipe.reports == 'val' else recipe.reports} split",
        f"Predict of:  {recipe.input}",
        *([f"             such as {cut(recipe.example, 90)}"] if recipe.example else []),
        "",
        "Options, to be set with --set NAME=VALUE:",
        "",
        table(rows, ["name", "default", "type", "meaning"]),
    ]
    return "\n".join(lines)


def _about(kind: type[Recipe]) -> list[str]:
    return [line.strip() for line in (kind.__doc__ or "").strip().splitlines()]


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "''" if value == "" else str(value)
