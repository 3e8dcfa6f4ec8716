"""Recipes by name: every module of this package may have a dictionary ``RECIPES``."""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache
from pathlib import Path

from ..doctor import find
from ..errors import Words, expected
from ..train import from_text, nearest
from .base import Recipe

__all__ = ["all_recipes", "find_recipe", "reached"]


@cache
def all_recipes() -> dict[str, Recipe]:
    """Return the recipes that come with graphseq, by name."""
    found: dict[str, Recipe] = {}
    package = __name__.rpartition(".")[0]
    for module in sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])):
        found |= getattr(importlib.import_module(f"{package}.{module}"), "RECIPES", {})
    return found


def find_recipe(name: str, options: dict[str, str] | None = None) -> Recipe:
    """Return the recipe of this name, with some options set from text.

    Args:
        name: of a recipe that comes with graphseq, or ``my_module:MyRecipe`` for one of your own, a subclass of
            :class:`Recipe` or an object of one.
        options: texts by option.

    Raises:
        GraphError: there is no such recipe or option, or a text is no value of its type.

    >>> find_recipe("karate-gcn", {"epochs": "7"}).epochs
    7
    """
    if not isinstance(name, str):
        raise expected("recipe", "the name of a recipe", name)
    recipe = _foreign(name) if ":" in name else all_recipes().get(name)
    if recipe is None:
        raise expected("recipe", "the name of a recipe", Words(f"{name!r}{nearest(name, all_recipes())}"))
    return from_text(recipe, options or {})


def _foreign(name: str) -> Recipe:
    found = find(name, argument="recipe")
    if isinstance(found, type) and issubclass(found, Recipe):
        try:
            found = found()
        except TypeError as error:
            raise expected("recipe", "a recipe all of whose options have defaults", Words(f"{name}: {error}")) from None
    if not isinstance(found, Recipe):
        raise expected("recipe", "module:Recipe, where Recipe is a subclass of graphseq.recipes.Recipe", found)
    return found


@cache
def reached() -> dict[str, str]:
    """Return what each recipe reached when it was last measured, in words."""
    path = Path(__file__).with_name("reached.json")
    content: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content
