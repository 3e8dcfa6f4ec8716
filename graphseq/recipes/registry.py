"""Recipes by name: any module of this package can have a dictionary ``RECIPES``."""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

from ..doctor import find
from ..errors import Words, expected
from ..train import nearest
from .base import Recipe

__all__ = ["all_recipes", "find_recipe", "reference_results"]


@cache
def all_recipes() -> dict[str, Recipe]:
    """Return the recipes that come with graphseq, by name."""
    found: dict[str, Recipe] = {}
    package = __name__.rpartition(".")[0]
    for module in sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])):
        found |= getattr(importlib.import_module(f"{package}.{module}"), "RECIPES", {})
    return {name: _named(recipe, name) for name, recipe in found.items()}


def find_recipe(name: str, /, **options: Any) -> Recipe:
    """Return the recipe of this name, with some options set.

    Args:
        name: of a recipe that comes with graphseq, or ``my_module:MyRecipe`` for one of your own, a subclass of
            :class:`Recipe` or an object of one.
        options: values of the recipe's options.

    Raises:
        GraphError: there is no such recipe or option, or a value is of another type or out of its limits.

    >>> find_recipe("karate-gcn", epochs=7).epochs
    7
    """
    if not isinstance(name, str):
        raise expected("recipe", "the name of a recipe", name)
    recipe = _foreign(name) if ":" in name else all_recipes().get(name)
    if recipe is None:
        raise expected("recipe", "the name of a recipe", Words(f"{name!r}{nearest(name, all_recipes())}"))
    return recipe.replace(**options) if options else recipe


def _foreign(name: str) -> Recipe:
    found = find(name, argument="recipe")
    if isinstance(found, type) and issubclass(found, Recipe):
        try:
            found = found()
        except TypeError as error:
            raise expected("recipe", "a recipe with all of its methods", Words(f"{name}: {error}")) from None
    if not isinstance(found, Recipe):
        raise expected("recipe", "module:Recipe, where Recipe is a subclass of graphseq.recipes.Recipe", found)
    return _named(found, name)


def _named(recipe: Recipe, name: str) -> Recipe:
    if recipe.name != name:
        recipe = recipe.model_copy()
        recipe._name = name
    return recipe


@cache
def reference_results() -> dict[str, str]:
    """Return the last measured result of each recipe, in words."""
    path = Path(__file__).with_name("reference_results.json")
    content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return content
